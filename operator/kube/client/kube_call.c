/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of a kube_api: made, sent, answered. Its callbacks run from the loop, and it is freed
 * after its on_done.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_api_private.h"

enum { ERROR_BODY_MAX = 256 << 10, URL_MAX = 8192 };

/* --- calls ------------------------------------------------------------------------------------ */

/* The last of those that go ahead, or NULL. They are few: watches, and what passes by. */
static struct kube_call *last_ahead(const struct kube_api *api)
{
    struct kube_call *last = NULL;

    for (struct kube_call *at = api->first; at != NULL && kube_goes_ahead(&at->request);
         at = at->next)
        last = at;
    return last;
}

static void link_call(struct kube_call *call)
{
    struct kube_api *api = call->api;

    call->back = kube_goes_ahead(&call->request) ? last_ahead(api) : api->last;
    call->next = call->back != NULL ? call->back->next : api->first;
    if (call->back != NULL)
        call->back->next = call;
    else
        api->first = call;
    if (call->next != NULL)
        call->next->back = call;
    else
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

static void count_if_queued(const struct kube_call *call, int change)
{
    if (call->state != KUBE_CALL_QUEUED)
        return;
    call->api->queued += (size_t)change;
    if (call->request.urgent)
        call->api->urgent_queued += (size_t)change;
    if (kube_goes_ahead(&call->request))
        call->api->ahead_queued += (size_t)change;
}

void kube_call_set_state(struct kube_call *call, enum kube_call_state state)
{
    count_if_queued(call, -1);
    call->state = state;
    count_if_queued(call, 1);
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
    count_if_queued(call, -1);
    call->reporting = true;
    if (call->request.on_done != NULL)
        call->request.on_done(call->request.user, answer);
    call_free(call);
}

void kube_call_fail(struct kube_call *call, const struct err *err)
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
    count_if_queued(call, -1);
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

    kube_call_set_state(call, KUBE_CALL_QUEUED);
    loop_defer(call->api->options.loop, &call->api->pump);
}

/* Back into the list, as if it had not been sent yet. */
static void send_again(struct kube_call *call, uint64_t delay_ms)
{
    call->fetch = NULL;
    buf_clear(&call->answer);
    kube_call_set_state(call, KUBE_CALL_DELAYED);
    loop_timer_start(call->api->options.loop, &call->delay, delay_ms);
}

/* 401: with other credentials once more. True if it was sent again. */
static bool retry_with_new_credentials(struct kube_call *call)
{
    struct kube_api *api = call->api;

    if (call->renewed)
        return false;
    call->renewed = true;
    call->awaits_renewal = true;
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
        kube_call_fail(call, err);
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

/* --- making and sending --------------------------------------------------------------------- */

int kube_call_new(struct kube_call **out, struct kube_api *api, const struct kube_request *q,
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
    link_call(call);
    call->state = KUBE_CALL_QUEUED;
    count_if_queued(call, 1);
    *out = call;
    return 0;
}

static struct str optional(const char *text)
{
    return text != NULL ? str_of(text) : STR_NONE;
}

int kube_call_fly(struct kube_call *call, struct err *err)
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
    call->awaits_renewal = false;
    return fetch_start(&call->fetch, q->urgent ? api->urgent_fetcher : api->fetcher, &options, err);
}
