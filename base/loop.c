/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: see loop.h. Messages from other threads are moved out under the lock and run
 * outside it. Deferred calls run after the poll phase and again before the next one, so that what
 * timers and close callbacks asked for does not wait either.
 */
#include "base/loop.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop_timer.h"
#include "base/mem.h"

enum {
    POSTS_FIRST_CAP = 64,
    DEFER_ROUNDS = 4,    /* rounds of deferred calls that defer again, before the loop polls */
    FINI_TURNS = 5000,   /* turns that loop_fini gives to close callbacks ... */
    FINI_PAUSE_US = 1000 /* ... with a pause after the first few */
};

struct work {
    uv_work_t uv;
    loop_fn work, done;
    void *object;
};

/* --- measurement ---------------------------------------------------------------------------- */

void loop_enter(struct loop *loop)
{
    if (loop->enter_depth++ == 0)
        loop->entered_ns = uv_hrtime();
}

void loop_leave(struct loop *loop)
{
    uint64_t took_ns;

    assert(loop->enter_depth > 0);
    if (--loop->enter_depth > 0)
        return;
    took_ns = uv_hrtime() - loop->entered_ns;
    if (took_ns > LOOP_SLOW_NS)
        atomic_fetch_add_explicit(&loop->slow_callbacks, 1, memory_order_relaxed);
    if (took_ns > atomic_load_explicit(&loop->slowest_ns, memory_order_relaxed))
        atomic_store_explicit(&loop->slowest_ns, took_ns, memory_order_relaxed);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return uv_now(&loop->uv);
}

/* --- deferred calls ------------------------------------------------------------------------- */

void loop_deferred_init(struct loop_deferred *d, loop_fn fn, void *object)
{
    *d = (struct loop_deferred){.fn = fn, .object = object};
}

void loop_defer(struct loop *loop, struct loop_deferred *d)
{
    if (d->queued)
        return;
    d->queued = true;
    d->next = NULL;
    d->back = loop->deferred_last;
    if (d->back != NULL)
        d->back->next = d;
    else
        loop->deferred_first = d;
    loop->deferred_last = d;
    loop->deferred_count++;
}

void loop_defer_cancel(struct loop *loop, struct loop_deferred *d)
{
    if (!d->queued)
        return;
    if (d->back != NULL)
        d->back->next = d->next;
    else
        loop->deferred_first = d->next;
    if (d->next != NULL)
        d->next->back = d->back;
    else
        loop->deferred_last = d->back;
    d->queued = false;
    loop->deferred_count--;
}

static void run_deferred(struct loop *loop)
{
    for (int round = 0; round < DEFER_ROUNDS && loop->deferred_first != NULL; round++) {
        for (size_t left = loop->deferred_count; left > 0 && loop->deferred_first != NULL; left--) {
            struct loop_deferred *d = loop->deferred_first;

            loop_defer_cancel(loop, d);
            loop_enter(loop);
            d->fn(d->object);
            loop_leave(loop);
        }
    }
    if (loop->deferred_first != NULL)
        (void)uv_async_send(&loop->async_uv); /* so that the poll does not wait */
}

static void on_prepare(uv_prepare_t *handle)
{
    run_deferred(handle->data);
}

static void on_check(uv_check_t *handle)
{
    run_deferred(handle->data);
}

/* --- messages from other threads ------------------------------------------------------------ */

static void run_wakers(struct loop *loop, struct loop_waker *list)
{
    /* The list is private now, but a waker may be woken again while an earlier one runs; `queued`
     * is cleared only as its turn comes, so each is on one list at a time. */
    while (list != NULL) {
        struct loop_waker *w = list;

        pthread_mutex_lock(&loop->lock);
        list = w->next;
        loop->wakers_running = list;
        w->queued = false;
        pthread_mutex_unlock(&loop->lock);
        loop_enter(loop);
        w->fn(w->object);
        loop_leave(loop);
        list = loop->wakers_running; /* w->fn may have ended one of them */
    }
}

static void run_posts(struct loop *loop, const struct loop_post_entry *posts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        loop_enter(loop);
        posts[i].fn(posts[i].object);
        loop_leave(loop);
    }
}

