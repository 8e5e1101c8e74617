/* SPDX-License-Identifier: Apache-2.0 */
/* What engine_plan makes of settings: defaults, bounds and refusals. */
#include "cmocka_plain.h"

#include <string.h>

#include "engine/engine.h"
#include "tiny_model.h"

static const uint64_t mib = 1 << 20;

static void plans_memory(void **state)
{
    static const struct {
        int model_context;
        uint64_t block_bytes;
        struct engine_config config;
        int slots; /* 0: refused */
        int blocks;
        int context;
    } cases[] = {
        /* slots * 4096 tokens */
        {8192, 1000, {0}, 16, 16 * 256, 8192},
        {1024, 1000, {0}, 16, 16 * 64, 1024},
        {1024, 1000, {.slots = 2}, 2, 128, 1024},
        /* one whole context where that is more */
        {131072, 1000, {.slots = 2}, 2, 8192, 131072},
        /* at most 1 GiB, which bounds the context */
        {131072, 1 << 20, {.slots = 16}, 16, 1024, 16384},
        {131072, 1 << 20, {.slots = 16, .context_max = 20000}, 16, 1024, 16384},
        /* as given */
        {8192, 1000, {.kv_bytes = 100000}, 16, 100, 1600},
        {8192, 1000, {.kv_bytes = 100000, .context_max = 1600}, 16, 100, 1600},
        {8192, 1000, {.kv_bytes = 100000, .context_max = 1601}, 16, 100, 1600},
        {8192, 1000, {.kv_bytes = 1999, .context_max = 1601}, 0, 0, 0},
        {8192, 1000, {.kv_bytes = 1999}, 0, 0, 0},
        {8192, 1000, {.kv_bytes = 2000}, 16, 2, 32},
        {8192, 1000, {.context_max = 100}, 16, 16 * 7, 100},
        /* refused settings */
        {8192, 1000, {.context_max = 8193}, 0, 0, 0},
        {8192, 1000, {.context_max = 31}, 0, 0, 0},
        {8192, 1000, {.context_max = -1}, 0, 0, 0},
        {8192, 1000, {.slots = -1}, 0, 0, 0},
        {8192, 1000, {.slots = 5000}, 0, 0, 0},
        {8192, 1000, {.queue_max = -1}, 0, 0, 0},
        {8192, 1000, {.slots = 32, .chunk_tokens = 31}, 0, 0, 0},
        {8192, 1000, {.slots = 300}, 300, 300 * 256, 8192},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct engine_config config = cases[i].config;
        struct engine_plan plan = {0};
        struct err err = {0};
        int r;

        tiny_reset();
        tiny.context_max = cases[i].model_context;
        tiny.kv_block_bytes = cases[i].block_bytes;
        config.model_path = "tiny";
        r = engine_plan(&plan, &config, &err);
        if (cases[i].slots == 0) {
            assert_int_equal(r, -ERR_INVALID);
            assert_true(strlen(err.message) > 20);
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(plan.slots, cases[i].slots);
        assert_int_equal(plan.kv_blocks, cases[i].blocks);
        assert_int_equal(plan.context_max, cases[i].context);
        assert_int_equal(plan.context_wanted,
                         config.context_max > 0 ? config.context_max : cases[i].model_context);
        assert_int_equal(plan.kv_block_bytes, cases[i].block_bytes);
        assert_int_equal(plan.vocab_size, TINY_VOCAB);
        assert_true(config.kv_bytes > 0 ||
                    (uint64_t)plan.kv_blocks * plan.kv_block_bytes <= 1024 * mib);
    }
}

static uint64_t needed(const struct engine_plan *plan)
{
    return plan->memory.weights + plan->memory.kv + plan->memory.work;
}

static int plan_tiny(struct engine_plan *plan, struct engine_config config, struct err *err)
{
    config.model_path = "tiny";
    *plan = (struct engine_plan){0};
    return engine_plan(plan, &config, err);
}

/* Each setting adds what it makes the engine allocate. */
static void counts_memory(void **state)
{
    struct engine_plan least, plan;
    const struct engine_config small = {.slots = 1, .chunk_tokens = 16, .kv_bytes = 64000};
    struct engine_config config = small;

    (void)state;
    tiny_reset();
    tiny.own_bytes = 5 * mib;
    tiny.token_bytes = 700;
    assert_int_equal(plan_tiny(&least, small, NULL), 0);
    assert_int_equal(least.memory.weights, 5 * mib);
    assert_in_range(least.memory.kv, 64 * 1000, 64 * 1300);
    config.chunk_tokens = 116;
    assert_int_equal(plan_tiny(&plan, config, NULL), 0);
    assert_int_equal(plan.memory.work, least.memory.work + 100 * 700);
    config = small;
    config.memory_used = 3 * mib;
    assert_int_equal(plan_tiny(&plan, config, NULL), 0);
    assert_int_equal(plan.memory.work, least.memory.work + 3 * mib);
    config = small;
    config.slots = 11;
    assert_int_equal(plan_tiny(&plan, config, NULL), 0);
    assert_true(plan.memory.work >= least.memory.work + 10 * TINY_ROWS * sizeof(float));
    config = small;
    config.kv_bytes = 2 * small.kv_bytes;
    assert_int_equal(plan_tiny(&plan, config, NULL), 0);
    assert_int_equal(plan.memory.kv, 2 * least.memory.kv);
}

static void refuses_what_does_not_fit(void **state)
{
    struct engine_config config = {.kv_bytes = 9 * mib};
    struct engine_plan plan;
    struct err err = {0};

    (void)state;
    tiny_reset();
    tiny.context_max = 8192;
    tiny.own_bytes = 5 * mib;
    assert_int_equal(plan_tiny(&plan, config, NULL), 0);
    config.memory_bytes = needed(&plan);
    assert_int_equal(plan_tiny(&plan, config, &err), 0);
    assert_false(plan.kv_bounded);
    config.memory_bytes--;
    assert_int_equal(plan_tiny(&plan, config, &err), -ERR_NO_MEMORY);
    for (size_t i = 0; i < 4; i++) {
        static const char *const parts[] = {"it needs ", "weights 5", "KV cache ", "but may use "};

        assert_non_null(strstr(err.message, parts[i]));
    }
}

/* What we choose leaves a quarter of what there is; but 1024 tokens are held, or nothing. */
static void fits_the_cache_that_it_chooses(void **state)
{
    struct engine_config config = {0};
    struct engine_plan all, plan;
    uint64_t rest, least;

    (void)state;
    tiny_reset();
    tiny.context_max = 8192;
    tiny.own_bytes = 5 * mib;
    assert_int_equal(plan_tiny(&all, config, NULL), 0);
    rest = all.memory.weights + all.memory.work;
    least = all.memory.kv / (uint64_t)all.kv_blocks * (1024 / 16);
    for (uint64_t left = 2 * mib; left < 8 * mib; left += 123457) {
        config.memory_bytes = rest + left;
        assert_int_equal(plan_tiny(&plan, config, NULL), 0);
        assert_int_equal(plan.kv_bounded, plan.kv_blocks < all.kv_blocks);
        assert_true(plan.kv_blocks == all.kv_blocks || plan.memory.kv > left * 70 / 100);
        assert_true(plan.memory.kv <= left * 75 / 100);
    }
    assert_false(plan.kv_bounded);
    config.memory_bytes = rest + least;
    assert_int_equal(plan_tiny(&plan, config, NULL), 0);
    assert_int_equal(plan.context_max, 1024);
    assert_true(plan.kv_bounded);
    config.memory_bytes--;
    assert_int_equal(plan_tiny(&plan, config, NULL), -ERR_NO_MEMORY);
}

static void names_a_missing_model(void **state)
{
    struct engine_plan plan;
    struct err err = {0};

    (void)state;
    assert_int_equal(engine_plan(&plan, &(struct engine_config){.model_path = "absent"}, &err),
                     -ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "absent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_memory),
        cmocka_unit_test(counts_memory),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(fits_the_cache_that_it_chooses),
        cmocka_unit_test(names_a_missing_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
