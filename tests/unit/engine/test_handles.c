/* SPDX-License-Identifier: Apache-2.0 */
/* The handle table against a plain array: random puts and removals, full to its capacity. */
#include "cmocka_plain.h"

#include "base/clock.h"
#include "engine/handles.h"

enum { CAPACITY = 100, STEPS = 100000 };

/* Handles that collide much: few distinct low bits, and some far apart. */
static uint64_t handle_of(int n)
{
    return n % 2 ? (uint64_t)n << 40 : (uint64_t)n;
}

static void behaves_like_an_array(void **state)
{
    int rows[2 * CAPACITY];
    int count = 0;
    struct rng_seeded chance;
    struct handles h;

    (void)state;
    rng_seeded_init(&chance, 5);
    assert_int_equal(handles_init(&h, CAPACITY, NULL), 0);
    for (int n = 0; n < 2 * CAPACITY; n++)
        rows[n] = -1;
    for (int step = 0; step < STEPS; step++) {
        int n = (int)rng_below(&chance.rng, 2 * CAPACITY);

        assert_int_equal(handles_find(&h, handle_of(n)), rows[n]);
        if (rows[n] >= 0) {
            handles_remove(&h, handle_of(n));
            rows[n] = -1;
            count--;
        } else if (count < CAPACITY) {
            rows[n] = step;
            handles_put(&h, handle_of(n), step);
            count++;
        }
    }
    handles_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_an_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
