/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two small rules of patience: a token bucket, and an exponential back-off with jitter. Pure: time
 * and chance come from the caller.
 */
#ifndef SPATE_OPERATOR_KUBE_LIMIT_H
#define SPATE_OPERATOR_KUBE_LIMIT_H

#include <stdint.h>

#include "base/clock.h"

/* `burst` at once, then one each `interval_us`. */
struct kube_bucket {
    int64_t interval_us;
    int64_t burst;
    int64_t free_at_us; /* when the bucket would be full again */
};

void kube_bucket_init(struct kube_bucket *b, int64_t burst, int64_t interval_us);
/* Takes one and returns 0, or returns in how many microseconds (> 0) there will be one. */
int64_t kube_bucket_take(struct kube_bucket *b, int64_t now_us);

struct kube_backoff {
    int64_t first_ms;
    int64_t max_ms;
    int failures; /* in a row */
};

/* How long to wait after one more failure: first, twice that ... max, plus up to half of it by
 * chance, so that many clients do not come back together. */
int64_t kube_backoff_next(struct kube_backoff *b, const struct rng *rng);
void kube_backoff_reset(struct kube_backoff *b);

#endif
