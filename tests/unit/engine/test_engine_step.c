/* SPDX-License-Identifier: Apache-2.0 */
/* The door's behaviour case by case: ends, limits, refusals, priorities, memory, failures. */
#include "cmocka_plain.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine_rig.h"

enum { PROMPT = 40, ANSWERS = 64 };

static struct rig rig;
static struct rig_answer answers[ANSWERS];
static int32_t prompts[ANSWERS][RIG_TOKENS_MAX];

static int set_up(void **state)
{
    (void)state;
    tiny_reset();
    memset(answers, 0, sizeof(answers));
    for (int i = 0; i < ANSWERS; i++)
        rig_fill(prompts[i], RIG_TOKENS_MAX, 100 + (uint32_t)i);
    return 0;
}

static void submit(const struct engine_request *request)
{
    struct err err = {0};

    if (engine_submit(rig.engine, request, &err) < 0)
        fail_msg("engine_submit: %s", err.message);
}

static void check_answer(const struct engine_request *request)
{
    static struct rig_answer expected;
    const struct rig_answer *got = &answers[request->handle];

    rig_expect(&expected, request, 256);
    assert_int_equal(got->finish, expected.finish);
    assert_int_equal(got->count, expected.count);
    assert_int_equal(got->first_position, expected.first_position);
    assert_memory_equal(got->ids, expected.ids, (size_t)expected.count * sizeof(expected.ids[0]));
}

static void ends_as_asked(void **state)
{
    struct engine_request base = rig_request(0, prompts[0], PROMPT);
    struct rig_answer whole;
    struct engine_request cases[8];
    static const enum engine_finish finishes[] = {
        ENGINE_FINISH_LENGTH, ENGINE_FINISH_LENGTH, ENGINE_FINISH_STOP,  ENGINE_FINISH_LENGTH,
        ENGINE_FINISH_LENGTH, ENGINE_FINISH_LENGTH, ENGINE_FINISH_LENGTH};
    int count = 0;

    (void)state;
    base.max_output = 30;
    rig_expect(&whole, &base, 256);
    cases[count++] = base; /* max_output */
    cases[count] = base;   /* the context */
    cases[count++].max_output = 0;
    cases[count] = base; /* a stop id */
    cases[count].stop_ids[0] = whole.ids[5];
    cases[count++].stop_id_count = 1;
    cases[count] = cases[2]; /* the same, ignored */
    cases[count++].ignore_stop_ids = true;
    cases[count] = cases[2]; /* the same, banned */
    cases[count++].min_output = 30;
    cases[count] = base; /* one token */
    cases[count++].max_output = 1;
    cases[count] = base; /* the shortest context left */
    cases[count].max_output = 0;
    cases[count++].prompt_count = 255;
    rig_open(&rig, &(struct engine_config){.slots = 8});
    for (int i = 0; i < count; i++) {
        cases[i].handle = (uint64_t)i;
        submit(&cases[i]);
    }
    rig_run(&rig, answers);
    for (int i = 0; i < count; i++) {
        check_answer(&cases[i]);
        assert_int_equal(answers[i].finish, finishes[i]);
    }
    assert_int_equal(answers[1].count, 256 - PROMPT);
    assert_int_equal(answers[6].count, 1);
    rig_close(&rig);
}

