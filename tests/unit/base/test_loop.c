/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: timers against a sorted model, posts and wakes from threads, work, signals. */
#include "cmocka_plain.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

enum { TIMERS = 300, STEPS = 20000, POSTS = 10000, THREADS = 4, STARVED = 10000 };

/* --- timers --------------------------------------------------------------------------------- */

struct fired {
    struct loop_timer timer;
    uint64_t due_ms;
    int count;
    uint64_t *last_due_ms;
};

static void on_fire(void *object)
{
    struct fired *f = object;

    assert_true(f->due_ms >= *f->last_due_ms); /* in the order of their times */
    *f->last_due_ms = f->due_ms;
    f->count++;
}

static void timers_fire_in_order(void **state)
{
    static struct fired timers[TIMERS];
    struct rng_seeded seeded;
    struct loop loop;
    uint64_t last = 0;
    bool running[TIMERS] = {false};

    (void)state;
    rng_seeded_init(&seeded, 7);
    assert_int_equal(loop_init(&loop, NULL), 0);
    for (size_t i = 0; i < TIMERS; i++) {
        timers[i] = (struct fired){.last_due_ms = &last};
        loop_timer_init(&timers[i].timer, on_fire, &timers[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        size_t i = rng_below(&seeded.rng, TIMERS);

        assert_int_equal(loop_timer_running(&timers[i].timer), running[i]);
        if (rng_below(&seeded.rng, 3) > 0) {
            uint64_t delay = 1000 + rng_below(&seeded.rng, 50);

            loop_timer_start(&loop, &timers[i].timer, delay);
            timers[i].due_ms = loop_now_ms(&loop) + delay;
            running[i] = true;
        } else {
            loop_timer_stop(&timers[i].timer);
            running[i] = false;
        }
    }
    for (int turn = 0; turn < 3000 && loop.timers != NULL; turn++)
        loop_turn(&loop, 100);
    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(timers[i].count, running[i]);
    loop_fini(&loop);
}

struct restarting {
    struct loop *loop;
    struct loop_timer timer;
    struct loop_waker heard;
    int count;
};

static void restart(void *object)
{
    struct restarting *r = object;

    if (++r->count < 100)
        loop_timer_start(r->loop, &r->timer, 0);
    else
        loop_quit(r->loop);
}

static void a_timer_may_restart_itself_at_once(void **state)
{
    struct loop loop;
    struct restarting r = {.loop = &loop};

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    loop_timer_init(&r.timer, restart, &r);
    loop_timer_start(&loop, &r.timer, 0);
    assert_int_equal(r.count, 0); /* never inside the start */
    loop_run(&loop);
    assert_int_equal(r.count, 100);
    loop_fini(&loop);
}

static void never(void *object)
{
    (void)object;
    abort();
}

/* In a process of its own, as it ends there. */
static void restart_for_ever(void *object)
{
    struct restarting *r = object;

    if (++r->count < STARVED)
        loop_timer_start(r->loop, &r->timer, 0);
}

static void hear(void *object)
{
    struct restarting *r = object;

    loop_quit(r->loop);
}

static void others_are_heard_between_restarts(void **state)
{
    struct loop loop;
    struct restarting r = {.loop = &loop};

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    loop_timer_init(&r.timer, restart_for_ever, &r);
    loop_waker_init(&r.heard, &loop, hear, &r);
    loop_timer_start(&loop, &r.timer, 0);
    loop_wake(&r.heard);
    loop_run(&loop);
    assert_in_range(r.count, 0, STARVED - 1);
    loop_timer_stop(&r.timer);
    loop_waker_fini(&r.heard);
    loop_fini(&loop);
}

static void a_running_timer_can_not_be_set(void **state)
{
    static const bool runs[] = {false, true};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(runs); i++) {
        int status = 0;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            struct loop_timer timer = {0};
            struct loop loop;

            (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            (void)signal(SIGABRT, SIG_DFL); /* the test program catches it */
            if (loop_init(&loop, NULL) < 0)
                _exit(2);
            loop_timer_init(&timer, never, NULL);
            loop_timer_start(&loop, &timer, 1000);
            if (!runs[i])
                loop_timer_stop(&timer);
            loop_timer_init(&timer, never, NULL);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
#ifdef NDEBUG
        assert_int_equal(status, 0);
#else
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, runs[i] ? SIGABRT : 0);
#endif
    }
}

static void free_owner(void *object)
{
    mem_free(object); /* an owner may go in its own callback */
}

static void owners_may_be_freed_after_a_stop(void **state)
{
    struct loop loop;

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    for (int i = 0; i < 100; i++) {
        struct restarting *r = mem_alloc(sizeof(*r));

        assert_non_null(r);
        loop_timer_init(&r->timer, free_owner, r);
        loop_timer_start(&loop, &r->timer, (uint64_t)(i % 3));
        if (i % 2 == 0) {
            loop_timer_stop(&r->timer);
            mem_free(r);
        }
    }
    for (int turn = 0; turn < 1000 && loop.timers != NULL; turn++)
        loop_turn(&loop, 10);
    assert_null(loop.timers);
    loop_fini(&loop);
}

/* --- other threads -------------------------------------------------------------------------- */

struct sender {
    struct loop *loop;
    int *received;
    int next;
    pthread_t thread;
};

struct message {
    struct sender *sender;
    int number;
};

static void receive(void *object)
{
    struct message *m = object;

    assert_int_equal(m->number, m->sender->next++); /* in the order of the posts */
    if (++*m->sender->received == THREADS * POSTS)
        loop_quit(m->sender->loop);
    mem_free(m);
}

static void *send_posts(void *object)
{
    struct sender *s = object;

    for (int i = 0; i < POSTS; i++) {
        struct message *m = mem_alloc(sizeof(*m));

        if (m == NULL)
            return NULL;
        *m = (struct message){s, i};
        while (loop_post(s->loop, receive, m) < 0)
            usleep(100);
    }
    return NULL;
}

static void posts_arrive_once_and_in_order(void **state)
{
    struct sender senders[THREADS];
    struct loop loop;
    int received = 0;

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.loop = &loop, .received = &received};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_posts, &senders[i]), 0);
    }
    loop_run(&loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_int_equal(received, THREADS * POSTS);
    loop_fini(&loop);
}

