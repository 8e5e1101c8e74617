/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operation of the CPU backend, with each set of kernels, against a plain computation in
 * fp64: odd widths, every weight type, one to many rows. Memory around the outputs must stay
 * untouched.
 */
#include "cmocka_plain.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/cpu/backend_cpu.h"

enum {
    COUNT_MAX = 33,
    WIDTH_MAX = 300,
    GUARD = 16,
    CONTEXT = 130,
    BLOCKS = CONTEXT / KV_BLOCK_TOKENS + 1,
    SLOTS = BLOCKS * KV_BLOCK_TOKENS,
};

static const enum engine_isa isas[] = {ENGINE_ISA_SCALAR, ENGINE_ISA_AUTO};
static const int widths[] = {1, 2, 7, 8, 9, 31, 33, 127, 300};
static const int counts[] = {1, 2, 3, 4, 5, 31, 33};
static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16};

static const float guard_value = -12345.0F;

static struct rng_seeded random_source;

static float random_float(void)
{
    return ((float)rng_below(&random_source.rng, 2001) - 1000) / 500;
}

static struct backend *open_backend(enum engine_isa isa, int heads, int kv_heads, int head_dim)
{
    float frequencies[128];
    const struct backend_shape shape = {
        .layers = 2,
        .heads = heads,
        .kv_heads = kv_heads,
        .head_dim = head_dim,
        .batch_tokens_max = SLOTS,
        .kv_blocks = 2 * BLOCKS,
        .rope_frequencies = frequencies,
    };
    struct backend *b = NULL;
    struct err err = {0};

    for (int i = 0; i < head_dim / 2; i++)
        frequencies[i] = 1 / powf(100, (float)i / (float)(head_dim / 2));
    if (backend_cpu_open(&b, &shape, 2, isa, &err) < 0)
        fail_msg("%s", err.message);
    return b;
}

/* Sums of squared errors and of squared expectations. */
struct score {
    double error;
    double energy;
};

static void add_score(struct score *s, double actual, double expected)
{
    s->error += (actual - expected) * (actual - expected);
    s->energy += expected * expected;
}

static void assert_score(const struct score *s, const char *what, const char *isa, double max)
{
    if (!(s->error <= max * s->energy))
        fail_msg("%s (%s): NMSE %g, at most %g", what, isa, s->error / s->energy, max);
}

/* A matrix of random values that the type holds exactly. */
static struct tensor random_matrix(uint8_t *bytes, int rows, int columns, enum tensor_type type)
{
    size_t count = (size_t)rows * (size_t)columns;

    for (size_t i = 0; i < count; i++) {
        uint16_t brain = f32_to_bf16(random_float());
        float value = bf16_to_f32(brain);
        _Float16 half = (_Float16)value;

        if (type == TENSOR_F32)
            memcpy(bytes + 4 * i, &value, 4);
        else
            memcpy(bytes + 2 * i, type == TENSOR_F16 ? (void *)&half : (void *)&brain, 2);
    }
    return (struct tensor){.type = type,
                           .dim_count = 2,
                           .shape = {rows, columns},
                           .data = bytes,
                           .size = count * tensor_type_bytes(type)};
}

static void check_linear(struct backend *b, int rows, int columns, int count, enum tensor_type type,
                         bool add)
{
    static uint8_t bytes[WIDTH_MAX * WIDTH_MAX * 4];
    static float x[COUNT_MAX * WIDTH_MAX], out[COUNT_MAX * WIDTH_MAX + GUARD];
    float bias[WIDTH_MAX], row[WIDTH_MAX];
    const struct tensor tensor = random_matrix(bytes, rows, columns, type);
    struct matrix weight;
    const struct linear job = {&weight, add ? NULL : bias, out, add};
    struct score score = {0};

    assert_int_equal(b->ops->weight(b, &tensor, &weight, NULL), 0);
    for (int i = 0; i < count * columns; i++)
        x[i] = random_float();
    for (int i = 0; i < rows; i++)
        bias[i] = random_float();
    for (int i = 0; i < count * rows + GUARD; i++)
        out[i] = i < count * rows ? 3 : guard_value;
    b->ops->linear(b, &job, 1, x, count);
    for (int r = 0; r < rows; r++) {
        tensor_widen(&tensor, (size_t)r * (size_t)columns, (size_t)columns, row);
        for (int i = 0; i < count; i++) {
            double sum = add ? 3 : (double)bias[r];

            for (int c = 0; c < columns; c++)
                sum += (double)row[c] * (double)x[i * columns + c];
            add_score(&score, (double)out[i * rows + r], sum);
        }
    }
    for (int i = 0; i < GUARD; i++)
        assert_true(out[count * rows + i] == guard_value);
    assert_score(&score, "linear", b->isa, 1e-12);
}

