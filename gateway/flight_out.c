/* SPDX-License-Identifier: Apache-2.0 */
/* What the client gets: see flight.h. */
#include <stdio.h>

#include "base/log.h"
#include "gateway/flight.h"
#include "gateway/gateway.h"

static void begin_stream(struct flight *f)
{
    if (f->client_begun)
        return;
    f->client_begun = true;
    (void)http_add_header(f->x, "cache-control", STR("no-cache"));
    (void)http_add_header(f->x, "x-accel-buffering", STR("no"));
    http_begin(f->x, 200, "text/event-stream");
}

static void on_drained(struct http_exchange *x)
{
    struct flight *f = x->user;

    if (f->paused && f->call != NULL) {
        f->paused = false;
        f->last_byte_ms = f->last_step_ms = gateway_now_ms(f->g);
        http_call_resume(f->call);
    }
}

/* A client that reads slower than the pod writes slows the pod down. */
static void hold_if_slow(struct flight *f)
{
    if (f->paused || f->call == NULL || http_pending(f->x) < FLIGHT_UNSENT_MAX)
        return;
    f->paused = true;
    f->x->on_drain = on_drained;
    http_call_pause(f->call);
}

void flight_out_data(struct flight *f, const struct sse_event *event, bool is_usage)
{
    struct err err = {0};

    if (f->client_gone || f->x == NULL)
        return;
    if (f->assembler != NULL) {
        if (openai_assembler_add(f->assembler, event->data, &err) < 0)
            log_warn("an answer can't be assembled", LOG_ERR(&err));
        return;
    }
    if (is_usage && !f->include_usage)
        return;
    begin_stream(f);
    (void)http_write(f->x, STR("data: "));
    (void)http_write(f->x, event->data);
    (void)http_write(f->x, STR("\n\n"));
    hold_if_slow(f);
}

void flight_out_comment(struct flight *f)
{
    begin_stream(f);
    (void)http_write(f->x, STR(": waiting for a pod\n\n"));
}

void flight_out_error(struct flight *f, const struct openai_error *error, int64_t retry_after_ms)
{
    struct buf text;

    if (f->x == NULL)
        return;
    gateway_metrics_refused(&f->g->counters, openai_error_fact(error->code)->code);
    if (!f->client_begun) {
        gateway_respond_error(f->x, error, retry_after_ms);
        f->x = NULL;
        return;
    }
    buf_init(&text, 8192);
    buf_append_text(&text, "data: ");
    openai_error_write(&text, error);
    buf_append_text(&text, "\n\n");
    (void)http_write(f->x, buf_str(&text));
    buf_fini(&text);
    http_end(f->x);
    f->x = NULL;
}

static void respond_whole(struct flight *f)
{
    struct openai_error error;
    struct err err = {0};
    struct buf body;

    buf_init(&body, FLIGHT_OUT_MAX);
    if (openai_assembler_write(f->assembler, &body, &err) == 0) {
        http_respond(f->x, 200, "application/json", buf_str(&body));
    } else {
        openai_error_set(&error, OPENAI_SERVER, NULL, "%s", err_message(&err));
        gateway_respond_error(f->x, &error, 0);
    }
    buf_fini(&body);
}

void flight_out_finish(struct flight *f)
{
    if (f->assembler != NULL) {
        respond_whole(f);
    } else {
        begin_stream(f);
        (void)http_write(f->x, STR("data: [DONE]\n\n"));
        http_end(f->x);
    }
    f->x = NULL;
}

void flight_out_agent_error(struct flight *f)
{
    json_auto_t *tree = NULL;
    struct openai_error error;
    struct str message;
    struct err err;

    if (f->x == NULL)
        return;
    if (f->client_begun) {
        if (json_read(&tree, buf_str(&f->error_body), &json_limits_default, "error", &err) < 0)
            tree = NULL;
        message = json_str(json_object_get(json_object_get(tree, "error"), "message"));
        openai_error_set(&error, OPENAI_BAD_REQUEST, NULL, "%.*s",
                         STR_ARG(str_slice(message, 0, 800)));
        flight_out_error(f, &error, 0);
        return;
    }
    http_respond(f->x, f->status, "application/json", buf_str(&f->error_body));
    f->x = NULL;
}
