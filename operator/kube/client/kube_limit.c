/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket and a back-off: see kube_limit.h. */
#include "operator/kube/client/kube_limit.h"

void kube_bucket_init(struct kube_bucket *b, int64_t burst, int64_t interval_us)
{
    *b = (struct kube_bucket){.burst = burst, .interval_us = interval_us};
}

/* The bucket is a time: each token moves it on by one interval, and it may be ahead of now by
 * `burst` intervals. A clock that stands still gives nothing; one that jumps ahead, one burst. */
int64_t kube_bucket_take(struct kube_bucket *b, int64_t now_us)
{
    int64_t start_us = b->free_at_us > now_us ? b->free_at_us : now_us;
    int64_t wait_us = start_us + b->interval_us - (now_us + b->burst * b->interval_us);

    if (wait_us > 0)
        return wait_us;
    b->free_at_us = start_us + b->interval_us;
    return 0;
}

int64_t kube_backoff_next(struct kube_backoff *b, const struct rng *rng)
{
    int64_t delay = b->first_ms;

    for (int i = 0; i < b->failures && delay < b->max_ms; i++)
        delay *= 2;
    if (delay > b->max_ms)
        delay = b->max_ms;
    if (b->failures < INT32_MAX)
        b->failures++;
    return delay + (int64_t)rng_below(rng, (uint64_t)delay / 2 + 1);
}

void kube_backoff_reset(struct kube_backoff *b)
{
    b->failures = 0;
}
