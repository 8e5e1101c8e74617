/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timers of a loop: an intrusive pairing heap behind one uv_timer_t. A uv_timer_t in each owner
 * would need an asynchronous close before the owner may be freed; a node of a heap does not, and
 * starting it can not fail.
 *
 *     root (due first)
 *      | child
 *      a -> b -> c        siblings by `next`; `back` is the left sibling, or the parent
 *      |
 *      d -> e
 */
#include "base/loop_timer.h"

#include <assert.h>

/* libuv before 1.45 goes on with timers that are due at once before it polls, so one that starts
 * itself again, as for a long piece of work, would keep everything else from being heard. */
enum { AFTER_FIRING_MS = 1 };

void loop_timer_init(struct loop_timer *t, loop_fn fn, void *object)
{
    assert(t->loop == NULL); /* a running one would stay in the loop's heap, overwritten */
    *t = (struct loop_timer){.fn = fn, .object = object};
}

bool loop_timer_running(const struct loop_timer *t)
{
    return t->loop != NULL;
}

static bool before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order);
}

/* Joins two heaps (roots without siblings); either may be NULL. */
static struct loop_timer *join(struct loop_timer *a, struct loop_timer *b)
{
    struct loop_timer *top;
    struct loop_timer *sub;

    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    top = before(a, b) ? a : b;
    sub = top == a ? b : a;
    sub->next = top->child;
    if (sub->next != NULL)
        sub->next->back = sub;
    sub->back = top;
    top->child = sub;
    return top;
}

/* Takes the first of a list of siblings off, as a heap of its own. */
static struct loop_timer *take(struct loop_timer **list)
{
    struct loop_timer *first = *list;

    if (first == NULL)
        return NULL;
    *list = first->next;
    first->next = NULL;
    first->back = NULL;
    return first;
}

/* Makes one heap of a list of siblings: in pairs from the left, then all pairs from the right. The
 * pairs wait in a list that `next` links backwards. */
static struct loop_timer *join_list(struct loop_timer *list)
{
    struct loop_timer *pairs = NULL;
    struct loop_timer *all = NULL;

    while (list != NULL) {
        struct loop_timer *one = take(&list);
        struct loop_timer *two = take(&list);
        struct loop_timer *pair = join(one, two);

        pair->next = pairs;
        pairs = pair;
    }
    while (pairs != NULL)
        all = join(all, take(&pairs));
    return all;
}

static void heap_remove(struct loop *loop, struct loop_timer *t)
{
    struct loop_timer *below = join_list(t->child);

    if (t == loop->timers) {
        loop->timers = below;
    } else {
        if (t->back->child == t)
            t->back->child = t->next;
        else
            t->back->next = t->next;
        if (t->next != NULL)
            t->next->back = t->back;
        loop->timers = join(loop->timers, below);
    }
    t->child = NULL;
    t->next = NULL;
    t->back = NULL;
    t->loop = NULL;
}

/* Arms the libuv timer for the first of the heap, in `least_ms` or later. One that is armed too
 * early is left alone: it fires, finds nothing due, and is armed again here. */
static void arm(struct loop *loop, uint64_t least_ms)
{
    uint64_t now = uv_now(&loop->uv);
    uint64_t due;

    if (loop->timers == NULL)
        return;
    due = loop->timers->due_ms;
    if (loop->timer_armed_ms != 0 && loop->timer_armed_ms <= due)
        return;
    loop->timer_armed_ms = due == 0 ? 1 : due;
    if (due < now + least_ms)
        due = now + least_ms;
    (void)uv_timer_start(&loop->timer_uv, loop_timers_fire, due - now, 0);
}

void loop_timer_start(struct loop *loop, struct loop_timer *t, uint64_t delay_ms)
{
    uint64_t now;

    assert(t->fn != NULL);
    loop_timer_stop(t);
    if (loop->enter_depth == 0)
        uv_update_time(&loop->uv); /* outside callbacks the cached time may be old */
    now = uv_now(&loop->uv);
    t->loop = loop;
    t->due_ms = delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms;
    t->order = loop->timer_order++;
    loop->timers = join(loop->timers, t);
    arm(loop, loop->timers_firing ? AFTER_FIRING_MS : 0);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->loop != NULL)
        heap_remove(t->loop, t);
}

void loop_timers_run(struct loop *loop)
{
    uint64_t now = uv_now(&loop->uv);
    uint64_t order_end = loop->timer_order;

    while (loop->timers != NULL && loop->timers->due_ms <= now && loop->timers->order < order_end) {
        struct loop_timer *t = loop->timers;

        heap_remove(loop, t);
        loop_enter(loop);
        t->fn(t->object); /* may free its owner */
        loop_leave(loop);
    }
}

void loop_timers_fire(uv_timer_t *handle)
{
    struct loop *loop = handle->data;

    loop->timer_armed_ms = 0;
    loop->timers_firing = true;
    loop_timers_run(loop);
    loop->timers_firing = false;
    arm(loop, AFTER_FIRING_MS);
}
