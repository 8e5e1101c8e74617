/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request: see request.h. Everything that is sent to a client is a function of the
 * ids so far alone; after a resume the known ids are replayed through the same code without
 * sending, so the stream goes on as it would have.
 */
#include "agent/request.h"

#include <stdio.h>
#include <string.h>

#include "agent/request_out.h"
#include "base/log.h"
#include "base/mem.h"

static void link_request(struct request *r)
{
    struct agent *a = r->agent;

    r->next = a->requests;
    if (r->next != NULL)
        r->next->previous = r;
    a->requests = r;
    a->request_count++;
}

static void unlink_request(struct request *r)
{
    if (r->previous == NULL)
        r->agent->requests = r->next;
    else
        r->previous->next = r->next;
    if (r->next != NULL)
        r->next->previous = r->previous;
    r->agent->request_count--;
}

struct request *request_by_handle(struct agent *a, uint64_t handle)
{
    for (struct request *r = a->requests; r != NULL; r = r->next) {
        if (r->handle == handle)
            return r;
    }
    return NULL;
}

struct request *request_by_attempt(struct agent *a, struct id128 request_id, uint32_t attempt)
{
    for (struct request *r = a->requests; r != NULL; r = r->next) {
        const struct stream_attempt *known = &r->prompt.attempt;

        if (r->submitted && known->attempt == attempt &&
            id_compare(known->request_id, request_id) == 0)
            return r;
    }
    return NULL;
}

static void request_free(struct request *r)
{
    struct agent *a = r->agent;

    if (r->cancel_waiter != NULL) /* no record will come */
        http_abort(r->cancel_waiter);
    unlink_request(r);
    prompt_fini(&r->prompt);
    openai_assembler_free(r->assembler);
    buf_fini(&r->out);
    mem_free(r);
    agent_check_drained(a);
}

/* Before anything was submitted: answers, if there is anyone to answer, and forgets the request. */
static void refuse(struct request *r, const struct openai_error *error)
{
    agent_metrics_refused(&r->agent->counters, openai_error_fact(error->code)->code);
    agent_respond_error(r->x, error);
    r->x = NULL;
    request_free(r);
}

/* The client, or the gateway, is gone. A gateway that meant to cancel would have called. */
static void on_disconnect(struct http_exchange *x)
{
    struct request *r = x->user;

    if (r->submitted)
        request_cancel(r, r->prompt.is_attempt ? USAGE_END_OURS : USAGE_END_CLIENT);
}

void request_cancel(struct request *r, enum usage_end by)
{
    if (r->cancelled_by == USAGE_END_NONE || by == USAGE_END_CLIENT)
        r->cancelled_by = by;
    if (r->cancelled)
        return;
    r->cancelled = true;
    runner_cancel(r->agent->runner, r->handle);
}

/* A completed stop string ends the answer; what the engine still makes of it is waste. */
static void stop_if_complete(struct request *r)
{
    if (text_stream_stop_position(r->prompt.text) < 0 || r->stopped)
        return;
    r->stopped = true;
    if (!r->cancelled)
        runner_cancel(r->agent->runner, r->handle);
    r->cancelled = true;
}

/* What may fail comes before the engine is asked: afterwards nobody would free the attempt. */
static int prepare_answer(struct request *r, struct err *err)
{
    const struct openai_request *q = &r->prompt.request;

    if (!r->prompt.is_attempt && !q->stream)
        return openai_assembler_new(&r->assembler, r->endpoint, REQUEST_OUT_BYTES_MAX, err);
    return 0;
}

/* Its gateway gave it up while it was on its way here. */
static bool is_abandoned(const struct request *r)
{
    const struct stream_attempt *attempt = &r->prompt.attempt;

    return r->prompt.is_attempt &&
           past_find(&r->agent->past, attempt->request_id, attempt->attempt) == PAST_ABANDONED;
}

static void on_prepared(void *object)
{
    struct request *r = object;
    struct agent *a = r->agent;
    struct openai_error error;
    struct err err = {0};

    if (r->prompt.failed) {
        refuse(r, &r->prompt.error);
        return;
    }
    if (r->x->disconnected || is_abandoned(r)) {
        http_abort(r->x);
        r->x = NULL;
        request_free(r);
        return;
    }
    if (a->state == AGENT_FAILED) {
        openai_error_set(&error, OPENAI_POD_FAILED, NULL, "the engine failed: %s", a->detail);
        refuse(r, &error);
        return;
    }
    if (!r->prompt.is_attempt && !str_is(r->prompt.request.model, a->model_name)) {
        openai_error_set(&error, OPENAI_NO_MODEL, "model",
                         "the model '%.*s' does not exist here; this agent serves '%s'",
                         STR_ARG(str_slice(r->prompt.request.model, 0, 200)), a->model_name);
        refuse(r, &error);
        return;
    }
    r->prompt.engine.handle = r->handle;
    if (prepare_answer(r, &err) < 0 || runner_submit(a->runner, &r->prompt.engine, &err) < 0) {
        openai_error_set(&error, OPENAI_SERVER, NULL, "%s", err_message(&err));
        refuse(r, &error);
        return;
    }
    r->submitted = true;
    if (r->assembler == NULL)
        request_out_begin(r);
    request_out_replay(r);
    stop_if_complete(r);
}