static void ignore(void *object)
{
    (void)object;
}

static void posts_are_bounded(void **state)
{
    struct loop loop;

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    for (int i = 0; i < LOOP_POSTS_MAX; i++)
        assert_int_equal(loop_post(&loop, ignore, NULL), 0);
    assert_int_equal(loop_post(&loop, ignore, NULL), -ERR_BUSY);
    assert_int_equal(atomic_load(&loop.posts_refused), 1);
    loop_turn(&loop, 0);
    assert_int_equal(loop_post(&loop, ignore, NULL), 0);
    loop_fini(&loop);
}

struct waking {
    struct loop_waker a, b;
    int count;
};

static void on_wake(void *object)
{
    struct waking *w = object;

    w->count++;
    loop_waker_fini(&w->a); /* one may end the other, queued or not */
    loop_waker_fini(&w->b);
}

static void wakers_coalesce_and_end(void **state)
{
    struct waking w = {.count = 0};
    struct loop loop;

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    loop_waker_init(&w.a, &loop, on_wake, &w);
    loop_waker_init(&w.b, &loop, on_wake, &w);
    for (int i = 0; i < 10; i++) {
        loop_wake(&w.a);
        loop_wake(&w.b);
    }
    loop_turn(&loop, 100);
    loop_turn(&loop, 0);
    assert_int_equal(w.count, 1);
    loop_wake(&w.a);
    loop_waker_fini(&w.a);
    loop_turn(&loop, 0);
    assert_int_equal(w.count, 1);
    loop_fini(&loop);
}

/* --- the rest ------------------------------------------------------------------------------- */

struct deferring {
    struct loop *loop;
    struct loop_deferred a, b;
    int a_count, b_count;
};

static void on_a(void *object)
{
    struct deferring *d = object;

    d->a_count++;
    loop_defer_cancel(d->loop, &d->b);
    if (d->a_count < 20)
        loop_defer(d->loop, &d->a); /* again: must neither starve the loop nor wait in it */
    else
        loop_quit(d->loop);
}

static void on_b(void *object)
{
    struct deferring *d = object;

    d->b_count++;
}

static void deferred_calls_run_and_cancel(void **state)
{
    struct loop loop;
    struct deferring d = {.loop = &loop};

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    loop_deferred_init(&d.a, on_a, &d);
    loop_deferred_init(&d.b, on_b, &d);
    loop_defer(&loop, &d.a);
    loop_defer(&loop, &d.a);
    loop_defer(&loop, &d.b);
    loop_run(&loop);
    assert_int_equal(d.a_count, 20);
    assert_int_equal(d.b_count, 0);
    loop_fini(&loop);
}

struct working {
    struct loop *loop;
    pthread_t on_thread;
    int done;
};

static void work(void *object)
{
    struct working *w = object;

    w->on_thread = pthread_self();
}

static void work_done(void *object)
{
    struct working *w = object;

    assert_false(pthread_equal(w->on_thread, pthread_self()));
    usleep(2000); /* slow: it must be counted */
    w->done++;
    loop_quit(w->loop);
}

static void work_runs_elsewhere(void **state)
{
    struct loop loop;
    struct working w = {.loop = &loop};

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(loop_work(&loop, work, work_done, &w), 0);
    loop_run(&loop);
    assert_int_equal(w.done, 1);
    assert_true(atomic_load(&loop.slow_callbacks) >= 1);
    assert_true(atomic_load(&loop.slowest_ns) >= 2000000);
    assert_int_equal(loop_work(&loop, work, work_done, &w), 0);
    loop_fini(&loop); /* waits for it */
    assert_int_equal(w.done, 2);
}

static void on_signal(void *object, int signum)
{
    assert_int_equal(signum, SIGUSR1);
    loop_quit(object);
}

static void signals_arrive(void **state)
{
    struct loop loop;

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(loop_on_signal(&loop, SIGUSR1, on_signal, &loop, NULL), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    loop_run(&loop);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(a_timer_may_restart_itself_at_once),
        cmocka_unit_test(others_are_heard_between_restarts),
        cmocka_unit_test(a_running_timer_can_not_be_set),
        cmocka_unit_test(owners_may_be_freed_after_a_stop),
        cmocka_unit_test(posts_arrive_once_and_in_order),
        cmocka_unit_test(posts_are_bounded),
        cmocka_unit_test(wakers_coalesce_and_end),
        cmocka_unit_test(deferred_calls_run_and_cancel),
        cmocka_unit_test(work_runs_elsewhere),
        cmocka_unit_test(signals_arrive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
