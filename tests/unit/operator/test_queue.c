/* SPDX-License-Identifier: Apache-2.0 */
/* The work queue: each key once, one worker a key, fairness, back-off, earliest time first. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
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

static void takes(struct queue *q, int64_t now, const char *expected)
{
    const char *key = queue_take(q, now);

    if (expected == NULL)
        assert_null(key);
    else
        assert_string_equal(key, expected);
}

static void another_key_passes_a_busy_one(void **state)
{
    struct queue q;

    (void)state;
    queue_init(&q);
    takes(&q, 0, NULL);
    assert_true(queue_due_ms(&q) == INT64_MAX);
    queue_add(&q, STR("x"));
    assert_int_equal(queue_due_ms(&q), 0);
    takes(&q, 0, "x");
    queue_add(&q, STR("x"));
    queue_add(&q, STR("x"));
    queue_add(&q, STR("y"));
    takes(&q, 0, "y");
    takes(&q, 0, NULL);
    queue_done(&q, "x");
    takes(&q, 0, "x"); /* once more, since it changed meanwhile */
    queue_done(&q, "x");
    takes(&q, 0, NULL);
    queue_fini(&q);
}

static void a_busy_key_goes_to_the_end(void **state)
{
    struct queue q;

    (void)state;
    queue_init(&q);
    queue_add(&q, STR("busy"));
    queue_add(&q, STR("a"));
    queue_add(&q, STR("b"));
    takes(&q, 0, "busy");
    queue_add(&q, STR("busy"));
    queue_done(&q, "busy");
    takes(&q, 0, "a");
    takes(&q, 0, "b");
    takes(&q, 0, "busy");
    queue_fini(&q);
}

static void comes_back_later(void **state)
{
    struct queue q;

    (void)state;
    queue_init(&q);
    queue_add_at(&q, STR("x"), 5000);
    queue_add_at(&q, STR("x"), 9000); /* later: stays */
    queue_add_at(&q, STR("y"), 7000);
    queue_add_at(&q, STR("y"), 3000); /* sooner: wins */
    assert_int_equal(queue_due_ms(&q), 3000);
    takes(&q, 2999, NULL);
    takes(&q, 3000, "y");
    takes(&q, 3000, NULL);
    takes(&q, 5000, "x");
    queue_add_at(&q, STR("z"), 5000);
    takes(&q, 5000, "z");
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

static void a_full_queue_counts_what_it_refuses(void **state)
{
    struct queue q;
    char name[16];

    (void)state;
    queue_init(&q);
    for (int i = 0; i < QUEUE_KEYS_MAX + 2; i++) {
        snprintf(name, sizeof(name), "%d", i);
        queue_add(&q, str_of(name));
    }
    assert_int_equal(q.refused, 2);
    queue_add(&q, STR("0")); /* it has its place */
    assert_int_equal(q.refused, 2);
    queue_fini(&q);
}

static void note_wait(void *user, double waited_s)
{
    *(double *)user = waited_s;
}

static void waited(struct queue *q, const struct clock_manual *clock, const char *key, double s)
{
    double *last = q->user;

    *last = -1;
    takes(q, clock_mono_ms(&clock->clock), key);
    assert_float_equal(*last, s, 1e-9);
    queue_done(q, key);
}

/* From when it could have been taken until it was. */
static void waits_are_told(void **state)
{
    struct clock_manual clock;
    struct queue q;
    double last;

    (void)state;
    clock_manual_init(&clock, 0);
    clock_manual_advance_ms(&clock, 1000);
    queue_init(&q);
    queue_watch(&q, &clock.clock, note_wait, &last);
    queue_add(&q, STR("x"));
    clock_manual_advance_ms(&clock, 250);
    queue_add(&q, STR("x")); /* it was ready before */
    waited(&q, &clock, "x", 0.25);
    queue_add_at(&q, STR("y"), 2000); /* it is not late before its time */
    clock_manual_advance_ms(&clock, 1000);
    waited(&q, &clock, "y", 0.25);
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

enum { FEW_KEYS = 20, RANDOM_STEPS = 100000 };

/* Whatever happens in whatever order: no key is lost, none has two workers. */
static void nothing_is_lost_or_doubled(void **state)
{
    bool working[FEW_KEYS] = {false};
    bool wanted[FEW_KEYS] = {false};
    struct rng_seeded chance;
    struct queue q;
    int64_t now = 0;

    (void)state;
    rng_seeded_init(&chance, 5);
    queue_init(&q);
    for (int step = 0; step < RANDOM_STEPS; step++) {
        int k = (int)rng_below(&chance.rng, FEW_KEYS);
        const char *key;
        char text[16];

        snprintf(text, sizeof(text), "%d", k);
        switch (rng_below(&chance.rng, 5)) {
        case 0:
            queue_add(&q, str_of(text));
            wanted[k] = true;
            break;
        case 1:
            queue_add_at(&q, str_of(text), now + 50);
            wanted[k] = true;
            break;
        case 2:
            now += 20;
            break;
        case 3:
            if (working[k])
                queue_done(&q, text);
            working[k] = false;
            break;
        default:
            key = queue_take(&q, now);
            if (key == NULL)
                break;
            k = (int)strtol(key, NULL, 10);
            assert_false(working[k]);
            working[k] = true;
            wanted[k] = false; /* a later time may come once more: that does no harm */
            break;
        }
    }
    for (int k = 0; k < FEW_KEYS; k++) {
        char text[16];

        snprintf(text, sizeof(text), "%d", k);
        if (working[k])
            queue_done(&q, text);
    }
    for (const char *key; (key = queue_take(&q, now + 1000)) != NULL;)
        wanted[strtol(key, NULL, 10)] = false;
    for (int k = 0; k < FEW_KEYS; k++)
        assert_false(wanted[k]);
    queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_waits_once),
        cmocka_unit_test(a_key_has_one_worker),
        cmocka_unit_test(another_key_passes_a_busy_one),
        cmocka_unit_test(a_busy_key_goes_to_the_end),
        cmocka_unit_test(comes_back_later),
        cmocka_unit_test(failures_wait_longer_each_time),
        cmocka_unit_test(waits_are_told),
        cmocka_unit_test(a_full_queue_counts_what_it_refuses),
        cmocka_unit_test(the_earliest_comes_first),
        cmocka_unit_test(nothing_is_lost_or_doubled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
