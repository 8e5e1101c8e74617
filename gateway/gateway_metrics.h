/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's metrics. */
#ifndef SPATE_GATEWAY_METRICS_H
#define SPATE_GATEWAY_METRICS_H

#include <stddef.h>

#include "base/metrics.h"

struct flight;
struct gateway;

enum gateway_metric {
    GATEWAY_METRIC_REQUESTS,
    GATEWAY_METRIC_REFUSED,
    GATEWAY_METRIC_RESUMED,
    GATEWAY_METRIC_FELL_BACK,
    GATEWAY_METRIC_TOKENS,
    GATEWAY_METRIC_IN_FLIGHT,
    GATEWAY_METRIC_QUEUED,
    GATEWAY_METRIC_FIRST_TOKEN,
    GATEWAY_METRIC_COLLECTED,
    GATEWAY_METRIC_ROUTES,
    GATEWAY_METRIC_COUNT,
};

extern const struct metric_info gateway_metric_table[GATEWAY_METRIC_COUNT];

struct gateway_metrics {
    struct metric *metrics[GATEWAY_METRIC_COUNT];
};

int gateway_metrics_init(struct gateway_metrics *m, struct metrics *registry, struct err *err);
/* A flight ended: "ok", "client_gone", "failed", "bad_request". */
void gateway_metrics_done(struct gateway_metrics *m, const struct flight *f, const char *how);
void gateway_metrics_refused(struct gateway_metrics *m, const char *code);
void gateway_metrics_resumed(struct gateway_metrics *m, const struct flight *f, const char *reason);
/* A request leaves its model for a fallback of its route: "waited", "gone". */
void gateway_metrics_fell_back(struct gateway_metrics *m, const struct flight *f, const char *to,
                               const char *reason);
/* New tokens of a flight; the first ones are timed. */
void gateway_metrics_tokens(struct gateway_metrics *m, const struct flight *f, int count);
void gateway_metrics_collected(struct gateway_metrics *m, size_t count);
/* Brings the gauges up to date. */
void gateway_metrics_collect(struct gateway *g);

#endif
