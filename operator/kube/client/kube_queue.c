/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work queue: see kube_queue.h. A FIFO of ready keys, a binary heap of those that wait for
 * their time, and a map that knows every key about which there is something to remember.
 */
#include "operator/kube/client/kube_queue.h"

#include <assert.h>

#include "base/map.h"
#include "base/mem.h"
#include "operator/kube/client/kube_limit.h"
#include "operator/kube/client/kube_queue_metrics.h"

enum { NOT_WAITING = -1, FIRST_CAPACITY = 64, US_PER_S = 1000000, US_PER_MS = 1000 };

struct item {
    char *key;
    bool ready;   /* in the FIFO */
    bool working; /* taken */
    bool again;   /* added while it was worked on */
    int failures; /* in a row */
    int64_t due_ms;
    int64_t heap_index; /* NOT_WAITING, or its place in the heap */
    int64_t added_ns;   /* when it became ready */
    struct kube_queue_work work;
    struct item *next;
};

struct kube_queue {
    struct kube_queue_options options;
    struct map items;
    struct item *first, *last; /* ready */
    size_t ready_count;
    struct item **heap;
    size_t heap_count, heap_cap;
    struct kube_bucket retries;
    struct kube_queue_metrics metrics;
};

static int64_t now_ms(const struct kube_queue *q)
{
    return clock_mono_ms(q->options.clock);
}

/* --- the heap --------------------------------------------------------------------------------- */

static void heap_set(struct kube_queue *q, size_t index, struct item *item)
{
    q->heap[index] = item;
    item->heap_index = (int64_t)index;
}

static void heap_up(struct kube_queue *q, size_t index)
{
    struct item *item = q->heap[index];

    while (index > 0 && q->heap[(index - 1) / 2]->due_ms > item->due_ms) {
        heap_set(q, index, q->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_set(q, index, item);
}

static void heap_down(struct kube_queue *q, size_t index)
{
    struct item *item = q->heap[index];

    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= q->heap_count)
            break;
        if (child + 1 < q->heap_count && q->heap[child + 1]->due_ms < q->heap[child]->due_ms)
            child++;
        if (q->heap[child]->due_ms >= item->due_ms)
            break;
        heap_set(q, index, q->heap[child]);
        index = child;
    }
    heap_set(q, index, item);
}

static int heap_push(struct kube_queue *q, struct item *item)
{
    if (q->heap_count == q->heap_cap) {
        size_t cap = q->heap_cap == 0 ? FIRST_CAPACITY : 2 * q->heap_cap;
        struct item **bigger = mem_resize(q->heap, cap, sizeof(struct item *));

        if (bigger == NULL)
            return -ERR_NO_MEMORY;
        q->heap = bigger;
        q->heap_cap = cap;
    }
    heap_set(q, q->heap_count++, item);
    heap_up(q, q->heap_count - 1);
    return 0;
}

