/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway costs: streaming requests/s on one core, and the latency that it adds to a
 * stream, with short prompts and with long ones. Four stub agents (stub_agent.c) answer at once;
 * the same requests go to one of them directly, in the same run, for comparison. Load, stubs and
 * control plane share the other cores.
 *
 *     bench_gateway [--requests N] [--rate N] [--rounds N]
 */
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "control_plane.h"
#include "drive.h"
#include "tests/bench/common/bench.h"
#include "tests/bench/common/process.h"

enum {
    TOKENS = 16,
    AGENTS = 4,
    SLOTS = 256,
    CONCURRENCY = 64,
    LONG_CONCURRENCY = 8,
    LONG_PROMPT_BYTES = 220 * 1024,
    LONG_SHARE = 8, /* so many fewer requests with long prompts */
    RATE_CONCURRENCY = 1000,
    WARM_REQUESTS = 200,
    ROUNDS_MAX = 100,
    START_TURN_MS = 10,
    START_MS = 10000,
};

struct settings {
    bool json;
    int64_t requests;
    int64_t rate;
    int64_t rounds;
};

static const struct arg_option options[] = {
    BENCH_OPTION_JSON(struct settings),
    {"requests", 'n', ARG_INT, offsetof(struct settings, requests), "N", "4000",
     "requests of a round", .min = 100, .max = 1000000},
    {"rate", 'r', ARG_INT, offsetof(struct settings, rate), "N", "500",
     "requests a second where latency is measured", .min = 1, .max = 100000},
    {"rounds", 0, ARG_INT, offsetof(struct settings, rounds), "N", "5",
     "rounds; the median one is reported", .min = 1, .max = ROUNDS_MAX},
};