static void in_pool(void *object)
{
    struct request *r = object;

    prompt_prepare(&r->prompt);
}

/* Whether there is room for one more; fills the error if not. */
static bool may_start(struct agent *a, bool is_attempt, struct openai_error *error)
{
    int limit = a->plan.slots + (is_attempt ? AGENT_SLOTS_SPARE : AGENT_QUEUE_ALONE);

    switch (a->state) {
    case AGENT_LOADING:
        openai_error_set(error, OPENAI_POD_LOADING, NULL, "the model is loading: try again soon");
        return false;
    case AGENT_DRAINING:
        openai_error_set(error, OPENAI_POD_DRAINING, NULL, "this pod is going away");
        return false;
    case AGENT_FAILED:
        openai_error_set(error, OPENAI_POD_FAILED, NULL, "the engine failed: %s", a->detail);
        return false;
    case AGENT_READY:
        break;
    }
    if (a->book != NULL && !book_admission_open(a->book)) {
        openai_error_set(error, OPENAI_LOG_FULL, NULL,
                         "usage can't be recorded: the disk or the log is full");
        return false;
    }
    if (a->request_count >= limit) {
        openai_error_set(error, OPENAI_POD_BUSY, NULL, "all %d slots are taken", a->plan.slots);
        return false;
    }
    return true;
}

void request_start(struct agent *a, struct http_exchange *x, enum openai_endpoint endpoint)
{
    bool is_attempt = str_is(http_header_get(&x->headers, "content-type"), STREAM_CONTENT_TYPE);
    struct openai_error error = {0};
    struct request *r;
    struct err err = {0};

    if (is_attempt != a->trusts_gateways) {
        openai_error_set(&error, OPENAI_BAD_REQUEST, NULL,
                         is_attempt ? "this agent has no token key: it takes plain requests only"
                                    : "this agent serves gateways only: ask the gateway");
        agent_respond_error(x, &error);
        return;
    }
    if (!may_start(a, is_attempt, &error)) {
        agent_metrics_refused(&a->counters, openai_error_fact(error.code)->code);
        agent_respond_error(x, &error);
        return;
    }
    r = mem_alloc(sizeof(*r));
    if (r == NULL) {
        openai_error_set(&error, OPENAI_SERVER, NULL, "out of memory");
        agent_respond_error(x, &error);
        return;
    }
    r->agent = a;
    r->x = x;
    r->endpoint = endpoint;
    r->handle = ++a->next_handle;
    r->arrived_mono_ns = clock_mono_ns(a->clock);
    r->created_s = clock_wall_ms(a->clock) / 1000;
    id_format(id_make(a->clock, rng_system()), r->own_id);
    r->prompt = (struct prompt){
        .agent = a, .endpoint = endpoint, .body = x->body, .is_attempt = is_attempt};
    buf_init(&r->out, REQUEST_OUT_BYTES_MAX);
    x->user = r;
    x->on_disconnect = on_disconnect;
    link_request(r);
    if (loop_work(&a->loop, in_pool, on_prepared, r) < 0) {
        (void)err_no_memory(&err);
        openai_error_set(&error, OPENAI_POD_BUSY, NULL, "too many requests are being prepared");
        refuse(r, &error);
    }
}

void request_on_refused(struct request *r, int code, const struct err *err)
{
    struct openai_error error;

    openai_error_set(&error, code == -ERR_BUSY ? OPENAI_POD_BUSY : OPENAI_BAD_REQUEST, NULL, "%s",
                     err_message(err));
    if (r->stream_begun) {
        request_out_error(r, &error);
        request_free(r);
        return;
    }
    refuse(r, &error);
}

static struct usage_counts counts_of(const struct request *r)
{
    int reasoning = text_stream_reasoning_tokens(r->prompt.text);
    int before = r->prompt.attempt.output_count;
    struct usage_counts counts = {
        .input_computed = r->counts.input_computed,
        .input_cached = r->counts.input_cached,
        .output = r->counts.output,
        .recomputed = r->counts.recomputed,
    };

