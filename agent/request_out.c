/* SPDX-License-Identifier: Apache-2.0 */
/* Sending: see request_out.h. */
#include "agent/request_out.h"

#include <stdio.h>

#include "agent/chunk.h"
#include "base/log.h"

static struct chunk_head head_of(const struct request *r, char own_id[48])
{
    const struct prompt *p = &r->prompt;
    struct chunk_head head = {
        .endpoint = r->endpoint,
        .usage_null = p->request.include_usage && p->request.stream,
        .reasoning_alias = r->agent->settings->reasoning_alias,
    };

    if (p->is_attempt) {
        head.id = p->attempt.completion_id;
        head.model = p->attempt.public_model;
        head.created_s = p->attempt.created_s;
        return head;
    }
    snprintf(own_id, 48, "%s-%s", r->endpoint == OPENAI_CHAT ? "chatcmpl" : "cmpl", r->own_id);
    head.id = str_of(own_id);
    head.model = str_of(r->agent->model_name);
    head.created_s = r->created_s;
    return head;
}

/* Sends what is in r->out; the client's back-pressure is bounded by the server's output limit, and
 * a connection cut off for it counts as a disconnect. */
static void send_out(struct request *r)
{
    if (r->x != NULL && !r->out.failed)
        (void)http_write(r->x, buf_str(&r->out));
    else if (r->x != NULL)
        log_warn("an event does not fit its buffer and is left out",
                 LOG_I64("limit_bytes", REQUEST_OUT_BYTES_MAX));
    buf_clear(&r->out);
}

void request_out_begin(struct request *r)
{
    struct stream_event start = {.kind = STREAM_START};

    (void)http_add_header(r->x, "cache-control", STR("no-cache"));
    (void)http_add_header(r->x, "x-accel-buffering", STR("no"));
    http_begin(r->x, 200, "text/event-stream");
    r->stream_begun = true;
    if (!r->prompt.is_attempt)
        return;
    start.run_id = r->agent->run_id;
    start.prompt_tokens = r->prompt.ids.count;
    snprintf(start.digest, sizeof(start.digest), "%s", r->agent->digest);
    stream_event_write(&r->out, &start);
    buf_append_char(&r->out, '\n');
    send_out(r);
}

/* Whether a chunk for the client comes of this id; the same for replayed ids. */
static bool makes_chunk(const struct request *r, const struct text_delta *delta)
{
    return delta->reasoning.len > 0 || delta->content.len > 0 ||
           r->prompt.request.return_token_ids || r->prompt.request.logprobs >= 0;
}

static void note_sent(struct request *r, const struct text_delta *delta)
{
    if (!makes_chunk(r, delta))
        return;
    r->role_sent = true;
    r->ids_begun = true;
}

/* Whether the answer ended with this id, the last one of an attempt that did not live to say so. */
static bool ended_with(const struct request *r, int32_t id)
{
    const struct engine_request *e = &r->prompt.engine;

    for (int i = 0; i < e->stop_id_count && e->output_count > e->min_output; i++) {
        if (e->stop_ids[i] == id)
            return true;
    }
    return false;
}

void request_out_replay(struct request *r)
{
    const struct stream_attempt *attempt = &r->prompt.attempt;

    for (int i = 0; i < attempt->output_count; i++) {
        bool last = i == attempt->output_count - 1;
        int32_t id = attempt->output[i];
        struct text_delta delta = last && ended_with(r, id)
                                      ? text_stream_push_stop_id(r->prompt.text, id)
                                      : text_stream_push(r->prompt.text, id);

        note_sent(r, &delta);
    }
    r->position = (uint64_t)attempt->output_count;
}

/* One event of the stream: the client's data, if there is any, and the extension for a gateway. */
static void put_event(struct request *r, const struct chunk *chunk,
                      const struct stream_event *extension)
{
    char own_id[48];
    struct chunk_head head = head_of(r, own_id);
    struct err err = {0};
    size_t from;

    if (r->assembler != NULL) {
        if (chunk != NULL) {
            chunk_write(&r->out, &head, chunk);
            if (openai_assembler_add(r->assembler, buf_str(&r->out), &err) < 0)
                log_warn("answer can't be assembled", LOG_ERR(&err));
            buf_clear(&r->out);
        }
        return;
    }
    from = r->out.len;
    if (chunk != NULL) {
        buf_append_text(&r->out, "data: ");
        chunk_write(&r->out, &head, chunk);
        buf_append_char(&r->out, '\n');
    }
    if (r->prompt.is_attempt && extension != NULL)
        stream_event_write(&r->out, extension);
    if (r->out.len > from)
        buf_append_char(&r->out, '\n');
}

static bool is_stop_id(const struct request *r, const struct engine_event *event, int index)
{
    return event->finish == ENGINE_FINISH_STOP && index == event->id_count - 1 &&
           r->prompt.engine.stop_id_count > 0;
}

