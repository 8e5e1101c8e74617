/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of what was computed and what is charged for it. Takes usage snapshots, keeps the
 * highest per attempt, settles requests, keeps 15-minute rollups: each call is one durable
 * transaction, so what it answered stays true after a power cut.
 *
 *     snapshots -> attempt (merged) -> [complete, or silent for settle_ms] -> charge -> rollup
 *                                       later news -> correction (a delta) -> rollup
 *
 * A request is complete when its gateway named the last attempt n (request_final) and all attempts
 * 1..n have final counts and are delivered finally. One thread (the writer) uses a struct ledger;
 * reports have connections of their own (query.h).
 */
#ifndef SPATE_LEDGER_H
#define SPATE_LEDGER_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "wire/ingest.h"
#include "wire/prices.h"
#include "wire/usage.h"

struct ledger;

enum {
    LEDGER_BUCKET_MS = 900000,
    LEDGER_SETTLE_MS = 900000, /* default settling time */
    LEDGER_ATTEMPTS_MAX = 256, /* of one request */
    LEDGER_SETTLE_BATCH = 500, /* requests settled by time in one transaction */
};
/* Of each count of a record: higher ones are refused, so that no sum can ever overflow. */
#define LEDGER_COUNT_MAX (1ULL << 40)

struct ledger_options {
    const char *path;
    const struct clock *clock; /* NULL: the system's */
    int64_t settle_ms;         /* 0: LEDGER_SETTLE_MS */
    const char *vfs;           /* of SQLite; NULL: the system's */
    /* How a snapshot joins what is known; NULL: usage_merge. Tests put wrong ones here and see that
     * they are noticed. */
    int (*merge)(struct usage_record *known, const struct usage_record *snapshot, struct err *err);
};

/* Since the start; any thread may read. */
struct ledger_counters {
    atomic_uint_fast64_t records;     /* accepted with news */
    atomic_uint_fast64_t duplicates;  /* accepted, brought nothing new */
    atomic_uint_fast64_t refused;     /* ALARM: contradictions and impossible values */
    atomic_uint_fast64_t settled;     /* requests, by their last word */
    atomic_uint_fast64_t estimated;   /* requests, by time */
    atomic_uint_fast64_t corrections; /* rows */
    atomic_uint_fast64_t commits;
    atomic_uint_fast64_t rollbacks;
    atomic_uint_fast64_t pending; /* requests, at the last commit */
};

int ledger_open(struct ledger **out, const struct ledger_options *options, struct err *err);
void ledger_close(struct ledger *l); /* NULL is allowed */
/* Of its file; valid while it is open. */
const char *ledger_path(const struct ledger *l);

/* Takes a batch, but for records whose answer is a refusal already. On success (0) answers[i] tells
 * of records[i], and all of it is durable. On failure nothing was taken: offer the batch again. */
int ledger_ingest(struct ledger *l, const struct usage_record *records, size_t count,
                  struct ingest_answer *answers, struct err *err);

/* Settles requests silent for the settling time, at most LEDGER_SETTLE_BATCH. Returns how many. */
int ledger_settle_due(struct ledger *l, struct err *err);

/* Adds an immutable price version. 1: new, 0: known with the same content, -ERR_EXISTS: with
 * another. */
int ledger_prices_add(struct ledger *l, const struct prices *p, struct err *err);

/* Somebody who knows (an operator, a test) says what a run's lost counter file stood at; the rest
 * that no record reported then shows as `unreported`. Once per run: -ERR_EXISTS for other figures,
 * -ERR_NOT_FOUND for an unknown run. */
int ledger_run_lost(struct ledger *l, struct id128 run_id, const struct usage_counts *totals,
                    struct err *err);

/* Recomputes rollups and runs from the raw rows. 0: equal; -ERR_CORRUPT: the first difference. */
int ledger_verify(struct ledger *l, struct err *err);

struct ledger_counters *ledger_counters(struct ledger *l);

#endif
