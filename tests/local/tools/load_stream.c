/* SPDX-License-Identifier: Apache-2.0 */
/* One streaming chat of spate-load: the request, its events, and what a strict client checks. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "load.h"

enum { OPERAND_BOUND = 1000, TARGET_MAX = 512 };

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* Keeps the first fault: what follows is often its echo. */
static void fault(struct load_stream *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fault(struct load_stream *s, const char *format, ...)
{
    va_list args;

    if (s->fault[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(s->fault, sizeof(s->fault), format, args);
    va_end(args);
}

/* --- the question ---------------------------------------------------------------------------- */

static void ask(struct load_stream *s)
{
    struct load *load = s->load;
    int a = (int)rng_below(&load->rng.rng, OPERAND_BOUND);
    int b = (int)rng_below(&load->rng.rng, OPERAND_BOUND);

    if (load->settings->prompt != NULL) {
        snprintf(s->question, sizeof(s->question), "%s", load->settings->prompt);
        return;
    }
    snprintf(s->question, sizeof(s->question), "What is %d + %d?", a, b);
    if (!load->settings->ignore_eos)
        snprintf(s->expected, sizeof(s->expected), "%d + %d = %d", a, b, a + b);
}

static int write_body(const struct load_stream *s, struct buf *out)
{
    const struct load_settings *settings = s->load->settings;
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "model", settings->model);
    json_put_bool(&w, "stream", true);
    json_key(&w, "stream_options");
    json_open(&w, '{');
    json_put_bool(&w, "include_usage", true);
    json_close(&w, '}');
    json_put_bool(&w, "return_token_ids", true);
    json_put_bool(&w, "ignore_eos", settings->ignore_eos);
    json_put_i64(&w, "temperature", 0);
    json_put_i64(&w, "max_tokens", settings->max_tokens);
    json_key(&w, "messages");
    json_open(&w, '[');
    json_open(&w, '{');
    json_put_text(&w, "role", "user");
    json_put_text(&w, "content", s->question);
    json_close(&w, '}');
    json_close(&w, ']');
    json_close(&w, '}');
    return out->failed ? -ERR_NO_MEMORY : 0;
}

/* --- events ---------------------------------------------------------------------------------- */

static void take_usage(struct load_stream *s, const json_t *usage)
{
    json_get_i64(usage, "prompt_tokens", false, 0, INT64_MAX, &s->prompt_tokens, NULL);
    json_get_i64(usage, "completion_tokens", false, 0, INT64_MAX, &s->completion_tokens, NULL);
}

static void take_ids(struct load_stream *s, const json_t *ids)
{
    const json_t *id;
    size_t i;

    json_array_foreach (ids, i, id) {
        buf_printf(&s->ids, "%s%lld", s->id_count > 0 ? "," : "",
                   (long long)json_integer_value(id));
        s->id_count++;
    }
    if (s->first_ms < 0 && json_array_size(ids) > 0)
        s->first_ms = now_ms() - s->sent_ms;
}

static void take_choice(struct load_stream *s, const json_t *choice)
{
    const json_t *delta = json_object_get(choice, "delta");
    struct str finish = json_str(json_object_get(choice, "finish_reason"));

    if (s->finish[0] != '\0')
        fault(s, "a chunk came after finish_reason");
    buf_append_str(&s->text, json_str(json_object_get(delta, "content")));
    buf_append_str(&s->thought, json_str(json_object_get(delta, "reasoning_content")));
    take_ids(s, json_object_get(choice, "token_ids"));
    if (finish.len > 0)
        snprintf(s->finish, sizeof(s->finish), "%.*s", STR_ARG(finish));
}

static void take_id(struct load_stream *s, struct str id)
{
    if (s->id[0] == '\0')
        snprintf(s->id, sizeof(s->id), "%.*s", STR_ARG(id));
    else if (!str_is(id, s->id))
        fault(s, "the stream changed its id from %s to %.*s", s->id, STR_ARG(id));
}

static int on_event(void *object, const struct sse_event *event)
{
    struct load_stream *s = object;
    json_auto_t *chunk = NULL;
    struct err err = {0};

    if (s->done) {
        fault(s, "an event came after [DONE]");
        return 0;
    }
    if (str_is(event->data, "[DONE]")) {
        s->done = true;
        return 0;
    }
    if (json_read(&chunk, event->data, &json_limits_default, "chunk", &err) < 0) {
        fault(s, "%s", err_message(&err));
        return 0;
    }
    if (json_object_get(chunk, "error") != NULL) {
        fault(s, "error in the stream: %.*s", STR_ARG(event->data));
        return 0;
    }
    take_id(s, json_str(json_object_get(chunk, "id")));
    if (json_array_size(json_object_get(chunk, "choices")) > 0)
        take_choice(s, json_array_get(json_object_get(chunk, "choices"), 0));
    if (json_is_object(json_object_get(chunk, "usage")))
        take_usage(s, json_object_get(chunk, "usage"));
    return 0;
}

/* --- the call -------------------------------------------------------------------------------- */

static void on_head(struct http_call *call, void *user, int status,
                    const struct http_headers *headers)
{
    struct load_stream *s = user;

    (void)call;
    (void)headers;
    s->status = status;
}

static void on_data(struct http_call *call, void *user, struct str bytes)
{
    struct load_stream *s = user;
    struct err err = {0};

    (void)call;
    if (s->status != 200)
        buf_append_str(&s->body, bytes);
    else if (sse_feed(&s->parser, bytes, &err) < 0)
        fault(s, "%s", err_message(&err));
}

static void check_end(struct load_stream *s, enum http_result result, const struct err *err)
{
    if (result != HTTP_DONE)
        fault(s, "%s: %s", http_result_name(result), err_message(err));
    if (s->status != 200)
        fault(s, "status %d: %.*s", s->status, STR_ARG(buf_str(&s->body)));
    if (!s->done)
        fault(s, "the stream ended without [DONE]");
    if (s->finish[0] == '\0')
        fault(s, "no finish_reason came");
    if (s->completion_tokens != s->id_count)
        fault(s, "usage says %lld tokens, %lld ids came", (long long)s->completion_tokens,
              (long long)s->id_count);
}

static void stream_free(struct load_stream *s)
{
    sse_fini(&s->parser);
    buf_fini(&s->body);
    buf_fini(&s->text);
    buf_fini(&s->thought);
    buf_fini(&s->ids);
    mem_free(s);
}

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    struct load_stream *s = user;

    (void)call;
    check_end(s, result, err);
    load_stream_over(s->load, s);
    stream_free(s);
}

static struct load_stream *stream_new(struct load *load)
{
    struct load_stream *s = mem_alloc(sizeof(*s));

    if (s == NULL)
        return NULL;
    s->load = load;
    s->index = load->started;
    s->first_ms = -1;
    s->completion_tokens = -1;
    sse_init(&s->parser, NULL, on_event, s);
    buf_init(&s->body, LOAD_ANSWER_BYTES_MAX);
    buf_init(&s->text, LOAD_ANSWER_BYTES_MAX);
    buf_init(&s->thought, LOAD_ANSWER_BYTES_MAX);
    buf_init(&s->ids, LOAD_ANSWER_BYTES_MAX);
    ask(s);
    return s;
}

static int call_start(struct load_stream *s, struct err *err)
{
    const struct load_settings *settings = s->load->settings;
    char authorization[256] = "";
    struct http_header headers[2] = {{STR("content-type"), STR("application/json")}};
    struct http_call_options options = {
        .address = s->load->address,
        .method = STR("POST"),
        .target = STR("/v1/chat/completions"),
        .headers = headers,
        .header_count = 1,
        .idle_timeout_ms = (uint64_t)settings->timeout_ms,
        .first_byte_timeout_ms = (uint64_t)settings->timeout_ms,
        .on_head = on_head,
        .on_data = on_data,
        .on_done = on_done,
        .user = s,
    };
    struct buf body;
    int r;

    if (settings->keys.count > 0) {
        snprintf(authorization, sizeof(authorization), "Bearer %s",
                 settings->keys.items[s->index % settings->keys.count]);
        headers[options.header_count++] =
            (struct http_header){STR("authorization"), str_of(authorization)};
    }
    buf_init(&body, LOAD_ANSWER_BYTES_MAX);
    r = write_body(s, &body);
    options.body = buf_str(&body);
    s->sent_ms = now_ms();
    r = r < 0 ? err_no_memory(err) : http_call_start(&s->call, s->load->client, &options, err);
    buf_fini(&body);
    return r;
}

int load_stream_start(struct load *load, struct err *err)
{
    struct load_stream *s = stream_new(load);
    int r = s == NULL ? err_no_memory(err) : call_start(s, err);

    if (r < 0) {
        if (s != NULL)
            stream_free(s);
        return r;
    }
    load->started++;
    return 0;
}
