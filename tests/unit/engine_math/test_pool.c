/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker threads: each task runs once, all are done when pool_run returns, however the threads
 * are scheduled: in quick succession, after they fell asleep, and with tasks that take their time.
 */
#include "cmocka_plain.h"

#include <stdatomic.h>
#include <time.h>

#include "base/mem.h"
#include "engine/cpu/pool.h"

enum { TASKS_MAX = 64, LOOPS = 20000 };

struct tally {
    _Atomic int runs[TASKS_MAX];
    int loop; /* plain: what the caller wrote before the loop must be visible to every task */
    int seen[TASKS_MAX];
    int sleep_us;
};

static void sleep_us(int us)
{
    const struct timespec time = {0, us * 1000L};

    nanosleep(&time, NULL);
}

static void count_task(void *arg, int task)
{
    struct tally *t = arg;

    t->seen[task] = t->loop;
    atomic_fetch_add(&t->runs[task], 1);
    if (t->sleep_us > 0 && task % 2 == 0)
        sleep_us(t->sleep_us);
}

static void run_loop(struct pool *p, struct tally *t, int loop, int count)
{
    t->loop = loop;
    pool_run(p, count_task, t, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(t->seen[i], loop);
        assert_int_equal(atomic_exchange(&t->runs[i], 0), 1);
    }
}

static void each_task_runs_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        struct tally tally = {0};
        struct pool *p = NULL;

        assert_int_equal(pool_open(&p, threads, NULL), 0);
        assert_int_equal(pool_threads(p), threads);
        for (int loop = 1; loop <= LOOPS / threads; loop++)
            run_loop(p, &tally, loop, loop % TASKS_MAX);
        pool_close(p);
    }
}

static void sleeping_threads_are_woken(void **state)
{
    struct tally tally = {0};
    struct pool *p = NULL;

    (void)state;
    assert_int_equal(pool_open(&p, 3, NULL), 0);
    for (int loop = 1; loop <= 50; loop++) {
        sleep_us(4 * POOL_SPIN_US);
        tally.sleep_us = loop % 3 == 0 ? 4 * POOL_SPIN_US : 0; /* the caller must wait asleep */
        run_loop(p, &tally, loop, 7);
    }
    pool_close(p);
}

static void bad_counts_are_refused(void **state)
{
    static const int counts[] = {0, -1, POOL_THREADS_MAX + 1};
    struct pool *p = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct err err = {0};

        assert_int_equal(pool_open(&p, counts[i], &err), -ERR_INVALID);
        assert_null(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_runs_once),
        cmocka_unit_test(sleeping_threads_are_woken),
        cmocka_unit_test(bad_counts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
