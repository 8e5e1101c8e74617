/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit-equality: the logits of a token depend on its sequence alone. A prompt computed whole is the
 * standard; every other way to compute it (any split, token by token, with neighbours, in other
 * blocks, over a shared prefix, with any number of threads) must give the same bits.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/model.h"
#include "random_model.h"

enum {
    PROMPT = 100,
    BATCH_MAX = 128,
    BLOCKS = 64,
    SEQ_BLOCKS = 8,
    VOCAB_MAX = 1400, /* with a width of 192, the head runs on several threads for one token */
};

static const struct random_model shapes[] = {
    /* Widths that fill no vector, grouped heads, tied. */
    {true, TENSOR_F32, 45, 2, 6, 2, 10, 77, 211, true, 1},
    {false, TENSOR_F16, 70, 2, 6, 1, 12, 131, 130, false, 2},
    /* Large enough that layers, too, are shared out among threads. */
    {true, TENSOR_BF16, 192, 2, 3, 1, 64, 512, VOCAB_MAX, true, 3},
};

struct rig {
    struct model *model;
    int32_t tokens[PROMPT];
    float *expected; /* [PROMPT][vocab] */
    float *logits;   /* [BATCH_MAX][vocab] */
    int32_t table[SEQ_BLOCKS];
    int vocab;
};

static struct model *open_model(const char *folder, enum engine_isa isa, int threads)
{
    const struct model_options options = {
        .threads = threads,
        .isa = isa,
        .batch_tokens_max = BATCH_MAX,
        .logits_rows_max = 16,
        .kv_blocks = BLOCKS,
    };
    struct model *m = NULL;
    struct err err = {0};

