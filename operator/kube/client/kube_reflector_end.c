/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes after a request, by its phase and its verdict:
 *
 *                 ENDED             EXPIRED        LATER        FAILED       USELESS
 *   stream list   pages             pages          wait, same   wait, same   pages
 *   first page    next page, watch  list           wait, list   wait, list   wait, list
 *   later page    next page, watch  list, unpaged  wait, same   wait, same   wait, list
 *   watch         watch             list           wait, same   wait, same   wait, same; 3: list
 */
#include "operator/kube/client/kube_reflector_private.h"

/* Failures are told to the owner; a first 410 is the ordinary course of things. */
static void wait_after(struct kube_reflector *r, int64_t delay_ms, const struct err *err)
{
    if (err != NULL && r->options.on_trouble != NULL)
        r->options.on_trouble(r->options.user, err, delay_ms);
    kube_reflector_wait(r, delay_ms);
}

static void fail(struct kube_reflector *r, const struct err *err)
{
    r->counts.failures++;
    wait_after(r, kube_backoff_next(&r->backoff, r->options.rng), err);
}

static void later(struct kube_reflector *r, int64_t later_ms, const struct err *err)
{
    r->counts.failures++;
    /* A little more than asked, so that not all clients come back in the same moment. */
    later_ms += (int64_t)rng_below(r->options.rng, (uint64_t)later_ms / 4 + 1);
    wait_after(r, later_ms, err);
}

static void drop_list(struct kube_reflector *r)
{
    kube_store_list_abort(r->options.store);
    r->paging = false;
    r->continue_token[0] = '\0';
}

/* 410: the first costs one list at once; one after the other, the lists come ever more slowly. */
static void expired(struct kube_reflector *r, const struct err *err)
{
    int64_t delay_ms = 0;

    r->counts.expiries++;
    r->version[0] = '\0';
    if (r->expired_lately)
        delay_ms = kube_backoff_next(&r->expiry_backoff, r->options.rng);
    r->expired_lately = true;
    wait_after(r, delay_ms, delay_ms > 0 ? err : NULL);
}

static void end_stream_list(struct kube_reflector *r, enum kube_verdict verdict, int64_t later_ms,
                            const struct err *err)
{
    drop_list(r);
    r->counts.expiries += verdict == KUBE_VERDICT_EXPIRED ? 1 : 0;
    switch (verdict) {
    case KUBE_VERDICT_LATER:
        later(r, later_ms, err);
        break;
    case KUBE_VERDICT_FAILED:
        fail(r, err);
        break;
    default:
        r->pages_next = true;
        kube_reflector_wait(r, 0);
        break;
    }
}

/* A later page can be asked for again: its token names the same snapshot. The first one can not:
 * the next try sees a later state, in which objects of this one may be gone. */
static void drop_first_page(struct kube_reflector *r)
{
    if (r->continue_token[0] == '\0')
        drop_list(r);
}

static void end_page(struct kube_reflector *r, enum kube_verdict verdict, int64_t later_ms,
                     const struct err *err)
{
    switch (verdict) {
    case KUBE_VERDICT_ENDED:
        kube_reflector_wait(r, 0);
        break;
    case KUBE_VERDICT_EXPIRED:
        r->unpaged = r->continue_token[0] != '\0';
        r->pages_next = true;
        drop_list(r);
        expired(r, err);
        break;
    case KUBE_VERDICT_LATER:
        drop_first_page(r);
        later(r, later_ms, err);
        break;
    case KUBE_VERDICT_FAILED:
        drop_first_page(r);
        fail(r, err);
        break;
    case KUBE_VERDICT_USELESS:
        drop_list(r);
        fail(r, err);
        break;
    }
}

static void end_watch(struct kube_reflector *r, enum kube_verdict verdict, int64_t later_ms,
                      const struct err *err)
{
    int64_t lasted_ms = kube_reflector_now(r) - r->watching_ms;

    if (lasted_ms >= (int64_t)r->options.times.healthy_ms) {
        kube_backoff_reset(&r->backoff);
        kube_backoff_reset(&r->expiry_backoff);
        r->expired_lately = false;
    }
    switch (verdict) {
    case KUBE_VERDICT_ENDED:
        if (r->progress || lasted_ms >= KUBE_REFLECTOR_SHORT_MS)
            kube_reflector_wait(r, 0);
        else
            fail(r, err);
        break;
    case KUBE_VERDICT_EXPIRED:
        expired(r, err);
        break;
    case KUBE_VERDICT_LATER:
        later(r, later_ms, err);
        break;
    case KUBE_VERDICT_USELESS:
        if (++r->useless >= KUBE_REFLECTOR_USELESS_MAX) {
            r->useless = 0;
            r->version[0] = '\0';
        }
        fail(r, err);
        break;
    case KUBE_VERDICT_FAILED:
        fail(r, err);
        break;
    }
}

void kube_reflector_end(struct kube_reflector *r, enum kube_verdict verdict, int64_t later_ms,
                        const struct err *err)
{
    if (r->store_failed) {
        r->version[0] = '\0';
        drop_list(r);
    }
    if (r->phase == KUBE_REFLECTOR_STREAM_LIST)
        end_stream_list(r, verdict, later_ms, err);
    else if (r->phase == KUBE_REFLECTOR_PAGES)
        end_page(r, verdict, later_ms, err);
    else
        end_watch(r, verdict, later_ms, err);
}
