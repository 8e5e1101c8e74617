/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler against a slow reference: each parameter alone and in random mixtures, the
 * frequencies against the exact distribution, ties, ends, and what must be refused. */
#include "cmocka_plain.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/sample.h"
#include "sample_reference.h"

enum { PROMPT = 12, OUTPUT = 9, DRAWS = 20000 };

static const int sizes[] = {1, 15, 16, 17, 63, 64, 65, 199};
static const struct engine_sampling plain = {
    .temperature = 1, .top_p = 1, .repetition_penalty = 1, .logprobs = -1};

static struct rng_seeded chance;
static float logits[REFERENCE_VOCAB_MAX];
static int32_t prompt[PROMPT];
static int32_t output[OUTPUT];
static const int32_t banned[] = {0};

static double uniform(void)
{
    return (double)(rng_u64(&chance.rng) >> 11) * 0x1p-53;
}

static struct sample_input make_input(int vocab_size, const struct engine_sampling *sampling)
{
    for (int id = 0; id < REFERENCE_VOCAB_MAX; id++)
        logits[id] = (float)(uniform() * 8 - 4);
    for (int i = 0; i < PROMPT; i++)
        prompt[i] = (int32_t)rng_below(&chance.rng, (uint64_t)vocab_size);
    for (int i = 0; i < OUTPUT; i++)
        output[i] = (int32_t)rng_below(&chance.rng, (uint64_t)vocab_size);
    return (struct sample_input){.sampling = sampling,
                                 .prompt = prompt,
                                 .prompt_count = PROMPT,
                                 .output = output,
                                 .output_count = OUTPUT};
}

static int32_t sample_once(struct sample_scratch *scratch, const struct sample_input *input)
{
    struct sample_output out;
    struct err err = {0};

    if (sample_row(&out, logits, input, scratch, &err) < 0)
        fail_msg("sample_row: %s", err.message);
    return out.id;
}

/* Chi-square of DRAWS seeds against the reference's chances; ids that were cut must never come. */
static void check_frequencies(int vocab_size, const struct sample_input *input,
                              struct engine_sampling *sampling)
{
    CLEANUP(mem_freep) int *counts = mem_array((size_t)vocab_size, sizeof(*counts));
    double chances[REFERENCE_VOCAB_MAX];
    struct sample_scratch *scratch = NULL;
    double chi_square = 0;
    double rare_expected = 0;
    double rare_count = 0;
    int freedom = -1;

    assert_non_null(counts);
    assert_int_equal(sample_scratch_new(&scratch, vocab_size, NULL), 0);
    reference_chances(chances, logits, vocab_size, input);
    for (int i = 0; i < DRAWS; i++) {
        sampling->seed = rng_u64(&chance.rng);
        counts[sample_once(scratch, input)]++;
    }
    for (int id = 0; id < vocab_size; id++) {
        double expected = chances[id] * DRAWS;

        if (chances[id] == 0)
            assert_int_equal(counts[id], 0);
        if (expected < 5) { /* together, as chi-square needs */
            rare_expected += expected;
            rare_count += counts[id];
            continue;
        }
        chi_square += (counts[id] - expected) * (counts[id] - expected) / expected;
        freedom++;
    }
    if (rare_expected >= 5) {
        chi_square += (rare_count - rare_expected) * (rare_count - rare_expected) / rare_expected;
        freedom++;
    }
    /* Far out in the tail: mean + 5 standard deviations (seeds are fixed, so this is no lottery).
     */
    assert_true(chi_square <= freedom + 5 * sqrt(2.0 * (freedom + 1)));
    sample_scratch_free(scratch);
}

static void draws_each_parameter_as_the_reference(void **state)
{
    static const struct engine_bias bias[] = {{0, 3.0F}, {0, -1.0F}};
    struct engine_sampling cases[16];
    int count = 0;

    (void)state;
    rng_seeded_init(&chance, 11);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        cases[i] = plain;
    count++; /* plain */
    cases[count++].temperature = 0.3F;
    cases[count++].temperature = 2.5F;
    cases[count++].top_k = 1;
    cases[count++].top_k = 7;
    cases[count++].top_k = 1000;
    cases[count++].top_p = 0;
    cases[count++].top_p = 0.5F;
    cases[count++].top_p = 0.95F;
    cases[count++].min_p = 0.2F;
    cases[count++].min_p = 1;
    cases[count++].presence_penalty = 1.5F;
    cases[count++].frequency_penalty = -0.8F;
    cases[count++].repetition_penalty = 1.4F;
    cases[count++].repetition_penalty = 0.7F;
    cases[count].bias = bias;
    cases[count++].bias_count = 2;
    assert_int_equal(count, ARRAY_COUNT(cases));
    for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
        for (int i = 0; i < count; i++) {
            struct sample_input input = make_input(sizes[s], &cases[i]);

            check_frequencies(sizes[s], &input, &cases[i]);
        }
    }
}

