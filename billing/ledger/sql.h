/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All SQL of the ledger's writer, and the shape of its store.
 *
 *     attempt   what is known of each attempt: the merged snapshots (the raw rows)
 *     pending   requests that are not settled; an attempt's request is either here or settled
 *     charge    what settlement made of an attempt; revision 0, later ones are corrections: deltas
 *     rollup    per 15 minutes of admission and account: the sum of charge and of pending attempts
 *     run       the same per engine run
 *     account   (tenant, key, model, price version) behind a small number; pod likewise
 *     price     PriceBook versions, immutable
 *
 * rollup and run are written in the transaction that changes their rows, and are equal to a
 * recomputation at any time (verify.c). Only attempt, pending, rollup and run are ever updated.
 */
#ifndef SPATE_LEDGER_SQL_H
#define SPATE_LEDGER_SQL_H

#include "billing/ledger/tally.h"

#define LEDGER_SCHEMA_VERSION 1

#define SQL_COLUMN_DEF(name, column) ", " #column " INTEGER NOT NULL"
#define SQL_COLUMN(name, column)     ", " #column
#define SQL_PARAMETER(name, column)  ", ?"
#define SQL_INCREASE(name, column)   ", " #column " = " #column " + excluded." #column
#define SQL_SUM(name, column)        ", sum(" #column ")"

#define SQL_SCHEMA                                                                                 \
    "CREATE TABLE account(id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key_id TEXT NOT NULL,"     \
    " model TEXT NOT NULL, price_version INTEGER NOT NULL,"                                        \
    " UNIQUE(tenant, key_id, model, price_version)) STRICT;"                                       \
    "CREATE TABLE pod(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"                  \
    "CREATE TABLE run(id INTEGER PRIMARY KEY, run_id BLOB NOT NULL UNIQUE, lost "                  \
    "TEXT" TALLY_CHARGE(SQL_COLUMN_DEF) TALLY_PENDING(                                             \
        SQL_COLUMN_DEF) ") STRICT;"                                                                \
                        "CREATE TABLE attempt(request_id BLOB NOT NULL, attempt INTEGER NOT NULL," \
                        " account INTEGER NOT NULL, run INTEGER NOT NULL, pod INTEGER NOT NULL,"   \
                        " admitted_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"              \
                        " start_position INTEGER NOT NULL, input_computed INTEGER NOT NULL,"       \
                        " input_cached INTEGER NOT NULL, output INTEGER NOT NULL, reasoning "      \
                        "INTEGER NOT NULL,"                                                        \
                        " recomputed INTEGER NOT NULL, charge_end INTEGER NOT NULL, delivered "    \
                        "INTEGER NOT NULL,"                                                        \
                        " flags INTEGER NOT NULL, PRIMARY KEY(request_id, attempt)) STRICT, "      \
                        "WITHOUT ROWID;"                                                           \
                        "CREATE TABLE pending(request_id BLOB PRIMARY KEY, changed_ms INTEGER "    \
                        "NOT NULL)"                                                                \
                        " STRICT, WITHOUT ROWID;"                                                  \
                        "CREATE INDEX pending_by_time ON pending(changed_ms);"                     \
                        "CREATE TABLE charge(request_id BLOB NOT NULL, attempt INTEGER NOT NULL,"  \
                        " revision INTEGER NOT NULL, account INTEGER NOT NULL, bucket INTEGER "    \
                        "NOT NULL,"                                                                \
                        " settled_ms INTEGER NOT NULL, position_from INTEGER NOT NULL,"            \
                        " position_to INTEGER NOT NULL" TALLY_CHARGE(                              \
                            SQL_COLUMN_DEF) ", PRIMARY KEY(request_id, attempt, revision)) "       \
                                            "STRICT, WITHOUT ROWID;"                               \
                                            "CREATE TABLE rollup(bucket INTEGER NOT NULL, "        \
                                            "account INTEGER NOT NULL" TALLY_CHARGE(               \
                                                SQL_COLUMN_DEF)                                    \
                                                TALLY_PENDING(                                     \
                                                    SQL_COLUMN_DEF) ", PRIMARY KEY(bucket, "       \
                                                                    "account)) STRICT, WITHOUT "   \
                                                                    "ROWID;"                       \
                                                                    "CREATE TABLE price(id "       \
                                                                    "INTEGER PRIMARY KEY, name "   \
                                                                    "TEXT NOT NULL, effective_ms " \
                                                                    "INTEGER NOT"                  \
                                                                    " NULL, added_ms INTEGER NOT " \
                                                                    "NULL, content TEXT NOT "      \
                                                                    "NULL) STRICT;"

