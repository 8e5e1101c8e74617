/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zero to first token: a whole Spate on this machine (`spate up` with its operator, gateway and
 * ledger), a model without replicas, and a streamed chat to the gateway. The time runs from before
 * the connection to the gateway until the first event with data has arrived. Then the model is left
 * alone until its pod is gone, and asked again.
 *
 *     bench_wake [--runs N] [--model FOLDER]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/bench/common/bench.h"
#include "tests/bench/common/process.h"

enum {
    RUNS_MAX = 1000,
    ANSWER_MS = 60000,
    READY_MS = 30000,
    ZERO_MS = 60000,
    POLL_US = 20000,
    REST_US = 300000, /* after zero was seen, so that nothing of the pod's end is left */
    OUTPUT_MAX = 1 << 20,
};

struct settings {
    bool json;
    int64_t runs;
    const char *model;
};

static const struct arg_option options[] = {
    BENCH_OPTION_JSON(struct settings),
    {"model", 'm', ARG_TEXT, offsetof(struct settings, model), "FOLDER", NULL,
     "absolute path of a model (default: the shipped one of this source tree)"},
    {"runs", 'n', ARG_INT, offsetof(struct settings, runs), "N", "15", "wakes that are measured",
     .min = 1, .max = RUNS_MAX},
};

