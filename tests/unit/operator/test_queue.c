/* SPDX-License-Identifier: Apache-2.0 */
/* The work queue: each key once, one worker a key, back-off, earliest time first. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "operator/reconcile/queue.h"

static void a_key_waits_once(void **state)
{
    struct queue q;
    const char *key;

    (void)state;
    queue_init(&q);
    queue_add(&q, STR("a"));
    queue_add(&q, STR("b"));
    queue_add(&q, STR("a"));
    key = queue_take(&q, 0);
    assert_string_equal(key, "a");
    queue_done(&q, key);
    key = queue_take(&q, 0);
    assert_string_equal(key, "b");
    queue_done(&q, key);
    assert_null(queue_take(&q, 0));
    assert_int_equal(q.items.count, 0);
    queue_fini(&q);
}

static void a_key_has_one_worker(void **state)
{
    struct queue q;
    const char *key;

    (void)state;
    queue_init(&q);
    queue_add(&q, STR("a"));
    key = queue_take(&q, 0);
    queue_add(&q, STR("a"));
    assert_null(queue_take(&q, 0));
    queue_done(&q, key);
    key = queue_take(&q, 0);
    assert_string_equal(key, "a");
    queue_done(&q, key);
    queue_fini(&q);
}

static void failures_wait_longer_each_time(void **state)
{
    struct rng_seeded chance;
    struct queue q;
    int64_t now = 1000, last = 0;

    (void)state;
    rng_seeded_init(&chance, 1);
    queue_init(&q);
    for (int i = 0; i < 20; i++) {
        const char *key;
        int64_t wait;

        queue_fail(&q, STR("a"), now, &chance.rng);
        assert_null(queue_take(&q, now));
        wait = queue_due_ms(&q) - now;
        assert_true(wait >= last / 2);
        assert_true(wait <= QUEUE_BACKOFF_MAX_MS * 5 / 4);
        last = wait;
        now += wait;
        key = queue_take(&q, now);
        assert_non_null(key);
        queue_done(&q, key);
    }
    assert_true(last >= QUEUE_BACKOFF_MAX_MS);
    queue_forget(&q, STR("a"));
    queue_fail(&q, STR("a"), now, &chance.rng);
    assert_true(queue_due_ms(&q) - now < 10);
    queue_fini(&q);
}

enum { KEYS = 200, STEPS = 20000 };

/* Against a plain array of due times. */
static void the_earliest_comes_first(void **state)
{
    int64_t due[KEYS];
    struct rng_seeded chance;
    struct queue q;

    (void)state;
    rng_seeded_init(&chance, 7);
    queue_init(&q);
    for (int i = 0; i < KEYS; i++)
        due[i] = INT64_MAX;
    for (int64_t now = 1; now < STEPS; now++) {
        size_t k = (size_t)rng_below(&chance.rng, KEYS);
        int64_t at = now + (int64_t)rng_below(&chance.rng, 300);
        const char *key;
        char name[16];

        snprintf(name, sizeof(name), "%zu", k);
        queue_add_at(&q, str_of(name), at);
        if (at < due[k])
            due[k] = at;
        while ((key = queue_take(&q, now)) != NULL) {
            uint64_t index = 0;

            assert_true(str_to_u64(str_of(key), &index));
            assert_true(due[index] <= now);
            due[index] = INT64_MAX;
            queue_done(&q, key);
        }
        for (int i = 0; i < KEYS; i++)
            assert_true(due[i] > now);
    }
    queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_waits_once),
        cmocka_unit_test(a_key_has_one_worker),
        cmocka_unit_test(failures_wait_longer_each_time),
        cmocka_unit_test(the_earliest_comes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
