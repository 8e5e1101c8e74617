/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: libuv, plus what every program needs on top of it. One loop belongs to one
 * thread; only loop_post, loop_wake and loop_quit may be called from another one. Nothing on a loop
 * may block: slow things go through loop_work.
 *
 * Timers, deferred calls and wakers are plain structs inside their owner. They own nothing, can not
 * fail, and after their _stop (or _cancel, _fini) returns the owner may be freed at once.
 */
#ifndef SPATE_BASE_LOOP_H
#define SPATE_BASE_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

typedef void (*loop_fn)(void *object);

enum {
    LOOP_SIGNALS_MAX = 4,   /* different signals that one loop may watch */
    LOOP_POSTS_MAX = 65536, /* messages posted and not yet run */
    LOOP_WORKS_MAX = 4096,  /* loop_work calls not yet done */
    LOOP_SLOW_NS = 1000000, /* a callback longer than this is counted as slow */
};

/* A one-shot timer inside its owner: a node of the loop's pairing heap. */
struct loop_timer {
    loop_fn fn;
    void *object;
    struct loop *loop; /* NULL while not running */
    uint64_t due_ms;
    uint64_t order; /* equal times fire in the order of their starts */
    struct loop_timer *child, *next, *back;
};

/* A call at the end of the current turn of the loop: for coalescing (writes, publications). */
struct loop_deferred {
    loop_fn fn;
    void *object;
    struct loop_deferred *next, *back;
    bool queued;
};

/* A wake-up from another thread that can not fail: wakes before the callback runs count as one. */
struct loop_waker {
    loop_fn fn;
    void *object;
    struct loop *loop;
    struct loop_waker *next;
    bool queued; /* under the loop's lock */
};

struct loop_post_entry {
    loop_fn fn;
    void *object;
};

struct loop_signal {
    uv_signal_t uv;
    void (*fn)(void *object, int signum);
    void *object;
};

struct loop {
    uv_loop_t uv; /* for owners of handles: uv_tcp_init(&loop->uv, ...) */

    /* Counted by the loop; any thread may read them (metrics). */
    atomic_uint_fast64_t slow_callbacks; /* longer than LOOP_SLOW_NS */
    atomic_uint_fast64_t slowest_ns;     /* the longest callback so far */
    atomic_uint_fast64_t posts_refused;  /* loop_post calls that met a full queue */

    /* The rest is private. */
    struct loop_timer *timers; /* root of the pairing heap */
    uint64_t timer_order;
    uint64_t timer_armed_ms; /* when timer_uv fires; 0: not armed */
    bool timers_firing;
    uv_timer_t timer_uv;
    uv_prepare_t prepare_uv;
    uv_check_t check_uv;
    uv_async_t async_uv;
    struct loop_deferred *deferred_first, *deferred_last;
    size_t deferred_count;
    struct loop_signal signals[LOOP_SIGNALS_MAX];
    int signal_count;
    int works_running;
    int enter_depth;
    uint64_t entered_ns;

    pthread_mutex_t lock; /* guards what follows */
    struct loop_post_entry *posts, *posts_spare;
    size_t post_count, post_cap, spare_cap;
    struct loop_waker *wakers, *wakers_running;
    bool quit_asked;
};

int loop_init(struct loop *loop, struct err *err);
/* Runs until loop_quit. May be called again afterwards. */
void loop_run(struct loop *loop);
/* Makes loop_run return soon; from any thread and from signal callbacks. */
void loop_quit(struct loop *loop);
/* Runs what is ready (or becomes ready within timeout_ms; 0: does not wait), once: for tests and
 * for closing down. */
void loop_turn(struct loop *loop, uint64_t timeout_ms);
/* Waits for running loop_work calls, runs outstanding close callbacks, frees. All uv handles of
 * other owners must be closing or closed by now (asserted: a leftover one is a bug). Posts that
 * never ran are dropped. */
void loop_fini(struct loop *loop);

/* Milliseconds, monotonic; the time at which this turn began (cheap). */
uint64_t loop_now_ms(const struct loop *loop);

/* --- timers ------------------------------------------------------------------------------- */

/* Sets what the timer calls; does not start it. The timer was zeroed, or set before and does not
 * run now (asserted): stop it first. A zeroed timer that was never set may be stopped. */
void loop_timer_init(struct loop_timer *t, loop_fn fn, void *object);
/* (Re)starts it: fn runs once, after at least delay_ms, never inside this call. To repeat, start it
 * again in fn. */
void loop_timer_start(struct loop *loop, struct loop_timer *t, uint64_t delay_ms);
/* Harmless if not running. The owner may be freed when it returns. */
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_running(const struct loop_timer *t);

/* --- calls later -------------------------------------------------------------------------- */

void loop_deferred_init(struct loop_deferred *d, loop_fn fn, void *object);
/* fn runs once before the loop waits again; asking twice is one call. */
void loop_defer(struct loop *loop, struct loop_deferred *d);
void loop_defer_cancel(struct loop *loop, struct loop_deferred *d);

/* From any thread: fn(object) runs on the loop's thread, in the order of the posts. -ERR_BUSY when
 * LOOP_POSTS_MAX wait already, -ERR_NO_MEMORY; then the object stays the caller's. */
int loop_post(struct loop *loop, loop_fn fn, void *object);

void loop_waker_init(struct loop_waker *w, struct loop *loop, loop_fn fn, void *object);
/* From any thread; can not fail; several wakes may become one call. */
void loop_wake(struct loop_waker *w);
/* On the loop's thread, when no other thread wakes it any more; then the owner may be freed. */
void loop_waker_fini(struct loop_waker *w);

/* --- slow work and signals ------------------------------------------------------------------ */

/* Runs work(object) on a thread of libuv's pool, then done(object) on the loop. Can not be
 * cancelled: the object must live until done. -ERR_BUSY over LOOP_WORKS_MAX, -ERR_NO_MEMORY. */
int loop_work(struct loop *loop, loop_fn work, loop_fn done, void *object);

/* Calls fn(object, signum) on the loop for each arrival of the signal; up to LOOP_SIGNALS_MAX
 * signals, until loop_fini. SIGPIPE is ignored by loop_init already. */
int loop_on_signal(struct loop *loop, int signum, void (*fn)(void *object, int signum),
                   void *object, struct err *err);

/*
 * Time measurement around callbacks of own uv handles: loop_enter first, loop_leave last (they
 * nest; only the outermost pair counts). Callbacks of this header, of http_server, http_client and
 * fetch are measured already.
 */
void loop_enter(struct loop *loop);
void loop_leave(struct loop *loop);

#endif
