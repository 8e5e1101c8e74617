/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are rollups and runs what the raw rows say? Recomputed from nothing in SQL, independent of the
 * code that keeps them, and compared both ways. Lines of zeros count as absent.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "billing/ledger/ledger_private.h"

#define ZERO(name, column)         ", 0"
#define PLAIN(name, column)        ", " #column
#define PREFIXED(name, column)     ", c." #column
#define SUMMED(name, column)       ", sum(" #column ") AS " #column
#define NOT_ZERO(name, column)     " OR " #column " <> 0"
#define SUM_NOT_ZERO(name, column) " OR sum(" #column ") <> 0"

#define PENDING_COUNTS ", input_computed, input_cached, output - reasoning, reasoning, a.recomputed"
#define RAW_COLUMNS    TALLY_CHARGE(PLAIN) TALLY_PENDING(PLAIN)

/* (bucket, account, run, charge columns, pending columns) of every raw row */
#define RAW_ROWS                                                                               \
    "SELECT c.bucket AS bucket, c.account AS account, a.run AS run" TALLY_CHARGE(PREFIXED)     \
        TALLY_PENDING(NAMED_ZERO) " FROM charge c JOIN attempt a USING(request_id, attempt)"   \
                                  " UNION ALL SELECT a.admitted_ms - a.admitted_ms % 900000, " \
                                  "a.account, a.run" TALLY_CHARGE(ZERO) PENDING_COUNTS         \
        " FROM attempt a JOIN pending USING(request_id)"
#define NAMED_ZERO(name, column) ", 0 AS " #column

#define EXPECTED_ROLLUPS                                                                       \
    "SELECT bucket, account" TALLY_CHARGE(SUMMED)                                              \
        TALLY_PENDING(SUMMED) " FROM (" RAW_ROWS                                               \
                              ") GROUP BY bucket, account HAVING 0" TALLY_CHARGE(SUM_NOT_ZERO) \
                                  TALLY_PENDING(SUM_NOT_ZERO)
#define KEPT_ROLLUPS                                                                   \
    "SELECT bucket, account" RAW_COLUMNS " FROM rollup WHERE 0" TALLY_CHARGE(NOT_ZERO) \
        TALLY_PENDING(NOT_ZERO)
#define EXPECTED_RUNS                                                                             \
    "SELECT run" TALLY_CHARGE(SUMMED)                                                             \
        TALLY_PENDING(SUMMED) " FROM (" RAW_ROWS                                                  \
                              ") WHERE run <> 0 GROUP BY run HAVING 0" TALLY_CHARGE(SUM_NOT_ZERO) \
                                  TALLY_PENDING(SUM_NOT_ZERO)
#define KEPT_RUNS \
    "SELECT id" RAW_COLUMNS " FROM run WHERE 0" TALLY_CHARGE(NOT_ZERO) TALLY_PENDING(NOT_ZERO)

struct comparison {
    const char *what;
    const char *more; /* rows that should not be there */
    const char *less; /* rows that should */
};

static const struct comparison comparisons[] = {
    {"rollup line (bucket, account)", KEPT_ROLLUPS " EXCEPT " EXPECTED_ROLLUPS,
     EXPECTED_ROLLUPS " EXCEPT " KEPT_ROLLUPS},
    {"run", KEPT_RUNS " EXCEPT " EXPECTED_RUNS, EXPECTED_RUNS " EXCEPT " KEPT_RUNS},
};

/* The first row of the query is a difference. */
static int expect_none(struct ledger *l, const char *sql, const char *what, const char *which,
                       struct err *err)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(l->db.handle, sql, -1, &s, NULL);
    int r;

    if (code != SQLITE_OK)
        return db_error(&l->db, code, err);
    r = db_step(&l->db, s, err);
    if (r > 0)
        r = err_set(err, ERR_CORRUPT,
                    "%s %lld, %lld %s the raw rows; restore the ledger's file from a backup and "
                    "report it",
                    what, (long long)sqlite3_column_int64(s, 0),
                    (long long)sqlite3_column_int64(s, 1), which);
    sqlite3_finalize(s);
    return r;
}

int ledger_verify(struct ledger *l, struct err *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(comparisons); i++) {
        const struct comparison *c = &comparisons[i];
        int r = expect_none(l, c->more, c->what, "is not backed by", err);

        if (r == 0)
            r = expect_none(l, c->less, c->what, "is missing from the sums of", err);
        if (r < 0)
            return r;
    }
    return 0;
}
