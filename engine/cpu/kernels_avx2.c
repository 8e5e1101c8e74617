/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels for AVX2 with FMA and F16C; this file alone is compiled for them. Weights are read once
 * as they are stored and widened in registers. A value's sum is the same lanes in the same order
 * whatever block of rows and tokens it is computed in, and a tail is computed by the same
 * instructions on zero-padded vectors: so results do not depend on how the work was cut.
 */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "engine/cpu/kernels.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    ROWS = 4,   /* rows of weights in a register block */
    TOKENS = 3, /* rows of x in a register block: 12 sums, 3 inputs, 1 weight = 16 registers */
    PANEL_TOKENS = 24, /* rows of x that stay in the cache while a task's weights pass by */
    PREFETCH_ROWS = 8  /* rows of weights that are asked for ahead of their use */
};

INLINE float add_lanes(__m256 v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    __m128 one = _mm_add_ss(two, _mm_shuffle_ps(two, two, 1));

    return _mm_cvtss_f32(one);
}

/* Selects the first `count` lanes, 0 to 8. */
INLINE __m256i first_lanes(int count)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane);
}

INLINE size_t type_bytes(enum tensor_type type)
{
    return type == TENSOR_F32 ? sizeof(float) : sizeof(uint16_t);
}

INLINE __m256 load_weights(const void *row, enum tensor_type type, int column)
{
    if (type == TENSOR_F32)
        return _mm256_loadu_ps((const float *)row + column);
    const __m128i half =
        _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)row + column));

    if (type == TENSOR_F16)
        return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* The last `count` < 8 weights of a row, followed by zeros. */
INLINE __m256 load_weights_tail(const void *row, enum tensor_type type, int column, int count)
{
    char padded[KERNEL_LANES * sizeof(float)] = {0};
    size_t bytes = type_bytes(type);

    memcpy(padded, (const char *)row + (size_t)column * bytes, (size_t)count * bytes);
    return load_weights(padded, type, 0);
}

INLINE const void *weight_row(const struct matrix *w, int row, enum tensor_type type)
{
    size_t bytes = type_bytes(type);

    return (const char *)w->data + (size_t)row * (size_t)w->columns * bytes;
}

INLINE void store_sum(const struct linear *job, int token, int row, __m256 lanes)
{
    float *out = job->out + (size_t)token * (size_t)job->weight->rows + row;
    float sum = add_lanes(lanes);

    if (job->bias != NULL)
        sum += job->bias[row];
    *out = job->add ? *out + sum : sum;
}

/* `rows` x `tokens` dot products side by side; both and `type` are constants where this is used.
 * `first`: these weights come from memory, not from the cache, and so will the next rows. */
INLINE void dot_block(const struct linear *job, const float *x, int row, int token, const int rows,
                      const int tokens, const enum tensor_type type, const bool first)
{
    const struct matrix *w = job->weight;
    const int columns = w->columns;
    const size_t bytes = type_bytes(type);
    const size_t ahead = (size_t)PREFETCH_ROWS * (size_t)columns * bytes;
    const void *weights[ROWS];
    const float *inputs[TOKENS];
    __m256 sums[ROWS][TOKENS];
    int column = 0;

#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        weights[r] = weight_row(w, row + r, type);
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++)
            sums[r][t] = _mm256_setzero_ps();
    }
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++)
        inputs[t] = x + (size_t)(token + t) * (size_t)columns;

    for (; column + KERNEL_LANES <= columns; column += KERNEL_LANES) {
        __m256 in[TOKENS];

#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++)
            in[t] = _mm256_loadu_ps(inputs[t] + column);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const __m256 weight = load_weights(weights[r], type, column);

            if (first)
                _mm_prefetch((const char *)weights[r] + ahead + (size_t)column * bytes,
                             _MM_HINT_T0);

#pragma GCC unroll 8
            for (int t = 0; t < tokens; t++)
                sums[r][t] = _mm256_fmadd_ps(weight, in[t], sums[r][t]);
        }
    }
    if (column < columns) {
        const __m256i mask = first_lanes(columns - column);

#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const __m256 weight = load_weights_tail(weights[r], type, column, columns - column);

#pragma GCC unroll 8
            for (int t = 0; t < tokens; t++)
                sums[r][t] = _mm256_fmadd_ps(weight, _mm256_maskload_ps(inputs[t] + column, mask),
                                             sums[r][t]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++)
            store_sum(job, token + t, row + r, sums[r][t]);
    }
}

/* `rows` rows of weights against rows [from, to) of x. */
INLINE void dot_rows(const struct linear *job, const float *x, int row, const int rows, int from,
                     int to, const enum tensor_type type)
{
    int token = from;

    if (from == 0 && to >= TOKENS) {
        dot_block(job, x, row, token, rows, TOKENS, type, true);
        token = TOKENS;
    }
    for (; token + TOKENS <= to; token += TOKENS)
        dot_block(job, x, row, token, rows, TOKENS, type, false);
    if (to - token == 2)
        dot_block(job, x, row, token, rows, 2, type, to == 2);
    else if (to - token == 1)
        dot_block(job, x, row, token, rows, 1, type, to == 1);
}

