/* SPDX-License-Identifier: Apache-2.0 */
/* The work queue: one worker a key, back-off, requeue-after, fairness, and its metrics. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "operator/kube/client/kube_queue.h"

enum { TEXT_MAX = 1 << 20, RANDOM_STEPS = 100000, KEYS = 20 };

struct bench {
    struct kube_queue *queue;
    struct clock_manual clock;
    struct metrics *metrics;
};

static void begin(struct bench *b)
{
    struct kube_queue_options options = {.name = "models"};

    clock_manual_init(&b->clock, 0);
    assert_int_equal(metrics_new(&b->metrics, NULL), 0);
    options.clock = &b->clock.clock;
    options.metrics = b->metrics;
    assert_int_equal(kube_queue_new(&b->queue, &options, NULL), 0);
}

static void end(struct bench *b)
{
    kube_queue_free(b->queue);
    metrics_free(b->metrics);
}

static void add(struct bench *b, const char *key)
{
    assert_int_equal(kube_queue_add(b->queue, str_of(key), NULL), 0);
}

static void takes(struct bench *b, const char *expected)
{
    const char *key = kube_queue_take(b->queue);

    if (expected == NULL)
        assert_null(key);
    else
        assert_string_equal(key, expected);
}

static void keys_come_once_and_in_order(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    takes(&b, NULL);
    assert_true(kube_queue_due_ms(b.queue) == INT64_MAX);
    add(&b, "x");
    add(&b, "y");
    add(&b, "x");
    assert_int_equal(kube_queue_ready(b.queue), 2);
    assert_int_equal(kube_queue_due_ms(b.queue), 0);
    takes(&b, "x");
    takes(&b, "y");
    takes(&b, NULL);
    kube_queue_done(b.queue, "x");
    kube_queue_done(b.queue, "y");
    takes(&b, NULL);
    end(&b);
}

static void never_two_workers_on_a_key(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    add(&b, "x");
    takes(&b, "x");
    add(&b, "x");
    add(&b, "x");
    add(&b, "y");
    takes(&b, "y"); /* another key passes */
    takes(&b, NULL);
    kube_queue_done(b.queue, "x");
    takes(&b, "x"); /* once more, since it changed meanwhile */
    kube_queue_done(b.queue, "x");
    takes(&b, NULL);
    end(&b);
}

static void a_busy_key_goes_to_the_end(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    add(&b, "busy");
    add(&b, "a");
    add(&b, "b");
    takes(&b, "busy");
    add(&b, "busy");
    kube_queue_done(b.queue, "busy");
    takes(&b, "a");
    takes(&b, "b");
    takes(&b, "busy");
    end(&b);
}

static void comes_back_later(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    assert_int_equal(kube_queue_add_after(b.queue, STR("x"), 5000, NULL), 0);
    assert_int_equal(kube_queue_add_after(b.queue, STR("x"), 9000, NULL), 0); /* later: stays */
    assert_int_equal(kube_queue_add_after(b.queue, STR("y"), 7000, NULL), 0);
    assert_int_equal(kube_queue_add_after(b.queue, STR("y"), 3000, NULL), 0); /* sooner: wins */
    assert_int_equal(kube_queue_due_ms(b.queue), 3000);
    takes(&b, NULL);
    clock_manual_advance_ms(&b.clock, 3000);
    takes(&b, "y");
    takes(&b, NULL);
    clock_manual_advance_ms(&b.clock, 2000);
    takes(&b, "x");
    assert_int_equal(kube_queue_add_after(b.queue, STR("z"), 0, NULL), 0);
    takes(&b, "z");
    end(&b);
}

static void failures_back_off_each_key(void **state)
{
    static const int64_t delays[] = {5, 10, 20, 40, 80, 160};
    struct bench b;

    (void)state;
    begin(&b);
    for (size_t i = 0; i < ARRAY_COUNT(delays); i++) {
        int64_t now = clock_mono_ms(&b.clock.clock);

        assert_int_equal(kube_queue_retry(b.queue, STR("bad"), NULL), 0);
        assert_int_equal(kube_queue_due_ms(b.queue), now + delays[i]);
        assert_int_equal(kube_queue_failures(b.queue, STR("bad")), i + 1);
        clock_manual_advance_ms(&b.clock, delays[i]);
        takes(&b, "bad");
        kube_queue_done(b.queue, "bad");
    }
    kube_queue_forget(b.queue, STR("bad"));
    assert_int_equal(kube_queue_failures(b.queue, STR("bad")), 0);
    assert_int_equal(kube_queue_retry(b.queue, STR("bad"), NULL), 0);
    assert_int_equal(kube_queue_due_ms(b.queue), clock_mono_ms(&b.clock.clock) + 5);
    for (int i = 0; i < 40; i++) { /* up to the maximum, and no further */
        clock_manual_advance_ms(&b.clock, KUBE_QUEUE_BACKOFF_MAX_MS);
        takes(&b, "bad");
        kube_queue_done(b.queue, "bad");
        assert_int_equal(kube_queue_retry(b.queue, STR("bad"), NULL), 0);
    }
    assert_int_equal(kube_queue_due_ms(b.queue),
                     clock_mono_ms(&b.clock.clock) + KUBE_QUEUE_BACKOFF_MAX_MS);
    end(&b);
}