static const struct arg_command command = {
    .name = "bench_wake",
    .summary = "Measures a request to a model at zero replicas, to its first token.",
    .usage = "[options]",
    .examples = "bench_wake --runs 30\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

#define CHAT                                                                                  \
    "{\"model\":\"bench\",\"stream\":true,\"temperature\":0,\"max_tokens\":8,\"messages\":[{" \
    "\"role\":\"user\",\"content\":\"What is 345 + 678?\"}]}"

#define OBJECTS                                                                                   \
    "apiVersion: spate.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: bench, namespace: "  \
    "default}\nspec:\n  model: {uri: \"file://%s\"}\n  engine: {threads: 1, slots: 4}\n"          \
    "  scaling:\n    minReplicas: 0\n    maxReplicas: 1\n    scaleDownDelaySeconds: 1\n"          \
    "    idle: {afterSeconds: 1}\n---\n"                                                          \
    "apiVersion: spate.dev/v1alpha1\nkind: PriceBook\nmetadata: {name: list}\nspec:\n  prices:\n" \
    "    - {model: default/bench, input: \"0.55\", cachedInput: \"0.14\", output: "               \
    "\"2.19\"}\n---\n"                                                                            \
    "apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: bench}\nspec:\n"              \
    "  namespaces: [default]\n  priceBook: list\n"

struct setup {
    char folder[BENCH_PATH_MAX];
    char spate[BENCH_PATH_MAX];
    struct bench_process up;
    char gateway[BENCH_ADDRESS_MAX];
    char key[256];
};

/* Runs `spate` on the installation and gives its output. */
static int spate(const struct setup *s, const char *const *args, struct buf *out, struct err *err)
{
    buf_clear(out);
    return bench_process_output(out, s->folder, args, err);
}

#define SPATE(...) ((const char *const[]){"spate", __VA_ARGS__, NULL})

/* "http://127.0.0.1:8080" of endpoints.json to an address. */
static int read_gateway(struct setup *s, struct err *err)
{
    char path[BENCH_PATH_MAX];
    json_auto_t *tree = NULL;
    struct buf text;
    struct str url = STR_NONE;
    int r;

    snprintf(path, sizeof(path), "%.400s/endpoints.json", s->folder);
    buf_init(&text, OUTPUT_MAX);
    r = file_read(path, &text, err);
    if (r == 0)
        r = json_read(&tree, buf_str(&text), &json_limits_default, path, err);
    if (r == 0)
        r = json_get_str(tree, "gateway", true, &url, err);
    if (r == 0 && !str_starts(url, STR("http://")))
        r = err_set(err, ERR_INVALID, "the gateway's URL is not http");
    if (r == 0) {
        url = str_slice(url, strlen("http://"), url.len);
        snprintf(s->gateway, sizeof(s->gateway), "%.*s", STR_ARG(url));
    }
    buf_fini(&text);
    return r;
}

/* `spate up` is ready when a listing works and the addresses are written. */
static int wait_ready(struct setup *s, struct buf *out, struct err *err)
{
    double end = bench_now_ms() + READY_MS;
    int r;

    while ((r = spate(s, SPATE("get", "md"), out, err)) < 0 || (r = read_gateway(s, err)) < 0) {
        if (bench_now_ms() > end)
            return r;
        bench_sleep_us(POLL_US);
    }
    return 0;
}

static int apply(struct setup *s, const char *model, struct buf *out, struct err *err)
{
    char path[BENCH_PATH_MAX];
    struct buf manifest;
    struct str key;
    int r;

    snprintf(path, sizeof(path), "%.400s/bench.yaml", s->folder);
    buf_init(&manifest, OUTPUT_MAX);
    buf_printf(&manifest, OBJECTS, model);
    r = file_write_atomic(path, buf_str(&manifest), 0600, err);
    buf_fini(&manifest);
    if (r < 0 || (r = spate(s, SPATE("apply", "-f", path), out, err)) < 0 ||
        (r = spate(s, SPATE("tenant", "key", "create", "bench"), out, err)) < 0)
        return r;
    key = str_trim(buf_str(out));
    snprintf(s->key, sizeof(s->key), "%.*s", STR_ARG(key));
    return 0;
}

/* models/brook of the source tree that the program was built in: PREFIX/build/PRESET/bin. */
static int shipped_model(char out[BENCH_PATH_MAX], const struct setup *s, struct err *err)
{
    char relative[BENCH_PATH_MAX + 64];
    char *path;

    snprintf(relative, sizeof(relative), "%.*s/../../../models/brook",
             (int)(strrchr(s->spate, '/') - s->spate), s->spate);
    path = realpath(relative, NULL);
    if (path == NULL)
        return err_set(err, ERR_NOT_FOUND, "the shipped model is not there; name one: --model");
    snprintf(out, BENCH_PATH_MAX, "%.500s", path);
    free(path);
    return 0;
}

static int start(struct setup *s, const char *model, struct buf *out, struct err *err)
{
    char shipped[BENCH_PATH_MAX];
    int r;

    if ((r = bench_folder_make(s->folder, err)) < 0 ||
        (r = bench_program(s->spate, "spate", err)) < 0 ||
        (model == NULL && (r = shipped_model(shipped, s, err)) < 0))
        return r;
    setenv("SPATE_STATE", s->folder, 1);
    if ((r = bench_process_start(&s->up, s->folder,
                                 (const char *const[]){"spate", "up", "--quiet", "--gateway-listen",
                                                       "127.0.0.1:0", NULL},
                                 -1, err)) < 0 ||
        (r = wait_ready(s, out, err)) < 0)
        return r;
    return apply(s, model != NULL ? model : shipped, out, err);
}

/* Until no pod is listed any more. */
static int wait_zero(const struct setup *s, struct buf *out, struct err *err)
{
    double end = bench_now_ms() + ZERO_MS;
    int r;

    while ((r = spate(s, SPATE("get", "pods", "--no-headers"), out, err)) == 0 &&
           str_trim(buf_str(out)).len > 0) {
        if (bench_now_ms() > end)
            return err_set(err, ERR_TIMEOUT, "the pod did not go away: %.*s",
                           STR_ARG(str_slice(buf_str(out), 0, 200)));
        bench_sleep_us(POLL_US);
    }
    bench_sleep_us(REST_US);
    return r;
}

static int wake_once(const struct setup *s, double *ms, struct err *err)
{
    double begun = bench_now_ms();
    int status = 0;
    int r = bench_first_event(s->gateway, "/v1/chat/completions", s->key, STR(CHAT), ANSWER_MS,
                              &status, err);

    *ms = bench_now_ms() - begun;
    if (r == 0 && status != 200)
        r = err_set(err, ERR_PROTOCOL, "the gateway answered with status %d", status);
    return r;
}

static int measure(const struct bench *b, const struct setup *s, int runs, struct buf *out,
                   struct err *err)
{
    static double times[RUNS_MAX];
    char workload[256];
    double median;
    int r = wake_once(s, &times[0], err); /* not counted: the first brings files into memory */

    for (int i = 0; r == 0 && i < runs; i++) {
        r = wait_zero(s, out, err);
        if (r == 0)
            r = wake_once(s, &times[i], err);
    }
    if (r < 0)
        return r;
    median = bench_quantile(times, (size_t)runs, 0.5);
    snprintf(workload, sizeof(workload),
             "local platform; median of %d wakes (least %.1f, 90 %% %.1f, most %.1f)", runs,
             times[0], bench_quantile(times, (size_t)runs, 0.9), times[runs - 1]);
    bench_report(b, &(struct bench_figure){.what = "request at zero to first token, brook",
                                           .value = median,
                                           .unit = "ms",
                                           .workload = workload,
                                           .aim = "<= 500 ms"});
    return 0;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct bench b = {.name = "wake"};
    struct setup s = {0};
    struct err err = {0};
    struct buf out;
    int positionals;
    int exit_code;
    int r;

    if (!bench_parse(&command, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    b.json = settings.json;
    buf_init(&out, OUTPUT_MAX);
    bench_begin(&b);
    r = start(&s, settings.model, &out, &err);
    if (r == 0)
        r = measure(&b, &s, (int)settings.runs, &out, &err);
    if (r == 0)
        r = wait_zero(&s, &out, &err); /* pods outlive their operator, for its successor */
    bench_process_stop(&s.up);
    if (r == 0)
        bench_folder_remove(s.folder); /* else it tells what went wrong */
    buf_fini(&out);
    return r < 0 ? bench_fail(&b, &err) : 0;
}
