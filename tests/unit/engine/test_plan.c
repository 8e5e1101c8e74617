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
        cmocka_unit_test(names_a_missing_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
