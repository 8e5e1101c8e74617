/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker threads: see pool.h. One word holds the loop in progress:
 *
 *     ticket = count << 32 | next        tasks next .. count - 1 are still to be claimed
 *
 * A task is claimed by a compare-and-swap that raises `next`. Whoever succeeds may read `task` and
 * `arg`: they change only after every claimed task is done. A thread that looks at an old ticket
 * can at worst claim a task of the present loop, which is as good.
 */
#include "engine/cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/mem.h"

struct pool {
    _Atomic uint64_t ticket;
    _Atomic int done; /* tasks of this loop that are finished */
    pool_task *task;
    void *arg;

    pthread_mutex_t lock;
    pthread_cond_t work; /* there is a loop, or the end */
    pthread_cond_t all_done;
    _Atomic int sleepers;
    _Atomic bool caller_sleeps;
    _Atomic bool closing;

    pthread_t *threads;
    int thread_count; /* without the caller */
};

static bool has_work(uint64_t ticket)
{
    return (uint32_t)ticket < (uint32_t)(ticket >> 32);
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Spins until `ready(p)` or the time is over; true if ready. */
static bool spin_until(struct pool *p, bool (*ready)(struct pool *))
{
    enum { PAUSES_PER_LOOK = 32 };
    int64_t end = now_us() + POOL_SPIN_US;

    do {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (ready(p))
                return true;
            pause_briefly();
        }
    } while (now_us() < end);
    return ready(p);
}

static bool work_is_there(struct pool *p)
{
    return has_work(atomic_load(&p->ticket)) || atomic_load(&p->closing);
}

static bool all_is_done(struct pool *p)
{
    return atomic_load(&p->done) == (int)(atomic_load(&p->ticket) >> 32);
}

/* Claims and runs tasks until there are none. */
static void work(struct pool *p)
{
    uint64_t ticket = atomic_load(&p->ticket);

    while (has_work(ticket)) {
        if (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket + 1))
            continue;
        p->task(p->arg, (int)(uint32_t)ticket);
        atomic_fetch_add(&p->done, 1);
        if (atomic_load(&p->caller_sleeps)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->all_done);
            pthread_mutex_unlock(&p->lock);
        }
        ticket = atomic_load(&p->ticket);
    }
}

static void sleep_until_work(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (!work_is_there(p))
        pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
    struct pool *p = arg;

    while (!atomic_load(&p->closing)) {
        if (!spin_until(p, work_is_there))
            sleep_until_work(p);
        work(p);
    }
    return NULL;
}

static void wake_sleepers(struct pool *p)
{
    if (atomic_load(&p->sleepers) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

/* A worker may have been put aside by the kernel in the middle of a task. */
static void wait_for_others(struct pool *p)
{
    if (spin_until(p, all_is_done))
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true);
    while (!all_is_done(p))
        pthread_cond_wait(&p->all_done, &p->lock);
    atomic_store(&p->caller_sleeps, false);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, pool_task *task, void *arg, int count)
{
    if (p->thread_count == 0 || count <= 1) {
        for (int i = 0; i < count; i++)
            task(arg, i);
        return;
    }
    p->task = task;
    p->arg = arg;
    atomic_store(&p->done, 0);
    atomic_store(&p->ticket, (uint64_t)(uint32_t)count << 32);
    wake_sleepers(p);
    work(p);
    wait_for_others(p);
}

int pool_threads(const struct pool *p)
{
    return p->thread_count + 1;
}

static int start_threads(struct pool *p, int count, struct err *err)
{
    while (p->thread_count < count) {
        int failed = pthread_create(&p->threads[p->thread_count], NULL, worker_main, p);

        if (failed != 0)
            return err_errno(err, failed, "cannot start kernel thread %d", p->thread_count + 1);
        p->thread_count++;
    }
    return 0;
}

int pool_open(struct pool **out, int threads, struct err *err)
{
    struct pool *p;
    int r;

    if (threads < 1 || threads > POOL_THREADS_MAX)
        return err_set(err, ERR_INVALID, "%d kernel threads; it must be from 1 to %d", threads,
                       POOL_THREADS_MAX);
    p = mem_alloc(sizeof(*p));
    if (p == NULL)
        return err_no_memory(err);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->all_done, NULL);
    p->threads = mem_array((size_t)threads, sizeof(*p->threads));
    r = p->threads == NULL ? err_no_memory(err) : start_threads(p, threads - 1, err);
    if (r < 0) {
        pool_close(p);
        return r;
    }
    *out = p;
    return 0;
}

void pool_close(struct pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->closing, true);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->all_done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->threads);
    mem_free(p);
}