    if (reasoning > before)
        counts.reasoning = (uint64_t)(reasoning - before);
    if (counts.reasoning > counts.output)
        counts.reasoning = counts.output;
    return counts;
}

struct usage_counts request_counts(const struct request *r)
{
    return counts_of(r);
}

/* The position after the last one that the answer contains. */
uint64_t request_charge_end(const struct request *r)
{
    int stop = text_stream_stop_position(r->prompt.text);

    return stop >= 0 && (uint64_t)stop + 1 < r->position ? (uint64_t)stop + 1 : r->position;
}

static void copy_name(char *out, size_t size, struct str name)
{
    snprintf(out, size, "%.*s", STR_ARG(name));
}

static struct usage_record final_record(const struct request *r, enum usage_end ended_by)
{
    const struct stream_attempt *attempt = &r->prompt.attempt;
    struct usage_record record = {
        .request_id = attempt->request_id,
        .attempt = attempt->attempt,
        .run_id = r->agent->run_id,
        .price_version = attempt->price_version,
        .admitted_ms = attempt->admitted_ms,
        .updated_ms = clock_wall_ms(r->agent->clock),
        .start_position = (uint64_t)attempt->output_count,
        .counts = counts_of(r),
        .charge_end = request_charge_end(r),
        .counts_final = true,
        .ended_by = ended_by,
    };

    copy_name(record.tenant, sizeof(record.tenant), attempt->tenant);
    copy_name(record.key_id, sizeof(record.key_id), attempt->key_id);
    copy_name(record.model, sizeof(record.model), attempt->model);
    snprintf(record.pod, sizeof(record.pod), "%s", r->agent->settings->pod_name);
    return record;
}

static void answer_cancel(struct request *r, const struct usage_record *record)
{
    struct json_writer w;

    buf_clear(&r->out);
    json_writer_init(&w, &r->out);
    usage_write(&w, record);
    http_respond(r->cancel_waiter, 200, "application/json", buf_str(&r->out));
    r->cancel_waiter = NULL;
}

static enum usage_end end_of(const struct request *r, enum engine_finish finish)
{
    if (finish == ENGINE_FINISH_STOP || finish == ENGINE_FINISH_LENGTH || r->stopped)
        return USAGE_END_MODEL;
    return r->cancelled_by == USAGE_END_NONE ? USAGE_END_OURS : r->cancelled_by;
}

static const char *finish_text(const struct request *r, enum engine_finish finish)
{
    if (text_stream_stop_position(r->prompt.text) >= 0 || finish == ENGINE_FINISH_STOP)
        return "stop";
    return finish == ENGINE_FINISH_LENGTH ? "length" : "";
}

/* The engine is done with it: the final record, the end of the stream, and nothing remains. */
static void finish(struct request *r, enum engine_finish how)
{
    struct agent *a = r->agent;
    enum usage_end ended_by = end_of(r, how);
    struct usage_record record = final_record(r, ended_by);
    struct err err = {0};

    if (a->book == NULL || record.attempt == 0)
        runner_release(a->runner, r->handle);
    else if (book_add(a->book, &record, r->handle, &err) < 0)
        log_error("final usage record can't be kept; the next run reports it", LOG_ERR(&err));
    agent_metrics_finished(&a->counters, r, finish_text(r, how));
    request_out_end(r, ended_by, finish_text(r, how));
    if (r->cancel_waiter != NULL)
        answer_cancel(r, &record);
    request_free(r);
}

void request_on_event(struct request *r, const struct engine_event *event)
{
    int64_t now_ns = clock_mono_ns(r->agent->clock);

    r->counts = event->counts;
    r->cached_tokens = event->cached_tokens;
    if (event->id_count > 0) {
        agent_metrics_tokens(&r->agent->counters, r, event->id_count, now_ns);
        request_out_ids(r, event);
        r->last_token_mono_ns = now_ns;
    }
    if (event->finish != ENGINE_FINISH_NONE) {
        finish(r, event->finish);
        return;
    }
    stop_if_complete(r);
}

void request_fail_all(struct agent *a)
{
    struct request *next;

    for (struct request *r = a->requests; r != NULL; r = next) {
        struct openai_error error;

        next = r->next;
        if (!r->submitted)
            continue; /* still in the pool: refused when it comes back */
        openai_error_set(&error, OPENAI_POD_FAILED, NULL, "the engine failed");
        request_out_error(r, &error);
        request_free(r);
    }
}

void request_heartbeat(struct request *r, const struct engine_stats *stats)
{
    if (!r->submitted || r->x == NULL || !r->stream_begun)
        return;
    request_out_heartbeat(r, stats);
}
