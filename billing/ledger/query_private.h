/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's SQL, and what query.c and query_report.c share. */
#ifndef SPATE_LEDGER_QUERY_PRIVATE_H
#define SPATE_LEDGER_QUERY_PRIVATE_H

#include <pthread.h>

#include "billing/ledger/db.h"
#include "billing/ledger/query.h"
#include "billing/ledger/sql.h"

#define QUERIES(X)                                                                                \
    X(QUERY_BEGIN, "BEGIN")                                                                       \
    X(QUERY_COMMIT, "COMMIT")                                                                     \
    X(QUERY_RUNS, "SELECT run_id, lost" TALLY_CHARGE(SQL_COLUMN)                                  \
                      TALLY_PENDING(SQL_COLUMN) " FROM run ORDER BY id DESC LIMIT ?")             \
    X(QUERY_RUN, "SELECT run_id, lost" TALLY_CHARGE(SQL_COLUMN)                                   \
                     TALLY_PENDING(SQL_COLUMN) " FROM run WHERE run_id = ?")                      \
    X(QUERY_PRICES, "SELECT id, content FROM price ORDER BY id")                                  \
    X(QUERY_ACCOUNTS, "SELECT id, tenant, key_id, model, price_version FROM account ORDER BY id") \
    X(QUERY_ROLLUPS, "SELECT bucket, account" TALLY_CHARGE(SQL_COLUMN) TALLY_PENDING(             \
                         SQL_COLUMN) " FROM rollup WHERE bucket >= ? AND bucket < ?")

enum query_sql {
#define QUERY_ENUM(name, text) name,
    QUERIES(QUERY_ENUM)
#undef QUERY_ENUM
        QUERY_COUNT
};

struct query {
    struct db db;
    pthread_mutex_t lock; /* one call at a time */
};

/* The tally's columns from `first_column` on. */
void query_tally(sqlite3_stmt *s, int first_column, struct tally *out);

#endif
