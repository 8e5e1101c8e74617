/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the API server: see kube_api.h. All calls hang in one list, oldest first; a pump
 * sends those whose turn it is. Callbacks run from the loop, never from within kube_api_send.
 */
#include "operator/kube/client/kube_api.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_api_private.h"

enum { US_PER_S = 1000000, US_PER_MS = 1000, ERROR_BODY_MAX = 256 << 10, URL_MAX = 8192 };

static const struct metric_info api_metrics[] = {
    {.name = "rest_client_requests_total",
     .type = METRIC_COUNTER,
     .help = "Requests to the API server, by status (<error>: no answer), method and host.",
     .labels = {"code", "method", "host"}},
    {.name = "spate_kube_requests_refused_total",
     .type = METRIC_COUNTER,
     .help = "Requests to the API server that found the queue of our own rate limit full."},
};

/* --- calls ------------------------------------------------------------------------------------ */

static void link_call(struct kube_call *call)
{
    struct kube_api *api = call->api;

    call->back = api->last;
    if (call->back != NULL)
        call->back->next = call;
    else
        api->first = call;
    api->last = call;
}

static void unlink_call(struct kube_call *call)
{
    struct kube_api *api = call->api;

    if (call->back != NULL)
        call->back->next = call->next;
    else
        api->first = call->next;
    if (call->next != NULL)
        call->next->back = call->back;
    else
        api->last = call->back;
}

static void set_state(struct kube_call *call, enum kube_call_state state)
{
    call->api->queued -= call->state == KUBE_CALL_QUEUED ? 1 : 0;
    call->state = state;
    call->api->queued += state == KUBE_CALL_QUEUED ? 1 : 0;
}

static void call_free(struct kube_call *call)
{
    loop_timer_stop(&call->delay);
    fetch_cancel(call->fetch);
    buf_fini(&call->answer);
    mem_free(call->url);
    mem_free(call->request_body);
    mem_free(call);
}

/* Takes it off and tells its owner. */
static void finish(struct kube_call *call, const struct kube_answer *answer)
{
    unlink_call(call);
    call->api->queued -= call->state == KUBE_CALL_QUEUED ? 1 : 0;
    call->reporting = true;
    if (call->request.on_done != NULL)
        call->request.on_done(call->request.user, answer);
    call_free(call);
}

static void finish_error(struct kube_call *call, const struct err *err)
{
    finish(call, &(struct kube_answer){.code = -(int)err->code, .err = err});
}

