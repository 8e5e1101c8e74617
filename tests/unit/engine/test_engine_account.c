/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted where: each case runs requests and compares the counts to the token. */
#include "cmocka_plain.h"

#include <string.h>

#include "engine_rig.h"

enum { PROMPT = 40, OUTPUT = 10 };

static struct rig rig;
static struct rig_answer answers[8];
static int32_t prompt[RIG_TOKENS_MAX];

static int set_up(void **state)
{
    (void)state;
    tiny_reset();
    memset(answers, 0, sizeof(answers));
    rig_fill(prompt, RIG_TOKENS_MAX, 1);
    rig_open(&rig, &(struct engine_config){.slots = 4, .prefix_reuse = true, .chunk_tokens = 16});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(rig_stats(&rig).kv_blocks_used, 0);
    rig_close(&rig);
    return 0;
}

static void run(struct engine_request request)
{
    assert_int_equal(engine_submit(rig.engine, &request, NULL), 0);
    rig_run(&rig, answers);
}

static void check(uint64_t handle, uint64_t computed, uint64_t cached, uint64_t output,
                  uint64_t recomputed)
{
    const struct engine_counts *c = &answers[handle].counts;

    assert_int_equal(c->input_computed, computed);
    assert_int_equal(c->input_cached, cached);
    assert_int_equal(c->output, output);
    assert_int_equal(c->recomputed, recomputed);
    assert_int_equal(answers[handle].cached_tokens, cached);
    rig_check_counters(&rig, &(struct engine_counts){0});
}

static void counts_a_plain_request(void **state)
{
    struct engine_request request = rig_request(0, prompt, PROMPT);

    (void)state;
    request.max_output = OUTPUT;
    run(request);
    check(0, PROMPT, 0, OUTPUT, 0);
}

static void cuts_a_cached_prompt_before_its_last_token(void **state)
{
    static const struct {
        int prompt_count;
        uint64_t cached;
    } cases[] = {{1, 0}, {15, 0}, {16, 0}, {17, 16}, {32, 16}, {33, 32}, {40, 32}};
    struct rig_answer alone;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint64_t handle = 0; handle < 2; handle++) {
            struct engine_request request = rig_request(handle, prompt, cases[i].prompt_count);

            request.max_output = 5;
            request.cache_salt = i; /* each case for itself */
            run(request);
            rig_expect(&alone, &request, 256);
            assert_memory_equal(answers[handle].ids, alone.ids, 5 * sizeof(int32_t));
            assert_int_equal(answers[handle].cached_tokens, handle == 0 ? 0 : cases[i].cached);
            assert_int_equal(answers[handle].counts.input_computed +
                                 answers[handle].counts.input_cached,
                             cases[i].prompt_count);
            memset(&answers[handle], 0, sizeof(answers[handle]));
            engine_release(rig.engine, handle);
        }
    }
}

static void never_shares_over_a_salt(void **state)
{
    (void)state;
    for (uint64_t handle = 0; handle < 4; handle++) {
        struct engine_request request = rig_request(handle, prompt, PROMPT);

        request.max_output = 1;
        request.cache_salt = handle % 2;
        run(request);
        assert_int_equal(answers[handle].cached_tokens, handle < 2 ? 0 : 32);
    }
}

static void counts_given_output_as_recomputed(void **state)
{
    struct engine_request request = rig_request(0, prompt, PROMPT);
    struct rig_answer whole;

    (void)state;
    request.max_output = OUTPUT;
    rig_expect(&whole, &request, 256);
    request.output = whole.ids;
    request.output_count = 4;
    run(request);
    assert_int_equal(answers[0].first_position, 4);
    check(0, PROMPT, 0, OUTPUT - 4, 4);
    /* Again: 40 + 4 tokens of which two blocks are cached, all of the prompt. */
    request.handle = 1;
    run(request);
    check(1, PROMPT - 32, 32, OUTPUT - 4, 4);
}

/* Output found in the cache was not computed here, and is not of the prompt: it counts nowhere. */
static void counts_given_output_found_in_the_cache_nowhere(void **state)
{
    struct engine_request request = rig_request(0, prompt, 24);
    struct rig_answer whole;

    (void)state;
    request.max_output = 60;
    rig_expect(&whole, &request, 256);
    run(request);
    request.handle = 1;
    request.output = whole.ids;
    request.output_count = 50; /* 74 tokens: 64 are in four cached blocks */
    run(request);
    check(1, 0, 24, 10, 10);
}

static void ends_at_once_what_is_complete(void **state)
{
    struct engine_request request = rig_request(0, prompt, PROMPT);
    struct rig_answer whole;

    (void)state;
    request.max_output = OUTPUT;
    rig_expect(&whole, &request, 256);
    request.output = whole.ids;
    request.output_count = OUTPUT;
    run(request);
    assert_int_equal(answers[0].finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(answers[0].count, 0);
    check(0, 0, 0, 0, 0);
    request.handle = 1;
    request.output_count = 3;
    request.stop_ids[0] = whole.ids[2];
    request.stop_id_count = 1;
    run(request);
    assert_int_equal(answers[1].finish, ENGINE_FINISH_STOP);
    check(1, 0, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_a_plain_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cuts_a_cached_prompt_before_its_last_token, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(never_shares_over_a_salt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_given_output_as_recomputed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_given_output_found_in_the_cache_nowhere, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ends_at_once_what_is_complete, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
