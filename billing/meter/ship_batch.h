/* SPDX-License-Identifier: Apache-2.0 */
/* One batch on its way from the usage log to the ledger. Private to ship.c. Used in the pool. */
#ifndef SPATE_METER_SHIP_BATCH_H
#define SPATE_METER_SHIP_BATCH_H

#include "base/map.h"
#include "billing/meter/meter.h"
#include "wire/ingest.h"

struct ship_batch {
    struct usage_record *records; /* joined: one per attempt, unless they contradict */
    size_t count;
    size_t read_count;     /* records of the log */
    struct map by_attempt; /* key -> index + 1 */
    struct buf body;
    uint64_t last_sequence;
    struct meter_cursor before; /* where it began */
    bool full;                  /* the log may have more */
};

void ship_batch_init(struct ship_batch *b);
void ship_batch_fini(struct ship_batch *b);

/* Replaces the batch by the next one and makes its body. */
int ship_batch_read(struct ship_batch *b, struct meter *m, struct meter_cursor *cursor, int max,
                    struct err *err);
/* Keeps the refused records; returns how many. */
int ship_batch_judge(const struct ship_batch *b, struct meter *m,
                     const struct ingest_answer *answers, struct err *err);

#endif
