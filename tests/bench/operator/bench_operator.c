/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much work a new leader has before its first routes, where there are many models and pods: the
 * operator's own code alone, without an API server and agents, in CPU time. A first operator writes
 * the statuses that the measured one finds.
 *
 *     bench_operator [--models N] [--pods N]
 */
#include <malloc.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "operator/reconcile/reconciler.h"
#include "tests/bench/common/bench.h"
#include "tests/bench/operator/cluster.h"

struct settings {
    bool json;
    int64_t models;
    int64_t pods;
};

static const struct arg_option options[] = {
    BENCH_OPTION_JSON(struct settings),
    {"models", 'n', ARG_INT, offsetof(struct settings, models), "N", "10000", "models", .min = 1,
     .max = 20000},
    {"pods", 'p', ARG_INT, offsetof(struct settings, pods), "N", "10", "pods of each model",
     .min = 1, .max = 100},
};

static const struct arg_command command = {
    .name = "bench_operator",
    .summary = "Measures the work of a new leader until its first routes.",
    .usage = "[options]",
    .examples = "bench_operator\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

struct took {
    double models_ms, pods_ms, tell_ms, routes_ms;
    double bytes; /* of the heap, for a pod with its share of a model */
    size_t writes;
};

static int run(struct cluster *c, bool settle, struct took *took, struct err *err)
{
    size_t before = mallinfo2().uordblks;
    struct reconciler *r = NULL;
    const char *fault;
    double at;

    if (reconciler_new(&r, &c->platform, err) < 0)
        return -ERR_NO_MEMORY;
    cluster_list(c);
    took->models_ms = c->models_ms;
    took->pods_ms = c->pods_ms;
    at = cluster_cpu_ms();
    cluster_tell(c);
    took->tell_ms = cluster_cpu_ms() - at;
    at = cluster_cpu_ms();
    fault = cluster_run(c, settle);
    took->routes_ms = cluster_cpu_ms() - at;
    took->bytes = (double)(mallinfo2().uordblks - before) / (double)(c->model_count * c->pods_each);
    took->writes = c->writes;
    reconciler_free(r);
    cluster_forget(c);
    return fault != NULL ? err_set(err, ERR_INVALID, "%s", fault) : 0;
}

static void report(const struct bench *b, const struct cluster *c, const struct took *took)
{
    char workload[160];
    const struct bench_figure figures[] = {
        {.what = "models read", .value = took->models_ms, .unit = "ms"},
        {.what = "pods read and stored", .value = took->pods_ms, .unit = "ms"},
        {.what = "views told", .value = took->tell_ms, .unit = "ms"},
        {.what = "told to first routes", .value = took->routes_ms, .unit = "ms"},
        {.what = "heap for a pod and its share of a model", .value = took->bytes, .unit = "bytes"},
    };

    snprintf(workload, sizeof(workload), "%zu models, %zu pods; %zu statuses written",
             c->model_count, c->model_count * c->pods_each, took->writes);
    for (size_t i = 0; i < ARRAY_COUNT(figures); i++) {
        struct bench_figure figure = figures[i];

        figure.workload = workload;
        bench_report(b, &figure);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.name = "operator"};
    CLEANUP(mem_freep) struct cluster *c = mem_alloc(sizeof(*c));
    struct settings settings = {0};
    int positionals = 0;
    struct err err = {0};
    struct took took;
    int exit_code = 0;
    int r;

    if (!bench_parse(&command, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    b.json = settings.json;
    log_setup("bench", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
    if (c == NULL)
        return bench_fail(&b, (err_no_memory(&err), &err));
    bench_begin(&b);
    cluster_init(c, (size_t)settings.models, (size_t)settings.pods);
    r = run(c, true, &took, &err);
    if (r == 0)
        r = run(c, false, &took, &err);
    if (r == 0)
        report(&b, c, &took);
    cluster_fini(c);
    return r < 0 ? bench_fail(&b, &err) : 0;
}