INLINE void linear_typed(const struct linear *job, const float *x, int count, int row_from,
                         int row_to, const enum tensor_type type)
{
    for (int from = 0; from < count; from += PANEL_TOKENS) {
        int to = count - from < PANEL_TOKENS ? count : from + PANEL_TOKENS;
        int row = row_from;

        for (; row + ROWS <= row_to; row += ROWS)
            dot_rows(job, x, row, ROWS, from, to, type);
        for (; row < row_to; row++)
            dot_rows(job, x, row, 1, from, to, type);
    }
}

static void linear_f32(const struct linear *job, const float *x, int count, int from, int to)
{
    linear_typed(job, x, count, from, to, TENSOR_F32);
}

static void linear_f16(const struct linear *job, const float *x, int count, int from, int to)
{
    linear_typed(job, x, count, from, to, TENSOR_F16);
}

static void linear_bf16(const struct linear *job, const float *x, int count, int from, int to)
{
    linear_typed(job, x, count, from, to, TENSOR_BF16);
}

static void linear_avx2(const struct linear *job, const float *x, int count, int from, int to)
{
    if (job->weight->type == TENSOR_F32)
        linear_f32(job, x, count, from, to);
    else if (job->weight->type == TENSOR_F16)
        linear_f16(job, x, count, from, to);
    else
        linear_bf16(job, x, count, from, to);
}

/*
 * e^x for x <= 0 or moderate x > 0: 2^n * e^r with |r| <= ln(2) / 2, e^r by its series to r^7 (the
 * next term is below 6e-9 relative). Error at most 2 units in the last place; below -87 the result
 * is 0, above 88 it is the value at 88.
 */
INLINE __m256 exp_lanes(__m256 x)
{
    const __m256 lowest = _mm256_set1_ps(-87.0F);
    const __m256 clamped = _mm256_min_ps(_mm256_max_ps(x, lowest), _mm256_set1_ps(88.0F));
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(clamped, _mm256_set1_ps(1.44269504F)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    /* ln 2 in two parts: the first has few bits, so that n times it is exact. */
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375F), clamped);
    __m256 sum = _mm256_set1_ps(1.0F / 5040);
    __m256i exponent;

    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4F), r);
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0F / 720));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0F / 120));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0F / 24));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0F / 6));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(0.5F));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0F));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0F));
    exponent =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    sum = _mm256_mul_ps(sum, _mm256_castsi256_ps(exponent));
    return _mm256_and_ps(sum, _mm256_cmp_ps(x, lowest, _CMP_GE_OQ));
}

static void norm_avx2(float *out, const float *x, const float *weight, int width, float eps)
{
    __m256 squares = _mm256_setzero_ps();
    __m256 factor;
    int i;

    for (i = 0; i < width; i += KERNEL_LANES) {
        const __m256i mask = first_lanes(width - i);
        const __m256 v = _mm256_maskload_ps(x + i, mask);

        squares = _mm256_fmadd_ps(v, v, squares);
    }
    factor = _mm256_set1_ps(1 / sqrtf(add_lanes(squares) / (float)width + eps));
    for (i = 0; i < width; i += KERNEL_LANES) {
        const __m256i mask = first_lanes(width - i);
        const __m256 v = _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), factor);

        _mm256_maskstore_ps(out + i, mask, _mm256_mul_ps(v, _mm256_maskload_ps(weight + i, mask)));
    }
}

INLINE __m256 silu_mul_lanes(__m256 gate, __m256 up)
{
    const __m256 one = _mm256_set1_ps(1);
    const __m256 e = exp_lanes(_mm256_sub_ps(_mm256_setzero_ps(), gate));

    return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(one, e)), up);
}