    if (model_open(&m, folder, &options, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return m;
}

static void forward_all(struct rig *rig, const struct batch *batch)
{
    struct err err = {0};

    if (model_forward_all(rig->model, batch, rig->logits, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_rows(const struct rig *rig, int row, int token, int count)
{
    size_t width = (size_t)rig->vocab;

    for (int i = 0; i < count; i++) {
        if (memcmp(rig->logits + (size_t)(row + i) * width,
                   rig->expected + (size_t)(token + i) * width, width * sizeof(float)) != 0)
            fail_msg("the logits of token %d differ", token + i);
    }
}

static void compute_whole(struct rig *rig)
{
    const struct batch_seq seq = {0, PROMPT, 0, rig->table, -1};

    forward_all(rig, &(struct batch){rig->tokens, PROMPT, &seq, 1});
}

static void in_chunks_of(struct rig *rig, int size)
{
    for (int from = 0; from < PROMPT; from += size) {
        int count = PROMPT - from < size ? PROMPT - from : size;
        const struct batch_seq seq = {0, count, from, rig->table, -1};

        forward_all(rig, &(struct batch){rig->tokens + from, count, &seq, 1});
        assert_rows(rig, 0, from, count);
    }
}

/* The prompt advances by uneven steps while others come and go before and after it. */
static void with_neighbours(struct rig *rig, uint64_t seed)
{
    struct rng_seeded seeded;
    int32_t other_tables[3][SEQ_BLOCKS];
    int32_t tokens[BATCH_MAX];
    int at = 0;

    rng_seeded_init(&seeded, seed);
    for (int i = 0; i < 3 * SEQ_BLOCKS; i++)
        other_tables[i / SEQ_BLOCKS][i % SEQ_BLOCKS] = SEQ_BLOCKS * 2 + i;
    while (at < PROMPT) {
        struct batch_seq seqs[4];
        int seq_count = 0, total = 0, row = 0;
        int mine = (int)rng_below(&seeded.rng, 4);
        int step = 1 + (int)rng_below(&seeded.rng, 30);

        step = step < PROMPT - at ? step : PROMPT - at;
        for (int s = 0; s < 4; s++) {
            int count = s == mine ? step : 1 + (int)rng_below(&seeded.rng, 20);
            int32_t *table = s == mine ? rig->table : other_tables[s > mine ? s - 1 : s];

            seqs[seq_count++] = (struct batch_seq){total, count, s == mine ? at : 0, table, -1};
            if (s == mine) {
                row = total;
                memcpy(tokens + total, rig->tokens + at, (size_t)count * sizeof(*tokens));
            } else {
                for (int i = 0; i < count; i++)
                    tokens[total + i] = (int32_t)rng_below(&seeded.rng, (uint64_t)rig->vocab);
            }
            total += count;
        }
        forward_all(rig, &(struct batch){tokens, total, seqs, seq_count});
        assert_rows(rig, row, at, step);
        at += step;
    }
}

/* Another sequence reads the first blocks of the prompt and goes on in blocks of its own. */
static void over_a_shared_prefix(struct rig *rig)
{
    int32_t table[SEQ_BLOCKS];
    int shared = 3 * KV_BLOCK_TOKENS;
    struct batch_seq seq = {0, PROMPT - shared, shared, table, -1};

    compute_whole(rig);
    memcpy(table, rig->table, sizeof(table));
    for (int i = 3; i < SEQ_BLOCKS; i++)
        table[i] = BLOCKS - 1 - i;
    forward_all(rig, &(struct batch){rig->tokens + shared, PROMPT - shared, &seq, 1});
    assert_rows(rig, 0, shared, PROMPT - shared);
}

/* model_forward delivers the same rows, where they are asked for. */
static void by_rows(struct rig *rig)
{
    const struct batch_seq seqs[] = {
        {0, 40, 0, rig->table, 1},
        {40, 40, 0, (const int32_t[]){20, 21, 22}, -1},
        {80, 20, 0, (const int32_t[]){30, 31}, 0},
    };
    int32_t tokens[PROMPT];
    struct err err = {0};

    memcpy(tokens, rig->tokens, 40 * sizeof(*tokens));
    memcpy(tokens + 40, rig->tokens, 40 * sizeof(*tokens));
    memcpy(tokens + 80, rig->tokens, 20 * sizeof(*tokens));
    if (model_forward(rig->model, &(struct batch){tokens, PROMPT, seqs, 3}, rig->logits, &err) < 0)
        fail_msg("%s", err.message);
    assert_rows(rig, 0, 19, 1);
    assert_rows(rig, 1, 39, 1);
}

static void every_way(struct rig *rig)
{
    static const int sizes[] = {1, 3, 16, 17, 33, 64, 99};

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
        in_chunks_of(rig, sizes[i]);
    for (uint64_t seed = 1; seed <= 3; seed++)
        with_neighbours(rig, seed);
    over_a_shared_prefix(rig);
    by_rows(rig);
}

static void rig_open(struct rig *rig, const struct random_model *shape)
{
    struct rng_seeded seeded;

    rng_seeded_init(&seeded, shape->seed + 100);
    rig->vocab = shape->vocab;
    for (int i = 0; i < PROMPT; i++)
        rig->tokens[i] = (int32_t)rng_below(&seeded.rng, (uint64_t)shape->vocab);
    for (int i = 0; i < SEQ_BLOCKS; i++)
        rig->table[i] = 2 * SEQ_BLOCKS - 1 - i;
    rig->expected = mem_array((size_t)PROMPT * (size_t)rig->vocab, sizeof(float));
    rig->logits = mem_array((size_t)BATCH_MAX * (size_t)rig->vocab, sizeof(float));
    assert_true(rig->expected != NULL && rig->logits != NULL);
}

static void check_isa(enum engine_isa isa)
{
    for (size_t s = 0; s < ARRAY_COUNT(shapes); s++) {
        struct rig rig = {0};
        char folder[32];

        snprintf(folder, sizeof(folder), "exact-%zu", s);
        random_model_write(folder, &shapes[s]);
        rig_open(&rig, &shapes[s]);
        for (int threads = 1; threads <= 3; threads++) {
            rig.model = open_model(folder, isa, threads);
            compute_whole(&rig);
            if (threads == 1)
                memcpy(rig.expected, rig.logits,
                       (size_t)PROMPT * (size_t)rig.vocab * sizeof(float));
            assert_rows(&rig, 0, 0, PROMPT);
            every_way(&rig);
            model_close(rig.model);
        }
        mem_free(rig.expected);
        mem_free(rig.logits);
    }
}

static void scalar_is_exact(void **state)
{
    (void)state;
    check_isa(ENGINE_ISA_SCALAR);
}

static void best_kernels_are_exact(void **state)
{
    (void)state;
    check_isa(ENGINE_ISA_AUTO);
}

static void bad_batches_are_refused(void **state)
{
    static const int32_t table[SEQ_BLOCKS] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const int32_t beyond[SEQ_BLOCKS] = {0, BLOCKS};
    static const int32_t tokens[BATCH_MAX] = {1, 2, 3};
    static const int32_t bad_tokens[] = {1, 211};
    const struct {
        const int32_t *tokens;
        int token_count;
        struct batch_seq seqs[2];
        int seq_count;
    } cases[] = {
        {tokens, 0, {{0, 0, 0, table, -1}}, 0},
        {tokens, BATCH_MAX + 1, {{0, BATCH_MAX + 1, 0, table, -1}}, 1},
        {tokens, 2, {{0, 1, 0, table, -1}}, 1},                     /* one token left over */
        {tokens, 2, {{0, 3, 0, table, -1}}, 1},                     /* more than there are */
        {tokens, 2, {{1, 1, 0, table, -1}}, 1},                     /* a hole */
        {tokens, 2, {{0, 2, -1, table, -1}}, 1},                    /* before the beginning */
        {tokens, 2, {{0, 2, INT32_MAX, table, -1}}, 1},             /* overflow */
        {tokens, 2, {{0, 2, 15, beyond, -1}}, 1},                   /* no such block */
        {bad_tokens, 2, {{0, 2, 0, table, -1}}, 1},                 /* no such token */
        {tokens, 2, {{0, 1, 0, table, 0}, {1, 1, 0, table, 0}}, 2}, /* a row twice */
        {tokens, 2, {{0, 1, 0, table, 1}, {1, 1, 0, table, 2}}, 2}, /* no row 0 */
    };
    float logits[2 * 211];
    struct model *m;

    (void)state;
    random_model_write("exact-bad", &shapes[0]);
    m = open_model("exact-bad", ENGINE_ISA_AUTO, 1);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct batch batch = {cases[i].tokens, cases[i].token_count, cases[i].seqs,
                                    cases[i].seq_count};
        struct err err = {0};

        assert_int_equal(model_forward(m, &batch, logits, &err), -ERR_INVALID);
        assert_true(err.message[0] != '\0');
    }
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_is_exact),
        cmocka_unit_test(best_kernels_are_exact),
        cmocka_unit_test(bad_batches_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
