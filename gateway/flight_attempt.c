/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt on a pod: see flight.h. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/collector.h"
#include "gateway/control.h"
#include "gateway/flight.h"
#include "gateway/gateway.h"

/* {"spate": attempt, "request": the client's body, byte for byte} */
static int make_body(struct flight *f, struct buf *out)
{
    struct stream_attempt attempt = {
        .request_id = f->id,
        .attempt = f->attempt,
        .tenant = str_of(f->tenant->name),
        .key_id = str_of(f->key_id),
        .model = str_of(f->model->name),
        .public_model = str_of(f->public_model),
        .completion_id = str_of(f->completion_id),
        .created_s = f->admitted_ms / 1000,
        .seed = f->seed,
        .price_version = f->price_version,
        .admitted_ms = f->admitted_ms,
        .cache_salt = hash64(0, f->tenant->name, strlen(f->tenant->name)),
        .priority = f->tenant->spec == NULL ? 0 : f->tenant->spec->priority,
        .digest = str_of(f->digest),
        .cached_tokens = f->cached_tokens,
        .output = f->ids,
        .output_count = f->id_count,
    };
    struct json_writer w;

    buf_append_text(out, "{\"spate\":");
    json_writer_init(&w, out);
    stream_attempt_write(&w, &attempt);
    buf_append_text(out, ",\"request\":");
    buf_append_str(out, f->body);
    return buf_append_char(out, '}');
}

static void release_pod(struct flight *f)
{
    struct gw_pod *pod = f->pod;

    f->pod = NULL;
    if (f->sse_open)
        sse_fini(&f->sse);
    f->sse_open = false;
    f->model->in_flight--;
    table_pod_done(&f->g->table, pod);
    gateway_load_changed(f->g, f->model);
}

void flight_attempt_drop(struct flight *f)
{
    http_call_cancel(f->call);
    f->call = NULL;
    if (f->pod != NULL)
        release_pod(f);
}

void flight_attempt_give_up(struct flight *f)
{
    struct usage_record *r = &f->records[f->record_count - 1];

    r->ended_by = USAGE_END_OURS;
    if (!f->started)
        collector_doubt(f->g->collector, f->pod, r);
    flight_attempt_drop(f);
}

/* The pod failed: leaves it alone for a while, longer each time. A pod that died may be back in
 * milliseconds; one that is gone costs a few attempts at most. */
static void hold_failed(struct gw_pod *pod, int64_t now_ms)
{
    int64_t hold_ms = (int64_t)FLIGHT_HOLD_FIRST_MS << (pod->failures < 8 ? pod->failures : 8);

    pod->failures++;
    pod->hold_until_ms = now_ms + (hold_ms < FLIGHT_HOLD_MAX_MS ? hold_ms : FLIGHT_HOLD_MAX_MS);
}

/* A try that surely never reached an engine leaves no record, and its number is used again. */
static void forget_record(struct flight *f)
{
    f->record_count--;
    f->attempt--;
}

/* After an attempt that gave no end: back to the queue, and out of it again if a pod is free. */
static void go_elsewhere(struct flight *f)
{
    struct gateway *g = f->g;
    struct gw_model *m = f->model;

    if (f->client_gone) {
        flight_abandon(f);
        return;
    }
    flight_requeue(f);
    flight_dispatch(g, m);
}

/* A request that breaks whatever works on it must not take every pod along. */
static void count_barren(struct flight *f)
{
    if (f->id_count > f->first_count)
        f->barren = 0;
    else
        f->barren += f->started;
}

void flight_attempt_broken(struct flight *f, const char *reason)
{
    struct gateway *g = f->g;

    log_info("an attempt broke and goes on elsewhere", LOG_STR("pod", f->pod->name),
             LOG_STR("reason", reason), LOG_STR("request", f->completion_id),
             LOG_I64("position", f->id_count));
    hold_failed(f->pod, gateway_now_ms(g));
    control_suspect(g->control, f->pod->uid, reason);
    gateway_metrics_resumed(&g->counters, f, reason);
    flight_attempt_give_up(f);
    count_barren(f);
    if (f->barren >= FLIGHT_BARREN_MAX && !f->client_gone)
        flight_fail(f, OPENAI_UNAVAILABLE,
                    "pods break one after the other on this request before its first token: it may "
                    "need more memory than they have; make the prompt shorter");
    else if (f->tries >= FLIGHT_ATTEMPTS_MAX && !f->client_gone)
        flight_fail(f, OPENAI_UNAVAILABLE, "too many pods failed while answering");
    else
        go_elsewhere(f);
}

/* The pod refused before it began: full, draining or loading. Nothing was computed. */
static void put_back(struct flight *f)
{
    forget_record(f);
    flight_attempt_drop(f);
    go_elsewhere(f);
}

/* --- the call's callbacks ------------------------------------------------------------------- */

static void on_head(struct http_call *call, void *user, int status,
                    const struct http_headers *headers)
{
    struct flight *f = user;

    (void)call;
    (void)headers;
    f->status = status;
    f->last_byte_ms = f->last_step_ms = gateway_now_ms(f->g);
}

static void on_data(struct http_call *call, void *user, struct str bytes)
{
    struct flight *f = user;
    struct err err = {0};

    (void)call;
    f->last_byte_ms = gateway_now_ms(f->g);
    if (f->status != 200) {
        (void)buf_append_str(&f->error_body, bytes);
        return;
    }
    if (sse_feed(&f->sse, bytes, &err) < 0)
        flight_attempt_broken(f, "protocol");
}