static void heap_remove(struct kube_queue *q, struct item *item)
{
    size_t index = (size_t)item->heap_index;
    struct item *last = q->heap[--q->heap_count];

    item->heap_index = NOT_WAITING;
    if (last == item)
        return;
    heap_set(q, index, last);
    heap_up(q, index);
    heap_down(q, (size_t)last->heap_index);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void item_free(struct item *item)
{
    mem_free(item->key);
    mem_free(item);
}

static int item_new(struct item **out, struct kube_queue *q, struct str key, struct err *err)
{
    struct item *item = mem_alloc(sizeof(*item));
    int r;

    if (item == NULL)
        return err_no_memory(err);
    item->key = mem_strndup(key.ptr != NULL ? key.ptr : "", key.len);
    item->heap_index = NOT_WAITING;
    r = item->key == NULL ? -ERR_NO_MEMORY : map_put(&q->items, key, item, NULL);
    if (r < 0) {
        item_free(item);
        return r == -ERR_NO_MEMORY ? err_no_memory(err)
                                   : err_set(err, ERR_LIMIT, "work queue %s: more than %d keys",
                                             q->options.name, KUBE_QUEUE_KEYS_MAX);
    }
    *out = item;
    return 0;
}

static int item_get(struct item **out, struct kube_queue *q, struct str key, struct err *err)
{
    *out = map_get(&q->items, key);
    return *out != NULL ? 0 : item_new(out, q, key, err);
}

/* Forgets a key about which there is nothing to remember. */
static void item_settle(struct kube_queue *q, struct item *item)
{
    if (item->ready || item->working || item->failures > 0 || item->heap_index != NOT_WAITING)
        return;
    (void)map_remove(&q->items, str_of(item->key));
    item_free(item);
}

static void make_ready(struct kube_queue *q, struct item *item)
{
    item->ready = true;
    item->added_ns = clock_mono_ns(q->options.clock);
    item->next = NULL;
    if (q->last != NULL)
        q->last->next = item;
    else
        q->first = item;
    q->last = item;
    q->ready_count++;
    kube_queue_metrics_depth(&q->metrics, q->ready_count);
}

static void add_item(struct kube_queue *q, struct item *item)
{
    bool is_new = item->working ? !item->again : !item->ready;

    if (item->working)
        item->again = true;
    else if (!item->ready)
        make_ready(q, item);
    if (is_new)
        kube_queue_metrics_add(&q->metrics);
}

int kube_queue_add(struct kube_queue *q, struct str key, struct err *err)
{
    struct item *item;
    int r = item_get(&item, q, key, err);

    if (r == 0)
        add_item(q, item);
    return r;
}

static int wait_until(struct kube_queue *q, struct item *item, int64_t due_ms, struct err *err)
{
    if (item->heap_index != NOT_WAITING) {
        if (item->due_ms <= due_ms)
            return 0;
        item->due_ms = due_ms;
        heap_up(q, (size_t)item->heap_index);
        return 0;
    }
    item->due_ms = due_ms;
    if (heap_push(q, item) == 0)
        return 0;
    item_settle(q, item);
    return err_no_memory(err);
}

int kube_queue_add_after(struct kube_queue *q, struct str key, int64_t delay_ms, struct err *err)
{
    struct item *item;
    int r;

    if (delay_ms <= 0)
        return kube_queue_add(q, key, err);
    r = item_get(&item, q, key, err);
    return r < 0 ? r : wait_until(q, item, now_ms(q) + delay_ms, err);
}

/* The longer of the key's own back-off and the wait for the bucket that all share. */
static int64_t retry_delay_ms(struct kube_queue *q, const struct item *item)
{
    int64_t now_us = clock_mono_ns(q->options.clock) / US_PER_MS;
    int64_t delay_ms = q->options.backoff_first_ms;
    int64_t shared_us = kube_bucket_reserve(&q->retries, now_us);

    for (int i = 0; i < item->failures && delay_ms < q->options.backoff_max_ms; i++)
        delay_ms *= 2;
    if (delay_ms > q->options.backoff_max_ms)
        delay_ms = q->options.backoff_max_ms;
    shared_us = (shared_us + US_PER_MS - 1) / US_PER_MS;
    return delay_ms > shared_us ? delay_ms : shared_us;
}

int kube_queue_retry(struct kube_queue *q, struct str key, struct err *err)
{
    struct item *item;
    int64_t delay_ms;
    int r = item_get(&item, q, key, err);

    if (r < 0)
        return r;
    delay_ms = retry_delay_ms(q, item);
    r = wait_until(q, item, now_ms(q) + delay_ms, err);
    if (r < 0)
        return r;
    item->failures += item->failures < INT32_MAX ? 1 : 0;
    kube_queue_metrics_retry(&q->metrics);
    return 0;
}

void kube_queue_forget(struct kube_queue *q, struct str key)
{
    struct item *item = map_get(&q->items, key);

    if (item == NULL)
        return;
    item->failures = 0;
    item_settle(q, item);
}

int kube_queue_failures(const struct kube_queue *q, struct str key)
{
    const struct item *item = map_get(&q->items, key);

    return item != NULL ? item->failures : 0;
}

/* --- working ---------------------------------------------------------------------------------- */

static void wake_waiting(struct kube_queue *q)
{
    int64_t now = now_ms(q);

    while (q->heap_count > 0 && q->heap[0]->due_ms <= now) {
        struct item *item = q->heap[0];

        heap_remove(q, item);
        add_item(q, item);
    }
}

const char *kube_queue_take(struct kube_queue *q)
{
    struct item *item;

    wake_waiting(q);
    item = q->first;
    if (item == NULL)
        return NULL;
    q->first = item->next;
    if (q->first == NULL)
        q->last = NULL;
    q->ready_count--;
    item->ready = false;
    item->working = true;
    kube_queue_metrics_depth(&q->metrics, q->ready_count);
    kube_queue_metrics_begin(&q->metrics, &item->work, item->added_ns,
                             clock_mono_ns(q->options.clock));
    return item->key;
}

void kube_queue_done(struct kube_queue *q, const char *key)
{
    struct item *item = map_get(&q->items, str_of(key));

    assert(item != NULL && item->working);
    item->working = false;
    kube_queue_metrics_end(&q->metrics, &item->work, clock_mono_ns(q->options.clock));
    if (item->again) {
        item->again = false;
        make_ready(q, item);
    }
    item_settle(q, item);
}

size_t kube_queue_ready(const struct kube_queue *q)
{
    return q->ready_count;
}

int64_t kube_queue_due_ms(const struct kube_queue *q)
{
    if (q->first != NULL)
        return 0;
    return q->heap_count > 0 ? q->heap[0]->due_ms : INT64_MAX;
}

/* --- life ------------------------------------------------------------------------------------- */

int kube_queue_new(struct kube_queue **out, const struct kube_queue_options *options,
                   struct err *err)
{
    struct kube_queue *q = mem_alloc(sizeof(*q));
    int r;

    if (q == NULL)
        return err_no_memory(err);
    q->options = *options;
    if (q->options.backoff_first_ms == 0)
        q->options.backoff_first_ms = KUBE_QUEUE_BACKOFF_FIRST_MS;
    if (q->options.backoff_max_ms == 0)
        q->options.backoff_max_ms = KUBE_QUEUE_BACKOFF_MAX_MS;
    map_init(&q->items, KUBE_QUEUE_KEYS_MAX);
    kube_bucket_init(&q->retries, KUBE_QUEUE_RETRY_BURST, US_PER_S / KUBE_QUEUE_RETRY_RATE);
    r = kube_queue_metrics_init(&q->metrics, options->metrics, options->name, options->clock, err);
    if (r < 0) {
        kube_queue_free(q);
        return r;
    }
    *out = q;
    return 0;
}

void kube_queue_free(struct kube_queue *q)
{
    struct map_entry *slot;

    if (q == NULL)
        return;
    kube_queue_metrics_fini(&q->metrics);
    for (size_t at = 0; (slot = map_next(&q->items, &at)) != NULL;)
        item_free(slot->value);
    map_fini(&q->items);
    mem_free(q->heap);
    mem_free(q);
}
