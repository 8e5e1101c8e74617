/* SPDX-License-Identifier: Apache-2.0 */
/* spate_operator_*: what the reconciler has done and holds. */
#include "base/mem.h"
#include "operator/endpoints/endpoints.h"

enum {
    M_MODELS,
    M_PODS,
    M_GATEWAYS,
    M_QUEUE,
    M_LEADING,
    M_PASSES,
    M_FAILURES,
    M_CONFLICTS,
    M_ROUTES,
    M_CREATED,
    M_DELETED,
    M_CANCELLED,
    M_STRANGERS,
    M_REPORTING,
    M_SET_ASIDE,
    M_QUEUE_REFUSED,
    M_EVENTS_DROPPED,
    M_BUILD, /* the last: the others have no labels */
};

const struct metric_info endpoints_metric_table[ENDPOINTS_METRIC_COUNT] = {
    [M_MODELS] = {"spate_operator_models", METRIC_GAUGE, "Models known.", {0}},
    [M_PODS] = {"spate_operator_pods", METRIC_GAUGE, "Pods known.", {0}},
    [M_GATEWAYS] = {"spate_operator_gateways", METRIC_GAUGE, "Gateways that should be alive.", {0}},
    [M_QUEUE] = {"spate_operator_queue_keys", METRIC_GAUGE, "Keys ready or waiting.", {0}},
    [M_LEADING] = {"spate_operator_leading", METRIC_GAUGE, "1 while this process leads.", {0}},
    [M_PASSES] = {"spate_operator_reconciles_total",
                  METRIC_COUNTER,
                  "Reconciles of one model.",
                  {0}},
    [M_FAILURES] = {"spate_operator_command_failures_total",
                    METRIC_COUNTER,
                    "Commands that failed and are tried again.",
                    {0}},
    [M_CONFLICTS] = {"spate_operator_conflicts_total",
                     METRIC_COUNTER,
                     "Writes refused since the view was stale.",
                     {0}},
    [M_ROUTES] = {"spate_operator_routes_published_total",
                  METRIC_COUNTER,
                  "Route snapshots published.",
                  {0}},
    [M_CREATED] = {"spate_operator_pods_created_total",
                   METRIC_COUNTER,
                   "Creations of pods asked for.",
                   {0}},
    [M_DELETED] = {"spate_operator_pods_deleted_total",
                   METRIC_COUNTER,
                   "Deletions of pods asked for.",
                   {0}},
    [M_CANCELLED] = {"spate_operator_drains_cancelled_total",
                     METRIC_COUNTER,
                     "Scale-downs cancelled since a gateway did not acknowledge.",
                     {0}},
    [M_STRANGERS] = {"spate_operator_strangers_total",
                     METRIC_COUNTER,
                     "Pods deleted since no status lists them.",
                     {0}},
    [M_REPORTING] = {"spate_operator_pods_reporting",
                     METRIC_GAUGE,
                     "Deleted pods that stay until their usage is taken.",
                     {0}},
    [M_SET_ASIDE] = {"spate_operator_pods_set_aside_total",
                     METRIC_COUNTER,
                     "ALARM: deleted pods whose usage was not taken in a day; their folders are "
                     "kept in STATE/unreported.",
                     {0}},
    [M_QUEUE_REFUSED] = {"spate_operator_queue_refused_total",
                         METRIC_COUNTER,
                         "ALARM: keys that did not fit the queue; what they name is not looked "
                         "after.",
                         {0}},
    [M_EVENTS_DROPPED] = {"spate_operator_events_dropped_total",
                          METRIC_COUNTER,
                          "Events for people that were not written: too many at once, or refused.",
                          {0}},
    [M_BUILD] = {"spate_operator_build_info", METRIC_GAUGE, "Always 1; its version.", {"version"}},
};

static void collect(void *object)
{
    struct endpoints *e = object;
    struct endpoints_figures own = {0};
    struct reconciler_stats stats;
    double figures[M_BUILD];

    reconciler_stats(e->reconciler, &stats);
    if (e->host.figures != NULL)
        e->host.figures(e->host.user, &own);
    figures[M_MODELS] = (double)stats.models;
    figures[M_PODS] = (double)stats.pods;
    figures[M_GATEWAYS] = (double)stats.gateways;
    figures[M_QUEUE] = (double)stats.queued;
    figures[M_LEADING] = stats.leading ? 1 : 0;
    figures[M_PASSES] = (double)stats.passes;
    figures[M_FAILURES] = (double)stats.failures;
    figures[M_CONFLICTS] = (double)stats.conflicts;
    figures[M_ROUTES] = (double)stats.routes;
    figures[M_CREATED] = (double)stats.pods_created;
    figures[M_DELETED] = (double)stats.pods_deleted;
    figures[M_CANCELLED] = (double)stats.drains_cancelled;
    figures[M_STRANGERS] = (double)stats.strangers;
    figures[M_REPORTING] = (double)own.pods_reporting;
    figures[M_SET_ASIDE] = (double)own.pods_set_aside;
    figures[M_QUEUE_REFUSED] = (double)stats.keys_refused;
    figures[M_EVENTS_DROPPED] = (double)own.events_dropped;
    for (int i = 0; i < M_BUILD; i++)
        metric_set(metric_series(e->handles[i], NULL), figures[i]);
}

int endpoints_metrics_open(struct endpoints *e, struct err *err)
{
    int r = metrics_declare(e->metrics, endpoints_metric_table, ENDPOINTS_METRIC_COUNT, e->handles,
                            err);

    if (r < 0)
        return r;
    metric_set(metric_series(e->handles[M_BUILD], (const char *[]){SPATE_VERSION}), 1);
    r = metrics_declare_loop(e->metrics, e->loop, err);
    if (r == 0)
        r = metrics_declare_process(e->metrics, err);
    if (r == 0)
        r = metrics_on_collect(e->metrics, collect, e);
    return r == 0 ? endpoints_controller_metrics_open(e, err) : r;
}