/* Many keys that fail at once share one bucket. */
static void many_failures_are_spread(void **state)
{
    struct bench b;
    int taken = 0;

    (void)state;
    begin(&b);
    for (int i = 0; i < 500; i++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(kube_queue_retry(b.queue, str_of(key), NULL), 0);
    }
    clock_manual_advance_ms(&b.clock, 10);
    while (kube_queue_take(b.queue) != NULL)
        taken++;
    assert_int_equal(taken, KUBE_QUEUE_RETRY_BURST);
    clock_manual_advance_ms(&b.clock, 10000);
    while (kube_queue_take(b.queue) != NULL)
        taken++;
    assert_in_range(taken, KUBE_QUEUE_RETRY_BURST + 95, KUBE_QUEUE_RETRY_BURST + 105);
    clock_manual_advance_ms(&b.clock, 40000);
    while (kube_queue_take(b.queue) != NULL)
        taken++;
    assert_int_equal(taken, 500);
    end(&b);
}

/* Whatever happens in whatever order: no key is lost, none has two workers. */
static void nothing_is_lost_or_doubled(void **state)
{
    bool working[KEYS] = {false};
    bool wanted[KEYS] = {false};
    struct rng_seeded chance;
    struct bench b;

    (void)state;
    begin(&b);
    rng_seeded_init(&chance, 5);
    for (int step = 0; step < RANDOM_STEPS; step++) {
        int k = (int)rng_below(&chance.rng, KEYS);
        const char *key;
        char text[16];

        snprintf(text, sizeof(text), "%d", k);
        switch (rng_below(&chance.rng, 5)) {
        case 0:
            add(&b, text);
            wanted[k] = true;
            break;
        case 1:
            assert_int_equal(kube_queue_add_after(b.queue, str_of(text), 50, NULL), 0);
            wanted[k] = true;
            break;
        case 2:
            clock_manual_advance_ms(&b.clock, 20);
            break;
        case 3:
            if (working[k])
                kube_queue_done(b.queue, text);
            working[k] = false;
            break;
        default:
            key = kube_queue_take(b.queue);
            if (key == NULL)
                break;
            k = (int)strtol(key, NULL, 10);
            assert_false(working[k]);
            working[k] = true;
            wanted[k] = false; /* an add_after may come once more: that does no harm */
            break;
        }
    }
    clock_manual_advance_ms(&b.clock, 1000);
    for (int k = 0; k < KEYS; k++) {
        char text[16];

        snprintf(text, sizeof(text), "%d", k);
        if (working[k])
            kube_queue_done(b.queue, text);
    }
    for (const char *key; (key = kube_queue_take(b.queue)) != NULL;)
        wanted[strtol(key, NULL, 10)] = false;
    for (int k = 0; k < KEYS; k++)
        assert_false(wanted[k]);
    end(&b);
}

static void shows(struct bench *b, const char *line)
{
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, TEXT_MAX);
    assert_int_equal(metrics_expose(b->metrics, &text), 0);
    if (strstr(buf_cstr(&text), line) == NULL)
        fail_msg("no '%s' in\n%s", line, text.ptr);
}

#define SERIES(name) name "{name=\"models\",controller=\"models\"}"

static void counts_as_controller_runtime_does(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    add(&b, "x");
    add(&b, "x");
    add(&b, "y");
    shows(&b, SERIES("workqueue_depth") " 2\n");
    shows(&b, SERIES("workqueue_adds_total") " 2\n");
    clock_manual_advance_ms(&b.clock, 2000);
    takes(&b, "x");
    clock_manual_advance_ms(&b.clock, 3000);
    takes(&b, "y");
    shows(&b, SERIES("workqueue_depth") " 0\n");
    shows(&b, SERIES("workqueue_unfinished_work_seconds") " 3\n");
    shows(&b, SERIES("workqueue_longest_running_processor_seconds") " 3\n");
    shows(&b, SERIES("workqueue_queue_duration_seconds_sum") " 7\n");
    kube_queue_done(b.queue, "x");
    kube_queue_done(b.queue, "y");
    shows(&b, SERIES("workqueue_work_duration_seconds_sum") " 3\n");
    shows(&b, SERIES("workqueue_work_duration_seconds_count") " 2\n");
    shows(&b, SERIES("workqueue_unfinished_work_seconds") " 0\n");
    assert_int_equal(kube_queue_retry(b.queue, STR("x"), NULL), 0);
    shows(&b, SERIES("workqueue_retries_total") " 1\n");
    kube_queue_free(b.queue); /* the registry lives on */
    shows(&b, SERIES("workqueue_unfinished_work_seconds") " 0\n");
    metrics_free(b.metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_once_and_in_order),
        cmocka_unit_test(never_two_workers_on_a_key),
        cmocka_unit_test(a_busy_key_goes_to_the_end),
        cmocka_unit_test(comes_back_later),
        cmocka_unit_test(failures_back_off_each_key),
        cmocka_unit_test(many_failures_are_spread),
        cmocka_unit_test(nothing_is_lost_or_doubled),
        cmocka_unit_test(counts_as_controller_runtime_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