static void linear_is_exact_enough(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(isas); i++) {
        struct backend *b = open_backend(isas[i], 2, 1, 8);

        for (size_t t = 0; t < ARRAY_COUNT(types); t++) {
            for (size_t w = 0; w < ARRAY_COUNT(widths); w++) {
                for (size_t c = 0; c < ARRAY_COUNT(counts); c++)
                    check_linear(b, widths[(w + c) % ARRAY_COUNT(widths)], widths[w], counts[c],
                                 types[t], (w + c) % 2 == 0);
            }
        }
        b->ops->close(b);
    }
}

/* Three matrices over one input, split among threads at any row, give what each gives alone. */
static void jobs_do_not_mix(void **state)
{
    enum { COLUMNS = 300, COUNT = 33 };
    static const int rows[] = {127, 33, 300};
    static uint8_t bytes[3][WIDTH_MAX * COLUMNS * 4];
    static float x[COUNT * COLUMNS], together[3][COUNT * WIDTH_MAX], alone[COUNT * WIDTH_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(isas); i++) {
        struct backend *b = open_backend(isas[i], 2, 1, 8);
        struct matrix weights[3];
        struct linear jobs[3];

        for (int k = 0; k < COUNT * COLUMNS; k++)
            x[k] = random_float();
        for (int k = 0; k < 3; k++) {
            const struct tensor t = random_matrix(bytes[k], rows[k], COLUMNS, types[k]);

            assert_int_equal(b->ops->weight(b, &t, &weights[k], NULL), 0);
            jobs[k] = (struct linear){&weights[k], NULL, together[k], false};
        }
        b->ops->linear(b, jobs, 3, x, COUNT);
        for (int k = 0; k < 3; k++) {
            struct linear one = jobs[k];

            one.out = alone;
            b->ops->linear(b, &one, 1, x, COUNT);
            assert_memory_equal(alone, together[k],
                                (size_t)COUNT * (size_t)rows[k] * sizeof(float));
        }
        b->ops->close(b);
    }
}

static void check_norm(struct backend *b, int width, int count)
{
    static float x[COUNT_MAX * WIDTH_MAX], out[COUNT_MAX * WIDTH_MAX + GUARD];
    float weight[WIDTH_MAX];
    struct score score = {0};

    for (int i = 0; i < count * width; i++)
        x[i] = random_float();
    for (int i = 0; i < width; i++)
        weight[i] = random_float();
    for (int i = 0; i < GUARD; i++)
        out[count * width + i] = guard_value;
    b->ops->norm(b, out, x, weight, width, 1e-5F, count);
    for (int r = 0; r < count; r++) {
        double squares = 0;

        for (int i = 0; i < width; i++)
            squares += (double)x[r * width + i] * (double)x[r * width + i];
        for (int i = 0; i < width; i++)
            add_score(&score, (double)out[r * width + i],
                      (double)x[r * width + i] * (double)weight[i] /
                          sqrt(squares / width + (double)1e-5F));
    }
    for (int i = 0; i < GUARD; i++)
        assert_true(out[count * width + i] == guard_value);
    assert_score(&score, "norm", b->isa, 1e-12);
}

static void norm_is_exact_enough(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(isas); i++) {
        struct backend *b = open_backend(isas[i], 2, 1, 8);

        for (size_t w = 0; w < ARRAY_COUNT(widths); w++) {
            check_norm(b, widths[w], 1);
            check_norm(b, widths[w], 5);
        }
        b->ops->close(b);
    }
}

