/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite behind our errors: see db.h. */
#include "billing/ledger/db.h"

#include <stdio.h>

#include "base/disk.h"
#include "base/mem.h"

static enum err_code error_code(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

int db_error(struct db *db, int code, struct err *err)
{
    if ((code & 0xff) == SQLITE_NOMEM)
        return err_no_memory(err);
    return err_set(err, error_code(code), "the ledger's store: %s",
                   db->handle == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db->handle));
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : db_error(db, code, err);
}

static int open_handle(struct db *db, const char *path, const char *vfs, int flags, struct err *err)
{
    int code = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, vfs);
    int r;

    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_busy_timeout(db->handle, DB_BUSY_MS);
        return 0;
    }
    r = db_error(db, code, err);
    db_close(db);
    r = err_wrap(err, r, "cannot open %s", path);
    /* SQLite does not say why: mostly the folder is not ours. */
    (void)disk_explain(err, (code & 0xff) == SQLITE_CANTOPEN ? -ERR_DENIED : r, path, 0);
    return r;
}

int db_open(struct db *db, const char *path, const char *vfs, struct err *err)
{
    char pragmas[256];
    int r;

    *db = (struct db){NULL, NULL, 0};
    r = open_handle(db, path, vfs, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (r < 0)
        return r;
    snprintf(pragmas, sizeof(pragmas),
             "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
             "PRAGMA cache_size = -%d; PRAGMA wal_autocheckpoint = %d; PRAGMA temp_store = MEMORY",
             DB_CACHE_KIB, DB_WAL_PAGES);
    r = db_exec(db, pragmas, err);
    if (r < 0) {
        db_close(db);
        return disk_explain(err, err_wrap(err, r, "cannot open %s", path), path, 0);
    }
    return 0;
}

int db_open_reader(struct db *db, const char *path, const char *vfs, struct err *err)
{
    char pragmas[128];
    int r;

    *db = (struct db){NULL, NULL, 0};
    r = open_handle(db, path, vfs, SQLITE_OPEN_READWRITE, err);
    if (r < 0)
        return r;
    snprintf(pragmas, sizeof(pragmas), "PRAGMA query_only = ON; PRAGMA cache_size = -%d",
             DB_CACHE_KIB);
    r = db_exec(db, pragmas, err);
    if (r < 0)
        db_close(db);
    return r;
}

int db_prepare(struct db *db, const char *const *texts, int count, struct err *err)
{
    db->statements = mem_array((size_t)count, sizeof(sqlite3_stmt *));
    if (db->statements == NULL)
        return err_no_memory(err);
    db->statement_count = count;
    for (int i = 0; i < count; i++) {
        int code = sqlite3_prepare_v3(db->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &db->statements[i], NULL);

        if (code != SQLITE_OK)
            return db_error(db, code, err);
    }
    return 0;
}

void db_close(struct db *db)
{
    for (int i = 0; i < db->statement_count; i++)
        sqlite3_finalize(db->statements[i]);
    mem_free(db->statements);
    sqlite3_close(db->handle);
    *db = (struct db){NULL, NULL, 0};
}

sqlite3_stmt *db_use(struct db *db, int statement)
{
    sqlite3_reset(db->statements[statement]);
    return db->statements[statement];
}

void db_bind_str(sqlite3_stmt *s, int at, struct str text)
{
    sqlite3_bind_text(s, at, text.ptr == NULL ? "" : text.ptr, (int)text.len, SQLITE_STATIC);
}

void db_bind_blob(sqlite3_stmt *s, int at, const void *bytes, int size)
{
    sqlite3_bind_blob(s, at, bytes, size, SQLITE_STATIC);
}

int db_step(struct db *db, sqlite3_stmt *s, struct err *err)
{
    int code = sqlite3_step(s);
    int r;

    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE) {
        sqlite3_reset(s);
        return 0;
    }
    r = db_error(db, code, err);
    sqlite3_reset(s);
    return r;
}

int db_run(struct db *db, sqlite3_stmt *s, struct err *err)
{
    int r;

    do {
        r = db_step(db, s, err);
    } while (r > 0);
    return r;
}

int db_number(struct db *db, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL);
    int r;

    if (code != SQLITE_OK)
        return db_error(db, code, err);
    r = db_step(db, s, err);
    if (r > 0)
        *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return r < 0 ? r : 0;
}

struct str db_column_str(sqlite3_stmt *s, int column)
{
    const unsigned char *text = sqlite3_column_text(s, column);

    return (struct str){(const char *)text,
                        text == NULL ? 0 : (size_t)sqlite3_column_bytes(s, column)};
}
