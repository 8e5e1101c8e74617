/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-stub-agent: a peer for the gateway's bench, no product. Several agents in one process that
 * speak the stream extension as spate-agent does, but with canned tokens instead of an engine: the
 * whole answer leaves at once. To a plain client it answers the same stream without the extension,
 * so that a bench can compare the way through the gateway with the direct one.
 *
 *     spate-stub-agent --address-file FILE [--agents N] [--tokens N]
 *
 * The file gets one address a line.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/http_server.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/stream.h"

enum {
    AGENTS_MAX = 64,
    TOKENS_MAX = 1024,
    ANSWER_MAX = 4 << 20,
    HEAD_BYTES = 2048, /* of a request: where the attempt stands */
    PROMPT_TOKENS = 20,
    SLOTS = 256,
};

/* The digest of a model that does not exist. */
#define DIGEST "5707b5707b5707b5707b5707b5707b5707b5707b5707b5707b5707b5707b5707"

struct settings {
    int64_t agents;
    int64_t tokens;
    const char *address_file;
};

static const struct arg_option options[] = {
    {"agents", 'a', ARG_INT, offsetof(struct settings, agents), "N", "4",
     "agents, each on a port of its own", .min = 1, .max = AGENTS_MAX},
    {"tokens", 't', ARG_INT, offsetof(struct settings, tokens), "N", "16", "tokens of an answer",
     .min = 1, .max = TOKENS_MAX},
    {"address-file", 0, ARG_TEXT, offsetof(struct settings, address_file), "FILE", NULL,
     "write the addresses here, one a line", .required = true},
};