static void on_async(uv_async_t *handle)
{
    struct loop *loop = handle->data;
    struct loop_post_entry *posts;
    struct loop_waker *wakers;
    size_t count;
    size_t cap;
    bool quit;

    pthread_mutex_lock(&loop->lock);
    posts = loop->posts;
    count = loop->post_count;
    cap = loop->post_cap;
    loop->posts = loop->posts_spare;
    loop->post_cap = loop->spare_cap;
    loop->post_count = 0;
    loop->posts_spare = NULL;
    loop->spare_cap = 0;
    wakers = loop->wakers;
    loop->wakers = NULL;
    loop->wakers_running = wakers;
    quit = loop->quit_asked;
    loop->quit_asked = false;
    pthread_mutex_unlock(&loop->lock);

    run_posts(loop, posts, count);
    run_wakers(loop, loop->wakers_running);

    pthread_mutex_lock(&loop->lock);
    if (loop->posts_spare == NULL) {
        loop->posts_spare = STEAL(posts);
        loop->spare_cap = cap;
    }
    pthread_mutex_unlock(&loop->lock);
    mem_free(posts);
    if (quit)
        uv_stop(&loop->uv);
}

/* Under the lock: room for one more post. */
static int posts_grow(struct loop *loop)
{
    struct loop_post_entry *bigger;
    size_t cap = loop->post_cap == 0 ? POSTS_FIRST_CAP : loop->post_cap * 2;

    if (loop->post_count >= LOOP_POSTS_MAX)
        return -ERR_BUSY;
    if (loop->post_count < loop->post_cap)
        return 0;
    bigger = mem_resize(loop->posts, cap, sizeof(*bigger));
    if (bigger == NULL)
        return -ERR_NO_MEMORY;
    loop->posts = bigger;
    loop->post_cap = cap;
    return 0;
}

int loop_post(struct loop *loop, loop_fn fn, void *object)
{
    int r;

    pthread_mutex_lock(&loop->lock);
    r = posts_grow(loop);
    if (r == 0)
        loop->posts[loop->post_count++] = (struct loop_post_entry){fn, object};
    pthread_mutex_unlock(&loop->lock);
    if (r < 0)
        atomic_fetch_add_explicit(&loop->posts_refused, 1, memory_order_relaxed);
    else
        (void)uv_async_send(&loop->async_uv);
    return r;
}

void loop_waker_init(struct loop_waker *w, struct loop *loop, loop_fn fn, void *object)
{
    *w = (struct loop_waker){.fn = fn, .object = object, .loop = loop};
}

void loop_wake(struct loop_waker *w)
{
    struct loop *loop = w->loop;
    bool send = false;

    pthread_mutex_lock(&loop->lock);
    if (!w->queued) {
        w->queued = true;
        w->next = loop->wakers;
        loop->wakers = w;
        send = true;
    }
    pthread_mutex_unlock(&loop->lock);
    if (send)
        (void)uv_async_send(&loop->async_uv);
}

static bool unlink_waker(struct loop_waker **list, const struct loop_waker *w)
{
    for (struct loop_waker **at = list; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return true;
        }
    }
    return false;
}

void loop_waker_fini(struct loop_waker *w)
{
    struct loop *loop = w->loop;

    if (loop == NULL)
        return;
    pthread_mutex_lock(&loop->lock);
    if (w->queued && !unlink_waker(&loop->wakers, w))
        (void)unlink_waker(&loop->wakers_running, w);
    w->queued = false;
    pthread_mutex_unlock(&loop->lock);
}

/* --- slow work ------------------------------------------------------------------------------ */

static void on_work(uv_work_t *request)
{
    struct work *w = request->data;

    w->work(w->object);
}

static void on_work_done(uv_work_t *request, int status)
{
    struct work *w = request->data;
    struct loop *loop = request->loop->data;
    loop_fn done = w->done;
    void *object = w->object;

    (void)status; /* never cancelled */
    mem_free(w);
    loop->works_running--;
    loop_enter(loop);
    done(object);
    loop_leave(loop);
}

int loop_work(struct loop *loop, loop_fn work, loop_fn done, void *object)
{
    struct work *w;

    if (loop->works_running >= LOOP_WORKS_MAX)
        return -ERR_BUSY;
    w = mem_alloc(sizeof(*w));
    if (w == NULL)
        return -ERR_NO_MEMORY;
    *w = (struct work){.work = work, .done = done, .object = object};
    w->uv.data = w;
    if (uv_queue_work(&loop->uv, &w->uv, on_work, on_work_done) != 0) {
        mem_free(w);
        return -ERR_NO_MEMORY;
    }
    loop->works_running++;
    return 0;
}

