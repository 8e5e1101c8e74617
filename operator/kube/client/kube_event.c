/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: see kube_event.h. Each distinct Event is a series in a list, oldest first, found by its
 * key; those with something to write have a due time, and one at a time is written.
 */
#include "operator/kube/client/kube_event.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "operator/kube/client/kube_event_series.h"
#include "operator/kube/client/kube_limit.h"

enum { RETRY_FIRST_MS = 1000, US_PER_MS = 1000, INSTANCE_MAX = 128, NEVER_WRITTEN = 0 };

const struct kube_resource kube_event_resource = {"events.k8s.io", "v1", "events", true};

struct kube_events {
    struct kube_events_options options;
    char *instance;
    struct map by_key;                      /* -> series */
    struct kube_event_series *first, *last; /* oldest first */
    struct kube_event_series *sending;      /* NULL: no request under way */
    uint64_t sent_count;                    /* its count when the request left */
    struct map buckets;                     /* object -> kube_bucket: how many it may have */
    struct kube_event_counts counts;
};

static int64_t now_ms(const struct kube_events *e)
{
    return clock_mono_ms(e->options.clock);
}

/* --- the list --------------------------------------------------------------------------------- */

static void link_series(struct kube_events *e, struct kube_event_series *s)
{
    if (e->last != NULL)
        e->last->next = s;
    else
        e->first = s;
    e->last = s;
}

static void forget(struct kube_events *e, struct kube_event_series *s)
{
    struct kube_event_series **place = &e->first;
    struct kube_event_series *before = NULL;

    while (*place != s) {
        before = *place;
        place = &before->next;
    }
    *place = s->next;
    if (e->last == s)
        e->last = before;
    if (map_get(&e->by_key, str_of(s->key)) == s)
        (void)map_remove(&e->by_key, str_of(s->key));
    kube_event_series_free(s);
}

static bool is_over(const struct kube_events *e, const struct kube_event_series *s)
{
    return now_ms(e) - s->seen_ms >= KUBE_EVENT_TTL_MS;
}

/* Those that are over and written; if the list is full, the oldest as well. */
static void make_room(struct kube_events *e)
{
    struct kube_event_series *next;

    for (struct kube_event_series *s = e->first; s != NULL; s = next) {
        next = s->next;
        if (s != e->sending && s->due_ms == INT64_MAX && is_over(e, s))
            forget(e, s);
    }
    if (e->by_key.count < KUBE_EVENT_KEPT_MAX || e->first == NULL)
        return;
    next = e->first != e->sending ? e->first : e->first->next;
    if (next == NULL)
        return;
    e->counts.dropped += next->written < next->count ? 1 : 0;
    forget(e, next);
}

/* --- limits per object ------------------------------------------------------------------------ */

static void drop_full_buckets(struct kube_events *e, int64_t now_us)
{
    struct map_entry *slot;

    for (size_t at = 0; (slot = map_next(&e->buckets, &at)) != NULL;) {
        struct kube_bucket *bucket = slot->value;

        if (bucket->free_at_us > now_us)
            continue;
        (void)map_remove(&e->buckets, (struct str){slot->key, slot->key_len});
        mem_free(bucket);
        at--; /* a removal may shift an entry into its place */
    }
}

