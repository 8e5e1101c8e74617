/* SPDX-License-Identifier: Apache-2.0 */
/* What a model will need: the defaults and limits of engine_config, from headers alone. */
#include <inttypes.h>
#include <string.h>

#include "engine/core.h"
#include "engine/engine.h"
#include "engine/kv.h"
#include "engine/model.h"
#include "engine/plan.h"
#include "engine/sample.h"

enum {
    SLOTS_DEFAULT = 16,
    SLOTS_MAX = 4096,
    QUEUE_DEFAULT = 64,
    QUEUE_LIMIT = 65536,
    CHUNK_DEFAULT = 256,
    CHUNK_MAX = 65536,
    CONTEXT_MIN = 2 * KV_BLOCK_TOKENS,
    KV_BLOCKS_MAX = 1 << 26,
    KV_DEFAULT_CONTEXT = 4096, /* of each slot, when memory for KV is chosen by us */
    KV_LEAST_CONTEXT = 1024,   /* what we choose holds as much, or does not fit */
    KV_SHARE_PERCENT = 75,     /* of the memory left, when it bounds our choice: the rest is for
                                  requests, the program's pages, and what the kernel counts */
};
static const uint64_t kv_default_bytes_max = UINT64_C(1) << 30;

static int pick(int *out, const char *name, int value, int fallback, int max, struct err *err)
{
    if (value < 0 || value > max)
        return err_set(err, ERR_INVALID, "%s is %d; it must be 1 to %d, or 0 for %d", name, value,
                       max, fallback);
    *out = value == 0 ? fallback : value;
    return 0;
}

static uint64_t blocks_for(int tokens)
{
    return ((uint64_t)tokens + KV_BLOCK_TOKENS - 1) / KV_BLOCK_TOKENS;
}

/* Blocks that we choose: 4096 tokens for each slot, or one whole context, within 1 GiB. */
static uint64_t default_blocks(const struct engine_plan *plan, int context)
{
    int each = context < KV_DEFAULT_CONTEXT ? context : KV_DEFAULT_CONTEXT;
    uint64_t wanted = (uint64_t)plan->slots * blocks_for(each);
    uint64_t bound = kv_default_bytes_max / plan->kv_block_bytes;

    if (wanted < blocks_for(context))
        wanted = blocks_for(context);
    return wanted < bound ? wanted : bound;
}

/* --- memory --------------------------------------------------------------------------------- */

int plan_seq_max(const struct plan_limits *limits)
{
    return limits->slots + limits->queue_max;
}

size_t plan_logits_bytes(int slots, int vocab_rows)
{
    return (size_t)slots * (size_t)vocab_rows * sizeof(float);
}

static uint64_t work_bytes(const struct plan_limits *limits, const struct engine_config *config,
                           const struct model_info *info)
{
    return config->memory_used + (uint64_t)limits->chunk_tokens * info->token_bytes +
           plan_logits_bytes(limits->slots, info->vocab_rows) +
           sample_scratch_bytes(info->vocab_size) +
           (uint64_t)plan_seq_max(limits) * sizeof(struct seq);
}

