/* SPDX-License-Identifier: Apache-2.0 */
/* What a model will need: the defaults and limits of engine_config, from headers alone. */
#include <inttypes.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/model.h"
#include "engine/plan.h"

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

static int plan_kv(struct engine_plan *plan, const struct engine_config *config,
                   const struct model_info *info, struct err *err)
{
    int context = config->context_max == 0 ? info->context_max : config->context_max;
    uint64_t blocks;

    if (context < CONTEXT_MIN || context > info->context_max)
        return err_set(err, ERR_INVALID, "context_max is %d; this model allows %d to %d", context,
                       CONTEXT_MIN, info->context_max);
    if (config->kv_bytes == 0)
        blocks = default_blocks(plan, context);
    else
        blocks = config->kv_bytes / plan->kv_block_bytes;
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
    memcpy(plan.architecture, info.architecture, sizeof(plan.architecture));
    memcpy(plan.isa, info.isa, sizeof(plan.isa));
    memcpy(plan.digest, info.digest, sizeof(plan.digest));
    r = plan_kv(&plan, config, &info, err);
    if (r < 0)
        return r;
    *out = plan;
    return 0;
}