static void refuses_with_a_reason(void **state)
{
    static const int32_t bad_id[] = {3, TINY_VOCAB};
    static const struct engine_bias bad_bias = {-1, 1.0F};
    struct engine_request good = rig_request(1, prompts[0], PROMPT);
    struct engine_request bad[16];
    int count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        bad[i] = good;
    bad[count++].prompt_count = 0;
    bad[count++].prompt_count = 256;
    bad[count].prompt = bad_id;
    bad[count++].prompt_count = 2;
    bad[count].output = bad_id;
    bad[count++].output_count = 2;
    bad[count++].output_count = -1;
    bad[count].output = prompts[1];
    bad[count].output_count = 3;
    bad[count++].max_output = 2;
    bad[count++].max_output = -1;
    bad[count++].stop_id_count = ENGINE_STOP_IDS_MAX + 1;
    bad[count].stop_ids[0] = -1;
    bad[count++].stop_id_count = 1;
    bad[count++].sampling.temperature = -1;
    bad[count++].sampling.top_p = 1.5F;
    bad[count++].sampling.repetition_penalty = 0;
    bad[count++].sampling.top_k = -1;
    bad[count++].sampling.logprobs = ENGINE_LOGPROBS_MAX + 1;
    bad[count].sampling.bias = &bad_bias;
    bad[count++].sampling.bias_count = 1;
    rig_open(&rig, &(struct engine_config){0});
    for (int i = 0; i < count; i++) {
        struct err err = {0};

        assert_int_equal(engine_submit(rig.engine, &bad[i], &err), -ERR_INVALID);
        assert_true(strlen(err.message) > 10);
    }
    submit(&good);
    assert_int_equal(engine_submit(rig.engine, &good, NULL), -ERR_INVALID); /* handle in use */
    rig_run(&rig, answers);
    check_answer(&good);
    assert_int_equal(engine_submit(rig.engine, &good, NULL), -ERR_INVALID); /* not released */
    engine_release(rig.engine, good.handle);
    submit(&good);
    rig_close(&rig);
}

static void is_busy_when_full(void **state)
{
    struct engine_request request = rig_request(0, prompts[0], PROMPT);
    bool idle;

    (void)state;
    rig_open(&rig, &(struct engine_config){.slots = 2, .queue_max = 3});
    request.max_output = 2;
    for (int i = 0; i < 5; i++) {
        request.handle = (uint64_t)i;
        submit(&request);
    }
    request.handle = 5;
    assert_int_equal(engine_submit(rig.engine, &request, NULL), -ERR_BUSY);
    rig_step(&rig, answers, &idle);
    assert_int_equal(rig_stats(&rig).running, 2);
    assert_int_equal(rig_stats(&rig).waiting, 3);
    rig_run(&rig, answers);
    submit(&request);
    rig_run(&rig, answers);
    /* Rows that nobody releases run out as well. */
    for (uint64_t handle = 6;; handle++) {
        int r;

        request.handle = handle;
        r = engine_submit(rig.engine, &request, NULL);
        if (r == -ERR_BUSY) {
            assert_int_equal(handle, 2 + 3 + ENGINE_ROWS_SPARE);
            break;
        }
        assert_int_equal(r, 0);
        engine_cancel(rig.engine, handle);
        assert_int_equal(engine_step(rig.engine, rig.events, RIG_EVENTS_MAX, &idle, NULL), 1);
    }
    engine_release(rig.engine, 0);
    submit(&request);
    rig_close(&rig);
}

static void cancels_in_any_state(void **state)
{
    struct engine_request request;
    bool idle;

    (void)state;
    rig_open(&rig, &(struct engine_config){.slots = 2, .chunk_tokens = 16});
    for (uint64_t handle = 0; handle < 4; handle++) {
        request = rig_request(handle, prompts[handle], PROMPT);
        submit(&request);
    }
    rig_step(&rig, answers, &idle);
    engine_cancel(rig.engine, 0);  /* in its prompt */
    engine_cancel(rig.engine, 3);  /* waiting */
    engine_cancel(rig.engine, 3);  /* twice */
    engine_cancel(rig.engine, 77); /* unknown */
    assert_int_equal(rig_step(&rig, answers, &idle), 2);
    assert_int_equal(answers[0].finish, ENGINE_FINISH_CANCELLED);
    assert_int_equal(answers[0].counts.input_computed, 16);
    assert_int_equal(answers[3].finish, ENGINE_FINISH_CANCELLED);
    assert_int_equal(answers[3].counts.input_computed, 0);
    for (int i = 0; i < 20; i++)
        rig_step(&rig, answers, &idle);
    assert_true(answers[1].count > 3);
    engine_cancel(rig.engine, 1);  /* decoding */
    engine_release(rig.engine, 1); /* ignored: it has not ended */
    rig_step(&rig, answers, &idle);
    assert_int_equal(answers[1].finish, ENGINE_FINISH_CANCELLED);
    assert_int_equal(answers[1].counts.output, answers[1].count);
    engine_cancel(rig.engine, 1); /* ended */
    engine_cancel(rig.engine, 2);
    rig_run(&rig, answers);
    assert_int_equal(answers[2].finish, ENGINE_FINISH_CANCELLED);
    assert_int_equal(rig_stats(&rig).kv_blocks_used, 0);
    rig_close(&rig);
}

