/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work queue: keys only, each at most once. A key is taken by one worker at a time; added
 * meanwhile, it comes again when that worker is done. Failures delay a key by an exponential
 * back-off of its own; "later" is a second way in, of which the earliest time counts.
 *
 *              add                    take             done
 *     (idle) ------> [ready, FIFO] ----------> (worked on) ----> (idle), or ready again
 *        \  add_at / fail     ^
 *         `--> [waiting] -----'  at its time
 *
 * Not thread-safe; time comes from the caller.
 */
#ifndef SPATE_OPERATOR_QUEUE_H
#define SPATE_OPERATOR_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"

enum {
    QUEUE_KEYS_MAX = 200000,
    QUEUE_BACKOFF_FIRST_MS = 5,
    QUEUE_BACKOFF_MAX_MS = 30 * 1000,
};

struct queue_item;

struct queue {
    struct map items; /* key -> item */
    struct queue_item *ready_first, *ready_last;
    size_t ready_count;
    struct queue_item **waiting; /* binary heap by due time */
    size_t waiting_count, waiting_cap;
    uint64_t refused; /* keys that did not fit QUEUE_KEYS_MAX */
    uint64_t added;   /* times that a key became ready */
    uint64_t retried; /* times that a key failed */

    const struct clock *clock; /* NULL: nobody wants to know */
    void (*on_taken)(void *user, double waited_s);
    void *user;
};

void queue_init(struct queue *q);
void queue_fini(struct queue *q);

/* on_taken(user, waited_s) at each key that is taken: since when it could have been. The clock's
 * monotonic time is that of all other times here. */
void queue_watch(struct queue *q, const struct clock *clock,
                 void (*on_taken)(void *user, double waited_s), void *user);

/* Now. */
void queue_add(struct queue *q, struct str key);
/* Not before due_ms; an earlier time that is set already stays. */
void queue_add_at(struct queue *q, struct str key, int64_t due_ms);
/* After the key's back-off (with jitter from `rng`), which grows with each failure in a row. */
void queue_fail(struct queue *q, struct str key, int64_t now_ms, const struct rng *rng);
/* The key succeeded: its back-off begins anew. */
void queue_forget(struct queue *q, struct str key);

/* The next key whose time has come, or NULL; it is the caller's to work on until queue_done. The
 * text is borrowed until then. */
const char *queue_take(struct queue *q, int64_t now_ms);
void queue_done(struct queue *q, const char *key);

/* When queue_take may find something: 0 now, INT64_MAX never. */
int64_t queue_due_ms(const struct queue *q);

#endif
