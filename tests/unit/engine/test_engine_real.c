/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine over the real mathematics, with a random model: each request gets, bit for bit, the
 * ids and logprobs that it gets alone, whatever the chunks, threads, neighbours, preemptions and
 * prefix hits; and it can be taken up after any token.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/engine.h"
#include "engine/model.h"
#include "engine/sample.h"
#include "engine_math/random_model.h"

enum { REQUESTS = 12, PROMPT_MAX = 70, OUTPUT = 20, VOCAB = 311, SHARED = 40, EVENTS = 128 };

static const struct random_model shape = {
    .qwen2 = true,
    .type = TENSOR_F32,
    .hidden = 48,
    .layers = 2,
    .heads = 6,
    .kv_heads = 2,
    .head_dim = 8,
    .ffn = 96,
    .vocab = VOCAB,
    .tied = true,
    .seed = 5,
};

struct answer {
    int32_t ids[OUTPUT];
    struct engine_logprob chosen[OUTPUT];
    int count;
    int cached_tokens;
    enum engine_finish finish;
    struct engine_counts counts;
};

static char folder[64];
static char counters_path[96];
static int32_t prompts[REQUESTS][PROMPT_MAX];
static struct engine_request requests[REQUESTS];
static struct answer alone[REQUESTS];

static struct engine *open_engine(struct engine_config config)
{
    struct engine *e = NULL;
    struct err err = {0};

    config.model_path = folder;
    config.counters_path = counters_path;
    unlink(counters_path);
    if (engine_open(&e, &config, NULL, &err) < 0)
        fail_msg("engine_open: %s", err.message);
    return e;
}

static void submit(struct engine *e, const struct engine_request *request)
{
    struct err err = {0};

    if (engine_submit(e, request, &err) < 0)
        fail_msg("engine_submit: %s", err.message);
}

static void run(struct engine *e, struct answer *answers)
{
    static struct engine_event events[EVENTS];
    bool idle = false;

    while (!idle) {
        struct err err = {0};
        int count = engine_step(e, events, EVENTS, &idle, &err);

        if (count < 0)
            fail_msg("engine_step: %s", err.message);
        for (int i = 0; i < count; i++) {
            struct answer *a = &answers[events[i].handle];

            a->chosen[a->count] = events[i].chosen[0];
            a->ids[a->count++] = events[i].ids[0];
            a->finish = events[i].finish;
            a->cached_tokens = events[i].cached_tokens;
            a->counts = events[i].counts;
        }
    }
}

static void make_request(int i)
{
    int count = 1 + (i * 37) % PROMPT_MAX;

    for (int t = 0; t < count; t++) {
        uint64_t seed = t < SHARED ? 0 : (uint64_t)i; /* equal beginnings */

        prompts[i][t] = (int32_t)(sample_uniform(seed, (uint64_t)t) * VOCAB);
    }
    requests[i] = (struct engine_request){
        .handle = (uint64_t)i,
        .prompt = prompts[i],
        .prompt_count = count,
        .max_output = OUTPUT,
        .priority = i % 3,
        .sampling = {.temperature = i % 2 ? 0.8F : 0,
                     .top_p = i % 4 ? 1 : 0.9F,
                     .top_k = i % 5 ? 0 : 20,
                     .repetition_penalty = i % 3 ? 1 : 1.1F,
                     .seed = (uint64_t)i,
                     .logprobs = 0},
    };
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "real-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(counters_path, sizeof(counters_path), "%s/counters", folder);
    random_model_write(folder, &shape);
    for (int i = 0; i < REQUESTS; i++) {
        struct engine *e = open_engine((struct engine_config){.slots = 1, .threads = 1});

        make_request(i);
        submit(e, &requests[i]);
        run(e, alone);
        assert_int_equal(alone[i].count, OUTPUT);
        engine_close(e);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

static void check(const struct answer *got, const struct answer *expected, int from)
{
    assert_int_equal(got->finish, expected->finish);
    assert_int_equal(got->count, expected->count - from);
    assert_memory_equal(got->ids, expected->ids + from, (size_t)got->count * sizeof(got->ids[0]));
    assert_memory_equal(got->chosen, expected->chosen + from,
                        (size_t)got->count * sizeof(got->chosen[0]));
}

static void answers_as_if_alone(void **state)
{
    static const struct {
        struct engine_config config;
        int blocks; /* 0: enough */
        bool preempts;
    } cases[] = {
        {{.slots = 12, .threads = 1}, 0, false},
        {{.slots = 12, .threads = 2}, 0, false},
        {{.slots = 3, .threads = 2, .chunk_tokens = 3}, 0, false},
        {{.slots = 5, .threads = 2, .chunk_tokens = 17, .prefix_reuse = true}, 0, false},
        {{.slots = 6, .threads = 1, .chunk_tokens = 32, .prefix_reuse = true}, 8, true},
        {{.slots = 6, .threads = 2, .chunk_tokens = 8}, 7, true},
    };

    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct answer answers[REQUESTS] = {0};
        struct engine_config config = cases[c].config;
        struct engine_plan plan;
        struct engine_stats stats;
        struct engine *e;

        config.model_path = folder;
        assert_int_equal(engine_plan(&plan, &config, NULL), 0);
        config.kv_bytes = (uint64_t)cases[c].blocks * plan.kv_block_bytes;
        e = open_engine(config);
        for (int i = 0; i < REQUESTS; i++)
            submit(e, &requests[i]);
        run(e, answers);
        for (int i = 0; i < REQUESTS; i++) {
            check(&answers[i], &alone[i], 0);
            assert_int_equal(answers[i].counts.input_computed + answers[i].counts.input_cached,
                             requests[i].prompt_count);
        }
        engine_stats(e, &stats);
        assert_int_equal(stats.kv_blocks_used, 0);
        assert_int_equal(stats.preemptions > 0, cases[c].preempts);
        engine_close(e);
    }
}

static void repeats_a_prompt_from_the_cache(void **state)
{
    struct engine *e = open_engine((struct engine_config){.prefix_reuse = true});

    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < REQUESTS; i++) {
            struct answer answers[REQUESTS] = {0};

            submit(e, &requests[i]);
            run(e, answers);
            engine_release(e, (uint64_t)i);
            check(&answers[i], &alone[i], 0);
            if (pass == 1)
                assert_int_equal(answers[i].cached_tokens, (requests[i].prompt_count - 1) /
                                                               KV_BLOCK_TOKENS * KV_BLOCK_TOKENS);
        }
    }
    engine_close(e);
}

static void goes_on_after_any_token(void **state)
{
    struct engine *e = open_engine((struct engine_config){.slots = 4, .chunk_tokens = 50});

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct answer answers[OUTPUT] = {0};

        for (int given = 0; given < OUTPUT; given++) {
            struct engine_request resumed = requests[i];

            resumed.handle = (uint64_t)given;
            resumed.output = alone[i].ids;
            resumed.output_count = given;
            submit(e, &resumed);
        }
        run(e, answers);
        for (int given = 0; given < OUTPUT; given++) {
            check(&answers[given], &alone[i], given);
            assert_int_equal(answers[given].counts.recomputed, given);
            engine_release(e, (uint64_t)given);
        }
    }
    engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_if_alone),
        cmocka_unit_test(repeats_a_prompt_from_the_cache),
        cmocka_unit_test(goes_on_after_any_token),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