static void draws_mixtures_as_the_reference(void **state)
{
    (void)state;
    rng_seeded_init(&chance, 12);
    for (int i = 0; i < 60; i++) {
        int vocab_size = 2 + (int)rng_below(&chance.rng, REFERENCE_VOCAB_MAX - 2);
        struct engine_bias bias = {(int32_t)(vocab_size / 2), (float)(uniform() * 4 - 2)};
        struct engine_sampling p = {.temperature = 0.2F + (float)uniform() * 2,
                                    .top_p = 0.3F + 0.7F * (float)uniform(),
                                    .top_k = (int32_t)rng_below(&chance.rng, 40),
                                    .min_p = (float)uniform() * 0.1F,
                                    .presence_penalty = (float)uniform() - 0.5F,
                                    .frequency_penalty = (float)uniform() - 0.5F,
                                    .repetition_penalty = 0.5F + (float)uniform(),
                                    .logprobs = -1,
                                    .bias = &bias,
                                    .bias_count = 1};
        struct sample_input input = make_input(vocab_size, &p);

        input.banned = banned;
        input.banned_count = 1;
        check_frequencies(vocab_size, &input, &p);
    }
}

static void takes_the_best_when_greedy(void **state)
{
    (void)state;
    rng_seeded_init(&chance, 13);
    for (int i = 0; i < 2000; i++) {
        int vocab_size = sizes[(size_t)i % ARRAY_COUNT(sizes)];
        struct engine_sampling p = plain;
        struct sample_input input = make_input(vocab_size, &p);
        struct sample_scratch *scratch = NULL;
        double chances[REFERENCE_VOCAB_MAX];

        p.temperature = 0;
        p.repetition_penalty = 1 + (float)(i % 3) / 2;
        p.frequency_penalty = (float)(i % 2);
        for (int id = 0; id < vocab_size && i % 5 == 0; id++)
            logits[id] = roundf(logits[id] / 2); /* many ties */
        assert_int_equal(sample_scratch_new(&scratch, vocab_size, NULL), 0);
        reference_chances(chances, logits, vocab_size, &input);
        assert_true(chances[sample_once(scratch, &input)] == 1);
        sample_scratch_free(scratch);
    }
}

static void breaks_ties_by_the_lowest_id(void **state)
{
    struct engine_sampling p = plain;
    struct sample_input input = make_input(65, &p);
    struct sample_scratch *scratch = NULL;
    bool seen[65] = {false};

    (void)state;
    assert_int_equal(sample_scratch_new(&scratch, 65, NULL), 0);
    for (int id = 0; id < 65; id++)
        logits[id] = 2;
    p.top_k = 3;
    for (p.seed = 0; p.seed < 200; p.seed++)
        seen[sample_once(scratch, &input)] = true;
    for (int id = 0; id < 65; id++)
        assert_int_equal(seen[id], id < 3);
    p.top_k = 0;
    p.temperature = 0;
    assert_int_equal(sample_once(scratch, &input), 0);
    sample_scratch_free(scratch);
}

static void depends_on_seed_and_position_only(void **state)
{
    struct engine_sampling p = plain;
    struct sample_input input = make_input(64, &p);
    struct sample_scratch *scratch = NULL;
    int differing_seeds = 0;
    int differing_positions = 0;

    (void)state;
    assert_int_equal(sample_scratch_new(&scratch, 64, NULL), 0);
    for (p.seed = 0; p.seed < 100; p.seed++) {
        int32_t id = sample_once(scratch, &input);
        struct sample_input next = input;
        struct engine_sampling other = p;

        assert_int_equal(sample_once(scratch, &input), id);
        next.output_count--;
        differing_positions += sample_once(scratch, &next) != id;
        other.seed += 1000;
        next = input;
        next.sampling = &other;
        differing_seeds += sample_once(scratch, &next) != id;
    }
    assert_true(differing_seeds > 50 && differing_positions > 50);
    sample_scratch_free(scratch);
}

