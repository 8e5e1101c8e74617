/* SPDX-License-Identifier: Apache-2.0 */
/* What dashboards for controllers look for, under the names that controller-runtime gives it. */
#include "base/mem.h"
#include "operator/endpoints/endpoints.h"

#define CONTROLLER "modeldeployment"

enum { TOTAL, ERRORS, SECONDS, WORKERS_MAX, DEPTH, ADDS, RETRIES };

static const double second_buckets[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};

const struct metric_info endpoints_controller_table[ENDPOINTS_CONTROLLER_COUNT] = {
    [TOTAL] = {"controller_runtime_reconcile_total",
               METRIC_COUNTER,
               "Reconciles of one model.",
               {"controller"}},
    [ERRORS] = {"controller_runtime_reconcile_errors_total",
                METRIC_COUNTER,
                "Commands of reconciles that failed, stale views left out.",
                {"controller"}},
    [SECONDS] = {.name = "controller_runtime_reconcile_time_seconds",
                 .type = METRIC_HISTOGRAM,
                 .help = "How long a reconcile of one model took.",
                 .labels = {"controller"},
                 .buckets = second_buckets,
                 .bucket_count = ARRAY_COUNT(second_buckets)},
    [WORKERS_MAX] = {"controller_runtime_max_concurrent_reconciles",
                     METRIC_GAUGE,
                     "Reconciles at the same time, at most.",
                     {"controller"}},
    [DEPTH] = {"workqueue_depth", METRIC_GAUGE, "Keys ready or waiting.", {"name"}},
    [ADDS] = {"workqueue_adds_total", METRIC_COUNTER, "Times that a key became ready.", {"name"}},
    [RETRIES] = {"workqueue_retries_total",
                 METRIC_COUNTER,
                 "Times that a key failed and waits to be tried again.",
                 {"name"}},
};

static const char *const controller[] = {CONTROLLER};

static void set_figure(const struct endpoints *e, int row, uint64_t value)
{
    metric_set(metric_series(e->controller[row], controller), (double)value);
}

static void collect(void *object)
{
    const struct endpoints *e = object;
    struct reconciler_stats stats;

    reconciler_stats(e->reconciler, &stats);
    set_figure(e, TOTAL, stats.passes);
    set_figure(e, ERRORS, stats.failures);
    set_figure(e, WORKERS_MAX, 1);
    set_figure(e, DEPTH, stats.queued);
    set_figure(e, ADDS, stats.keys_added);
    set_figure(e, RETRIES, stats.keys_retried);
}

static void on_pass(void *user, double seconds)
{
    const struct endpoints *e = user;

    metric_observe(metric_series(e->controller[SECONDS], controller), seconds);
}

int endpoints_controller_metrics_open(struct endpoints *e, struct err *err)
{
    int r = metrics_declare(e->metrics, endpoints_controller_table, ENDPOINTS_CONTROLLER_COUNT,
                            e->controller, err);

    if (r < 0)
        return r;
    reconciler_watch_passes(e->reconciler, on_pass, e);
    return metrics_on_collect(e->metrics, collect, e);
}