static void out_one(struct request *r, const struct engine_event *event, int index)
{
    static const struct usage_counts none;
    const struct openai_request *q = &r->prompt.request;
    struct stream_event extension = {.kind = STREAM_CHUNK, .counts = none, .id_count = 1};
    bool wasted = text_stream_stop_position(r->prompt.text) >= 0;
    uint64_t text_offset = text_stream_characters(r->prompt.text);
    struct text_delta delta;
    struct chunk chunk = {0};

    delta = is_stop_id(r, event, index)
                ? text_stream_push_stop_id(r->prompt.text, event->ids[index])
                : text_stream_push(r->prompt.text, event->ids[index]);
    r->position++;
    if (wasted)
        return; /* after a completed stop string: counted, never sent */
    chunk.text = delta;
    chunk.with_role = !r->role_sent;
    chunk.logprobs = (struct chunk_logprobs){
        .wanted = q->logprobs >= 0,
        .tokenizer = r->agent->tokenizer,
        .event = event,
        .index = index,
        .text_offset = text_offset,
    };
    if (q->return_token_ids) {
        chunk.ids = &event->ids[index];
        chunk.id_count = 1;
        if (!r->ids_begun) {
            chunk.prompt_ids = r->prompt.ids.ids;
            chunk.prompt_id_count = (int)r->prompt.ids.count;
        }
    }
    extension.position = r->position;
    extension.ids[0] = event->ids[index];
    extension.counts = request_counts(r);
    put_event(r, makes_chunk(r, &delta) ? &chunk : NULL, &extension);
    note_sent(r, &delta);
}

void request_out_ids(struct request *r, const struct engine_event *event)
{
    for (int i = 0; i < event->id_count; i++)
        out_one(r, event, i);
    if (r->assembler == NULL)
        send_out(r);
}

void request_out_heartbeat(struct request *r, const struct engine_stats *stats)
{
    struct stream_event beat = {
        .kind = STREAM_HEARTBEAT,
        .steps = stats->steps,
        .running = (uint64_t)stats->running,
        .waiting = (uint64_t)stats->waiting,
    };

    if (r->prompt.is_attempt) {
        stream_event_write(&r->out, &beat);
        buf_append_char(&r->out, '\n');
    } else {
        buf_append_text(&r->out, ": keep-alive\n\n");
    }
    send_out(r);
}

static struct openai_usage usage_of(const struct request *r)
{
    const struct stream_attempt *attempt = &r->prompt.attempt;
    uint64_t prompt = r->prompt.ids.count;
    uint64_t cached =
        attempt->cached_tokens >= 0 ? (uint64_t)attempt->cached_tokens : (uint64_t)r->cached_tokens;
    uint64_t end = request_charge_end(r);
    uint64_t reasoning = (uint64_t)text_stream_reasoning_tokens(r->prompt.text);

    return (struct openai_usage){
        .prompt_tokens = prompt,
        .completion_tokens = end,
        .cached_tokens = cached < prompt ? cached : prompt,
        .reasoning_tokens = reasoning < end ? reasoning : end,
    };
}

static void put_usage(struct request *r)
{
    struct openai_usage usage = usage_of(r);
    struct stream_event extension = {.kind = STREAM_USAGE};
    char own_id[48];
    struct chunk_head head = head_of(r, own_id);
    struct err err = {0};

    if (r->assembler != NULL) {
        chunk_write_usage(&r->out, &head, &usage);
        (void)openai_assembler_add(r->assembler, buf_str(&r->out), &err);
        buf_clear(&r->out);
        return;
    }
    if (!r->prompt.is_attempt && !r->prompt.request.include_usage)
        return;
    buf_append_text(&r->out, "data: ");
    chunk_write_usage(&r->out, &head, &usage);
    buf_append_char(&r->out, '\n');
    if (r->prompt.is_attempt)
        stream_event_write(&r->out, &extension);
    buf_append_char(&r->out, '\n');
}

static void put_end(struct request *r, enum usage_end ended_by, const char *finish)
{
    struct stream_event end = {
        .kind = STREAM_END,
        .ended_by = ended_by,
        .counts = request_counts(r),
        .charge_end = request_charge_end(r),
    };

    if (r->prompt.is_attempt) {
        snprintf(end.finish, sizeof(end.finish), "%s", finish);
        stream_event_write(&r->out, &end);
        buf_append_char(&r->out, '\n');
    }
    if (ended_by == USAGE_END_MODEL)
        buf_append_text(&r->out, "data: [DONE]\n\n");
}

static void respond_assembled(struct request *r)
{
    struct openai_error error;
    struct err err = {0};

    buf_clear(&r->out);
    if (openai_assembler_write(r->assembler, &r->out, &err) == 0) {
        http_respond(r->x, 200, "application/json", buf_str(&r->out));
        return;
    }
    openai_error_set(&error, OPENAI_SERVER, NULL, "%s", err_message(&err));
    agent_respond_error(r->x, &error);
}

void request_out_end(struct request *r, enum usage_end ended_by, const char *finish)
{
    struct chunk last = {.finish = finish};
    bool whole = ended_by == USAGE_END_MODEL;

    if (r->x == NULL)
        return;
    if (whole) {
        last.text = text_stream_finish(r->prompt.text);
        last.with_role = !r->role_sent;
        put_event(r, &last, NULL);
        put_usage(r);
    }
    if (r->assembler != NULL) {
        if (whole)
            respond_assembled(r);
        else
            http_abort(r->x);
    } else {
        put_end(r, ended_by, finish);
        send_out(r);
        if (whole || r->prompt.is_attempt)
            http_end(r->x);
        else
            http_abort(r->x);
    }
    r->x = NULL;
}

void request_out_error(struct request *r, const struct openai_error *error)
{
    if (r->x == NULL)
        return;
    if (!r->stream_begun) {
        agent_respond_error(r->x, error);
    } else {
        buf_clear(&r->out);
        buf_append_text(&r->out, "data: ");
        openai_error_write(&r->out, error);
        buf_append_text(&r->out, "\n\n");
        if (!r->prompt.is_attempt)
            send_out(r);
        http_abort(r->x); /* a gateway sees a broken stream and resumes elsewhere */
    }
    r->x = NULL;
}