/* One slot: the order of the first tokens is the order of service. */
static void serves_by_priority_then_age(void **state)
{
    static const int priorities[] = {0, 5, 0, 9, 5};
    static const uint64_t order[] = {3, 1, 4, 0, 2};
    size_t served = 0;
    bool idle = false;

    (void)state;
    rig_open(&rig, &(struct engine_config){.slots = 1});
    for (uint64_t handle = 0; handle < 5; handle++) {
        struct engine_request request = rig_request(handle, prompts[handle], PROMPT);

        request.max_output = 1;
        request.priority = priorities[handle];
        submit(&request);
    }
    while (!idle) {
        int count = rig_step(&rig, answers, &idle);

        for (int i = 0; i < count; i++)
            assert_int_equal(rig.events[i].handle, order[served++]);
    }
    assert_int_equal(served, 5);
    rig_close(&rig);
}

static void higher_priority_displaces_a_running_one(void **state)
{
    struct engine_request low = rig_request(0, prompts[0], PROMPT);
    struct engine_request high = rig_request(1, prompts[1], PROMPT);
    bool idle;

    (void)state;
    rig_open(&rig, &(struct engine_config){.slots = 1});
    low.max_output = 20;
    high.max_output = 5;
    high.priority = 1;
    submit(&low);
    for (int i = 0; i < 8; i++)
        rig_step(&rig, answers, &idle);
    assert_int_equal(answers[0].count, 8);
    submit(&high);
    for (int i = 0; i < 5; i++)
        rig_step(&rig, answers, &idle);
    assert_int_equal(answers[1].finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(answers[0].count, 8);
    rig_run(&rig, answers);
    check_answer(&low);
    check_answer(&high);
    /* 40 + 7 positions were computed before, the eighth output token was not. */
    assert_int_equal(answers[0].counts.recomputed, PROMPT + 7);
    assert_int_equal(answers[0].counts.input_computed, PROMPT);
    assert_int_equal(answers[0].counts.output, 20);
    assert_int_equal(rig_stats(&rig).preemptions, 1);
    rig_close(&rig);
}

static void decodes_while_a_prompt_comes_in_chunks(void **state)
{
    struct engine_request talking = rig_request(0, prompts[0], 4);
    struct engine_request long_prompt = rig_request(1, prompts[1], 200);
    bool idle;

    (void)state;
    rig_open(&rig, &(struct engine_config){.slots = 4, .chunk_tokens = 16});
    talking.max_output = 40;
    long_prompt.max_output = 3;
    submit(&talking);
    rig_step(&rig, answers, &idle);
    submit(&long_prompt);
    for (int i = 0; i < 13; i++) /* 15 tokens of 200 each time */
        rig_step(&rig, answers, &idle);
    assert_int_equal(answers[0].count, 14);
    assert_int_equal(answers[1].count, 0);
    rig_step(&rig, answers, &idle);
    assert_int_equal(answers[1].count, 1);
    assert_int_equal(tiny_batch_tokens_most, 16);
    rig_run(&rig, answers);
    check_answer(&talking);
    check_answer(&long_prompt);
    rig_close(&rig);
}

static void resumes_exactly_after_every_token(void **state)
{
    enum { OUTPUT = 24 };
    static const struct engine_bias bias[] = {{7, 1.5F}, {9, -3.0F}};
    struct engine_request request = rig_request(0, prompts[0], 21);
    static struct rig_answer whole;

    (void)state;
    request.max_output = OUTPUT;
    request.sampling = (struct engine_sampling){.temperature = 0.9F,
                                                .top_p = 0.9F,
                                                .top_k = 30,
                                                .min_p = 0.01F,
                                                .presence_penalty = 0.3F,
                                                .frequency_penalty = 0.2F,
                                                .repetition_penalty = 1.1F,
                                                .seed = 77,
                                                .logprobs = 2,
                                                .bias = bias,
                                                .bias_count = 2};
    rig_expect(&whole, &request, 256);
    rig_open(&rig, &(struct engine_config){.slots = 8, .prefix_reuse = true});
    for (int given = 0; given < OUTPUT; given++) {
        struct engine_request resumed = request;

        resumed.handle = (uint64_t)given;
        resumed.output = whole.ids;
        resumed.output_count = given;
        submit(&resumed);
    }
    rig_run(&rig, answers);
    for (int given = 0; given < OUTPUT; given++) {
        const struct rig_answer *got = &answers[given];

        assert_int_equal(got->count, OUTPUT - given);
        assert_int_equal(got->first_position, given);
        assert_memory_equal(got->ids, whole.ids + given, (size_t)got->count * sizeof(int32_t));
        assert_memory_equal(got->chosen, whole.chosen + given,
                            (size_t)got->count * sizeof(got->chosen[0]));
    }
    rig_close(&rig);
}

static void allocates_nothing_after_opening(void **state)
{
    (void)state;
    rig_open(&rig, &(struct engine_config){
                       .slots = 4, .chunk_tokens = 16, .kv_bytes = 20000, .prefix_reuse = true});
    mem_fail_after(0);
    for (uint64_t handle = 0; handle < 20; handle++) {
        struct engine_request request = rig_request(handle, prompts[handle % 3], PROMPT);

        request.sampling.temperature = 1;
        request.sampling.logprobs = 5;
        submit(&request);
    }
    rig_run(&rig, answers);
    assert_true(rig_stats(&rig).preemptions > 0);
    for (uint64_t handle = 0; handle < 20; handle++)
        engine_release(rig.engine, handle);
    assert_false(mem_fail_seen());
    mem_fail_after(-1);
    rig_close(&rig);
}

static void stays_broken_after_a_failed_step(void **state)
{
    (void)state;
    for (int nan = 0; nan < 2; nan++) {
        struct engine_request request = rig_request(0, prompts[0], PROMPT);
        struct err err = {0};
        bool idle;

        *(nan ? &tiny.nan_after : &tiny.fail_after) = 1;
        rig_open(&rig, &(struct engine_config){0});
        memset(answers, 0, sizeof(answers));
        submit(&request);
        assert_int_equal(rig_step(&rig, answers, &idle), 1);
        assert_int_equal(engine_step(rig.engine, rig.events, RIG_EVENTS_MAX, &idle, &err),
                         -ERR_INTERNAL);
        assert_int_equal(engine_step(rig.engine, rig.events, RIG_EVENTS_MAX, &idle, &err),
                         -ERR_INTERNAL);
        rig_check_counters(&rig, &(struct engine_counts){0});
        rig_close(&rig);
    }
}

static void survives_every_failing_allocation_of_open(void **state)
{
    struct engine_config config = {
        .model_path = "tiny", .counters_path = "open-fails", .slots = 2, .queue_max = 2};
    int failures = 0;

    (void)state;
    for (int64_t n = 0;; n++) {
        struct engine *engine = NULL;
        int r;

        mem_fail_after(n);
        r = engine_open(&engine, &config, NULL, NULL);
        mem_fail_after(-1);
        if (r == 0) {
            engine_close(engine);
            break;
        }
        assert_int_equal(r, -ERR_NO_MEMORY);
        assert_null(engine);
        failures++;
    }
    assert_true(failures > 15);
    assert_int_equal(unlink(config.counters_path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ends_as_asked, set_up),
        cmocka_unit_test_setup(refuses_with_a_reason, set_up),
        cmocka_unit_test_setup(is_busy_when_full, set_up),
        cmocka_unit_test_setup(cancels_in_any_state, set_up),
        cmocka_unit_test_setup(serves_by_priority_then_age, set_up),
        cmocka_unit_test_setup(higher_priority_displaces_a_running_one, set_up),
        cmocka_unit_test_setup(decodes_while_a_prompt_comes_in_chunks, set_up),
        cmocka_unit_test_setup(resumes_exactly_after_every_token, set_up),
        cmocka_unit_test_setup(allocates_nothing_after_opening, set_up),
        cmocka_unit_test_setup(stays_broken_after_a_failed_step, set_up),
        cmocka_unit_test_setup(survives_every_failing_allocation_of_open, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