/* --- signals -------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int signum)
{
    struct loop_signal *s = handle->data;
    struct loop *loop = handle->loop->data;

    loop_enter(loop);
    s->fn(s->object, signum);
    loop_leave(loop);
}

int loop_on_signal(struct loop *loop, int signum, void (*fn)(void *object, int signum),
                   void *object, struct err *err)
{
    struct loop_signal *s;
    int r;

    if (loop->signal_count >= LOOP_SIGNALS_MAX)
        return err_set(err, ERR_LIMIT, "a loop watches at most %d signals", LOOP_SIGNALS_MAX);
    s = &loop->signals[loop->signal_count];
    r = uv_signal_init(&loop->uv, &s->uv);
    if (r != 0)
        return err_errno(err, -r, "signal %d", signum);
    loop->signal_count++;
    s->fn = fn;
    s->object = object;
    s->uv.data = s;
    r = uv_signal_start(&s->uv, on_signal, signum);
    if (r != 0)
        return err_errno(err, -r, "signal %d", signum);
    uv_unref((uv_handle_t *)&s->uv);
    return 0;
}

/* --- life ----------------------------------------------------------------------------------- */

static int init_handles(struct loop *loop)
{
    int r = uv_async_init(&loop->uv, &loop->async_uv, on_async);

    if (r != 0)
        return r;
    (void)uv_timer_init(&loop->uv, &loop->timer_uv);
    (void)uv_prepare_init(&loop->uv, &loop->prepare_uv);
    (void)uv_check_init(&loop->uv, &loop->check_uv);
    loop->async_uv.data = loop;
    loop->timer_uv.data = loop;
    loop->prepare_uv.data = loop;
    loop->check_uv.data = loop;
    (void)uv_prepare_start(&loop->prepare_uv, on_prepare);
    (void)uv_check_start(&loop->check_uv, on_check);
    uv_unref((uv_handle_t *)&loop->timer_uv);
    uv_unref((uv_handle_t *)&loop->prepare_uv);
    uv_unref((uv_handle_t *)&loop->check_uv);
    return 0;
}

int loop_init(struct loop *loop, struct err *err)
{
    int r;

    memset(loop, 0, sizeof(*loop));
    r = uv_loop_init(&loop->uv);
    if (r != 0)
        return err_errno(err, -r, "event loop");
    loop->uv.data = loop;
    r = init_handles(loop);
    if (r != 0) {
        (void)uv_loop_close(&loop->uv);
        return err_errno(err, -r, "event loop");
    }
    pthread_mutex_init(&loop->lock, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return 0;
}

void loop_run(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_quit(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->quit_asked = true;
    pthread_mutex_unlock(&loop->lock);
    (void)uv_async_send(&loop->async_uv);
}

/* The time may be over before the loop looks for events at all (libuv runs timers first): then the
 * wait that follows must not begin. */
static void end_turn(void *object)
{
    struct loop *loop = object;

    (void)uv_async_send(&loop->async_uv);
}

void loop_turn(struct loop *loop, uint64_t timeout_ms)
{
    struct loop_timer limit = {0};

    if (timeout_ms == 0) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        return;
    }
    loop_timer_init(&limit, end_turn, loop);
    loop_timer_start(loop, &limit, timeout_ms);
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
    loop_timer_stop(&limit);
}

static void close_own_handles(struct loop *loop)
{
    for (int i = 0; i < loop->signal_count; i++)
        uv_close((uv_handle_t *)&loop->signals[i].uv, NULL);
    uv_close((uv_handle_t *)&loop->async_uv, NULL);
    uv_close((uv_handle_t *)&loop->timer_uv, NULL);
    uv_close((uv_handle_t *)&loop->prepare_uv, NULL);
    uv_close((uv_handle_t *)&loop->check_uv, NULL);
}

void loop_fini(struct loop *loop)
{
    int r = UV_EBUSY;

    while (loop->works_running > 0)
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* deferred calls may still close things */
    close_own_handles(loop);
    for (int turn = 0; turn < FINI_TURNS && r == UV_EBUSY; turn++) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        r = uv_loop_close(&loop->uv);
        if (r == UV_EBUSY && turn > DEFER_ROUNDS)
            (void)usleep(FINI_PAUSE_US);
    }
    if (r != 0) {
        log_error("event loop ended with open handles; its memory is not released");
        assert(r == 0);
    }
    mem_free(loop->posts);
    mem_free(loop->posts_spare);
    pthread_mutex_destroy(&loop->lock);
}