/* Whether this object may have one more new Event. */
static bool may_have(struct kube_events *e, const struct kube_event_about *about)
{
    int64_t now_us = clock_mono_ns(e->options.clock) / US_PER_MS;
    struct str key = about->uid.len > 0 ? about->uid : about->name;
    struct kube_bucket *bucket = map_get(&e->buckets, key);

    if (bucket == NULL) {
        if (e->buckets.count >= KUBE_EVENT_KEPT_MAX)
            drop_full_buckets(e, now_us);
        bucket = mem_alloc(sizeof(*bucket));
        if (bucket == NULL)
            return false;
        kube_bucket_init(bucket, KUBE_EVENT_BURST, (int64_t)KUBE_EVENT_INTERVAL_MS * US_PER_MS);
        if (map_put(&e->buckets, key, bucket, NULL) < 0) {
            mem_free(bucket);
            return false;
        }
    }
    return kube_bucket_take(bucket, now_us) == 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void tell(struct kube_events *e, const struct err *err)
{
    if (e->options.on_trouble != NULL)
        e->options.on_trouble(e->options.user, err);
}

static int send_series(struct kube_events *e, struct kube_event_series *s, struct err *err)
{
    bool create = s->written == NEVER_WRITTEN;
    CLEANUP(buf_fini) struct buf path = {0};
    CLEANUP(buf_fini) struct buf body = {0};
    const struct kube_target target = {
        .resource = &kube_event_resource,
        .name_space = kube_event_series_namespace(s),
        .name = create ? STR_NONE : str_of(s->event_name),
    };
    int r;

    buf_init(&path, KUBE_PATH_MAX);
    buf_init(&body, KUBE_EVENT_JSON_MAX);
    r = kube_path(&path, &target, err);
    if (r < 0)
        return r;
    (void)kube_query(&path, "fieldManager", str_of(e->options.field_manager));
    if (create)
        kube_event_series_write(s, e->options.controller, e->instance, &body);
    else
        kube_event_series_write_repeats(s, &body);
    r = buf_check(&body, "an Event", err);
    if (r == 0 && buf_cstr(&path) == NULL)
        r = err_no_memory(err);
    if (r < 0)
        return r;
    return e->options.io.send(e->options.io.context, create ? "POST" : "PATCH", path.ptr,
                              buf_str(&body), err);
}

static struct kube_event_series *first_due(const struct kube_events *e)
{
    struct kube_event_series *found = NULL;

    for (struct kube_event_series *s = e->first; s != NULL; s = s->next) {
        if (found == NULL || s->due_ms < found->due_ms)
            found = s;
    }
    return found;
}

/* Not now, or not at all. */
static void failed(struct kube_events *e, struct kube_event_series *s, int code,
                   const struct err *err)
{
    bool again = err_class_of(code) == ERR_CLASS_RETRYABLE;

    if (code == -ERR_EXISTS || (code == -ERR_NOT_FOUND && s->written != NEVER_WRITTEN)) {
        s->written = NEVER_WRITTEN; /* its name is taken, or the server has forgotten it */
        kube_event_series_rename(s, e->options.rng);
        again = true;
    }
    if (again && ++s->tries < KUBE_EVENT_TRIES_MAX) {
        s->due_ms = now_ms(e) + (RETRY_FIRST_MS << s->tries);
        return;
    }
    tell(e, err);
    e->counts.dropped++;
    forget(e, s);
}

static void pump(struct kube_events *e)
{
    while (e->sending == NULL) {
        struct kube_event_series *s = first_due(e);
        struct err err = {0};
        int r;

        if (s == NULL || s->due_ms > now_ms(e)) {
            e->options.io.wake_at(e->options.io.context, s != NULL ? s->due_ms : INT64_MAX);
            return;
        }
        s->due_ms = INT64_MAX;
        r = send_series(e, s, &err);
        if (r < 0) {
            failed(e, s, r, &err);
            continue;
        }
        e->sending = s;
        e->sent_count = s->count;
    }
}

void kube_events_on_done(struct kube_events *e, const struct kube_answer *answer)
{
    struct kube_event_series *s = e->sending;

    if (s == NULL)
        return;
    e->sending = NULL;
    if (answer->code < 0) {
        failed(e, s, answer->code, answer->err);
    } else {
        e->counts.created += s->written == NEVER_WRITTEN ? 1 : 0;
        e->counts.updated += s->written == NEVER_WRITTEN ? 0 : 1;
        s->written = e->sent_count;
        s->tries = 0;
        if (map_get(&e->by_key, str_of(s->key)) != s)
            forget(e, s); /* another has its place already */
        else if (s->count > s->written)
            s->due_ms = now_ms(e) + KUBE_EVENT_SERIES_MS;
    }
    pump(e);
}

void kube_events_on_wake(struct kube_events *e)
{
    pump(e);
}

/* --- recording -------------------------------------------------------------------------------- */

static void repeat(struct kube_events *e, struct kube_event_series *s)
{
    e->counts.merged++;
    s->count++;
    s->last_ms = clock_wall_ms(e->options.clock);
    s->seen_ms = now_ms(e);
    if (s->due_ms == INT64_MAX && s != e->sending)
        s->due_ms = s->seen_ms + KUBE_EVENT_SERIES_MS;
}

/* Takes `s` over; false: there is no room for it. */
static bool add(struct kube_events *e, struct kube_event_series *s,
                const struct kube_event_about *about)
{
    if (!may_have(e, about))
        return false;
    if (e->by_key.count >= KUBE_EVENT_KEPT_MAX)
        make_room(e);
    if (map_put(&e->by_key, str_of(s->key), s, NULL) < 0)
        return false;
    s->first_ms = clock_wall_ms(e->options.clock);
    s->last_ms = s->first_ms;
    s->seen_ms = now_ms(e);
    s->due_ms = s->seen_ms;
    kube_event_series_rename(s, e->options.rng);
    link_series(e, s);
    return true;
}

void kube_events_record(struct kube_events *e, const struct kube_event_about *about, bool warning,
                        const char *reason, const char *action, struct str note)
{
    struct kube_event_series *fresh = NULL;
    struct kube_event_series *old;

    e->counts.recorded++;
    if (strlen(reason) > KUBE_EVENT_REASON_MAX || strlen(action) > KUBE_EVENT_REASON_MAX ||
        kube_event_series_new(&fresh, about, warning, reason, action, note, NULL) < 0) {
        e->counts.dropped++;
        return;
    }
    old = map_get(&e->by_key, str_of(fresh->key));
    if (old != NULL && is_over(e, old)) {
        if (old != e->sending)
            forget(e, old);
        old = NULL;
    }
    if (old != NULL) {
        repeat(e, old);
        kube_event_series_free(fresh);
    } else if (!add(e, fresh, about)) {
        kube_event_series_free(fresh);
        e->counts.dropped++;
    }
    /* Written from the next wake-up on: recording never sends inside the call. */
    if (e->sending == NULL && (old = first_due(e)) != NULL)
        e->options.io.wake_at(e->options.io.context, old->due_ms);
}

const struct kube_event_counts *kube_events_counts(const struct kube_events *e)
{
    return &e->counts;
}

/* --- life ------------------------------------------------------------------------------------- */

int kube_events_new(struct kube_events **out, const struct kube_events_options *options,
                    struct err *err)
{
    struct kube_events *e;

    if (options->instance.len == 0 || options->instance.len > INSTANCE_MAX)
        return err_set(err, ERR_INVALID, "Events: a reporting instance of 1 to %d bytes is needed",
                       INSTANCE_MAX);
    e = mem_alloc(sizeof(*e));
    if (e == NULL)
        return err_no_memory(err);
    e->options = *options;
    e->instance = mem_strndup(options->instance.ptr, options->instance.len);
    map_init(&e->by_key, KUBE_EVENT_KEPT_MAX);
    map_init(&e->buckets, KUBE_EVENT_KEPT_MAX);
    if (e->instance == NULL) {
        kube_events_free(e);
        return err_no_memory(err);
    }
    *out = e;
    return 0;
}

void kube_events_free(struct kube_events *e)
{
    struct map_entry *slot;

    if (e == NULL)
        return;
    if (e->sending != NULL)
        e->options.io.cancel(e->options.io.context);
    if (e->first != NULL)
        e->options.io.wake_at(e->options.io.context, INT64_MAX);
    e->sending = NULL;
    while (e->first != NULL)
        forget(e, e->first);
    for (size_t at = 0; (slot = map_next(&e->buckets, &at)) != NULL;)
        mem_free(slot->value);
    map_fini(&e->buckets);
    map_fini(&e->by_key);
    mem_free(e->instance);
    mem_free(e);
}
