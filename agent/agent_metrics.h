/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's metrics: vLLM's names, which gateways and autoscalers read, and our own. */
#ifndef SPATE_AGENT_METRICS_H
#define SPATE_AGENT_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"
#include "engine/engine.h"

struct request;

enum agent_metric {
    AGENT_METRIC_RUNNING,
    AGENT_METRIC_WAITING,
    AGENT_METRIC_KV_USAGE,
    AGENT_METRIC_PROMPT_TOKENS,
    AGENT_METRIC_GENERATION_TOKENS,
    AGENT_METRIC_SUCCESS,
    AGENT_METRIC_PREEMPTIONS,
    AGENT_METRIC_PREFIX_QUERIES,
    AGENT_METRIC_PREFIX_HITS,
    AGENT_METRIC_FIRST_TOKEN,
    AGENT_METRIC_BETWEEN_TOKENS,
    AGENT_METRIC_WHOLE,
    AGENT_METRIC_CACHE_INFO,
    AGENT_METRIC_RECOMPUTED,
    AGENT_METRIC_STEPS,
    AGENT_METRIC_REFUSED,
    AGENT_METRIC_UNACKNOWLEDGED,
    AGENT_METRIC_READY_SECONDS,
    AGENT_METRIC_BUILD,
    AGENT_METRIC_COUNT,
};

extern const struct metric_info agent_metric_table[AGENT_METRIC_COUNT];

struct agent_metrics {
    struct metric *metrics[AGENT_METRIC_COUNT];
    struct metric_series *series[AGENT_METRIC_COUNT]; /* of this model */
    const char *model_name;
};

int agent_metrics_init(struct agent_metrics *m, struct metrics *registry, const char *model_name,
                       struct err *err);
void agent_metrics_engine(struct agent_metrics *m, const struct engine_stats *stats);
void agent_metrics_ready(struct agent_metrics *m, const struct engine_plan *plan, double seconds);
void agent_metrics_unacknowledged(struct agent_metrics *m, size_t count);
void agent_metrics_refused(struct agent_metrics *m, const char *code);
/* New ids of a request, before its last_token time moves. */
void agent_metrics_tokens(struct agent_metrics *m, struct request *r, int count, int64_t now_ns);
void agent_metrics_finished(struct agent_metrics *m, const struct request *r, const char *finish);

#endif
