/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops, one table for each instruction set; each lives in a file of its own, compiled
 * for that set. kernels_scalar is the reference: plain C, readable, always there. Kernels run on
 * one thread and see only their share of the work.
 *
 * Sums of products over a width run in KERNEL_LANES lanes: lane l adds the products l, l + 8 ... in
 * this order, then the lanes are added as ((0+4)+(2+6)) + ((1+5)+(3+7)). AVX2 fuses product and
 * sum.
 */
#ifndef SPATE_ENGINE_CPU_KERNELS_H
#define SPATE_ENGINE_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/model/backend.h"

enum { KERNEL_LANES = 8 };

/* Softmax of a query over the blocks seen so far: the sum of e^(score - max). */
struct softmax {
    float max;
    float sum; /* 0: no block yet */
};

/*
 * A block of the KV store, of one layer and one KV head: keys lie across, so that the positions of
 * the block fill vector lanes; values lie along.
 *
 *     keys [head_dim][KV_BLOCK_TOKENS]    values [KV_BLOCK_TOKENS][head_dim]
 */
struct attend_block {
    const float *keys;
    const float *values;
    int count; /* positions in use, from the first */
    int head_dim;
    float scale; /* of scores */
};

struct kernels {
    const char *name;

    /* Rows row_from .. row_to - 1 of the job's product for `count` rows of x. */
    void (*linear)(const struct linear *job, const float *x, int count, int row_from, int row_to);
    void (*norm)(float *out, const float *x, const float *weight, int width, float eps);
    void (*silu_mul)(float *gate, const float *up, size_t count);
    /* Turns pairs (i, i + half) by the angles whose cosines and sines are given. */
    void (*rotate)(float *head, const float *cosines, const float *sines, int half);
    /* Takes one more block into `state` and `out` [head_dim], which holds the weighted sum of
     * values (not yet divided by state->sum). */
    void (*attend)(struct softmax *state, float *out, const float *q,
                   const struct attend_block *block);
    /* out[i] *= factor */
    void (*scale)(float *out, float factor, int count);
};

extern const struct kernels kernels_scalar;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2; /* needs AVX2, FMA and F16C */
#endif

#endif
