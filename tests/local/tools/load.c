/* SPDX-License-Identifier: Apache-2.0 */
/* spate-load: command line, the number of streams in flight, and the sum at the end. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "load.h"

enum { FAULTS_SHOWN_MAX = 5 };

static const struct arg_option options[] = {
    {"gateway", 'g', ARG_TEXT, offsetof(struct load_settings, gateway), "URL",
     "http://127.0.0.1:8080", "where the requests go"},
    {"key", 'k', ARG_LIST, offsetof(struct load_settings, keys), "KEY", NULL,
     "API key; with several the requests take turns"},
    {"model", 'm', ARG_TEXT, offsetof(struct load_settings, model), "NAME", "brook",
     "model to ask"},
    {"prompt", 'p', ARG_TEXT, offsetof(struct load_settings, prompt), "TEXT", NULL,
     "ask this each time (default: random sums, which are checked)"},
    {"requests", 'n', ARG_INT, offsetof(struct load_settings, requests), "N", "1",
     "requests in all", .min = 1, .max = 10000000},
    {"concurrency", 'c', ARG_INT, offsetof(struct load_settings, concurrency), "N", "1",
     "requests at once", .min = 1, .max = 4000},
    {"max-tokens", 0, ARG_INT, offsetof(struct load_settings, max_tokens), "N", "256",
     "length of an answer at most", .min = 1, .max = 1 << 20},
    {"ignore-eos", 0, ARG_FLAG, offsetof(struct load_settings, ignore_eos), NULL, NULL,
     "go on to --max-tokens whatever the model says"},
    {"seed", 0, ARG_INT, offsetof(struct load_settings, seed), "N", "1", "of the random sums",
     .min = 0, .max = INT64_MAX},
    {"timeout", 0, ARG_DURATION, offsetof(struct load_settings, timeout_ms), "TIME", "60s",
     "silence after which a stream has failed", .min = 1, .max = 3600000},
    {"out", 'o', ARG_TEXT, offsetof(struct load_settings, out), "FILE", NULL,
     "write one JSON line for each request here"},
    {"quiet", 'q', ARG_FLAG, offsetof(struct load_settings, quiet), NULL, NULL,
     "do not print the faults of single requests"},
};

static const struct arg_command command = {
    .name = "spate-load",
    .summary = "Sends streaming chats and checks every one as a strict client would.",
    .usage = "[options]",
    .examples = "spate-load --key $KEY --requests 300 --concurrency 64\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

static void write_line(struct load *load, const struct load_stream *s)
{
    struct json_writer w;
    struct buf line;

    if (load->out == NULL)
        return;
    buf_init(&line, 4 * (size_t)LOAD_ANSWER_BYTES_MAX);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_i64(&w, "index", s->index);
    json_put_i64(&w, "status", s->status);
    json_put_text(&w, "id", s->id);
    json_put_text(&w, "question", s->question);
    json_put_str(&w, "reasoning", buf_str(&s->thought));
    json_put_str(&w, "content", buf_str(&s->text));
    json_put_text(&w, "finish", s->finish);
    json_put_text(&w, "fault", s->fault);
    json_put_i64(&w, "prompt_tokens", s->prompt_tokens);
    json_put_i64(&w, "completion_tokens", s->completion_tokens);
    json_put_i64(&w, "first_ms", s->first_ms);
    json_key(&w, "ids");
    json_open(&w, '[');
    json_add_raw(&w, buf_str(&s->ids));
    json_close(&w, ']');
    json_close(&w, '}');
    buf_append_char(&line, '\n');
    fwrite(line.ptr, 1, line.len, load->out);
    buf_fini(&line);
}

static void start_more(struct load *load)
{
    const struct load_settings *settings = load->settings;
    struct err err = {0};

    while (load->started < settings->requests &&
           load->started - load->finished < settings->concurrency) {
        if (load_stream_start(load, &err) < 0) {
            fprintf(stderr, "spate-load: %s\n", err_message(&err));
            loop_quit(&load->loop);
            return;
        }
    }
    if (load->finished == settings->requests)
        loop_quit(&load->loop);
}

void load_stream_over(struct load *load, const struct load_stream *s)
{
    struct str expected = str_of(s->expected);

    write_line(load, s);
    if (s->fault[0] == '\0')
        load->good++;
    else if (!load->settings->quiet && load->faults_shown++ < FAULTS_SHOWN_MAX)
        fprintf(stderr, "spate-load: request %lld (%s): %s\n", (long long)s->index, s->id,
                s->fault);
    if (expected.len > 0 && str_find(buf_str(&s->text), expected) >= 0)
        load->right++;
    if (s->completion_tokens > 0)
        load->tokens += s->completion_tokens;
    load->prompt_tokens += s->prompt_tokens;
    load->first_ms[load->finished++] = s->first_ms;
    start_more(load);
}

static int compare_i64(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;

    return (*a > *b) - (*a < *b);
}

static void print_sum(struct load *load)
{
    size_t count = (size_t)load->finished;
    struct json_writer w;
    struct buf line;

    qsort(load->first_ms, count, sizeof(load->first_ms[0]), compare_i64);
    buf_init(&line, 4096);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_i64(&w, "requests", load->settings->requests);
    json_put_i64(&w, "good", load->good);
    json_put_i64(&w, "right", load->right);
    json_put_i64(&w, "prompt_tokens", load->prompt_tokens);
    json_put_i64(&w, "tokens", load->tokens);
    json_put_i64(&w, "ms", now_ms() - load->begun_ms);
    if (count > 0) {
        json_put_i64(&w, "first_ms_median", load->first_ms[count / 2]);
        json_put_i64(&w, "first_ms_max", load->first_ms[count - 1]);
    }
    json_close(&w, '}');
    printf("%.*s\n", STR_ARG(buf_str(&line)));
    buf_fini(&line);
}

static int load_open(struct load *load, struct err *err)
{
    const struct load_settings *settings = load->settings;
    struct str url = str_of(settings->gateway);
    struct http_client_options client = {
        .connections = (size_t)settings->concurrency + 1,
        .connections_per_origin = (size_t)settings->concurrency + 1,
    };
    int r;

    if (!str_starts(url, STR("http://")))
        return err_set(err, ERR_INVALID, "--gateway %s is not an http:// URL", settings->gateway);
    load->address = str_slice(url, strlen("http://"), url.len);
    if (str_find_char(load->address, '/') >= 0)
        load->address.len = (size_t)str_find_char(load->address, '/');
    load->first_ms = mem_array((size_t)settings->requests, sizeof(load->first_ms[0]));
    if (load->first_ms == NULL)
        return err_no_memory(err);
    if (settings->out != NULL) {
        load->out = fopen(settings->out, "we");
        if (load->out == NULL)
            return err_set(err, ERR_IO, "--out %s can't be written", settings->out);
    }
    rng_seeded_init(&load->rng, (uint64_t)settings->seed);
    r = loop_init(&load->loop, err);
    return r < 0 ? r : http_client_new(&load->client, &load->loop, &client, err);
}

static int run(const struct load_settings *settings)
{
    struct load load = {.settings = settings};
    struct err err = {0};

    if (load_open(&load, &err) < 0) {
        fprintf(stderr, "spate-load: %s\n", err_message(&err));
        return 1;
    }
    load.begun_ms = now_ms();
    start_more(&load);
    if (load.finished < settings->requests && load.started > 0)
        loop_run(&load.loop);
    print_sum(&load);
    http_client_close(load.client);
    loop_fini(&load.loop);
    mem_free(load.first_ms);
    if (load.out != NULL && fclose(load.out) != 0) {
        fprintf(stderr, "spate-load: --out %s can't be written\n", settings->out);
        return 1;
    }
    return load.good == settings->requests ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct load_settings settings = {0};
    struct err err = {0};
    struct buf help;
    int positionals;
    int r = args_parse(&command, argc, argv, &settings, &positionals, &err);

    if (r < 0) {
        fprintf(stderr, "spate-load: %s\n", err_message(&err));
        return 2;
    }
    if (r == ARGS_HELP) {
        buf_init(&help, 65536);
        if (args_help(&command, &help) == 0)
            fwrite(help.ptr, 1, help.len, stdout);
        buf_fini(&help);
        return 0;
    }
    return run(&settings);
}