static const struct arg_command command = {
    .name = "bench_gateway",
    .summary = "Measures the gateway between a load and four agents that take no time.",
    .usage = "[options]",
    .examples = "bench_gateway\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

struct setup {
    struct bench bench;
    struct settings settings;
    struct loop loop;
    struct http_client *client;
    struct control_plane plane;
    struct bench_process stubs;
    struct bench_process gateway;
    char folder[BENCH_PATH_MAX];
    char gateway_address[BENCH_ADDRESS_MAX];
    char stub_address[BENCH_ADDRESS_MAX];
    struct buf stub_addresses;
    struct buf body;
    struct buf long_body;
};

/* --- start ----------------------------------------------------------------------------------- */

static int make_body(struct buf *out, size_t prompt_bytes, struct err *err)
{
    buf_init(out, prompt_bytes + 4096);
    buf_append_text(out, "{\"model\":\"stub\",\"stream\":true,\"stream_options\":{"
                         "\"include_usage\":true},\"max_tokens\":16,\"messages\":[{\"role\":"
                         "\"user\",\"content\":\"");
    while (out->len < prompt_bytes && !out->failed)
        buf_append_text(out, "The quick brown fox jumps over the lazy dog. ");
    buf_append_text(out, "\"}]}");
    return buf_check(out, "the request", err);
}

static int start_stubs(struct setup *s, struct err *err)
{
    char agents[16];
    struct str rest;
    struct str first;
    int r;

    snprintf(agents, sizeof(agents), "%d", AGENTS);
    snprintf(s->stubs.address_file, BENCH_PATH_MAX, "%.400s/stubs", s->folder);
    r = bench_process_start(&s->stubs, s->folder,
                            (const char *const[]){"spate-stub-agent", "--address-file",
                                                  s->stubs.address_file, "--agents", agents, NULL},
                            -1, err);
    if (r == 0)
        r = bench_process_wait_file(&s->stubs, s->stubs.address_file, err);
    if (r == 0)
        r = file_read(s->stubs.address_file, &s->stub_addresses, err);
    rest = buf_str(&s->stub_addresses);
    first = str_cut(&rest, '\n');
    snprintf(s->stub_address, sizeof(s->stub_address), "%.*s", STR_ARG(first));
    return r;
}

/* On the last core, alone there as far as this bench goes. */
static int start_gateway(struct setup *s, struct err *err)
{
    char url[64];
    char state[BENCH_PATH_MAX];
    char credential[BENCH_PATH_MAX];
    double end = bench_now_ms() + START_MS;
    int r;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d", s->plane.port);
    snprintf(state, sizeof(state), "%.400s/state", s->folder);
    snprintf(credential, sizeof(credential), "%.400s/credential", s->folder);
    snprintf(s->gateway.address_file, BENCH_PATH_MAX, "%.400s/gateway", s->folder);
    if ((r = file_write_atomic(credential, STR("bench\n"), 0600, err)) < 0 ||
        (r = bench_process_start(
             &s->gateway, s->folder,
             (const char *const[]){"spate-gateway", "--state", state, "--operator", url, "--ledger",
                                   url, "--credential-file", credential, "--listen", "127.0.0.1:0",
                                   "--address-file", s->gateway.address_file, NULL},
             (int)sysconf(_SC_NPROCESSORS_ONLN) - 1, err)) < 0 ||
        (r = bench_process_address(&s->gateway, s->gateway_address, err)) < 0)
        return r;
    while (!s->plane.acknowledged && bench_now_ms() < end)
        loop_turn(&s->loop, START_TURN_MS);
    return s->plane.acknowledged ? 0 : err_set(err, ERR_TIMEOUT, "the gateway took no routes");
}

/* With more than one core, the bench and what it starts leave the gateway's core alone. */
static void leave_last_core(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;

    CPU_ZERO(&set);
    for (long i = 0; i < cores - 1; i++)
        CPU_SET((unsigned)i, &set);
    if (cores > 1)
        (void)sched_setaffinity(0, sizeof(set), &set);
}

static int start(struct setup *s, struct err *err)
{
    int r;

    leave_last_core();
    buf_init(&s->stub_addresses, 16384);
    if ((r = make_body(&s->body, 0, err)) < 0 ||
        (r = make_body(&s->long_body, LONG_PROMPT_BYTES, err)) < 0 ||
        (r = bench_folder_make(s->folder, err)) < 0 || (r = start_stubs(s, err)) < 0 ||
        (r = http_client_new(&s->client, &s->loop, NULL, err)) < 0 ||
        (r = control_plane_init(&s->plane, &s->loop, buf_str(&s->stub_addresses), SLOTS, err)) < 0)
        return r;
    return start_gateway(s, err);
}

static void stop(struct setup *s)
{
    bench_process_stop(&s->gateway);
    bench_process_stop(&s->stubs);
    http_client_close(s->client);
    control_plane_fini(&s->plane);
    if (s->folder[0] != '\0')
        bench_folder_remove(s->folder);
    buf_fini(&s->stub_addresses);
    buf_fini(&s->body);
    buf_fini(&s->long_body);
}

/* --- measuring ------------------------------------------------------------------------------- */

static int drive(struct setup *s, struct drive_result *out, bool through, struct drive_options load,
                 struct err *err)
{
    load.address = through ? s->gateway_address : s->stub_address;
    load.key = through ? CONTROL_PLANE_KEY : NULL;
    load.tokens = TOKENS;
    return drive_run(out, &s->loop, s->client, &load, err);
}

struct rates {
    double through[ROUNDS_MAX];
    double direct[ROUNDS_MAX];
    double cpu_us[ROUNDS_MAX]; /* of the gateway, for one request */
};

static int rate_round(struct setup *s, struct rates *rates, int round,
                      const struct drive_options *load, struct err *err)
{
    struct drive_result result = {0};
    double cpu;
    int r = drive(s, &result, false, *load, err);

    rates->direct[round] = result.count / result.seconds;
    drive_result_fini(&result);
    if (r < 0)
        return r;
    cpu = bench_process_cpu_s(&s->gateway);
    r = drive(s, &result, true, *load, err);
    rates->through[round] = result.count / result.seconds;
    rates->cpu_us[round] = (bench_process_cpu_s(&s->gateway) - cpu) / result.count * 1e6;
    drive_result_fini(&result);
    return r;
}

static int measure_rate(struct setup *s, const char *prompts, const struct drive_options *load,
                        const char *aim, struct err *err)
{
    static struct rates rates;
    size_t rounds = (size_t)s->settings.rounds;
    char what[128];
    char workload[256];
    double median;
    double cpu;

    for (size_t i = 0; i < rounds; i++) {
        int r = rate_round(s, &rates, (int)i, load, err);

        if (r < 0)
            return r;
    }
    cpu = bench_quantile(rates.cpu_us, rounds, 0.5);
    median = bench_quantile(rates.through, rounds, 0.5); /* sorts: least first */
    snprintf(workload, sizeof(workload),
             "%d requests at once, %d tokens each, %d rounds of %d (least %.0f, most %.0f)",
             load->concurrency, TOKENS, (int)rounds, load->requests,
             bench_quantile(rates.through, rounds, 0), rates.through[rounds - 1]);
    snprintf(what, sizeof(what), "streams through the gateway, %s", prompts);
    bench_report(&s->bench,
                 &(struct bench_figure){.what = what,
                                        .value = median,
                                        .unit = "requests/s",
                                        .workload = workload,
                                        .aim = aim,
                                        .peer = "stub directly",
                                        .peer_value = bench_quantile(rates.direct, rounds, 0.5)});
    snprintf(what, sizeof(what), "gateway's core alone, %s", prompts);
    snprintf(workload, sizeof(workload), "same run: %.0f us of CPU time for each request", cpu);
    bench_report(&s->bench, &(struct bench_figure){.what = what,
                                                   .value = 1e6 / cpu,
                                                   .unit = "requests/s of CPU",
                                                   .workload = workload,
                                                   .aim = aim});
    return 0;
}

/* Quantiles of one round each: [first byte, whole answer][direct, through]. */
struct latencies {
    double p50[2][2][ROUNDS_MAX];
    double p99[2][2][ROUNDS_MAX];
};

static int latency_round(struct setup *s, struct latencies *l, int round,
                         const struct drive_options *load, struct err *err)
{
    for (int through = 0; through < 2; through++) {
        struct drive_result result = {0};
        int r = drive(s, &result, through == 1, *load, err);
        size_t count = (size_t)result.count;

        if (r == 0) {
            l->p50[0][through][round] = bench_quantile(result.first_ms, count, 0.5);
            l->p99[0][through][round] = bench_quantile(result.first_ms, count, 0.99);
            l->p50[1][through][round] = bench_quantile(result.whole_ms, count, 0.5);
            l->p99[1][through][round] = bench_quantile(result.whole_ms, count, 0.99);
        }
        drive_result_fini(&result);
        if (r < 0)
            return r;
    }
    return 0;
}

static void report_added(struct setup *s, const char *what, double through, double direct,
                         const char *workload, const char *aim)
{
    char text[320];

    snprintf(text, sizeof(text), "%s; through %.2f ms, directly %.2f ms", workload, through,
             direct);
    bench_report(
        &s->bench,
        &(struct bench_figure){
            .what = what, .value = through - direct, .unit = "ms", .workload = text, .aim = aim});
}

static int measure_latency(struct setup *s, const char *prompts, const struct drive_options *load,
                           struct err *err)
{
    static const char *const parts[] = {"first byte", "whole answer"};
    static struct latencies l;
    size_t rounds = (size_t)s->settings.rounds;
    char workload[160];
    char what[96];

    for (size_t i = 0; i < rounds; i++) {
        int r = latency_round(s, &l, (int)i, load, err);

        if (r < 0)
            return r;
    }
    snprintf(workload, sizeof(workload), "%d requests/s, median of %d rounds of %d requests",
             load->rate, (int)rounds, load->requests);
    for (int part = 0; part < 2; part++) {
        snprintf(what, sizeof(what), "added p50 of the %s, %s", parts[part], prompts);
        report_added(s, what, bench_quantile(l.p50[part][1], rounds, 0.5),
                     bench_quantile(l.p50[part][0], rounds, 0.5), workload, NULL);
        snprintf(what, sizeof(what), "added p99 of the %s, %s", parts[part], prompts);
        report_added(s, what, bench_quantile(l.p99[part][1], rounds, 0.5),
                     bench_quantile(l.p99[part][0], rounds, 0.5), workload, "<= 1 ms");
    }
    return 0;
}

static int measure(struct setup *s, struct err *err)
{
    int requests = (int)s->settings.requests;
    struct drive_result warm = {0};
    struct drive_options fast = {
        .body = buf_str(&s->body), .requests = requests, .concurrency = CONCURRENCY};
    struct drive_options paced = {.body = buf_str(&s->body),
                                  .requests = requests / 2,
                                  .concurrency = RATE_CONCURRENCY,
                                  .rate = (int)s->settings.rate};
    struct drive_options large = {.body = buf_str(&s->long_body),
                                  .requests = requests / LONG_SHARE,
                                  .concurrency = LONG_CONCURRENCY};
    struct drive_options first = fast;
    int r;

    first.requests = WARM_REQUESTS;
    r = drive(s, &warm, true, first, err);
    drive_result_fini(&warm);
    if (r < 0 ||
        (r = measure_rate(s, "short prompts", &fast, "5000 requests/s on one core", err)) < 0 ||
        (r = measure_latency(s, "short prompts", &paced, err)) < 0)
        return r;
    return measure_rate(s, "220 KiB prompts", &large, NULL, err);
}

int main(int argc, char **argv)
{
    static struct setup s = {.bench = {.name = "gateway"}};
    struct err err = {0};
    int positionals;
    int exit_code;
    int r;

    if (!bench_parse(&command, argc, argv, &s.settings, &positionals, &exit_code))
        return exit_code;
    s.bench.json = s.settings.json;
    if (loop_init(&s.loop, &err) < 0)
        return bench_fail(&s.bench, &err);
    bench_begin(&s.bench);
    r = start(&s, &err);
    if (r == 0)
        r = measure(&s, &err);
    stop(&s);
    loop_fini(&s.loop);
    return r < 0 ? bench_fail(&s.bench, &err) : 0;
}
