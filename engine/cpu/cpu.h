/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the CPU backend: its state, shared by the files that implement its operations. */
#ifndef SPATE_ENGINE_CPU_CPU_H
#define SPATE_ENGINE_CPU_CPU_H

#include <stdint.h>

#include "engine/cpu/kernels.h"
#include "engine/cpu/pool.h"
#include "engine/model/backend.h"

enum {
    CPU_BUFFERS_MAX = 8192, /* vectors of the deepest model, and the few buffers of a batch */
    /* Operations with less work than this (products, roughly) run on the calling thread: waking
     * others would take longer. Affects the time alone, never a result. */
    CPU_INLINE_WORK = 1 << 18,
    /* Tokens of one sequence that go through its KV blocks together. */
    CPU_TILE_TOKENS = 16,
};

/* Neighbouring tokens of one sequence: a task of attention, with a KV head. */
struct cpu_tile {
    int seq;
    int first; /* token of the batch */
    int count;
};

struct cpu {
    struct backend base; /* first: the two are cast into each other */
    const struct kernels *kernels;
    struct pool *pool;

    int heads;
    int kv_heads;
    int head_dim;
    int kv_blocks;

    float *frequencies; /* [head_dim / 2] */
    float *cosines;     /* [batch_tokens_max][head_dim / 2], of the batch in progress */
    float *sines;
    struct softmax *softmax; /* [batch_tokens_max][heads] */
    struct cpu_tile *tiles;  /* [batch_tokens_max] */
    int tile_count;
    int64_t context_total; /* positions that the tokens of the batch look at */

    /* [layers][kv_blocks][2: keys, values][kv_heads][head_dim * KV_BLOCK_TOKENS] */
    float *kv;

    void *owned[CPU_BUFFERS_MAX];
    int owned_count;
};

/* Runs tasks on the pool, or here when `work` is small. */
void cpu_run(struct cpu *c, pool_task *task, void *arg, int count, int64_t work);

/* Keys or values (part 0 or 1) of a KV head in a block of a layer. */
float *cpu_kv_at(const struct cpu *c, int layer, int block, int part, int kv_head);

/* The operations, by file. */
void cpu_begin(struct backend *b, const struct ragged *r);
void cpu_rotate_and_store(struct backend *b, int layer, float *q, float *k, const float *v,
                          const struct ragged *r);
void cpu_attend(struct backend *b, int layer, float *out, const float *q, const struct ragged *r);
void cpu_linear(struct backend *b, const struct linear *jobs, int job_count, const float *x,
                int count);
void cpu_embed(struct backend *b, float *out, const struct matrix *table, const int32_t *tokens,
               int count);
void cpu_norm(struct backend *b, float *out, const float *x, const float *weight, int width,
              float eps, int count);
void cpu_silu_mul(struct backend *b, float *gate, const float *up, size_t count);
void cpu_gather(struct backend *b, float *out, const float *x, const int32_t *rows, int count,
                int width);

#endif
