/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference kernels: plain C in fp32, no fused operations, the order of every sum as kernels.h
 * says. Correct before fast.
 */
#include <math.h>
#include <string.h>

#include "engine/cpu/kernels.h"

enum { CHUNK = 256, GROUP = 16 };

static float add_lanes(const float lane[KERNEL_LANES])
{
    float even = (lane[0] + lane[4]) + (lane[2] + lane[6]);
    float odd = (lane[1] + lane[5]) + (lane[3] + lane[7]);

    return even + odd;
}

/* `count` values of a row of weights from `column` on. */
static void widen(const struct matrix *w, int row, int column, int count, float *out)
{
    size_t size = (size_t)w->rows * (size_t)w->columns * tensor_type_bytes(w->type);
    const struct tensor whole = {.type = w->type, .data = w->data, .size = size};

    tensor_widen(&whole, (size_t)row * (size_t)w->columns + (size_t)column, (size_t)count, out);
}

static void accumulate(float lane[KERNEL_LANES], const float *w, const float *x, int count)
{
    int i = 0;

    for (; i + KERNEL_LANES <= count; i += KERNEL_LANES) {
        for (int l = 0; l < KERNEL_LANES; l++)
            lane[l] += w[i + l] * x[i + l];
    }
    for (int l = 0; i + l < count; l++)
        lane[l] += w[i + l] * x[i + l];
}

/* One row of weights with up to GROUP rows of x. */
static void linear_row(const struct linear *job, const float *x, int count, int row)
{
    const struct matrix *w = job->weight;
    float lanes[GROUP][KERNEL_LANES] = {{0}};
    float values[CHUNK];

    for (int column = 0; column < w->columns; column += CHUNK) {
        int width = w->columns - column < CHUNK ? w->columns - column : CHUNK;

        widen(w, row, column, width, values);
        for (int i = 0; i < count; i++)
            accumulate(lanes[i], values, x + (size_t)i * (size_t)w->columns + column, width);
    }
    for (int i = 0; i < count; i++) {
        float *out = job->out + (size_t)i * (size_t)w->rows + row;
        float sum = add_lanes(lanes[i]);

        if (job->bias != NULL)
            sum += job->bias[row];
        *out = job->add ? *out + sum : sum;
    }
}

static void linear_scalar(const struct linear *job, const float *x, int count, int row_from,
                          int row_to)
{
    for (int first = 0; first < count; first += GROUP) {
        struct linear part = *job;
        int group = count - first < GROUP ? count - first : GROUP;

        part.out += (size_t)first * (size_t)job->weight->rows;
        for (int row = row_from; row < row_to; row++)
            linear_row(&part, x + (size_t)first * (size_t)job->weight->columns, group, row);
    }
}

static void norm_scalar(float *out, const float *x, const float *weight, int width, float eps)
{
    float lane[KERNEL_LANES] = {0};
    float factor;

    accumulate(lane, x, x, width);
    factor = 1 / sqrtf(add_lanes(lane) / (float)width + eps);
    for (int i = 0; i < width; i++)
        out[i] = x[i] * factor * weight[i];
}

static void silu_mul_scalar(float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void rotate_scalar(float *head, const float *cosines, const float *sines, int half)
{
    for (int i = 0; i < half; i++) {
        float a = head[i];
        float b = head[i + half];

        head[i] = a * cosines[i] - b * sines[i];
        head[i + half] = b * cosines[i] + a * sines[i];
    }
}

static void scale_scalar(float *out, float factor, int count)
{
    for (int i = 0; i < count; i++)
        out[i] *= factor;
}

/* Scores of all positions of the block, in use or not; returns the highest of those in use. */
static float score(float scores[KV_BLOCK_TOKENS], const float *q, const struct attend_block *block)
{
    float best;

    for (int t = 0; t < KV_BLOCK_TOKENS; t++)
        scores[t] = 0;
    for (int d = 0; d < block->head_dim; d++) {
        for (int t = 0; t < KV_BLOCK_TOKENS; t++)
            scores[t] += q[d] * block->keys[d * KV_BLOCK_TOKENS + t];
    }
    for (int t = 0; t < KV_BLOCK_TOKENS; t++)
        scores[t] *= block->scale;
    best = scores[0];
    for (int t = 1; t < block->count; t++)
        best = scores[t] > best ? scores[t] : best;
    return best;
}

static void attend_scalar(struct softmax *state, float *out, const float *q,
                          const struct attend_block *block)
{
    float scores[KV_BLOCK_TOKENS];
    float best = score(scores, q, block);

    if (state->sum == 0) {
        state->max = best;
        memset(out, 0, (size_t)block->head_dim * sizeof(*out));
    } else if (best > state->max) {
        float shrink = expf(state->max - best);

        state->max = best;
        state->sum *= shrink;
        scale_scalar(out, shrink, block->head_dim);
    }
    for (int t = 0; t < block->count; t++) {
        float weight = expf(scores[t] - state->max);

        state->sum += weight;
        for (int d = 0; d < block->head_dim; d++)
            out[d] += weight * block->values[(size_t)t * (size_t)block->head_dim + (size_t)d];
    }
}

const struct kernels kernels_scalar = {
    .name = "scalar",
    .linear = linear_scalar,
    .norm = norm_scalar,
    .silu_mul = silu_mul_scalar,
    .rotate = rotate_scalar,
    .attend = attend_scalar,
    .scale = scale_scalar,
};