static void silu_is_exact_enough_everywhere(void **state)
{
    enum { POINTS = 40003 };
    static float gate[POINTS], up[POINTS];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(isas); i++) {
        struct backend *b = open_backend(isas[i], 2, 1, 8);
        struct score score = {0};

        for (int k = 0; k < POINTS; k++) { /* -200 to 200: far beyond where e^x overflows */
            gate[k] = (float)(k - POINTS / 2) / 100;
            up[k] = 1.5F;
        }
        b->ops->silu_mul(b, gate, up, POINTS);
        for (int k = 0; k < POINTS; k++) {
            double x = (double)((float)(k - POINTS / 2) / 100);
            double expected = x / (1 + exp(-x)) * 1.5;

            assert_true(fabs((double)gate[k] - expected) <= 4e-7 * fabs(expected) + 1e-35);
            add_score(&score, (double)gate[k], expected);
        }
        assert_score(&score, "silu_mul", b->isa, 1e-13);
        b->ops->close(b);
    }
}

/* One sequence of CONTEXT tokens: q, k, v by position, in fp64 after rotation. */
struct attention_case {
    int heads, kv_heads, head_dim;
    float *q, *k, *v, *out;
};

static double rotated(const float *head, int d, int position, int head_dim)
{
    int half = head_dim / 2;
    int pair = d % half;
    float frequency = 1 / powf(100, (float)pair / (float)half);
    double angle = (double)((float)position * frequency);
    double a = (double)head[pair], b = (double)head[pair + half];

    return d < half ? a * cos(angle) - b * sin(angle) : b * cos(angle) + a * sin(angle);
}

static void expected_attention(const struct attention_case *c, int token, int head, double *out)
{
    const int kv_head = head / (c->heads / c->kv_heads);
    const float *q = c->q + (token * c->heads + head) * c->head_dim;
    double weights[CONTEXT], total = 0;

    for (int t = 0; t <= token; t++) {
        const float *k = c->k + (t * c->kv_heads + kv_head) * c->head_dim;
        double sum = 0;

        for (int d = 0; d < c->head_dim; d++)
            sum += rotated(q, d, token, c->head_dim) * rotated(k, d, t, c->head_dim);
        weights[t] = exp(sum / sqrt(c->head_dim));
        total += weights[t];
    }
    for (int d = 0; d < c->head_dim; d++) {
        out[d] = 0;
        for (int t = 0; t <= token; t++)
            out[d] +=
                weights[t] / total * (double)c->v[(t * c->kv_heads + kv_head) * c->head_dim + d];
    }
}

static float *random_floats(int count)
{
    float *values = mem_array((size_t)count, sizeof(*values));

    assert_non_null(values);
    for (int i = 0; i < count; i++)
        values[i] = random_float();
    return values;
}

/* `count` tokens of one sequence whose blocks are handed out backwards. */
static void with_sequence(struct backend *b, int count, float *out, float *q, float *k,
                          const float *v)
{
    int32_t table[BLOCKS], positions[SLOTS], seq_of[SLOTS] = {0}, tokens[SLOTS] = {0};
    const struct batch_seq seq = {0, count, 0, table, -1};
    const struct batch batch = {tokens, count, &seq, 1};
    const struct ragged ragged = {&batch, positions, seq_of};

    for (int i = 0; i < BLOCKS; i++)
        table[i] = 2 * BLOCKS - 1 - i;
    for (int i = 0; i < count; i++)
        positions[i] = i;
    b->ops->begin(b, &ragged);
    b->ops->rotate_and_store(b, 1, q, k, v, &ragged);
    if (out != NULL)
        b->ops->attend(b, 1, out, q, &ragged);
}

/* What lies in the blocks beforehand is NaN: whoever reads a slot that is not in use shows it. */
static void poison_blocks(struct backend *b, int heads, int kv_heads, int head_dim)
{
    int q_count = SLOTS * heads * head_dim, kv_count = SLOTS * kv_heads * head_dim;
    CLEANUP(mem_freep) float *q = mem_array((size_t)q_count, sizeof(float));
    CLEANUP(mem_freep) float *k = mem_array((size_t)kv_count, sizeof(float));
    CLEANUP(mem_freep) float *v = mem_array((size_t)kv_count, sizeof(float));

    assert_true(q != NULL && k != NULL && v != NULL);
    for (int i = 0; i < kv_count; i++)
        k[i] = v[i] = NAN;
    with_sequence(b, SLOTS, NULL, q, k, v);
}

