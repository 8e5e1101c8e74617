/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: see admit.h. The rate is a token bucket in exact integers: one request costs
 * REQUEST_UNITS, a millisecond brings requests_per_minute units, and the bucket holds a minute's.
 */
#include "gateway/admit.h"

enum { REQUEST_UNITS = 60000 };

static void refill(struct gw_tenant *tenant, uint64_t per_minute, int64_t now_ms)
{
    uint64_t elapsed_ms = (uint64_t)(now_ms - tenant->bucket_ms);
    uint64_t full;
    uint64_t gain;

    if (__builtin_mul_overflow(per_minute, REQUEST_UNITS, &full))
        full = UINT64_MAX;
    if (tenant->bucket >= full || elapsed_ms >= REQUEST_UNITS ||
        __builtin_mul_overflow(elapsed_ms, per_minute, &gain) || gain > full - tenant->bucket)
        tenant->bucket = full;
    else
        tenant->bucket += gain;
    tenant->bucket_ms = now_ms;
}

int admit(struct ticket *out, struct gw_tenant *tenant, int64_t now_ms, struct openai_error *error,
          int64_t *retry_after_ms)
{
    enum { CONCURRENCY_RETRY_MS = 1000 };
    uint64_t per_minute = tenant->spec->requests_per_minute;
    uint64_t concurrency = tenant->spec->concurrency;

    *retry_after_ms = 1;
    if (concurrency > 0 && tenant->in_flight >= concurrency) {
        *retry_after_ms = CONCURRENCY_RETRY_MS;
        return openai_error_set(error, OPENAI_CONCURRENCY, NULL,
                                "tenant '%s' has %llu requests running, its limit", tenant->name,
                                (unsigned long long)concurrency);
    }
    if (per_minute > 0) {
        refill(tenant, per_minute, now_ms);
        if (tenant->bucket < REQUEST_UNITS) {
            *retry_after_ms =
                (int64_t)((REQUEST_UNITS - tenant->bucket + per_minute - 1) / per_minute);
            return openai_error_set(error, OPENAI_RATE, NULL,
                                    "tenant '%s' may send %llu requests a minute; try again in "
                                    "%lld ms",
                                    tenant->name, (unsigned long long)per_minute,
                                    (long long)*retry_after_ms);
        }
        tenant->bucket -= REQUEST_UNITS;
    }
    tenant->in_flight++;
    tenant->refs++;
    out->tenant = tenant;
    return 0;
}

void settle(struct ticket *ticket)
{
    if (ticket->tenant == NULL)
        return;
    ticket->tenant->in_flight--;
    ticket->tenant->refs--;
    ticket->tenant = NULL;
}

void void_ticket(struct ticket *ticket)
{
    struct gw_tenant *tenant = ticket->tenant;

    if (tenant != NULL && tenant->spec != NULL && tenant->spec->requests_per_minute > 0 &&
        tenant->bucket <= UINT64_MAX - REQUEST_UNITS)
        tenant->bucket += REQUEST_UNITS;
    settle(ticket);
}