static void silu_mul_avx2(float *gate, const float *up, size_t count)
{
    size_t i = 0;

    for (; i + KERNEL_LANES <= count; i += KERNEL_LANES)
        _mm256_storeu_ps(gate + i,
                         silu_mul_lanes(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    if (i < count) {
        const __m256i mask = first_lanes((int)(count - i));

        _mm256_maskstore_ps(
            gate + i, mask,
            silu_mul_lanes(_mm256_maskload_ps(gate + i, mask), _mm256_maskload_ps(up + i, mask)));
    }
}

static void rotate_avx2(float *head, const float *cosines, const float *sines, int half)
{
    for (int i = 0; i < half; i += KERNEL_LANES) {
        const __m256i mask = first_lanes(half - i);
        const __m256 a = _mm256_maskload_ps(head + i, mask);
        const __m256 b = _mm256_maskload_ps(head + half + i, mask);
        const __m256 c = _mm256_maskload_ps(cosines + i, mask);
        const __m256 s = _mm256_maskload_ps(sines + i, mask);

        _mm256_maskstore_ps(head + i, mask, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
        _mm256_maskstore_ps(head + half + i, mask, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
    }
}

static void scale_avx2(float *out, float factor, int count)
{
    const __m256 f = _mm256_set1_ps(factor);

    for (int i = 0; i < count; i += KERNEL_LANES) {
        const __m256i mask = first_lanes(count - i);

        _mm256_maskstore_ps(out + i, mask, _mm256_mul_ps(_mm256_maskload_ps(out + i, mask), f));
    }
}

/* Scores of the 16 positions of a block, in two vectors; four partial sums hide the latency. */
INLINE void score_block(__m256 scores[2], const float *q, const struct attend_block *block)
{
    enum { PARTS = 4 };
    __m256 low[PARTS], high[PARTS];

#pragma GCC unroll 4
    for (int p = 0; p < PARTS; p++)
        low[p] = high[p] = _mm256_setzero_ps();
    for (int d = 0; d < block->head_dim; d += PARTS) {
#pragma GCC unroll 4
        for (int p = 0; p < PARTS; p++) {
            if (d + p < block->head_dim) {
                const __m256 query = _mm256_broadcast_ss(q + d + p);
                const float *keys = block->keys + (d + p) * KV_BLOCK_TOKENS;

                low[p] = _mm256_fmadd_ps(query, _mm256_loadu_ps(keys), low[p]);
                high[p] = _mm256_fmadd_ps(query, _mm256_loadu_ps(keys + KERNEL_LANES), high[p]);
            }
        }
    }
    scores[0] = _mm256_add_ps(_mm256_add_ps(low[0], low[1]), _mm256_add_ps(low[2], low[3]));
    scores[1] = _mm256_add_ps(_mm256_add_ps(high[0], high[1]), _mm256_add_ps(high[2], high[3]));
}

INLINE float highest(__m256 v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* out [d, d + 8 * vectors) += sum of weights[t] * values[t] */
INLINE void mix(float *out, const float *weights, const struct attend_block *block, int d,
                const int vectors)
{
    __m256 sums[8];

#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++)
        sums[i] = _mm256_loadu_ps(out + d + i * KERNEL_LANES);
    for (int t = 0; t < block->count; t++) {
        const __m256 weight = _mm256_broadcast_ss(weights + t);
        const float *values = block->values + (size_t)t * (size_t)block->head_dim + d;

#pragma GCC unroll 8
        for (int i = 0; i < vectors; i++)
            sums[i] = _mm256_fmadd_ps(weight, _mm256_loadu_ps(values + i * KERNEL_LANES), sums[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++)
        _mm256_storeu_ps(out + d + i * KERNEL_LANES, sums[i]);
}

INLINE void mix_tail(float *out, const float *weights, const struct attend_block *block, int d)
{
    const __m256i mask = first_lanes(block->head_dim - d);
    __m256 sum = _mm256_maskload_ps(out + d, mask);

    for (int t = 0; t < block->count; t++) {
        const float *values = block->values + (size_t)t * (size_t)block->head_dim + d;

        sum = _mm256_fmadd_ps(_mm256_broadcast_ss(weights + t), _mm256_maskload_ps(values, mask),
                              sum);
    }
    _mm256_maskstore_ps(out + d, mask, sum);
}

static void mix_block(float *out, const float *weights, const struct attend_block *block)
{
    int d = 0;

    for (; d + 8 * KERNEL_LANES <= block->head_dim; d += 8 * KERNEL_LANES)
        mix(out, weights, block, d, 8);
    for (; d + KERNEL_LANES <= block->head_dim; d += KERNEL_LANES)
        mix(out, weights, block, d, 1);
    if (d < block->head_dim)
        mix_tail(out, weights, block, d);
}

static void attend_avx2(struct softmax *state, float *out, const float *q,
                        const struct attend_block *block)
{
    const __m256 scale = _mm256_set1_ps(block->scale);
    const __m256 nothing = _mm256_set1_ps(-INFINITY);
    float weights[KV_BLOCK_TOKENS];
    __m256 scores[2], max;
    float best;

    score_block(scores, q, block);
    for (int i = 0; i < 2; i++) {
        const __m256i used = first_lanes(block->count - i * KERNEL_LANES);

        scores[i] =
            _mm256_blendv_ps(nothing, _mm256_mul_ps(scores[i], scale), _mm256_castsi256_ps(used));
    }
    best = highest(_mm256_max_ps(scores[0], scores[1]));
    if (state->sum == 0) {
        state->max = best;
        memset(out, 0, (size_t)block->head_dim * sizeof(*out));
    } else if (best > state->max) {
        float shrink = _mm256_cvtss_f32(exp_lanes(_mm256_set1_ps(state->max - best)));

        state->max = best;
        state->sum *= shrink;
        scale_avx2(out, shrink, block->head_dim);
    }
    max = _mm256_set1_ps(state->max);
    for (int i = 0; i < 2; i++) {
        scores[i] = exp_lanes(_mm256_sub_ps(scores[i], max));
        _mm256_storeu_ps(weights + i * KERNEL_LANES, scores[i]);
    }
    state->sum += add_lanes(_mm256_add_ps(scores[0], scores[1]));
    mix_block(out, weights, block);
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .linear = linear_avx2,
    .norm = norm_avx2,
    .silu_mul = silu_mul_avx2,
    .rotate = rotate_avx2,
    .attend = attend_avx2,
    .scale = scale_avx2,
};
