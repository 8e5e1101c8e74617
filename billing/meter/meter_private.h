/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the usage log share. */
#ifndef SPATE_METER_PRIVATE_H
#define SPATE_METER_PRIVATE_H

#include <pthread.h>

#include "billing/meter/meter.h"
#include "billing/meter/store.h"

struct meter {
    struct meter_options options;
    struct store store; /* the log thread's */
    struct buf batch;   /* the log thread's: entries being written; kept until they are durable */
    pthread_t thread;
    bool running;
    bool has_room; /* the log thread's: as it was said last */
    struct loop_waker waker;
    struct metric_series *series[METER_METRIC_COUNT];

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* for the log thread */
    pthread_cond_t done;  /* from it */
    struct buf pending;   /* entries queued */
    uint64_t ack_wanted;
    uint64_t ack_tried;
    bool stopping;
    uint64_t first_number; /* a reader may read from this segment's beginning ... */
    uint64_t end_number;   /* ... to this place: what follows may be half-written */
    uint64_t end_offset;
    struct meter_stats stats;

    pthread_mutex_t quarantine_lock; /* guards the quarantine file and the store's alarm counters;
                                        taken before `lock` */
};

/* On the log thread, or before it runs: says whether there is room, if that is news. */
void meter_say_room(struct meter *m, bool room);

/* Queues a record that is JSON already. */
int meter_append_json(struct meter *m, struct str json, uint64_t *sequence, struct err *err);

#endif
