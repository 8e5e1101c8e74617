/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reconciler: makes what is like what was asked for, one model at a time, over any platform. It
 * is driven by the platform's callbacks alone and belongs to the platform's thread.
 */
#ifndef SPATE_OPERATOR_RECONCILER_H
#define SPATE_OPERATOR_RECONCILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct platform;
struct reconciler;

/* Binds itself to the platform, which must outlive it; the caller starts the platform next. */
int reconciler_new(struct reconciler **out, struct platform *platform, struct err *err);
void reconciler_free(struct reconciler *r); /* NULL is allowed */

/* Sends all pods away, as a scale-down does but without waiting for gateways that are silent, and
 * keeps them away; done(user) runs once when none is left. For a platform that ends for good. */
void reconciler_shut_down(struct reconciler *r, void (*done)(void *user), void *user);

/* How a pass over a model ended. */
enum reconciler_outcome {
    RECONCILER_SUCCESS,       /* nothing is left to do until there is news */
    RECONCILER_ERROR,         /* the stored object can't be used */
    RECONCILER_REQUEUE,       /* it stood back, and goes on as soon as there is room */
    RECONCILER_REQUEUE_AFTER, /* it comes again at a time of its own */
    RECONCILER_OUTCOME_COUNT
};

/* Told, in seconds, how long it all takes. */
struct reconciler_watcher {
    void (*on_taken)(void *user, double waited_s); /* a key that was ready for so long */
    void (*on_pass)(void *user, double seconds);   /* a pass over a model */
    void (*on_done)(void *user, double seconds);   /* the work on a key, whatever it is of */
    void *user;
};
/* The watcher is copied; its functions may be NULL. */
void reconciler_watch(struct reconciler *r, const struct reconciler_watcher *watcher);

/* For metrics and tests. */
struct reconciler_stats {
    uint64_t passes;                             /* reconciles of one model */
    uint64_t outcomes[RECONCILER_OUTCOME_COUNT]; /* how they ended */
    uint64_t failures;                           /* commands that failed and are tried again */
    uint64_t conflicts;                          /* writes on a stale view */
    uint64_t routes;                             /* snapshots published */
    uint64_t pods_created;                       /* commands sent */
    uint64_t pods_deleted;
    uint64_t drains_cancelled;
    uint64_t strangers;                /* pods deleted on sight */
    uint64_t keys_added, keys_retried; /* of the queue */
    uint64_t keys_refused;             /* for want of room: ones that nobody looks after */
    size_t working;                    /* keys that are worked on now */
    size_t models, pods, gateways, queued;
    bool leading, synced;
};
void reconciler_stats(const struct reconciler *r, struct reconciler_stats *out);

#endif