void kube_call_cancel(struct kube_call *call)
{
    if (call == NULL || call->reporting)
        return;
    if (call->in_data) { /* freed when its on_data returns */
        call->cancelled = true;
        call->request.on_done = NULL;
        return;
    }
    unlink_call(call);
    call->api->queued -= call->state == KUBE_CALL_QUEUED ? 1 : 0;
    call_free(call);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void count(struct kube_api *api, const struct kube_call *call, int http_status)
{
    char code[16] = "<error>";

    if (api->requests == NULL)
        return;
    if (http_status > 0)
        snprintf(code, sizeof(code), "%d", http_status);
    metric_add(
        metric_series(api->requests, (const char *[]){code, call->request.method, api->host}), 1);
}

/* Seconds of Retry-After; dates, which the API server does not send, count as none. */
static int64_t header_retry_after_s(const struct kube_call *call)
{
    uint64_t seconds;

    if (!str_to_u64(str_trim(fetch_header(call->fetch, "retry-after")), &seconds))
        return -1;
    return seconds < KUBE_RETRY_AFTER_MAX_S ? (int64_t)seconds : KUBE_RETRY_AFTER_MAX_S;
}

static void end_delay(void *object)
{
    struct kube_call *call = object;

    set_state(call, KUBE_CALL_QUEUED);
    loop_defer(call->api->options.loop, &call->api->pump);
}

/* Back into the list, as if it had not been sent yet. */
static void send_again(struct kube_call *call, uint64_t delay_ms)
{
    call->fetch = NULL;
    buf_clear(&call->answer);
    set_state(call, KUBE_CALL_DELAYED);
    loop_timer_start(call->api->options.loop, &call->delay, delay_ms);
}

/* 401: with other credentials once more. True if it was sent again. */
static bool retry_with_new_credentials(struct kube_call *call)
{
    struct kube_api *api = call->api;

    if (call->renewed)
        return false;
    call->renewed = true;
    send_again(call, 0);
    if (call->generation == api->generation)
        kube_api_renew(api, true);
    return true;
}

static bool retry_later(struct kube_call *call, const struct kube_status *status)
{
    const struct rng *rng = call->api->options.rng;
    int64_t delay_ms = status->retry_after_s * 1000;

    if (!call->request.patient || delay_ms <= 0 || call->retries >= KUBE_API_RETRIES_MAX)
        return false;
    if (status->http_status != 429 && status->http_status != 503)
        return false;
    call->retries++;
    send_again(call, (uint64_t)delay_ms + rng_below(rng, (uint64_t)delay_ms / 4 + 1));
    return true;
}

static void refused(struct kube_call *call, int http_status)
{
    struct kube_status status;
    struct err err = {0};
    struct kube_answer answer = {.http_status = http_status, .status = &status, .err = &err};

    kube_status_read(&status, http_status, buf_str(&call->answer));
    if (header_retry_after_s(call) > status.retry_after_s)
        status.retry_after_s = header_retry_after_s(call);
    if (http_status == 401 && retry_with_new_credentials(call))
        return;
    if (retry_later(call, &status))
        return;
    answer.code = kube_status_err(&status, call->request.method, &err);
    (void)err_wrap(&err, answer.code, "%s", call->request.target);
    finish(call, &answer);
}

static void on_fetch_done(void *user, int http_status, struct str body, const struct err *err)
{
    struct kube_call *call = user;
    struct kube_answer answer = {.http_status = http_status};

    (void)body;
    count(call->api, call, err != NULL ? 0 : http_status);
    if (err != NULL) {
        call->fetch = NULL; /* ends by itself after this */
        finish_error(call, err);
    } else if (http_status < 200 || http_status > 299) {
        refused(call, http_status);
    } else {
        call->fetch = NULL;
        answer.body = buf_str(&call->answer);
        finish(call, &answer);
    }
}

static int collect(struct kube_call *call, int http_status, struct str bytes)
{
    bool good = http_status >= 200 && http_status <= 299;

    if (!good && call->answer.len + bytes.len > ERROR_BODY_MAX)
        return 0; /* the beginning says enough */
    return buf_append_str(&call->answer, bytes);
}

static int on_fetch_data(void *user, int http_status, struct str bytes)
{
    struct kube_call *call = user;
    int r;

    if (http_status < 200 || http_status > 299 || call->request.on_data == NULL)
        return collect(call, http_status, bytes);
    call->in_data = true;
    r = call->request.on_data(call->request.user, bytes);
    call->in_data = false;
    if (!call->cancelled)
        return r;
    kube_call_cancel(call);
    return -ERR_CANCELLED;
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct str optional(const char *text)
{
    return text != NULL ? str_of(text) : STR_NONE;
}

static int fly(struct kube_call *call, struct err *err)
{
    struct kube_api *api = call->api;
    const struct kube_credentials *c = api->credentials;
    const struct kube_request *q = &call->request;
    const struct http_header headers[] = {
        {STR("Accept"), STR("application/json")},
        {STR("Content-Type"), str_of(q->content_type)},
    };
    const struct fetch_options options = {
        .method = q->method,
        .url = call->url,
        .headers = headers,
        .header_count = q->body.ptr != NULL ? 2 : 1,
        .body = q->body,
        .bearer_token = c->token,
        .ca_pem = optional(c->ca_pem),
        .cert_pem = optional(c->cert_pem),
        .key_pem = optional(c->key_pem),
        .compressed = api->config->compress,
        .user_agent = api->options.user_agent,
        .timeout_ms = q->timeout_ms == UINT64_MAX ? 0 : q->timeout_ms,
        .on_data = on_fetch_data,
        .on_done = on_fetch_done,
        .user = call,
    };

    call->generation = api->generation;
    return fetch_start(&call->fetch, api->fetcher, &options, err);
}

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
    return !call->renewed || call->generation != call->api->generation;
}

/* Sends what may go, in order; urgent calls pass by those that the rate limit holds. */
static void pump(void *object)
{
    struct kube_api *api = object;
    struct kube_call *next;
    bool held = false;

    if (api->credentials == NULL) {
        if (api->queued > 0)
            kube_api_renew(api, false);
        return;
    }
    for (struct kube_call *call = api->first; call != NULL; call = next) {
        struct err err = {0};
        int64_t wait_us;

        next = call->next;
        if (!may_go(call) || (held && !call->request.urgent))
            continue;
        wait_us = must_wait_us(api, call);
        if (wait_us > 0) {
            held = true;
            loop_timer_start(api->options.loop, &api->pump_timer,
                             (uint64_t)(wait_us + US_PER_MS - 1) / US_PER_MS);
            continue;
        }
        set_state(call, KUBE_CALL_FLYING);
        if (fly(call, &err) < 0) {
            finish_error(call, &err);
            loop_defer(api->options.loop, &api->pump); /* the list may have changed */
            return;
        }
    }
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
        finish_error(call, err);
    }
    loop_defer(api->options.loop, &api->pump);
}

