/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thin layer over SQLite: one connection with its prepared statements, errors as ours. Bound
 * text and blobs must live until the next db_reset of the statement. One thread at a time.
 */
#ifndef SPATE_LEDGER_DB_H
#define SPATE_LEDGER_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { DB_CACHE_KIB = 65536, DB_BUSY_MS = 5000, DB_WAL_PAGES = 4000 };

struct db {
    sqlite3 *handle;
    sqlite3_stmt **statements;
    int statement_count;
};

/* Opens (and makes) the file in WAL mode, synchronous=FULL. vfs: NULL for the system's. */
int db_open(struct db *db, const char *path, const char *vfs, struct err *err);
/* Another connection that only reads; the file must exist. */
int db_open_reader(struct db *db, const char *path, const char *vfs, struct err *err);
/* Prepares one statement per text; db_close finalises them. */
int db_prepare(struct db *db, const char *const *texts, int count, struct err *err);
void db_close(struct db *db); /* also of a zeroed one */

/* The statement, reset and ready to bind. */
sqlite3_stmt *db_use(struct db *db, int statement);
void db_bind_str(sqlite3_stmt *s, int at, struct str text);
void db_bind_blob(sqlite3_stmt *s, int at, const void *bytes, int size);

/* 1: a row is there; 0: done; a recorded error else. */
int db_step(struct db *db, sqlite3_stmt *s, struct err *err);
/* Runs a statement that gives no row. */
int db_run(struct db *db, sqlite3_stmt *s, struct err *err);
/* Text without parameters; several statements. */
int db_exec(struct db *db, const char *sql, struct err *err);
/* One integer out of one row. */
int db_number(struct db *db, const char *sql, int64_t *out, struct err *err);

/* The error that `code` of SQLite means. */
int db_error(struct db *db, int code, struct err *err);

struct str db_column_str(sqlite3_stmt *s, int column); /* until the next step or reset */

#endif
