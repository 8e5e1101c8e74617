/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a model and printing its answer as it comes: see chat.h. */
#include "cli/chat.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fetch.h"
#include "base/mem.h"
#include "base/sse.h"
#include "cli/cli.h"

enum { BODY_MAX = 8 << 20, PROBLEM_MAX = 64 * 1024, CONNECT_MS = 5000, RETRY_MS = 100 };

#define DIM_ON  "\033[2m"
#define DIM_OFF "\033[0m"

/* One try. */
struct asking {
    const struct chat_options *options;
    struct chat_result *result;
    struct sse_parser events;
    struct buf problem; /* body of a refusal */
    int64_t started_ms;
    bool thought;  /* some thinking was printed, and no answer yet */
    bool finished; /* [DONE] came */
    struct err *err;
};

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* A model may write anything; a terminal obeys escape sequences. */
static void print_text(const struct asking *a, struct str text, bool dim)
{
    if (dim)
        fputs(DIM_ON, stdout);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (a->options->plain && (c == 0x7f || (c < 0x20 && c != '\n' && c != '\t')))
            continue;
        putchar(c);
    }
    if (dim)
        fputs(DIM_OFF, stdout);
    fflush(stdout);
}

static void take_delta(struct asking *a, const json_t *delta)
{
    struct str thinking = json_str(json_object_get(delta, "reasoning_content"));
    struct str content = json_str(json_object_get(delta, "content"));

    if ((thinking.len > 0 || content.len > 0) && a->result->first_token_ms == 0)
        a->result->first_token_ms = now_ms() - a->started_ms;
    if (thinking.len > 0 && a->options->show_thinking) {
        print_text(a, thinking, a->options->dim_thinking);
        a->thought = true;
    }
    if (content.len == 0)
        return;
    if (a->thought) {
        fputs("\n\n", stdout);
        a->thought = false;
    }
    print_text(a, content, false);
    buf_append_str(&a->result->answer, content);
}

static int take_error(struct asking *a, const json_t *error)
{
    struct str message = json_str(json_object_get(error, "message"));

    a->result->exit_code = CLI_ERROR;
    return err_set(a->err, ERR_NETWORK, "%.*s", STR_ARG(message));
}

static int take_event(void *user, const struct sse_event *event)
{
    struct asking *a = user;
    json_auto_t *chunk = NULL;
    const json_t *usage;
    int r;

    if (!event->has_data)
        return 0;
    if (str_starts(event->data, STR("[DONE]"))) {
        a->finished = true;
        return 0;
    }
    r = json_read(&chunk, event->data, &json_limits_default, "a chunk of the answer", a->err);
    if (r < 0)
        return r;
    if (json_object_get(chunk, "error") != NULL)
        return take_error(a, json_object_get(chunk, "error"));
    take_delta(a, json_object_get(json_array_get(json_object_get(chunk, "choices"), 0), "delta"));
    usage = json_object_get(chunk, "usage");
    if (json_is_object(usage)) {
        a->result->prompt_tokens = json_integer_value(json_object_get(usage, "prompt_tokens"));
        a->result->completion_tokens =
            json_integer_value(json_object_get(usage, "completion_tokens"));
    }
    return 0;
}

static int take_bytes(void *user, int status, struct str bytes)
{
    struct asking *a = user;

    if (status == 200)
        return sse_feed(&a->events, bytes, a->err);
    buf_append_str(&a->problem, bytes); /* a refusal is short; more of it is not needed */
    return 0;
}

static int exit_of_status(int status, struct str code)
{
    if (status == 401 || status == 403)
        return CLI_AUTH;
    if (status == 402 || str_is(code, "insufficient_quota"))
        return CLI_QUOTA;
    return status == 429 || status == 503 ? CLI_NOT_READY : CLI_ERROR;
}

/* Error objects of the API: {"error":{"message", "code"}}. */
static int refused(struct asking *a, int status)
{
    json_auto_t *tree = NULL;
    const json_t *error;
    struct str message = STR_NONE;
    struct str code = STR_NONE;

    if (json_read(&tree, buf_str(&a->problem), &json_limits_default, "answer", NULL) == 0) {
        error = json_object_get(tree, "error");
        message = json_str(json_object_get(error, "message"));
        code = json_str(json_object_get(error, "code"));
    }
    a->result->exit_code = exit_of_status(status, code);
    if (message.len == 0)
        return err_set(a->err, ERR_PROTOCOL, "the gateway answered with status %d", status);
    return err_set(a->err, status == 401 ? ERR_DENIED : ERR_INVALID, "%.*s", STR_ARG(message));
}

static void write_body(struct buf *body, const struct chat_options *o, const json_t *messages)
{
    struct json_writer w;

    json_writer_init(&w, body);
    json_open(&w, '{');
    json_put_text(&w, "model", o->model);
    json_key(&w, "messages");
    json_add_tree(&w, messages);
    json_put_bool(&w, "stream", true);
    json_key(&w, "stream_options");
    json_open(&w, '{');
    json_put_bool(&w, "include_usage", true);
    json_close(&w, '}');
    if (o->max_tokens > 0)
        json_put_i64(&w, "max_tokens", o->max_tokens);
    if (o->temperature != NULL) {
        json_key(&w, "temperature");
        json_add_raw(&w, str_of(o->temperature));
    } else {
        json_key(&w, "default_temperature");
        json_add_f64(&w, o->default_temperature);
    }
    if (o->seed >= 0)
        json_put_i64(&w, "seed", o->seed);
    json_close(&w, '}');
}

/* The status, or a negative error. */
static int ask_once(struct asking *a, const char *url, struct str body)
{
    const struct http_header type = {STR("content-type"), STR("application/json")};
    struct fetch_options options = {
        .url = url,
        .headers = &type,
        .header_count = 1,
        .body = body,
        .bearer_token = a->options->key,
        .connect_timeout_ms = CONNECT_MS,
        .on_data = take_bytes,
        .user = a,
    };
    int status;

    a->started_ms = now_ms();
    sse_init(&a->events, NULL, take_event, a);
    buf_init(&a->problem, PROBLEM_MAX);
    status = fetch_wait(&options, NULL, a->err);
    if (status > 0 && status != 200)
        refused(a, status);
    buf_fini(&a->problem);
    sse_fini(&a->events);
    return status;
}

int chat_ask(struct chat_result *out, const struct chat_options *options, const json_t *messages,
             struct err *err)
{
    struct asking a = {.options = options, .result = out, .err = err};
    CLEANUP(buf_fini) struct buf body = {0};
    int64_t give_up_ms = now_ms() + options->patience_ms;
    char url[512];
    int status;
    int r;

    buf_init(&body, BODY_MAX);
    write_body(&body, options, messages);
    r = buf_check(&body, "the conversation", err);
    if (r < 0)
        return r;
    snprintf(url, sizeof(url), "%s/v1/chat/completions", options->url);
    out->exit_code = CLI_NOT_READY;
    status = ask_once(&a, url, buf_str(&body));
    while ((status == 401 || status == 404) && now_ms() < give_up_ms) {
        cli_sleep_ms(RETRY_MS); /* key and model reach the gateway within a moment */
        status = ask_once(&a, url, buf_str(&body));
    }
    out->total_ms = now_ms() - a.started_ms;
    if (status < 0)
        return err_wrap(err, status, "the gateway at %s", options->url);
    if (status != 200)
        return -(int)(err == NULL ? ERR_INVALID : err->code);
    if (!a.finished)
        return err_set(err, ERR_NETWORK, "the answer broke off");
    out->exit_code = CLI_OK;
    return 0;
}
