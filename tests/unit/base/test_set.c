/* SPDX-License-Identifier: Apache-2.0 */
/* The set against a plain array: random puts and removals of objects that share texts. */
#include "cmocka_plain.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/set.h"

enum { KEYS = 500, TWINS = 2, STEPS = 50000 };

struct thing {
    char text[16];
};

static struct thing things[TWINS][KEYS];

static struct str text_of(const void *user, const void *item)
{
    assert_ptr_equal(user, things);
    return str_of(((const struct thing *)item)->text);
}

static int name_things(void **state)
{
    (void)state;
    for (int twin = 0; twin < TWINS; twin++) {
        for (size_t k = 0; k < KEYS; k++)
            snprintf(things[twin][k].text, sizeof(things[twin][k].text), "key-%zu", k);
    }
    return 0;
}

static void behaves_like_an_array(void **state)
{
    struct thing *model[KEYS] = {NULL};
    struct rng_seeded seeded;
    struct set s;
    size_t count = 0;

    (void)state;
    set_init(&s, KEYS, text_of, things);
    rng_seeded_init(&seeded, 1);
    for (int step = 0; step < STEPS; step++) {
        size_t k = rng_below(&seeded.rng, KEYS);
        struct str key = str_of(things[0][k].text);
        void *old = &old;

        assert_ptr_equal(set_get(&s, key), model[k]);
        if (rng_below(&seeded.rng, 2) == 0) {
            struct thing *thing = &things[rng_below(&seeded.rng, TWINS)][k];

            assert_int_equal(set_put(&s, thing, &old), 0);
            assert_ptr_equal(old, model[k]);
            count += model[k] == NULL;
            model[k] = thing;
        } else {
            assert_ptr_equal(set_remove(&s, key), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
        }
        assert_int_equal(s.count, count);
    }
    set_fini(&s);
}

/* Removing what the walk has just met, again and again, misses nothing. */
static void objects_may_leave_during_a_walk(void **state)
{
    struct rng_seeded seeded;

    (void)state;
    rng_seeded_init(&seeded, 2);
    for (int round = 0; round < 200; round++) {
        bool leaves[KEYS] = {false};
        size_t count = 1 + rng_below(&seeded.rng, KEYS);
        struct thing *thing;
        struct set s;

        set_init(&s, KEYS, text_of, things);
        for (size_t k = 0; k < count; k++) {
            leaves[k] = rng_below(&seeded.rng, 4) > 0;
            assert_int_equal(set_put(&s, &things[0][k], NULL), 0);
        }
        for (size_t at = 0; (thing = set_next(&s, &at)) != NULL;) {
            if (leaves[thing - things[0]]) {
                assert_ptr_equal(set_remove(&s, str_of(thing->text)), thing);
                at--;
            }
        }
        for (size_t k = 0; k < count; k++)
            assert_ptr_equal(set_get(&s, str_of(things[0][k].text)),
                             leaves[k] ? NULL : &things[0][k]);
        set_fini(&s);
    }
}

static void is_bounded(void **state)
{
    struct set s;

    (void)state;
    set_init(&s, 2, text_of, things);
    assert_int_equal(set_put(&s, &things[0][0], NULL), 0);
    assert_int_equal(set_put(&s, &things[0][1], NULL), 0);
    assert_int_equal(set_put(&s, &things[0][2], NULL), -ERR_LIMIT);
    assert_int_equal(set_put(&s, &things[1][1], NULL), 0);
    assert_int_equal(s.count, 2);
    set_fini(&s);
}

/* A failed put leaves what is there; one that replaces needs no memory at all. */
static void survives_every_failing_allocation(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        struct set s;

        set_init(&s, KEYS, text_of, things);
        mem_fail_after(n);
        for (size_t k = 0; k < 40; k++)
            (void)set_put(&s, &things[0][k], NULL);
        failed = mem_fail_seen();
        assert_true(s.count >= (failed ? 39 : 40));
        mem_fail_after(0);
        assert_int_equal(set_put(&s, &things[1][7], NULL), 0);
        assert_ptr_equal(set_get(&s, STR("key-7")), &things[1][7]);
        mem_fail_after(-1);
        set_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_an_array),
        cmocka_unit_test(objects_may_leave_during_a_walk),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, name_things, NULL);
}