static const struct arg_command command = {
    .name = "spate-stub-agent",
    .summary = "Answers like agents whose engine takes no time: for the gateway's bench only.",
    .usage = "[options] --address-file FILE",
    .examples = "spate-stub-agent --address-file /tmp/addresses\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

struct stub {
    struct loop loop;
    struct settings settings;
    struct http_server *servers[AGENTS_MAX];
    struct id128 run_id;
    struct buf answer; /* of the request at hand */
};

static struct usage_counts counts_at(int64_t output)
{
    return (struct usage_counts){.input_computed = PROMPT_TOKENS, .output = (uint64_t)output};
}

static void put_extension(struct stub *s, bool wanted, const struct stream_event *event)
{
    if (wanted)
        stream_event_write(&s->answer, event);
}

static void put_start(struct stub *s, bool attempt)
{
    struct stream_event start = {
        .kind = STREAM_START, .run_id = s->run_id, .prompt_tokens = PROMPT_TOKENS};

    snprintf(start.digest, sizeof(start.digest), "%s", DIGEST);
    put_extension(s, attempt, &start);
    if (attempt)
        buf_append_char(&s->answer, '\n');
}

static void put_chunk(struct stub *s, bool attempt, struct str id, int64_t token)
{
    static struct stream_event event; /* large; there is one thread */
    bool last = token == s->settings.tokens;

    buf_append_text(&s->answer, "data: {\"id\":\"");
    buf_append_str(&s->answer, id);
    buf_printf(&s->answer,
               "\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"stub\","
               "\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\" word\"},\"logprobs\":null,"
               "\"finish_reason\":%s}]}\n",
               token == 1 ? "\"role\":\"assistant\"," : "", last ? "\"length\"" : "null");
    event.kind = STREAM_CHUNK;
    event.position = (uint64_t)token;
    event.ids[0] = (int32_t)token;
    event.id_count = 1;
    event.counts = counts_at(token);
    put_extension(s, attempt, &event);
    buf_append_char(&s->answer, '\n');
}

static void put_usage(struct stub *s, bool attempt, struct str id)
{
    static const struct stream_event event = {.kind = STREAM_USAGE};

    buf_append_text(&s->answer, "data: {\"id\":\"");
    buf_append_str(&s->answer, id);
    buf_printf(&s->answer,
               "\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"stub\","
               "\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%lld,"
               "\"total_tokens\":%lld}}\n",
               PROMPT_TOKENS, (long long)s->settings.tokens,
               (long long)s->settings.tokens + PROMPT_TOKENS);
    put_extension(s, attempt, &event);
    buf_append_char(&s->answer, '\n');
}

static void put_end(struct stub *s, bool attempt)
{
    struct stream_event end = {
        .kind = STREAM_END,
        .ended_by = USAGE_END_MODEL,
        .finish = "length",
        .counts = counts_at(s->settings.tokens),
        .charge_end = (uint64_t)s->settings.tokens,
    };

    put_extension(s, attempt, &end);
    buf_append_text(&s->answer, attempt ? "\ndata: [DONE]\n\n" : "data: [DONE]\n\n");
}

/* The value of "completion_id", which stands near the front; no more of a body is read. */
static struct str completion_id(struct str body)
{
    static const struct str key = STR("\"completion_id\":\"");
    struct str head = str_slice(body, 0, HEAD_BYTES);
    int64_t at = str_find(head, key);
    struct str rest = at < 0 ? STR_NONE : str_slice(head, (size_t)at + key.len, head.len);

    return at < 0 ? STR("chatcmpl-stub") : str_cut(&rest, '"');
}

static void chat(struct stub *s, struct http_exchange *x)
{
    bool attempt = str_starts(x->body, STR("{\"spate\":"));
    struct str id = completion_id(x->body);

    buf_clear(&s->answer);
    put_start(s, attempt);
    for (int64_t token = 1; token <= s->settings.tokens; token++)
        put_chunk(s, attempt, id, token);
    put_usage(s, attempt, id);
    put_end(s, attempt);
    http_begin(x, 200, "text/event-stream");
    (void)http_write(x, buf_str(&s->answer));
    http_end(x);
}

/* What else a gateway asks: nothing is kept here, so there is nothing to collect. */
static void handle(struct http_exchange *x, void *user)
{
    struct stub *s = user;

    if (str_is(x->path, "/v1/chat/completions"))
        chat(s, x);
    else if (str_is(x->path, STREAM_PATH_USAGE))
        http_respond(x, 200, "application/json", STR("{\"records\":[]}"));
    else if (str_is(x->path, STREAM_PATH_ACK))
        http_respond(x, 200, "application/json", STR("{}"));
    else
        http_respond(x, 404, "application/json", STR("{}"));
}

static int listen_all(struct stub *s, struct err *err)
{
    struct buf lines;
    int r = 0;

    buf_init(&lines, 16384);
    for (int i = 0; r == 0 && i < s->settings.agents; i++) {
        int port;

        r = http_server_new(&s->servers[i], &s->loop,
                            &(struct http_server_options){.handler = handle, .user = s}, err);
        if (r < 0)
            break;
        port = http_server_listen(s->servers[i], "127.0.0.1:0", err);
        r = port < 0 ? port : buf_printf(&lines, "127.0.0.1:%d\n", port);
    }
    if (r == 0)
        r = file_write_atomic(s->settings.address_file, buf_str(&lines), 0600, err);
    buf_fini(&lines);
    return r;
}

static void on_signal(void *object, int signum)
{
    struct stub *s = object;

    (void)signum;
    loop_quit(&s->loop);
}

static int run(struct stub *s, struct err *err)
{
    int r = loop_init(&s->loop, err);

    if (r < 0)
        return r;
    r = loop_on_signal(&s->loop, SIGTERM, on_signal, s, err);
    if (r == 0)
        r = listen_all(s, err);
    if (r == 0)
        loop_run(&s->loop);
    for (int i = 0; i < s->settings.agents; i++)
        http_server_close(s->servers[i]);
    loop_fini(&s->loop);
    return r;
}

static int print_help(void)
{
    struct buf text;

    buf_init(&text, 65536);
    if (args_help(&command, &text) == 0)
        fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
    return 0;
}

int main(int argc, char **argv)
{
    static struct stub stub;
    struct err err = {0};
    int positionals;
    int r = args_parse(&command, argc, argv, &stub.settings, &positionals, &err);

    if (r == ARGS_HELP)
        return print_help();
    buf_init(&stub.answer, ANSWER_MAX);
    stub.run_id = id_make(clock_system(), rng_system());
    if (r == 0)
        r = run(&stub, &err);
    buf_fini(&stub.answer);
    if (r < 0)
        fprintf(stderr, "spate-stub-agent: %s\n", err_message(&err));
    return r < 0 ? 1 : 0;
}