#define LEDGER_SQL(X)                                                                              \
    X(SQL_BEGIN, "BEGIN IMMEDIATE")                                                                \
    X(SQL_COMMIT, "COMMIT")                                                                        \
    X(SQL_ROLLBACK, "ROLLBACK")                                                                    \
    X(SQL_ACCOUNT_FIND, "SELECT id FROM account WHERE tenant = ? AND key_id = ? AND model = ?"     \
                        " AND price_version = ?")                                                  \
    X(SQL_ACCOUNT_ADD,                                                                             \
      "INSERT INTO account(tenant, key_id, model, price_version) VALUES(?, ?, ?, ?)")              \
    X(SQL_ACCOUNT_READ, "SELECT tenant, key_id, model, price_version FROM account WHERE id = ?")   \
    X(SQL_POD_FIND, "SELECT id FROM pod WHERE name = ?")                                           \
    X(SQL_POD_ADD, "INSERT INTO pod(name) VALUES(?)")                                              \
    X(SQL_POD_READ, "SELECT name FROM pod WHERE id = ?")                                           \
    X(SQL_RUN_FIND, "SELECT id FROM run WHERE run_id = ?")                                         \
    X(SQL_RUN_ADD, "INSERT INTO run(run_id" TALLY_CHARGE(SQL_COLUMN)                               \
                       TALLY_PENDING(SQL_COLUMN) ") VALUES(?" TALLY_CHARGE(SQL_ZERO)               \
                           TALLY_PENDING(SQL_ZERO) ")")                                            \
    X(SQL_RUN_READ, "SELECT run_id FROM run WHERE id = ?")                                         \
    X(SQL_RUN_INCREASE,                                                                            \
      "UPDATE run SET id = id" TALLY_CHARGE(SQL_PLUS) TALLY_PENDING(SQL_PLUS) " WHERE id = ?")     \
    X(SQL_RUN_LOST, "UPDATE run SET lost = ? WHERE run_id = ? AND (lost IS NULL OR lost = ?)")     \
    X(SQL_ATTEMPT_READ,                                                                            \
      "SELECT attempt, account, run, pod, admitted_ms, updated_ms, start_position,"                \
      " input_computed, input_cached, output, reasoning, recomputed, charge_end, delivered,"       \
      " flags FROM attempt WHERE request_id = ? ORDER BY attempt")                                 \
    X(SQL_ATTEMPT_NEWEST, "SELECT max(request_id) FROM attempt")                                   \
    X(SQL_ATTEMPT_WRITE,                                                                           \
      "INSERT OR REPLACE INTO attempt(request_id, attempt, account, run, pod, admitted_ms,"        \
      " updated_ms, start_position, input_computed, input_cached, output, reasoning, recomputed,"  \
      " charge_end, delivered, flags) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")     \
    X(SQL_PENDING_FIND, "SELECT 1 FROM pending WHERE request_id = ?")                              \
    X(SQL_PENDING_WRITE, "INSERT OR REPLACE INTO pending(request_id, changed_ms) VALUES(?, ?)")    \
    X(SQL_PENDING_REMOVE, "DELETE FROM pending WHERE request_id = ?")                              \
    X(SQL_PENDING_DUE,                                                                             \
      "SELECT request_id FROM pending WHERE changed_ms <= ? ORDER BY changed_ms LIMIT ?")          \
    X(SQL_PENDING_COUNT, "SELECT count(*) FROM pending")                                           \
    X(SQL_CHARGE_READ,                                                                             \
      "SELECT account, bucket, position_from, position_to" TALLY_CHARGE(                           \
          SQL_COLUMN) " FROM charge WHERE request_id = ? AND attempt = ? ORDER BY revision")       \
    X(SQL_CHARGE_ADD,                                                                              \
      "INSERT INTO charge(request_id, attempt, revision, account, bucket, settled_ms,"             \
      " position_from, position_to" TALLY_CHARGE(                                                  \
          SQL_COLUMN) ") VALUES(?, ?, ?, ?, ?, ?, ?, ?" TALLY_CHARGE(SQL_PARAMETER) ")")           \
    X(SQL_ROLLUP_INCREASE,                                                                         \
      "INSERT INTO rollup(bucket, account" TALLY_CHARGE(SQL_COLUMN) TALLY_PENDING(                 \
          SQL_COLUMN) ") VALUES(?, ?" TALLY_CHARGE(SQL_PARAMETER)                                  \
          TALLY_PENDING(SQL_PARAMETER) ") ON CONFLICT DO UPDATE SET bucket = bucket" TALLY_CHARGE( \
              SQL_INCREASE) TALLY_PENDING(SQL_INCREASE))                                           \
    X(SQL_PRICE_READ, "SELECT content FROM price WHERE id = ?")                                    \
    X(SQL_PRICE_ADD,                                                                               \
      "INSERT INTO price(id, name, effective_ms, added_ms, content) VALUES(?, ?, ?, ?, ?)")

#define SQL_ZERO(name, column) ", 0"
#define SQL_PLUS(name, column) ", " #column " = " #column " + ?"

enum ledger_sql {
#define LEDGER_SQL_ENUM(name, text) name,
    LEDGER_SQL(LEDGER_SQL_ENUM)
#undef LEDGER_SQL_ENUM
        LEDGER_SQL_COUNT
};

#endif