static bool refused_with(const struct flight *f, const char *code)
{
    json_auto_t *tree = NULL;
    struct err err;

    if (f->status != 503 ||
        json_read(&tree, buf_str(&f->error_body), &json_limits_default, "refusal", &err) < 0)
        return false;
    return str_is(json_str(json_object_get(json_object_get(tree, "error"), "code")), code);
}

static bool is_pods_fault(int status)
{
    return status >= 500 || status == 401 || status == 403;
}

/* An answer that is no stream: elsewhere, or the client's own mistake. */
static void on_refusal(struct flight *f)
{
    if (refused_with(f, STREAM_REFUSE_BUSY)) {
        f->pod->hold_until_ms = gateway_now_ms(f->g) + FLIGHT_HOLD_FULL_MS;
        put_back(f);
        return;
    }
    if (refused_with(f, STREAM_REFUSE_DRAINING) || refused_with(f, STREAM_REFUSE_LOADING)) {
        f->pod->hold_until_ms = gateway_now_ms(f->g) + FLIGHT_HOLD_DRAINING_MS;
        put_back(f);
        return;
    }
    if (is_pods_fault(f->status)) {
        flight_attempt_broken(f, "refused");
        return;
    }
    forget_record(f);
    release_pod(f);
    void_ticket(&f->ticket);
    gateway_metrics_done(&f->g->counters, f, "bad_request");
    flight_out_agent_error(f);
    flight_end(f, USAGE_END_OURS); /* with the records of earlier attempts, if any */
}

static void on_stream_end(struct flight *f)
{
    if (!f->ended) {
        flight_attempt_broken(f, "broken_stream");
        return;
    }
    if (f->end.ended_by != USAGE_END_MODEL && !f->client_gone) {
        flight_attempt_broken(f, "handed_over");
        return;
    }
    release_pod(f);
    if (f->client_gone)
        flight_abandon(f);
    else
        flight_complete(f);
}

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    struct flight *f = user;
    struct gw_model *m = f->model;
    struct gateway *g = f->g;

    (void)call;
    (void)err;
    f->call = NULL;
    m->refs++;
    if (result == HTTP_CONNECT_REFUSED || result == HTTP_CONNECT_TIMEOUT) {
        control_suspect(g->control, f->pod->uid, http_result_name(result));
        hold_failed(f->pod, gateway_now_ms(g));
        put_back(f);
    } else if (f->status != 0 && f->status != 200 && result == HTTP_DONE) {
        on_refusal(f);
    } else if (f->status == 200) {
        on_stream_end(f);
    } else {
        flight_attempt_broken(f, http_result_name(result));
    }
    flight_dispatch(g, m); /* a place became free */
    table_model_unref(&g->table, m);
}

static int start_call(struct flight *f, const char *token, struct err *err)
{
    char authorization[TOKEN_TEXT_MAX + 16];
    struct http_header headers[2];
    struct buf body;
    int r;

    snprintf(authorization, sizeof(authorization), "Bearer %s", token);
    headers[0] = (struct http_header){STR("authorization"), str_of(authorization)};
    headers[1] = (struct http_header){STR("content-type"), STR(STREAM_CONTENT_TYPE)};
    buf_init(&body, (64U << 20) + f->body.len);
    if (make_body(f, &body) < 0) {
        buf_fini(&body);
        return err_no_memory(err);
    }
    r = http_call_start(&f->call, f->g->client,
                        &(struct http_call_options){
                            .address = str_of(f->pod->address),
                            .method = STR("POST"),
                            .target = f->endpoint == OPENAI_CHAT ? STR("/v1/chat/completions")
                                                                 : STR("/v1/completions"),
                            .headers = headers,
                            .header_count = ARRAY_COUNT(headers),
                            .body = buf_str(&body),
                            .connect_timeout_ms = STREAM_SILENCE_MS,
                            .on_head = on_head,
                            .on_data = on_data,
                            .on_done = on_done,
                            .user = f,
                        },
                        err);
    buf_fini(&body);
    return r;
}

void flight_attempt_start(struct flight *f, struct gw_pod *pod)
{
    struct gateway *g = f->g;
    const char *token = control_token(g->control, TOKEN_AUDIENCE_AGENT);
    struct err err = {0};

    f->state = FLIGHT_RUNNING;
    f->pod = pod;
    pod->in_flight++;
    f->model->in_flight++;
    f->attempt++;
    f->tries++;
    f->first_count = f->id_count;
    f->status = 0;
    f->started = f->ended = f->paused = false;
    f->last_byte_ms = f->last_step_ms = gateway_now_ms(g);
    f->next_snapshot_ms = f->last_byte_ms + FLIGHT_SNAPSHOT_MS;
    buf_clear(&f->error_body);
    sse_init(&f->sse, NULL, flight_stream_event, f);
    f->sse_open = true;
    gateway_load_changed(g, f->model);
    collector_expect(g->collector, pod);
    if (flight_record_add(f) < 0) {
        (void)err_no_memory(&err);
        f->attempt--;
    } else {
        if (token == NULL)
            (void)err_set(&err, ERR_DENIED, "no token from the operator yet");
        else if (start_call(f, token, &err) == 0)
            return;
        forget_record(f);
    }
    log_warn("an attempt can't be sent", LOG_STR("pod", pod->name), LOG_ERR(&err));
    hold_failed(pod, f->last_byte_ms);
    flight_attempt_drop(f);
    flight_requeue(f); /* the sweep dispatches again */
}
