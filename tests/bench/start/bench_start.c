/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From nothing to the first token: the time from before fork until the first event of a streamed
 * chat has arrived, with a fresh agent process each time. The files of the model are in the page
 * cache (a first run that is not counted puts them there).
 *
 *     bench_start [--runs N] [--model PATH]...
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/bench/common/bench.h"
#include "tests/bench/common/process.h"

enum { RUNS_MAX = 1000, ANSWER_MS = 60000, RETRY_US = 200 };

struct settings {
    bool json;
    int64_t runs;
    struct arg_list models;
};

static const struct arg_option options[] = {
    BENCH_OPTION_JSON(struct settings),
    {"model", 'm', ARG_LIST, offsetof(struct settings, models), "PATH", NULL,
     "folder or GGUF file of a model; may be given more than once"},
    {"runs", 'n', ARG_INT, offsetof(struct settings, runs), "N", "15", "runs of each model",
     .min = 1, .max = RUNS_MAX},
};

static const struct arg_command command = {
    .name = "bench_start",
    .summary = "Measures agent process start to first token.",
    .usage = "[options] --model PATH",
    .examples = "bench_start --model models/brook\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

#define CHAT                                                                                  \
    "{\"model\":\"bench\",\"stream\":true,\"temperature\":0,\"max_tokens\":8,\"messages\":[{" \
    "\"role\":\"user\",\"content\":\"What is 345 + 678?\"}]}"

/* While the model loads the agent refuses by 503: ask again. */
static int first_token(const char *address, struct err *err)
{
    double end = bench_now_ms() + ANSWER_MS;
    int status = 0;
    int r;

    do {
        r = bench_first_event(address, "/v1/chat/completions", NULL, STR(CHAT), ANSWER_MS, &status,
                              err);
        if (r == 0 && status == 503)
            bench_sleep_us(RETRY_US);
    } while (r == 0 && status == 503 && bench_now_ms() < end);
    if (r == 0 && status != 200)
        r = err_set(err, ERR_PROTOCOL, "the agent answered with status %d", status);
    return r;
}

static int run_once(const char *model, int run, double *first_ms, double *listen_ms,
                    struct err *err)
{
    struct bench_process agent = {0};
    char folder[BENCH_PATH_MAX];
    char address[BENCH_ADDRESS_MAX];
    double start;
    int r = bench_folder_make(folder, err);

    if (r < 0)
        return r;
    snprintf(agent.address_file, sizeof(agent.address_file), "%.400s/address-%d", folder, run);
    start = bench_now_ms();
    r = bench_process_start(&agent, folder,
                            (const char *const[]){"spate-agent", "--model", model, "--served-model",
                                                  "bench", "--listen", "127.0.0.1:0",
                                                  "--address-file", agent.address_file, NULL},
                            -1, err);
    if (r == 0)
        r = bench_process_address(&agent, address, err);
    *listen_ms = bench_now_ms() - start;
    if (r == 0)
        r = first_token(address, err);
    *first_ms = bench_now_ms() - start;
    bench_process_stop(&agent);
    bench_folder_remove(folder);
    return r;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static int measure(const struct bench *b, const char *model, int runs, struct err *err)
{
    double first[RUNS_MAX];
    double listen[RUNS_MAX];
    char what[160];
    char workload[256];
    double median;
    int r = run_once(model, 0, &first[0], &listen[0], err);

    for (int i = 0; r == 0 && i < runs; i++)
        r = run_once(model, i + 1, &first[i], &listen[i], err);
    if (r < 0)
        return r;
    median = bench_quantile(first, (size_t)runs, 0.5);
    snprintf(what, sizeof(what), "agent start to first token, %s", base_name(model));
    snprintf(workload, sizeof(workload),
             "median of %d runs (least %.1f, 90 %% %.1f, most %.1f); listening after %.1f", runs,
             first[0], bench_quantile(first, (size_t)runs, 0.9), first[runs - 1],
             bench_quantile(listen, (size_t)runs, 0.5));
    bench_report(b, &(struct bench_figure){.what = what,
                                           .value = median,
                                           .unit = "ms",
                                           .workload = workload,
                                           .aim = "<= 100 ms for a small model"});
    return 0;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct bench b = {.name = "start"};
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!bench_parse(&command, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    if (settings.models.count == 0) {
        (void)err_set(&err, ERR_INVALID, "no model given; name one: --model models/brook");
        return bench_fail(&b, &err);
    }
    b.json = settings.json;
    bench_begin(&b);
    for (int i = 0; i < settings.models.count; i++) {
        if (measure(&b, settings.models.items[i], (int)settings.runs, &err) < 0)
            return bench_fail(&b, &err);
    }
    return 0;
}
