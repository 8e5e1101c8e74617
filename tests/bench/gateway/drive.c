/* SPDX-License-Identifier: Apache-2.0 */
/* The load: see drive.h. */
#include "drive.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/bench/common/bench.h"

enum { ANSWER_MAX = 4 << 20, SILENCE_MS = 30000, TICK_MS = 1 };

struct drive {
    const struct drive_options *options;
    struct drive_result *result;
    struct loop *loop;
    struct http_client *client;
    struct loop_timer tick; /* of a rate */
    struct loop_deferred more;
    char authorization[160];
    double begun_ms;
    int started;
    struct err err; /* the first failure */
    bool failed;
};

struct one {
    struct drive *drive;
    struct buf answer;
    double sent_ms;
    double first_ms;
    int status;
};

void drive_result_fini(struct drive_result *result)
{
    mem_free(result->first_ms);
    mem_free(result->whole_ms);
    *result = (struct drive_result){0};
}

static void one_free(struct one *one)
{
    buf_fini(&one->answer);
    mem_free(one);
}

/* The number of places where `needle` stands. */
static int count_of(struct str text, struct str needle)
{
    int count = 0;
    int64_t at;

    while ((at = str_find(text, needle)) >= 0) {
        count++;
        text = str_slice(text, (size_t)at + needle.len, text.len);
    }
    return count;
}

static void fail(struct drive *d, const char *reason, struct str answer)
{
    if (!d->failed)
        (void)err_set(&d->err, ERR_PROTOCOL, "%s: %s: %.*s", d->options->address, reason,
                      STR_ARG(str_slice(answer, 0, 200)));
    d->failed = true;
    loop_quit(d->loop);
}

static void check(struct one *one, enum http_result result)
{
    struct drive *d = one->drive;
    struct str answer = buf_str(&one->answer);

    if (result != HTTP_DONE)
        fail(d, http_result_name(result), answer);
    else if (one->status != 200)
        fail(d, "the status is not 200", answer);
    else if (!str_ends(answer, STR("data: [DONE]\n\n")))
        fail(d, "an answer has no end", answer);
    else if (count_of(answer, STR("\"content\":")) != d->options->tokens)
        fail(d, "an answer has lost tokens", answer);
}

static void on_head(struct http_call *call, void *user, int status,
                    const struct http_headers *headers)
{
    struct one *one = user;

    (void)call;
    (void)headers;
    one->status = status;
}

static void on_data(struct http_call *call, void *user, struct str bytes)
{
    struct one *one = user;

    (void)call;
    if (one->answer.len == 0)
        one->first_ms = bench_now_ms() - one->sent_ms;
    buf_append_str(&one->answer, bytes);
}

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    struct one *one = user;
    struct drive *d = one->drive;
    struct drive_result *to = d->result;
    double now = bench_now_ms();

    (void)call;
    (void)err;
    check(one, result);
    to->first_ms[to->count] = one->first_ms;
    to->whole_ms[to->count] = now - one->sent_ms;
    to->count++;
    to->seconds = (now - d->begun_ms) / 1000;
    one_free(one);
    if (to->count == d->options->requests)
        loop_quit(d->loop);
    else if (d->options->rate == 0)
        loop_defer(d->loop, &d->more);
}

static int start_one(struct drive *d, struct err *err)
{
    const struct drive_options *o = d->options;
    struct http_header headers[2] = {{STR("content-type"), STR("application/json")},
                                     {STR("authorization"), str_of(d->authorization)}};
    struct one *one = mem_alloc(sizeof(*one));
    struct http_call *call;
    int r;

    if (one == NULL)
        return err_no_memory(err);
    one->drive = d;
    one->sent_ms = bench_now_ms();
    buf_init(&one->answer, ANSWER_MAX);
    r = http_call_start(&call, d->client,
                        &(struct http_call_options){
                            .address = str_of(o->address),
                            .method = STR("POST"),
                            .target = STR("/v1/chat/completions"),
                            .headers = headers,
                            .header_count = o->key != NULL ? 2 : 1,
                            .body = o->body,
                            .first_byte_timeout_ms = SILENCE_MS,
                            .idle_timeout_ms = SILENCE_MS,
                            .on_head = on_head,
                            .on_data = on_data,
                            .on_done = on_done,
                            .user = one,
                        },
                        err);
    if (r < 0)
        one_free(one);
    else
        d->started++;
    return r;
}

/* How many should have been started by now. */
static int due(const struct drive *d)
{
    const struct drive_options *o = d->options;
    double by_rate = (bench_now_ms() - d->begun_ms) / 1000 * o->rate + 1;

    return o->rate > 0 && by_rate < o->requests ? (int)by_rate : o->requests;
}

static void start_due(void *object)
{
    struct drive *d = object;

    while (!d->failed && d->started < due(d) &&
           d->started - d->result->count < d->options->concurrency) {
        struct err err = {0};

        if (start_one(d, &err) < 0)
            fail(d, err_message(&err), STR_NONE);
    }
    if (d->options->rate > 0 && d->started < d->options->requests)
        loop_timer_start(d->loop, &d->tick, TICK_MS);
}

int drive_run(struct drive_result *out, struct loop *loop, struct http_client *client,
              const struct drive_options *options, struct err *err)
{
    struct drive d = {.options = options, .result = out, .loop = loop, .client = client};
    size_t count = (size_t)options->requests;

    *out = (struct drive_result){0};
    out->first_ms = mem_array(count, sizeof(*out->first_ms));
    out->whole_ms = mem_array(count, sizeof(*out->whole_ms));
    if (out->first_ms == NULL || out->whole_ms == NULL)
        return err_no_memory(err);
    if (options->key != NULL)
        snprintf(d.authorization, sizeof(d.authorization), "Bearer %s", options->key);
    loop_timer_init(&d.tick, start_due, &d);
    loop_deferred_init(&d.more, start_due, &d);
    d.begun_ms = bench_now_ms();
    start_due(&d);
    loop_run(loop);
    loop_timer_stop(&d.tick);
    loop_defer_cancel(loop, &d.more);
    if (d.failed)
        *err = d.err;
    return d.failed ? -ERR_PROTOCOL : 0;
}
