/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the ledger: reports, runs, prices, by a connection of its own that never disturbs the
 * writer. Any thread; calls take turns. Reports are made from rollups alone.
 */
#ifndef SPATE_LEDGER_QUERY_H
#define SPATE_LEDGER_QUERY_H

#include "base/id.h"
#include "base/json.h"
#include "billing/report/report.h"

struct query;

/* The file must exist (ledger_open made it). vfs: NULL for the system's. */
int query_open(struct query **out, const char *path, const char *vfs, struct err *err);
void query_close(struct query *q); /* NULL is allowed */

struct query_report {
    int64_t from_ms;   /* inclusive; a multiple of LEDGER_BUCKET_MS */
    int64_t to_ms;     /* exclusive; the same */
    unsigned by;       /* REPORT_BY_* */
    struct str tenant; /* only this one; ptr NULL: all */
};
/* The caller owns *out. */
int query_report(struct query *q, const struct query_report *request, struct report *out,
                 struct err *err);

/* {"runs":[...]}, newest first, at most QUERY_RUNS_MAX; or one run: charged, waste and pending by
 * type, and `unreported` where somebody told the lost totals. -ERR_NOT_FOUND. */
enum { QUERY_RUNS_MAX = 10000 };
int query_runs(struct query *q, struct buf *out, struct err *err);
int query_run(struct query *q, struct id128 run_id, struct buf *out, struct err *err);

/* {"prices":[...]}: all versions as they were posted. */
int query_prices(struct query *q, struct buf *out, struct err *err);

#endif