/* A block with its tables: the tokens and block numbers of sequences fill no faster than blocks. */
static uint64_t block_cost(const struct engine_plan *plan)
{
    return plan->kv_block_bytes + kv_table_bytes() + (KV_BLOCK_TOKENS + 1) * sizeof(int32_t);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Our choice where memory is bounded. Weights that are read from their file are left their place as
 * long as there is one for the least of caches. */
static uint64_t bounded_blocks(const struct engine_plan *plan, const struct engine_config *config,
                               int context, uint64_t wanted)
{
    uint64_t mapped = minus(plan->weights_bytes, plan->memory.weights);
    uint64_t taken = plan->memory.weights + plan->memory.work + mapped;
    uint64_t left = minus(config->memory_bytes, taken) / 100 * KV_SHARE_PERCENT;
    uint64_t least = blocks_for(context < KV_LEAST_CONTEXT ? context : KV_LEAST_CONTEXT);
    uint64_t blocks = left / block_cost(plan);

    if (config->memory_bytes == 0 || wanted <= least || blocks >= wanted)
        return wanted;
    return blocks > least ? blocks : least;
}

static unsigned long long mib_of(uint64_t bytes)
{
    return (bytes + (1 << 20) - 1) >> 20;
}

static int check_memory(const struct engine_plan *plan, const struct engine_config *config,
                        struct err *err)
{
    const struct engine_memory *m = &plan->memory;
    uint64_t needed = m->weights + m->kv + m->work;

    if (config->memory_bytes == 0 || needed <= config->memory_bytes)
        return 0;
    return err_set(err, ERR_NO_MEMORY,
                   "it needs %llu MiB (weights %llu, KV cache %llu, work %llu), but may use %llu",
                   mib_of(needed), mib_of(m->weights), mib_of(m->kv), mib_of(m->work),
                   (unsigned long long)config->memory_bytes >> 20);
}

/* --- the plan ------------------------------------------------------------------------------- */

static int plan_kv(struct engine_plan *plan, const struct engine_config *config,
                   const struct model_info *info, struct err *err)
{
    int context = config->context_max == 0 ? info->context_max : config->context_max;
    uint64_t blocks;

    if (context < CONTEXT_MIN || context > info->context_max)
        return err_set(err, ERR_INVALID, "context_max is %d; this model allows %d to %d", context,
                       CONTEXT_MIN, info->context_max);
    if (config->kv_bytes == 0) {
        uint64_t wanted = default_blocks(plan, context);

        blocks = bounded_blocks(plan, config, context, wanted);
        plan->kv_bounded = blocks < wanted;
    } else {
        blocks = config->kv_bytes / plan->kv_block_bytes;
    }
    if (blocks > KV_BLOCKS_MAX)
        blocks = KV_BLOCKS_MAX;
    if (blocks < blocks_for(CONTEXT_MIN))
        return err_set(err, ERR_INVALID,
                       "the KV cache would hold %" PRIu64 " tokens: give it %" PRIu64
                       " bytes or more",
                       blocks * KV_BLOCK_TOKENS, blocks_for(CONTEXT_MIN) * plan->kv_block_bytes);
    plan->context_wanted = context;
    /* A sequence must always fit alone: then preempting the others lets it end. */
    if (blocks < blocks_for(context))
        context = (int)blocks * KV_BLOCK_TOKENS;
    plan->kv_blocks = (int)blocks;
    plan->memory.kv = blocks * block_cost(plan);
    plan->context_max = context;
    return 0;
}

int plan_limits(struct plan_limits *out, const struct engine_config *config, struct err *err)
{
    struct plan_limits limits;
    int r = pick(&limits.slots, "slots", config->slots, SLOTS_DEFAULT, SLOTS_MAX, err);

    if (r == 0)
        r = pick(&limits.queue_max, "queue_max", config->queue_max, QUEUE_DEFAULT, QUEUE_LIMIT,
                 err);
    if (r == 0)
        r = pick(&limits.chunk_tokens, "chunk_tokens", config->chunk_tokens,
                 limits.slots > CHUNK_DEFAULT ? limits.slots : CHUNK_DEFAULT, CHUNK_MAX, err);
    if (r < 0)
        return r;
    if (limits.chunk_tokens < limits.slots)
        return err_set(err, ERR_INVALID,
                       "chunk_tokens is %d, but %d slots need at least as many tokens in a step",
                       limits.chunk_tokens, limits.slots);
    *out = limits;
    return 0;
}

int engine_plan(struct engine_plan *out, const struct engine_config *config, struct err *err)
{
    struct engine_plan plan = {0};
    struct plan_limits limits;
    struct model_info info;
    int r = plan_limits(&limits, config, err);

    if (r == 0)
        r = model_inspect(&info, config->model_path, config->isa, err);
    if (r < 0)
        return r;
    plan.weights_bytes = info.weights_bytes;
    plan.kv_block_bytes = info.kv_block_bytes;
    plan.kv_block_tokens = KV_BLOCK_TOKENS;
    plan.slots = limits.slots;
    plan.vocab_size = info.vocab_size;
    plan.layers = info.layers;
    plan.memory.weights = info.own_bytes;
    plan.memory.work = work_bytes(&limits, config, &info);
    memcpy(plan.architecture, info.architecture, sizeof(plan.architecture));
    memcpy(plan.isa, info.isa, sizeof(plan.isa));
    memcpy(plan.digest, info.digest, sizeof(plan.digest));
    r = plan_kv(&plan, config, &info, err);
    if (r == 0)
        r = check_memory(&plan, config, err);
    if (r < 0)
        return r;
    *out = plan;
    return 0;
}