static int call_new(struct kube_call **out, struct kube_api *api, const struct kube_request *q,
                    struct err *err)
{
    CLEANUP(buf_fini) struct buf url = {0};
    struct kube_call *call;

    buf_init(&url, URL_MAX);
    (void)buf_append_text(&url, api->config->server);
    (void)buf_append_text(&url, q->target);
    if (url.failed)
        return buf_check(&url, "a URL", err);
    call = mem_alloc(sizeof(*call));
    if (call == NULL)
        return err_no_memory(err);
    call->api = api;
    call->request = *q;
    buf_init(&call->answer, KUBE_API_ANSWER_MAX);
    loop_timer_init(&call->delay, end_delay, call);
    call->url = mem_strndup(url.ptr, url.len);
    if (q->body.ptr != NULL)
        call->request_body = mem_strndup(q->body.ptr, q->body.len);
    if (call->url == NULL || (q->body.ptr != NULL && call->request_body == NULL)) {
        call_free(call);
        return err_no_memory(err);
    }
    call->request.target = call->url + strlen(api->config->server);
    call->request.body.ptr = call->request_body;
    if (q->content_type == NULL)
        call->request.content_type = "application/json";
    if (q->timeout_ms == 0)
        call->request.timeout_ms = api->options.timeout_ms;
    *out = call;
    return 0;
}

int kube_api_send(struct kube_call **out, struct kube_api *api, const struct kube_request *request,
                  struct err *err)
{
    struct kube_call *call = NULL;
    int r;

    if (api->queued >= KUBE_API_QUEUE_MAX) {
        metric_add(api->refused, 1);
        return err_set(err, ERR_BUSY, "%d requests wait for the API server already",
                       KUBE_API_QUEUE_MAX);
    }
    r = call_new(&call, api, request, err);
    if (r < 0)
        return r;
    link_call(call);
    call->state = KUBE_CALL_QUEUED;
    api->queued++;
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
    struct metric *handles[ARRAY_COUNT(api_metrics)];
    int r;

    if (api->options.metrics == NULL)
        return 0;
    r = metrics_declare(api->options.metrics, api_metrics, ARRAY_COUNT(api_metrics), handles, err);
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
    kube_api_credentials_close(api);
    mem_free(api);
}

const char *kube_api_namespace(const struct kube_api *api)
{
    return api->config->name_space;
}

const char *kube_api_host(const struct kube_api *api)
{
    return api->host;
}
