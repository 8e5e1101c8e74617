/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing: everything that an engine will ever allocate. */
#include "engine/engine.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/core.h"
#include "engine/plan.h"

/* The CPUs that this process may use. */
static int cpu_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    return 1;
}

static void take_limits(struct engine *e, const struct plan_limits *limits)
{
    e->queue_max = limits->queue_max;
    e->chunk_tokens = limits->chunk_tokens;
    e->seq_max = plan_seq_max(limits);
    e->row_max = e->seq_max + ENGINE_ROWS_SPARE;
}

/* Blocks in the table of one sequence. */
static size_t table_size(const struct engine *e)
{
    return ((size_t)e->plan.context_max + KV_BLOCK_TOKENS - 1) / KV_BLOCK_TOKENS;
}

static int alloc_seqs(struct engine *e, struct err *err)
{
    size_t count = (size_t)e->seq_max;
    size_t context = (size_t)e->plan.context_max;

    e->seqs = mem_array(count, sizeof(*e->seqs));
    e->token_memory = mem_array(count * context, sizeof(*e->token_memory));
    e->block_memory = mem_array(count * table_size(e), sizeof(*e->block_memory));
    e->free_seqs = mem_array(count, sizeof(*e->free_seqs));
    e->running = mem_array(count, sizeof(*e->running));
    e->waiting = mem_array(count, sizeof(*e->waiting));
    e->ending = mem_array(count, sizeof(*e->ending));
    if (e->seqs == NULL || e->token_memory == NULL || e->block_memory == NULL ||
        e->free_seqs == NULL || e->running == NULL || e->waiting == NULL || e->ending == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        e->seqs[i].tokens = &e->token_memory[i * context];
        e->seqs[i].blocks = &e->block_memory[i * table_size(e)];
        e->free_seqs[i] = (int)(count - 1 - i);
    }
    e->free_seq_count = e->seq_max;
    return 0;
}

static int alloc_rows(struct engine *e, struct err *err)
{
    size_t count = (size_t)e->row_max;

    e->row_seq = mem_array(count, sizeof(*e->row_seq));
    if (e->row_seq == NULL)
        return err_no_memory(err);
    return handles_init(&e->handles, e->row_max, err);
}

static int alloc_batch(struct engine *e, struct err *err)
{
    size_t slots = (size_t)e->plan.slots;

    e->batch_tokens = mem_array((size_t)e->chunk_tokens, sizeof(*e->batch_tokens));
    e->batch_seqs = mem_array(slots, sizeof(*e->batch_seqs));
    e->batch_numbers = mem_array(slots, sizeof(*e->batch_numbers));
    e->logits = mem_alloc(plan_logits_bytes(e->plan.slots, e->vocab_rows));
    if (e->batch_tokens == NULL || e->batch_seqs == NULL || e->batch_numbers == NULL ||
        e->logits == NULL)
        return err_no_memory(err);
    return 0;
}

static int open_model(struct engine *e, const struct engine_config *config,
                      struct engine_progress *progress, struct err *err)
{
    struct model_options options = {
        .threads = config->threads > 0 ? config->threads : cpu_count(),
        .isa = config->isa,
        .batch_tokens_max = e->chunk_tokens,
        .logits_rows_max = e->plan.slots,
        .kv_blocks = e->plan.kv_blocks,
    };
    int r = model_open(&e->model, config->model_path, &options, progress, err);

    if (r < 0)
        return r;
    e->vocab_rows = model_info_of(e->model)->vocab_rows;
    /* Only the loaded weights have a digest: the plan was made from headers. */
    memcpy(e->plan.digest, model_info_of(e->model)->digest, sizeof(e->plan.digest));
    return 0;
}

static int open_parts(struct engine *e, const struct engine_config *config,
                      struct engine_progress *progress, struct err *err)
{
    int r = alloc_seqs(e, err);

    if (r == 0)
        r = alloc_rows(e, err);
    if (r == 0)
        r = kv_new(&e->kv, e->plan.kv_blocks, err);
    if (r == 0)
        r = sample_scratch_new(&e->scratch, e->plan.vocab_size, err);
    if (r == 0)
        r = open_model(e, config, progress, err);
    if (r == 0)
        r = alloc_batch(e, err);
    if (r == 0)
        r = counters_create(&e->counters, config->counters_path, config->run_id, e->row_max, err);
    return r;
}

int engine_open(struct engine **out, const struct engine_config *config,
                struct engine_progress *progress, struct err *err)
{
    struct engine_plan plan;
    struct plan_limits limits;
    struct engine *e;
    int r = engine_plan(&plan, config, err);

    if (r == 0)
        r = plan_limits(&limits, config, err);
    if (r < 0)
        return r;
    if (config->counters_path == NULL)
        return err_set(err, ERR_INVALID, "counters_path is missing");
    if (config->threads < 0)
        return err_set(err, ERR_INVALID, "threads is %d; it must be 0 or more", config->threads);
    e = mem_alloc(sizeof(*e));
    if (e == NULL)
        return err_no_memory(err);
    e->plan = plan;
    e->prefix_reuse = config->prefix_reuse;
    take_limits(e, &limits);
    r = open_parts(e, config, progress, err);
    if (r < 0) {
        engine_close(e);
        return r;
    }
    *out = e;
    return 0;
}

void engine_close(struct engine *e)
{
    if (e == NULL)
        return;
    counters_close(e->counters);
    if (e->model != NULL)
        model_close(e->model);
    sample_scratch_free(e->scratch);
    kv_free(e->kv);
    handles_fini(&e->handles);
    mem_free(e->row_seq);
    mem_free(e->seqs);
    mem_free(e->token_memory);
    mem_free(e->block_memory);
    mem_free(e->free_seqs);
    mem_free(e->running);
    mem_free(e->waiting);
    mem_free(e->ending);
    mem_free(e->batch_tokens);
    mem_free(e->batch_seqs);
    mem_free(e->batch_numbers);
    mem_free(e->logits);
    mem_free(e);
}

const struct engine_plan *engine_plan_of(const struct engine *e)
{
    return &e->plan;
}

void engine_stats(const struct engine *e, struct engine_stats *out)
{
    *out = (struct engine_stats){
        .steps = e->steps,
        .running = e->running_count,
        .waiting = e->waiting_count,
        .slots = e->plan.slots,
        .kv_blocks = e->plan.kv_blocks,
        .kv_blocks_used = e->plan.kv_blocks - kv_available(e->kv),
        .preemptions = e->preemptions,
        .prefix_queries = e->prefix_queries,
        .prefix_hits = e->prefix_hits,
        .total = *counters_total(e->counters),
    };
}
