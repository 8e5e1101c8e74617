/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's metrics: see gateway_metrics.h. The reference page is made from the table. */
#include "gateway/gateway_metrics.h"

#include "base/mem.h"
#include "gateway/control.h"
#include "gateway/gateway.h"

static const double first_token_buckets[] = {.01, .025, .05, .1, .25, .5,  1,  2.5,
                                             5,   10,   30,  60, 120, 300, 600};

const struct metric_info gateway_metric_table[GATEWAY_METRIC_COUNT] = {
    [GATEWAY_METRIC_REQUESTS] = {"spate_gateway_requests_total",
                                 METRIC_COUNTER,
                                 "Requests that ended, by tenant, model and how.",
                                 {"tenant", "model", "result"}},
    [GATEWAY_METRIC_REFUSED] = {"spate_gateway_errors_total",
                                METRIC_COUNTER,
                                "Errors sent to clients, by code.",
                                {"code"}},
    [GATEWAY_METRIC_RESUMED] = {"spate_gateway_resumed_total",
                                METRIC_COUNTER,
                                "Attempts that broke and went on elsewhere, by reason.",
                                {"model", "reason"}},
    [GATEWAY_METRIC_FELL_BACK] = {"spate_gateway_fallbacks_total",
                                  METRIC_COUNTER,
                                  "Requests that left their model for a fallback of their route, "
                                  "by reason: they waited too long, or the model is gone.",
                                  {"route", "model", "reason"}},
    [GATEWAY_METRIC_TOKENS] = {"spate_gateway_output_tokens_total",
                               METRIC_COUNTER,
                               "Tokens that came from pods.",
                               {"tenant", "model"}},
    [GATEWAY_METRIC_IN_FLIGHT] = {"spate_gateway_in_flight_requests",
                                  METRIC_GAUGE,
                                  "Requests sent to pods.",
                                  {"model"}},
    [GATEWAY_METRIC_QUEUED] = {"spate_gateway_queued_requests",
                               METRIC_GAUGE,
                               "Requests that wait for a pod.",
                               {"model"}},
    [GATEWAY_METRIC_FIRST_TOKEN] = {"spate_gateway_first_token_seconds",
                                    METRIC_HISTOGRAM,
                                    "Arrival to first token, waiting included.",
                                    {"model"},
                                    first_token_buckets,
                                    ARRAY_COUNT(first_token_buckets)},
    [GATEWAY_METRIC_COLLECTED] = {"spate_gateway_collected_records_total", METRIC_COUNTER,
                                  "Final usage records collected from agents."},
    [GATEWAY_METRIC_ROUTES] = {"spate_gateway_routes_ready", METRIC_GAUGE,
                               "1 if a route snapshot is in force."},
};

int gateway_metrics_init(struct gateway_metrics *m, struct metrics *registry, struct err *err)
{
    return metrics_declare(registry, gateway_metric_table, GATEWAY_METRIC_COUNT, m->metrics, err);
}

void gateway_metrics_done(struct gateway_metrics *m, const struct flight *f, const char *how)
{
    metric_add(metric_series(m->metrics[GATEWAY_METRIC_REQUESTS],
                             (const char *[]){f->tenant->name, f->model->name, how}),
               1);
}

void gateway_metrics_refused(struct gateway_metrics *m, const char *code)
{
    metric_add(metric_series(m->metrics[GATEWAY_METRIC_REFUSED], (const char *[]){code}), 1);
}

void gateway_metrics_resumed(struct gateway_metrics *m, const struct flight *f, const char *reason)
{
    metric_add(
        metric_series(m->metrics[GATEWAY_METRIC_RESUMED], (const char *[]){f->model->name, reason}),
        1);
}

void gateway_metrics_fell_back(struct gateway_metrics *m, const struct flight *f, const char *to,
                               const char *reason)
{
    metric_add(metric_series(m->metrics[GATEWAY_METRIC_FELL_BACK],
                             (const char *[]){f->route_name, to, reason}),
               1);
}

void gateway_metrics_tokens(struct gateway_metrics *m, const struct flight *f, int count)
{
    metric_add(metric_series(m->metrics[GATEWAY_METRIC_TOKENS],
                             (const char *[]){f->tenant->name, f->model->name}),
               count);
    if (f->id_count == count)
        metric_observe(
            metric_series(m->metrics[GATEWAY_METRIC_FIRST_TOKEN], (const char *[]){f->model->name}),
            (double)(gateway_now_ms(f->g) - f->arrived_mono_ms) / 1000);
}

void gateway_metrics_collected(struct gateway_metrics *m, size_t count)
{
    metric_add(metric_series(m->metrics[GATEWAY_METRIC_COLLECTED], NULL), (double)count);
}

void gateway_metrics_collect(struct gateway *g)
{
    struct gateway_metrics *m = &g->counters;
    struct map_entry *e;

    for (size_t at = 0; (e = map_next(&g->table.models, &at)) != NULL;) {
        const struct gw_model *model = e->value;

        metric_set(
            metric_series(m->metrics[GATEWAY_METRIC_IN_FLIGHT], (const char *[]){model->name}),
            (double)model->in_flight);
        metric_set(metric_series(m->metrics[GATEWAY_METRIC_QUEUED], (const char *[]){model->name}),
                   (double)model->queued);
    }
    metric_set(metric_series(m->metrics[GATEWAY_METRIC_ROUTES], NULL),
               control_has_routes(g->control) ? 1 : 0);
}