static void check_attention(enum engine_isa isa, int heads, int kv_heads, int head_dim)
{
    struct backend *b = open_backend(isa, heads, kv_heads, head_dim);
    int q_count = CONTEXT * heads * head_dim, kv_count = CONTEXT * kv_heads * head_dim;
    struct attention_case c = {
        .heads = heads,
        .kv_heads = kv_heads,
        .head_dim = head_dim,
        .q = random_floats(q_count),
        .k = random_floats(kv_count),
        .v = random_floats(kv_count),
        .out = random_floats(q_count),
    };
    CLEANUP(mem_freep) float *q = mem_dup(c.q, (size_t)q_count * sizeof(float));
    CLEANUP(mem_freep) float *k = mem_dup(c.k, (size_t)kv_count * sizeof(float));
    struct score score = {0};

    assert_true(q != NULL && k != NULL);
    poison_blocks(b, heads, kv_heads, head_dim);
    with_sequence(b, CONTEXT, c.out, q, k, c.v);
    for (int token = 0; token < CONTEXT; token++) {
        for (int head = 0; head < heads; head++) {
            double expected[128];

            expected_attention(&c, token, head, expected);
            for (int d = 0; d < head_dim; d++)
                add_score(&score, (double)c.out[(token * heads + head) * head_dim + d],
                          expected[d]);
        }
    }
    assert_score(&score, "attention", b->isa, 1e-11);
    mem_free(c.q);
    mem_free(c.k);
    mem_free(c.v);
    mem_free(c.out);
    b->ops->close(b);
}

static void attention_is_exact_enough(void **state)
{
    static const struct {
        int heads, kv_heads, head_dim;
    } shapes[] = {{1, 1, 2},  {3, 1, 6},  {6, 2, 10}, {6, 1, 16},
                  {4, 4, 40}, {3, 1, 64}, {2, 1, 128}};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(isas); i++) {
        for (size_t s = 0; s < ARRAY_COUNT(shapes); s++)
            check_attention(isas[i], shapes[s].heads, shapes[s].kv_heads, shapes[s].head_dim);
    }
}

static void embed_and_gather_copy(void **state)
{
    static uint8_t bytes[33 * 31 * 4];
    static const int32_t tokens[] = {32, 0, 7, 7};
    float out[4 * 31 + 1], expected[31], picked[2 * 31];

    (void)state;
    for (size_t t = 0; t < ARRAY_COUNT(types); t++) {
        struct backend *b = open_backend(ENGINE_ISA_AUTO, 2, 1, 8);
        const struct tensor tensor = random_matrix(bytes, 33, 31, types[t]);
        struct matrix table;

        assert_int_equal(b->ops->weight(b, &tensor, &table, NULL), 0);
        out[4 * 31] = guard_value;
        b->ops->embed(b, out, &table, tokens, 4);
        assert_true(out[4 * 31] == guard_value);
        b->ops->gather(b, picked, out, (const int32_t[]){3, 0}, 2, 31);
        tensor_widen(&tensor, 7 * 31, 31, expected);
        assert_memory_equal(picked, expected, sizeof(expected));
        tensor_widen(&tensor, 32 * 31, 31, expected);
        assert_memory_equal(picked + 31, expected, sizeof(expected));
        b->ops->close(b);
    }
}

static void every_half_and_brain_float_is_widened_exactly(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        uint16_t pattern = (uint16_t)bits;
        _Float16 half;
        float expected, actual = f16_to_f32(pattern);

        memcpy(&half, &pattern, sizeof(half));
        expected = (float)half;
        assert_true(isnan(expected) ? isnan(actual) : expected == actual);
        assert_int_equal(signbit(expected) != 0, signbit(actual) != 0);
        if (!isnan(bf16_to_f32(pattern)))
            assert_int_equal(f32_to_bf16(bf16_to_f32(pattern)), pattern);
    }
    /* Ties go to even. */
    assert_int_equal(f32_to_bf16(1.00390625F), 0x3f80);
    assert_int_equal(f32_to_bf16(1.01171875F), 0x3f82);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_is_exact_enough),
        cmocka_unit_test(jobs_do_not_mix),
        cmocka_unit_test(norm_is_exact_enough),
        cmocka_unit_test(silu_is_exact_enough_everywhere),
        cmocka_unit_test(attention_is_exact_enough),
        cmocka_unit_test(embed_and_gather_copy),
        cmocka_unit_test(every_half_and_brain_float_is_widened_exactly),
    };

    rng_seeded_init(&random_source, 7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
