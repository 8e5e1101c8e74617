/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's metrics: see agent_metrics.h. The reference page is made from the table. */
#include "agent/agent_metrics.h"

#include <stdio.h>

#include "agent/request.h"
#include "base/mem.h"

static const double first_token_buckets[] = {.001, .005, .01, .02, .04, .06, .08, .1,
                                             .25,  .5,   .75, 1,   2.5, 5,   7.5, 10,
                                             20,   40,   80,  160, 640, 2560};
static const double between_buckets[] = {.01, .025, .05, .075, .1,  .15, .2, .3, .4, .5,
                                         .75, 1,    2.5, 5,    7.5, 10,  20, 40, 80};
static const double whole_buckets[] = {.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                       30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};

#define BY_MODEL {"model_name"}

const struct metric_info agent_metric_table[AGENT_METRIC_COUNT] = {
    [AGENT_METRIC_RUNNING] = {"vllm:num_requests_running", METRIC_GAUGE,
                              "Requests that the engine decodes.", BY_MODEL},
    [AGENT_METRIC_WAITING] = {"vllm:num_requests_waiting", METRIC_GAUGE,
                              "Requests that wait for a slot.", BY_MODEL},
    [AGENT_METRIC_KV_USAGE] = {"vllm:kv_cache_usage_perc", METRIC_GAUGE,
                               "Share of the KV cache in use, 0 to 1.", BY_MODEL},
    [AGENT_METRIC_PROMPT_TOKENS] = {"vllm:prompt_tokens_total", METRIC_COUNTER,
                                    "Prompt tokens processed, cached ones included.", BY_MODEL},
    [AGENT_METRIC_GENERATION_TOKENS] = {"vllm:generation_tokens_total", METRIC_COUNTER,
                                        "Tokens generated.", BY_MODEL},
    [AGENT_METRIC_SUCCESS] = {"vllm:request_success_total",
                              METRIC_COUNTER,
                              "Requests that ended, by reason.",
                              {"model_name", "finished_reason"}},
    [AGENT_METRIC_PREEMPTIONS] = {"vllm:num_preemptions_total", METRIC_COUNTER,
                                  "Requests put back for want of KV memory.", BY_MODEL},
    [AGENT_METRIC_PREFIX_QUERIES] = {"vllm:prefix_cache_queries_total", METRIC_COUNTER,
                                     "Prompt tokens looked up in the prefix cache.", BY_MODEL},
    [AGENT_METRIC_PREFIX_HITS] = {"vllm:prefix_cache_hits_total", METRIC_COUNTER,
                                  "Prompt tokens found in the prefix cache.", BY_MODEL},
    [AGENT_METRIC_FIRST_TOKEN] = {"vllm:time_to_first_token_seconds", METRIC_HISTOGRAM,
                                  "Arrival to first token.", BY_MODEL, first_token_buckets,
                                  ARRAY_COUNT(first_token_buckets)},
    [AGENT_METRIC_BETWEEN_TOKENS] = {"vllm:inter_token_latency_seconds", METRIC_HISTOGRAM,
                                     "Time between tokens.", BY_MODEL, between_buckets,
                                     ARRAY_COUNT(between_buckets)},
    [AGENT_METRIC_WHOLE] = {"vllm:e2e_request_latency_seconds", METRIC_HISTOGRAM, "Arrival to end.",
                            BY_MODEL, whole_buckets, ARRAY_COUNT(whole_buckets)},
    [AGENT_METRIC_CACHE_INFO] = {"vllm:cache_config_info",
                                 METRIC_GAUGE,
                                 "Size of the KV cache.",
                                 {"block_size", "num_gpu_blocks"}},
    [AGENT_METRIC_RECOMPUTED] = {"spate_agent_recomputed_tokens_total", METRIC_COUNTER,
                                 "Tokens computed again after a preemption or a resume.", BY_MODEL},
    [AGENT_METRIC_STEPS] = {"spate_agent_steps_total", METRIC_COUNTER, "Engine steps.", BY_MODEL},
    [AGENT_METRIC_REFUSED] = {"spate_agent_refused_total",
                              METRIC_COUNTER,
                              "Requests refused, by error code.",
                              {"code"}},
    [AGENT_METRIC_UNACKNOWLEDGED] = {"spate_agent_unacknowledged_records", METRIC_GAUGE,
                                     "Final usage records that no gateway has acknowledged.",
                                     BY_MODEL},
    [AGENT_METRIC_READY_SECONDS] = {"spate_agent_ready_seconds", METRIC_GAUGE,
                                    "Process start to ready.", BY_MODEL},
    [AGENT_METRIC_BUILD] = {"spate_agent_build_info",
                            METRIC_GAUGE,
                            "Always 1; the kernels and the architecture in use.",
                            {"isa", "architecture"}},
};

