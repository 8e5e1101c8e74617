/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ships the usage log to the ledger: reads a batch, joins the snapshots of each attempt, posts it
 * (wire/ingest.h), keeps refused records in quarantine, acknowledges, goes on. One batch is under
 * way at a time; while the ledger is down, for hours if need be, it tries again with growing
 * pauses and the log keeps everything. Lives on a loop; disk and parsing are done in the pool.
 *
 *     idle -> read -> post -> judge -> idle          a failure: wait, then post the same again
 */
#ifndef SPATE_METER_SHIP_H
#define SPATE_METER_SHIP_H

#include "base/fetch.h"
#include "base/loop.h"
#include "billing/meter/meter.h"

struct ship;

enum {
    SHIP_INTERVAL_MS = 200, /* between looks into the log */
    SHIP_RETRY_MIN_MS = 100,
    SHIP_RETRY_MAX_MS = 5000,
    SHIP_TIMEOUT_MS = 15000, /* of one post */
};

struct ship_options {
    struct meter *meter; /* must outlive the ship, as must loop and fetcher */
    struct loop *loop;
    struct fetcher *fetcher;
    const char *ledger_url; /* "http://127.0.0.1:8002"; copied */
    /* The token to use now (borrowed for the call), or NULL: none yet, try later. On the loop. */
    const char *(*token)(void *user);
    void *user;
};

struct ship_stats {
    uint64_t batches;  /* answered */
    uint64_t records;  /* read from the log and handled */
    uint64_t shipped;  /* of them sent, after joining snapshots */
    uint64_t refused;  /* ALARM: in quarantine now */
    uint64_t failures; /* posts that failed and are repeated */
    bool failing;      /* the last post failed; `error` says why */
    struct err error;
};

int ship_new(struct ship **out, const struct ship_options *options, struct err *err);
/* Looks into the log now: for tests and before closing down. */
void ship_kick(struct ship *s);
/* Stops; what is not acknowledged is shipped after the next start. The memory goes when work in the
 * pool has ended: let the loop turn (loop_fini does). NULL is allowed. */
void ship_close(struct ship *s);
const struct ship_stats *ship_stats(const struct ship *s);

#endif
