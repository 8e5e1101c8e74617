/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the API server: see kube_api.h. All calls hang in one list, in their order; a pump
 * sends those whose turn it is. Callbacks run from the loop, never from within kube_api_send.
 */
#include "operator/kube/client/kube_api.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_api_private.h"

enum { US_PER_S = 1000000, US_PER_MS = 1000, FENCE_MS = 50 /* until may_send is asked again */ };

const struct metric_info kube_api_metric_table[KUBE_API_METRIC_COUNT] = {
    {.name = "rest_client_requests_total",
     .type = METRIC_COUNTER,
     .help = "Requests to the API server, by status (`<error>`: no answer), method and host.",
     .labels = {"code", "method", "host"}},
    {.name = "spate_kube_requests_refused_total",
     .type = METRIC_COUNTER,
     .help = "Requests to the API server that found the queue of our own rate limit full."},
};

/* How long the rate limit holds this one back; 0: it may go. */
static int64_t must_wait_us(struct kube_api *api, const struct kube_call *call)
{
    if (call->request.urgent)
        return 0;
    return kube_bucket_take(&api->bucket, clock_mono_ns(api->options.clock) / US_PER_MS);
}

/* One that was refused with these credentials waits for others. */
static bool may_go(const struct kube_call *call)
{
    if (call->state != KUBE_CALL_QUEUED)
        return false;
    return !call->awaits_renewal || call->generation != call->api->generation;
}

static bool is_fenced(const struct kube_call *call)
{
    const struct kube_request *request = &call->request;

    return request->may_send != NULL && !request->may_send(request->user);
}

/* Sends what may go, in order; urgent calls pass by those that the rate limit holds. */
static void pump(void *object)
{
    struct kube_api *api = object;
    struct kube_call *next;
    bool held = false;
    bool fenced = false;

    if (api->credentials == NULL) {
        if (api->queued > 0)
            kube_api_renew(api, false);
        return;
    }
    for (struct kube_call *call = api->first; call != NULL; call = next) {
        struct err err = {0};
        int64_t wait_us;

        if (held && api->urgent_queued == 0)
            return;
        next = call->next;
        if (!may_go(call) || (held && !call->request.urgent))
            continue;
        if (is_fenced(call)) {
            fenced = true;
            continue;
        }
        wait_us = must_wait_us(api, call);
        if (wait_us > 0) {
            held = true;
            loop_timer_start(api->options.loop, &api->pump_timer,
                             (uint64_t)(wait_us + US_PER_MS - 1) / US_PER_MS);
            continue;
        }
        kube_call_set_state(call, KUBE_CALL_FLYING);
        if (kube_call_fly(call, &err) < 0) {
            kube_call_fail(call, &err);
            loop_defer(api->options.loop, &api->pump); /* the list may have changed */
            return;
        }
    }
    if (fenced && !held)
        loop_timer_start(api->options.loop, &api->pump_timer, FENCE_MS);
}

void kube_api_credentials_done(struct kube_api *api, const struct err *err)
{
    /* Those that were queued by now; what their callbacks start comes after them. */
    size_t left = api->credentials == NULL ? api->queued : 0;

    while (err != NULL && left-- > 0) {
        struct kube_call *call = api->first;

        while (call != NULL && call->state != KUBE_CALL_QUEUED)
            call = call->next;
        if (call == NULL)
            break;
        kube_call_fail(call, err);
    }
    loop_defer(api->options.loop, &api->pump);
}

/* Those that go ahead are few, and to refuse a lease's renewal or a watch would cost all the others
 * as well. */
static bool has_room(const struct kube_api *api, const struct kube_request *request)
{
    return kube_goes_ahead(request) || api->queued - api->ahead_queued < KUBE_API_QUEUE_MAX;
}

int kube_api_send(struct kube_call **out, struct kube_api *api, const struct kube_request *request,
                  struct err *err)
{
    struct kube_call *call = NULL;
    int r;

    if (!has_room(api, request)) {
        metric_add(api->refused, 1);
        return err_set(err, ERR_BUSY, "%d requests wait for the API server already",
                       KUBE_API_QUEUE_MAX);
    }
    r = kube_call_new(&call, api, request, err);
    if (r < 0)
        return r;
    loop_defer(api->options.loop, &api->pump);
    if (out != NULL)
        *out = call;
    return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static void set_defaults(struct kube_api_options *o)
{
    o->rate_per_s = o->rate_per_s ? o->rate_per_s : KUBE_API_RATE_DEFAULT;
    o->burst = o->burst ? o->burst : KUBE_API_BURST_DEFAULT;
    o->timeout_ms = o->timeout_ms ? o->timeout_ms : KUBE_API_TIMEOUT_MS;
    o->credentials_ms = o->credentials_ms ? o->credentials_ms : KUBE_API_CREDENTIALS_MS;
}

static int declare_metrics(struct kube_api *api, struct err *err)
{
    struct metric *handles[KUBE_API_METRIC_COUNT];
    int r;

    if (api->options.metrics == NULL)
        return 0;
    r = metrics_declare(api->options.metrics, kube_api_metric_table, KUBE_API_METRIC_COUNT, handles,
                        err);
    if (r < 0)
        return r;
    api->requests = handles[0];
    api->refused = metric_series(handles[1], NULL);
    return 0;
}

int kube_api_new(struct kube_api **out, const struct kube_api_options *options, struct err *err)
{
    CLEANUP(mem_freep) struct kube_api *api = mem_alloc(sizeof(*api));
    int r;

    if (api == NULL)
        return err_no_memory(err);
    api->options = *options;
    set_defaults(&api->options);
    api->host = strstr(options->config->server, "://") + 3;
    kube_bucket_init(&api->bucket, api->options.burst, US_PER_S / api->options.rate_per_s);
    loop_timer_init(&api->pump_timer, pump, api);
    loop_timer_init(&api->credentials_timer, kube_api_renew_soon, api);
    loop_deferred_init(&api->pump, pump, api);
    r = declare_metrics(api, err);
    if (r == 0)
        r = fetcher_new(&api->fetcher, options->loop, err);
    if (r < 0)
        return r;
    r = fetcher_new(&api->urgent_fetcher, options->loop, err);
    if (r < 0) {
        fetcher_close(api->fetcher);
        return r;
    }
    api->config = options->config;
    *out = STEAL(api);
    return 0;
}

void kube_api_close(struct kube_api *api)
{
    if (api == NULL)
        return;
    while (api->first != NULL) {
        assert(!api->first->in_data);
        kube_call_cancel(api->first);
    }
    loop_timer_stop(&api->pump_timer);
    loop_defer_cancel(api->options.loop, &api->pump);
    fetcher_close(api->fetcher);
    fetcher_close(api->urgent_fetcher);
    kube_api_credentials_close(api);
    mem_free(api);
}

const char *kube_api_namespace(const struct kube_api *api)
{
    return api->config->name_space;
}