/* Fixed for ever: answers that go on in another version of Spate must go on as they would have. */
static void keeps_its_random_numbers(void **state)
{
    double sum = 0;
    double product = 0;

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        double u = sample_uniform(i / 100, i % 100);

        assert_true(u >= 0 && u < 1);
        sum += u;
        product += u * sample_uniform(i / 100, i % 100 + 1);
    }
    assert_true(fabs(sum / 100000 - 0.5) < 0.005);
    assert_true(fabs(product / 100000 - 0.25) < 0.005); /* neighbours are independent */
    assert_true(sample_uniform(0, 0) == 0x1.4e0dba5e9a32fp-1);
    assert_true(sample_uniform(42, 7) == 0x1.782d47a99890cp-1);
    assert_true(sample_uniform(UINT64_MAX, 131071) == 0x1.a6d8f50b9bf08p-1);
}

static void reports_raw_logprobs(void **state)
{
    static const struct engine_bias bias[] = {{3, 50.0F}};
    struct engine_sampling p = plain;

    (void)state;
    rng_seeded_init(&chance, 14);
    for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
        int wanted = sizes[s] < ENGINE_LOGPROBS_MAX ? sizes[s] : ENGINE_LOGPROBS_MAX;
        struct sample_scratch *scratch = NULL;
        struct sample_input input = make_input(sizes[s], &p);
        struct sample_output out;

        p.logprobs = wanted;
        p.temperature = 0.1F;
        p.bias = bias; /* changes what is chosen, not what is reported */
        p.bias_count = sizes[s] > 3;
        assert_int_equal(sample_scratch_new(&scratch, sizes[s], NULL), 0);
        assert_int_equal(sample_row(&out, logits, &input, scratch, NULL), 0);
        assert_int_equal(out.id, sizes[s] > 3 ? 3 : 0);
        assert_int_equal(out.chosen.id, out.id);
        assert_float_equal(out.chosen.logprob, reference_logprob(logits, sizes[s], out.id), 1e-6);
        for (int i = 0; i < wanted; i++) {
            int better = 0;

            for (int id = 0; id < sizes[s]; id++)
                better += logits[id] > logits[out.top[i].id] ||
                          (logits[id] == logits[out.top[i].id] && id < out.top[i].id);
            assert_int_equal(better, i);
            assert_float_equal(out.top[i].logprob,
                               reference_logprob(logits, sizes[s], out.top[i].id), 1e-6);
        }
        sample_scratch_free(scratch);
    }
}

static void refuses_broken_rows(void **state)
{
    static const float bad[] = {NAN, INFINITY, -NAN};
    struct engine_sampling p = plain;
    struct sample_input input = make_input(16, &p);
    struct sample_scratch *scratch = NULL;
    struct sample_output out;
    struct err err = {0};

    (void)state;
    assert_int_equal(sample_scratch_new(&scratch, 16, NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        logits[5 * i] = bad[i];
        assert_int_equal(sample_row(&out, logits, &input, scratch, &err), -ERR_INTERNAL);
        assert_non_null(strstr(err.message, "logit"));
        logits[5 * i] = 0;
    }
    for (int id = 0; id < 16; id++)
        logits[id] = -INFINITY;
    assert_int_equal(sample_row(&out, logits, &input, scratch, &err), -ERR_INTERNAL);
    logits[4] = -1000;
    assert_int_equal(sample_row(&out, logits, &input, scratch, &err), 0);
    assert_int_equal(out.id, 4);
    sample_scratch_free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_each_parameter_as_the_reference),
        cmocka_unit_test(draws_mixtures_as_the_reference),
        cmocka_unit_test(takes_the_best_when_greedy),
        cmocka_unit_test(breaks_ties_by_the_lowest_id),
        cmocka_unit_test(depends_on_seed_and_position_only),
        cmocka_unit_test(keeps_its_random_numbers),
        cmocka_unit_test(reports_raw_logprobs),
        cmocka_unit_test(refuses_broken_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
