/* SPDX-License-Identifier: Apache-2.0 */
/* The map against a plain array: random puts and removals. */
#include "cmocka_plain.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

enum { KEYS = 500, STEPS = 50000 };

static void behaves_like_an_array(void **state)
{
    static int values[KEYS];
    void *model[KEYS] = {NULL};
    struct rng_seeded seeded;
    struct map m;
    size_t count = 0;

    (void)state;
    map_init(&m, KEYS);
    rng_seeded_init(&seeded, 1);
    for (int step = 0; step < STEPS; step++) {
        size_t k = rng_below(&seeded.rng, KEYS);
        char key[16];
        void *old = &old;

        snprintf(key, sizeof(key), "key-%zu", k);
        assert_ptr_equal(map_get(&m, str_of(key)), model[k]);
        if (rng_below(&seeded.rng, 2) == 0) {
            assert_int_equal(map_put(&m, str_of(key), &values[k], &old), 0);
            assert_ptr_equal(old, model[k]);
            count += model[k] == NULL;
            model[k] = &values[k];
        } else {
            assert_ptr_equal(map_remove(&m, str_of(key)), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
        }
        assert_int_equal(m.count, count);
    }
    map_fini(&m);
}

/* Removing what the walk has just met, again and again, misses nothing. */
static void entries_may_leave_during_a_walk(void **state)
{
    static int values[KEYS];
    struct rng_seeded seeded;

    (void)state;
    rng_seeded_init(&seeded, 2);
    for (int round = 0; round < 200; round++) {
        bool leaves[KEYS] = {false};
        size_t count = 1 + rng_below(&seeded.rng, KEYS);
        struct map_entry *e;
        struct map m;

        map_init(&m, KEYS);
        for (size_t k = 0; k < count; k++) {
            char key[16];

            snprintf(key, sizeof(key), "key-%zu", k);
            leaves[k] = rng_below(&seeded.rng, 4) > 0;
            assert_int_equal(map_put(&m, str_of(key), &values[k], NULL), 0);
        }
        for (size_t at = 0; (e = map_next(&m, &at)) != NULL;) {
            if (leaves[(int *)e->value - values]) {
                (void)map_remove(&m, (struct str){e->key, e->key_len});
                at--;
            }
        }
        for (size_t k = 0; k < count; k++) {
            char key[16];

            snprintf(key, sizeof(key), "key-%zu", k);
            assert_ptr_equal(map_get(&m, str_of(key)), leaves[k] ? NULL : &values[k]);
        }
        map_fini(&m);
    }
}

static void is_bounded(void **state)
{
    struct map m;
    int value = 0;

    (void)state;
    map_init(&m, 2);
    assert_int_equal(map_put(&m, STR("a"), &value, NULL), 0);
    assert_int_equal(map_put(&m, STR("b"), &value, NULL), 0);
    assert_int_equal(map_put(&m, STR("c"), &value, NULL), -ERR_LIMIT);
    assert_int_equal(map_put(&m, STR("a"), &value, NULL), 0);
    map_fini(&m);
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct map m;
        int value = 0;

        map_init(&m, KEYS);
        mem_fail_after(n);
        for (int k = 0; k < 40; k++) {
            char key[16];

            snprintf(key, sizeof(key), "%d", k);
            (void)map_put(&m, str_of(key), &value, NULL);
        }
        assert_true(m.count >= 39);
        map_fini(&m);
        if (!mem_fail_seen())
            break;
    }
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_an_array),
        cmocka_unit_test(entries_may_leave_during_a_walk),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
