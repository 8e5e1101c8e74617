/* SPDX-License-Identifier: Apache-2.0 */
/* What dashboards for controllers look for, under the names that controller-runtime gives it. */
#include "base/mem.h"
#include "operator/endpoints/endpoints.h"

#define CONTROLLER "modeldeployment"

enum {
    TOTAL,
    ERRORS,
    TERMINAL,
    SECONDS,
    WORKERS,
    WORKERS_MAX,
    DEPTH,
    ADDS,
    RETRIES,
    WAIT_SECONDS,
    WORK_SECONDS,
};

static const double second_buckets[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};

const struct metric_info endpoints_controller_table[ENDPOINTS_CONTROLLER_COUNT] = {
    [TOTAL] = {"controller_runtime_reconcile_total",
               METRIC_COUNTER,
               "Reconciles of one model, by how they ended; one of which a command failed later "
               "counts once more, as error.",
               {"controller", "result"}},
    [ERRORS] = {"controller_runtime_reconcile_errors_total",
                METRIC_COUNTER,
                "Reconciles of a stored object that can't be used, and commands of reconciles that "
                "failed, stale views left out.",
                {"controller"}},
    [TERMINAL] = {"controller_runtime_terminal_reconcile_errors_total",
                  METRIC_COUNTER,
                  "Reconciles of a stored object that can't be used: not tried again until it "
                  "changes.",
                  {"controller"}},
    [SECONDS] = {.name = "controller_runtime_reconcile_time_seconds",
                 .type = METRIC_HISTOGRAM,
                 .help = "How long a reconcile of one model took.",
                 .labels = {"controller"},
                 .buckets = second_buckets,
                 .bucket_count = ARRAY_COUNT(second_buckets)},
    [WORKERS] = {"controller_runtime_active_workers",
                 METRIC_GAUGE,
                 "Reconciles at this moment: none, as the one thread is writing this page.",
                 {"controller"}},
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
    [WAIT_SECONDS] = {.name = "workqueue_queue_duration_seconds",
                      .type = METRIC_HISTOGRAM,
                      .help = "How long a key was ready before it was worked on.",
                      .labels = {"name"},
                      .buckets = second_buckets,
                      .bucket_count = ARRAY_COUNT(second_buckets)},
    [WORK_SECONDS] = {.name = "workqueue_work_duration_seconds",
                      .type = METRIC_HISTOGRAM,
                      .help = "How long the work on a key took: a model's, a route's, a price "
                              "book's.",
                      .labels = {"name"},
                      .buckets = second_buckets,
                      .bucket_count = ARRAY_COUNT(second_buckets)},
};

static const char *const controller[] = {CONTROLLER};

static const char *const outcome_names[RECONCILER_OUTCOME_COUNT] = {
    [RECONCILER_SUCCESS] = "success",
    [RECONCILER_ERROR] = "error",
    [RECONCILER_REQUEUE] = "requeue",
    [RECONCILER_REQUEUE_AFTER] = "requeue_after",
};

static void set_figure(const struct endpoints *e, int row, uint64_t value)
{
    metric_set(metric_series(e->controller[row], controller), (double)value);
}

static void set_outcomes(const struct endpoints *e, const struct reconciler_stats *stats)
{
    for (int i = 0; i < RECONCILER_OUTCOME_COUNT; i++) {
        const char *const labels[] = {CONTROLLER, outcome_names[i]};
        uint64_t later = i == RECONCILER_ERROR ? stats->failures : 0;

        metric_set(metric_series(e->controller[TOTAL], labels),
                   (double)(stats->outcomes[i] + later));
    }
}

static void collect(void *object)
{
    const struct endpoints *e = object;
    struct reconciler_stats stats;

    reconciler_stats(e->reconciler, &stats);
    set_outcomes(e, &stats);
    set_figure(e, ERRORS, stats.outcomes[RECONCILER_ERROR] + stats.failures);
    set_figure(e, TERMINAL, stats.outcomes[RECONCILER_ERROR]);
    set_figure(e, WORKERS, stats.working);
    set_figure(e, WORKERS_MAX, 1);
    set_figure(e, DEPTH, stats.queued);
    set_figure(e, ADDS, stats.keys_added);
    set_figure(e, RETRIES, stats.keys_retried);
}

static void observe(void *user, int row, double seconds)
{
    const struct endpoints *e = user;

    metric_observe(metric_series(e->controller[row], controller), seconds);
}

static void on_taken(void *user, double seconds)
{
    observe(user, WAIT_SECONDS, seconds);
}

static void on_pass(void *user, double seconds)
{
    observe(user, SECONDS, seconds);
}

static void on_done(void *user, double seconds)
{
    observe(user, WORK_SECONDS, seconds);
}

int endpoints_controller_metrics_open(struct endpoints *e, struct err *err)
{
    int r = metrics_declare(e->metrics, endpoints_controller_table, ENDPOINTS_CONTROLLER_COUNT,
                            e->controller, err);

    if (r < 0)
        return r;
    reconciler_watch(e->reconciler,
                     &(struct reconciler_watcher){
                         .on_taken = on_taken, .on_pass = on_pass, .on_done = on_done, .user = e});
    return metrics_on_collect(e->metrics, collect, e);
}
