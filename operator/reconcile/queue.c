/* SPDX-License-Identifier: Apache-2.0 */
/* The work queue: a FIFO of ready keys and a heap of those that wait for their time. */
#include "operator/reconcile/queue.h"

#include <assert.h>

#include "operator/common/must.h"

enum { NOT_WAITING = -1, NS_PER_MS = 1000 * 1000 };

struct queue_item {
    char *key;
    bool ready;   /* in the FIFO */
    bool working; /* taken */
    bool again;   /* added while it was worked on */
    int failures; /* in a row */
    int64_t due_ms;
    int64_t ready_ns;   /* since when it is ready; 0: there is no clock */
    int64_t heap_index; /* NOT_WAITING, or its place in the heap */
    struct queue_item *next;
};

void queue_init(struct queue *q)
{
    *q = (struct queue){0};
    map_init(&q->items, QUEUE_KEYS_MAX);
}

void queue_watch(struct queue *q, const struct clock *clock,
                 void (*on_taken)(void *user, double waited_s), void *user)
{
    q->clock = clock;
    q->on_taken = on_taken;
    q->user = user;
}

static void item_free(struct queue_item *item)
{
    mem_free(item->key);
    mem_free(item);
}

void queue_fini(struct queue *q)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&q->items, &at)) != NULL;)
        item_free(entry->value);
    map_fini(&q->items);
    mem_free(q->waiting);
    *q = (struct queue){0};
}

/* --- the heap --------------------------------------------------------------------------------- */

static void heap_set(struct queue *q, size_t index, struct queue_item *item)
{
    q->waiting[index] = item;
    item->heap_index = (int64_t)index;
}

static void heap_up(struct queue *q, size_t index)
{
    struct queue_item *item = q->waiting[index];

    while (index > 0 && q->waiting[(index - 1) / 2]->due_ms > item->due_ms) {
        heap_set(q, index, q->waiting[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_set(q, index, item);
}

static void heap_down(struct queue *q, size_t index)
{
    struct queue_item *item = q->waiting[index];

    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= q->waiting_count)
            break;
        if (child + 1 < q->waiting_count &&
            q->waiting[child + 1]->due_ms < q->waiting[child]->due_ms)
            child++;
        if (q->waiting[child]->due_ms >= item->due_ms)
            break;
        heap_set(q, index, q->waiting[child]);
        index = child;
    }
    heap_set(q, index, item);
}

static void heap_push(struct queue *q, struct queue_item *item)
{
    if (q->waiting_count == q->waiting_cap) {
        size_t cap = q->waiting_cap == 0 ? 64 : 2 * q->waiting_cap;

        q->waiting = must(mem_resize(q->waiting, cap, sizeof(struct queue_item *)));
        q->waiting_cap = cap;
    }
    heap_set(q, q->waiting_count++, item);
    heap_up(q, q->waiting_count - 1);
}

static void heap_remove(struct queue *q, struct queue_item *item)
{
    size_t index = (size_t)item->heap_index;
    struct queue_item *last = q->waiting[--q->waiting_count];

    item->heap_index = NOT_WAITING;
    if (last == item)
        return;
    heap_set(q, index, last);
    heap_up(q, index);
    heap_down(q, (size_t)last->heap_index);
}

/* --- keys ------------------------------------------------------------------------------------- */

static struct queue_item *item_get(struct queue *q, struct str key)
{
    struct queue_item *item = map_get(&q->items, key);

    if (item != NULL)
        return item;
    if (q->items.count >= QUEUE_KEYS_MAX) {
        q->refused++;
        return NULL;
    }
    item = must(mem_alloc(sizeof(*item)));
    item->key = must_text(key);
    item->heap_index = NOT_WAITING;
    (void)must(map_put(&q->items, key, item, NULL) == 0 ? item : NULL);
    return item;
}

/* Forgets a key about which there is nothing to remember. */
static void item_settle(struct queue *q, struct queue_item *item)
{
    if (item->ready || item->working || item->failures > 0 || item->heap_index != NOT_WAITING)
        return;
    map_remove(&q->items, str_of(item->key));
    item_free(item);
}

static void make_ready(struct queue *q, struct queue_item *item)
{
    if (item->ready)
        return;
    item->ready = true;
    item->ready_ns = q->clock != NULL ? clock_mono_ns(q->clock) : 0;
    item->next = NULL;
    if (q->ready_last != NULL)
        q->ready_last->next = item;
    else
        q->ready_first = item;
    q->ready_last = item;
    q->ready_count++;
    q->added++;
}

static void add_item(struct queue *q, struct queue_item *item)
{
    if (item->working)
        item->again = true;
    else
        make_ready(q, item);
}

void queue_add(struct queue *q, struct str key)
{
    struct queue_item *item = item_get(q, key);

    if (item != NULL)
        add_item(q, item);
}

void queue_add_at(struct queue *q, struct str key, int64_t due_ms)
{
    struct queue_item *item = item_get(q, key);

    if (item == NULL)
        return;
    if (item->heap_index != NOT_WAITING) {
        if (item->due_ms <= due_ms)
            return;
        heap_remove(q, item);
    }
    item->due_ms = due_ms;
    heap_push(q, item);
}

void queue_fail(struct queue *q, struct str key, int64_t now_ms, const struct rng *rng)
{
    struct queue_item *item = item_get(q, key);
    int64_t delay = QUEUE_BACKOFF_FIRST_MS;

    if (item == NULL)
        return;
    for (int i = 0; i < item->failures && delay < QUEUE_BACKOFF_MAX_MS; i++)
        delay *= 2;
    if (delay > QUEUE_BACKOFF_MAX_MS)
        delay = QUEUE_BACKOFF_MAX_MS;
    item->failures++;
    q->retried++;
    queue_add_at(q, key, now_ms + delay + (int64_t)rng_below(rng, (uint64_t)delay / 4 + 1));
}

void queue_forget(struct queue *q, struct str key)
{
    struct queue_item *item = map_get(&q->items, key);

    if (item == NULL)
        return;
    item->failures = 0;
    item_settle(q, item);
}

/* Those whose time has come; it came when it came, and not when somebody asks. */
static void make_due_ready(struct queue *q, int64_t now_ms)
{
    while (q->waiting_count > 0 && q->waiting[0]->due_ms <= now_ms) {
        struct queue_item *item = q->waiting[0];
        bool was_ready = item->ready;

        heap_remove(q, item);
        add_item(q, item);
        if (item->ready && !was_ready)
            item->ready_ns = item->due_ms * NS_PER_MS;
    }
}

const char *queue_take(struct queue *q, int64_t now_ms)
{
    struct queue_item *item;

    make_due_ready(q, now_ms);
    item = q->ready_first;
    if (item == NULL)
        return NULL;
    q->ready_first = item->next;
    if (q->ready_first == NULL)
        q->ready_last = NULL;
    q->ready_count--;
    item->ready = false;
    item->working = true;
    if (q->clock != NULL && item->ready_ns > 0)
        q->on_taken(q->user, (double)(clock_mono_ns(q->clock) - item->ready_ns) / 1e9);
    return item->key;
}

void queue_done(struct queue *q, const char *key)
{
    struct queue_item *item = map_get(&q->items, str_of(key));

    assert(item != NULL && item->working);
    item->working = false;
    if (item->again) {
        item->again = false;
        make_ready(q, item);
    }
    item_settle(q, item);
}

int64_t queue_due_ms(const struct queue *q)
{
    if (q->ready_first != NULL)
        return 0;
    return q->waiting_count > 0 ? q->waiting[0]->due_ms : INT64_MAX;
}