int agent_metrics_init(struct agent_metrics *m, struct metrics *registry, const char *model_name,
                       struct err *err)
{
    int r = metrics_declare(registry, agent_metric_table, AGENT_METRIC_COUNT, m->metrics, err);

    if (r < 0)
        return r;
    m->model_name = model_name;
    for (int i = 0; i < AGENT_METRIC_COUNT; i++) {
        const struct metric_info *info = &agent_metric_table[i];

        if (info->labels[0] != NULL && str_is(str_of(info->labels[0]), "model_name") &&
            info->labels[1] == NULL)
            m->series[i] = metric_series(m->metrics[i], (const char *[]){model_name});
    }
    return 0;
}

void agent_metrics_engine(struct agent_metrics *m, const struct engine_stats *s)
{
    double blocks = s->kv_blocks > 0 ? (double)s->kv_blocks : 1;

    metric_set(m->series[AGENT_METRIC_RUNNING], s->running);
    metric_set(m->series[AGENT_METRIC_WAITING], s->waiting);
    metric_set(m->series[AGENT_METRIC_KV_USAGE], s->kv_blocks_used / blocks);
    metric_set(m->series[AGENT_METRIC_PROMPT_TOKENS],
               (double)(s->total.input_computed + s->total.input_cached));
    metric_set(m->series[AGENT_METRIC_GENERATION_TOKENS], (double)s->total.output);
    metric_set(m->series[AGENT_METRIC_RECOMPUTED], (double)s->total.recomputed);
    metric_set(m->series[AGENT_METRIC_PREEMPTIONS], (double)s->preemptions);
    metric_set(m->series[AGENT_METRIC_PREFIX_QUERIES], (double)s->prefix_queries);
    metric_set(m->series[AGENT_METRIC_PREFIX_HITS], (double)s->prefix_hits);
    metric_set(m->series[AGENT_METRIC_STEPS], (double)s->steps);
}

void agent_metrics_ready(struct agent_metrics *m, const struct engine_plan *plan, double seconds)
{
    char block_tokens[16];
    char blocks[16];

    snprintf(block_tokens, sizeof(block_tokens), "%d", plan->kv_block_tokens);
    snprintf(blocks, sizeof(blocks), "%d", plan->kv_blocks);
    metric_set(
        metric_series(m->metrics[AGENT_METRIC_CACHE_INFO], (const char *[]){block_tokens, blocks}),
        1);
    metric_set(metric_series(m->metrics[AGENT_METRIC_BUILD],
                             (const char *[]){plan->isa, plan->architecture}),
               1);
    metric_set(m->series[AGENT_METRIC_READY_SECONDS], seconds);
}

void agent_metrics_unacknowledged(struct agent_metrics *m, size_t count)
{
    metric_set(m->series[AGENT_METRIC_UNACKNOWLEDGED], (double)count);
}

void agent_metrics_refused(struct agent_metrics *m, const char *code)
{
    metric_add(metric_series(m->metrics[AGENT_METRIC_REFUSED], (const char *[]){code}), 1);
}

void agent_metrics_tokens(struct agent_metrics *m, struct request *r, int count, int64_t now_ns)
{
    if (r->first_token_mono_ns == 0) {
        r->first_token_mono_ns = now_ns;
        metric_observe(m->series[AGENT_METRIC_FIRST_TOKEN],
                       (double)(now_ns - r->arrived_mono_ns) / 1e9);
        return;
    }
    metric_observe(m->series[AGENT_METRIC_BETWEEN_TOKENS],
                   (double)(now_ns - r->last_token_mono_ns) / 1e9 / count);
}

void agent_metrics_finished(struct agent_metrics *m, const struct request *r, const char *finish)
{
    const char *reason = finish[0] == '\0' ? "abort" : finish;
    int64_t now_ns = clock_mono_ns(r->agent->clock);

    metric_add(
        metric_series(m->metrics[AGENT_METRIC_SUCCESS], (const char *[]){m->model_name, reason}),
        1);
    metric_observe(m->series[AGENT_METRIC_WHOLE], (double)(now_ns - r->arrived_mono_ns) / 1e9);
}
