/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A work queue of keys, each at most once and with at most one worker: the contract of client-go's
 * queue, with its metrics (workqueue_*).
 *
 *              add                    take             done
 *     (idle) ------> [ready, FIFO] ----------> (worked on) ----> (idle), or to the end of the FIFO
 *        \  add_after / retry ^                                  if added meanwhile
 *         `--> [waiting] -----'  at its time
 *
 * A retry waits for the longer of the key's own exponential back-off and a token bucket that all
 * keys share, so that neither one bad key nor many of them keep the workers busy. Fair: first come,
 * first served, and a key that comes again goes to the end. Not thread-safe.
 */
#ifndef SPATE_OPERATOR_KUBE_QUEUE_H
#define SPATE_OPERATOR_KUBE_QUEUE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/str.h"

enum {
    KUBE_QUEUE_KEYS_MAX = 200000,
    KUBE_QUEUE_BACKOFF_FIRST_MS = 5,
    KUBE_QUEUE_BACKOFF_MAX_MS = 60 * 1000,
    KUBE_QUEUE_RETRY_RATE = 10, /* retries a second over all keys ... */
    KUBE_QUEUE_RETRY_BURST = 100,
};

struct kube_queue;

struct kube_queue_options {
    const char *name; /* the label `name` of the metrics; must outlive the queue */
    const struct clock *clock;
    struct metrics *metrics; /* NULL: none */
    /* 0: the defaults above. */
    int64_t backoff_first_ms, backoff_max_ms;
};

int kube_queue_new(struct kube_queue **out, const struct kube_queue_options *options,
                   struct err *err);
void kube_queue_free(struct kube_queue *q); /* NULL is allowed */

/* All three: -ERR_LIMIT (KUBE_QUEUE_KEYS_MAX), -ERR_NO_MEMORY; adding what is there already never
 * fails. add_after and retry: an earlier time that is set already stays. */
int kube_queue_add(struct kube_queue *q, struct str key, struct err *err);
int kube_queue_add_after(struct kube_queue *q, struct str key, int64_t delay_ms, struct err *err);
int kube_queue_retry(struct kube_queue *q, struct str key, struct err *err);
/* The key succeeded, or failed for good: its back-off begins anew. */
void kube_queue_forget(struct kube_queue *q, struct str key);
/* Failures in a row of a key. */
int kube_queue_failures(const struct kube_queue *q, struct str key);

/* The next key whose time has come, or NULL; it is the caller's to work on until kube_queue_done.
 * The text is borrowed until then. */
const char *kube_queue_take(struct kube_queue *q);
void kube_queue_done(struct kube_queue *q, const char *key);

size_t kube_queue_ready(const struct kube_queue *q);
/* When kube_queue_take may find something (monotonic): 0 now, INT64_MAX never. */
int64_t kube_queue_due_ms(const struct kube_queue *q);

#endif
