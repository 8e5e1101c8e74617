/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform's callbacks: each takes the news into the world and adds the keys that it concerns.
 * The work is done by turns of the alarm, so that a thousand news at once are one turn: some of the
 * keys whose time has come, then the routes, then the next alarm.
 */
#include "operator/reconcile/reconciler.h"

#include <stdio.h>
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/pass.h"

enum { CALLS_MAX = 1 << 20 };

/* --- calls under way -------------------------------------------------------------------------- */

struct str reconciler_ticket_key(const uint64_t *ticket)
{
    return (struct str){(const char *)ticket, sizeof(*ticket)};
}

void reconciler_call_free(struct call *call)
{
    if (call == NULL)
        return;
    mem_free(call->key);
    mem_free(call->subject);
    mem_free(call);
}

uint64_t reconciler_call(struct reconciler *r, enum call_kind kind, const char *key,
                         struct str subject)
{
    struct call *call = must(mem_alloc(sizeof(*call)));

    call->ticket = ++r->ticket;
    call->kind = kind;
    call->key = must_text(str_of(key));
    call->subject = must_text(subject);
    (void)must(map_put(&r->calls, reconciler_ticket_key(&call->ticket), call, NULL) == 0 ? call
                                                                                         : NULL);
    return call->ticket;
}

static void calls_clear(struct reconciler *r)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->calls, &at)) != NULL;)
        reconciler_call_free(entry->value);
    map_fini(&r->calls);
    map_init(&r->calls, CALLS_MAX);
    r->puts = r->probes = 0;
}

void reconciler_delete_pod(struct reconciler *r, struct world_pod *pod, int64_t grace_ms)
{
    int64_t now = now_of(r);

    if (pod->delete_ticket != 0)
        return;
    if (pod->delete_sent_ms != 0 && now - pod->delete_sent_ms < PASS_DELETE_AGAIN_MS)
        return;
    pod->delete_sent_ms = now;
    pod->delete_ticket = reconciler_call(r, CALL_DELETE, pod->model->key, world_pod_uid(pod));
    r->stats.pods_deleted++;
    r->platform->ops->pod_delete(r->platform, pod->delete_ticket,
                                 pod_record_text(pod->record, POD_NAME_SPACE), world_pod_name(pod),
                                 world_pod_uid(pod), grace_ms);
    queue_add_at(&r->queue, str_of(pod->model->key), now + PASS_DELETE_AGAIN_MS);
}

/* --- the turn --------------------------------------------------------------------------------- */

static void check_shut_down(struct reconciler *r)
{
    void (*done)(void *user) = r->shut_down_done;

    if (!r->shutting_down || done == NULL || r->world.pods.count > 0)
        return;
    r->shut_down_done = NULL;
    done(r->shut_down_user);
}

static double seconds_since(const struct reconciler *r, int64_t began_ns)
{
    return (double)(clock_mono_ns(r->platform->clock) - began_ns) / 1e9;
}

static void timed_pass(struct reconciler *r, const char *key)
{
    int64_t began_ns = clock_mono_ns(r->platform->clock);

    pass_model(r, key);
    if (r->watcher.on_pass != NULL)
        r->watcher.on_pass(r->watcher.user, seconds_since(r, began_ns));
}

static void pass(struct reconciler *r, const char *key)
{
    int64_t began_ns = clock_mono_ns(r->platform->clock);

    r->working = true;
    if (str_starts(str_of(key), STR(PRICES_KEY_PREFIX)))
        pass_prices(r, key);
    else if (str_starts(str_of(key), STR(ROUTE_KEY_PREFIX)))
        pass_route(r, key);
    else if (str_starts(str_of(key), STR(TENANT_KEY_PREFIX)))
        pass_tenant(r, key);
    else if (strcmp(key, GATEWAYS_KEY) == 0)
        news_check_gateways(r);
    else
        timed_pass(r, key);
    r->working = false;
    if (r->watcher.on_done != NULL)
        r->watcher.on_done(r->watcher.user, seconds_since(r, began_ns));
}

/* A key that was held back may go on. */
static bool has_room(const struct reconciler *r)
{
    return r->held.ready_count > 0 && r->puts < PASS_PUTS_MAX && r->probes < PASS_PROBES_MAX;
}

/* At most a few keys: with thousands of them due, as for a new leader, the lease has to be renewed
 * and the gateways have to be heard in between. */
static void work(struct reconciler *r)
{
    const char *key;

    for (int i = 0; i < PASS_TURN_KEYS; i++) {
        struct queue *from = has_room(r) ? &r->held : &r->queue;

        key = queue_take(from, now_of(r));
        if (key == NULL)
            return;
        pass(r, key);
        queue_done(from, key);
    }
}

static void turn(struct reconciler *r)
{
    int64_t due = INT64_MAX, routes_due;

    r->woken = false;
    if (r->leading && r->synced) {
        work(r);
        routes_due = routes_turn(r); /* may add keys: pods that now wait for the gateways */
        due = has_room(r) ? 0 : queue_due_ms(&r->queue);
        if (due == 0)
            due = now_of(r); /* the rest after what else the loop has to do */
        if (routes_due < due)
            due = routes_due;
        check_shut_down(r);
    }
    r->platform->ops->alarm_set(r->platform, due == INT64_MAX ? 0 : due);
}

void reconciler_wake(struct reconciler *r)
{
    if (r->woken || !r->leading || !r->synced)
        return;
    r->woken = true;
    r->platform->ops->alarm_set(r->platform, now_of(r));
}

void reconciler_add_all(struct reconciler *r)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->world.models, &at)) != NULL;) {
        const struct world_model *m = entry->value;

        queue_add(&r->queue, str_of(m->key));
    }
    for (size_t at = 0; (entry = map_next(&r->world.routes, &at)) != NULL;)
        route_add(r, entry->value);
    for (size_t at = 0; (entry = map_next(&r->world.books, &at)) != NULL;) {
        const struct world_book *book = entry->value;
        char key[CRD_NAME_MAX + 32];

        snprintf(key, sizeof(key), PRICES_KEY_PREFIX "%s", book->object->name);
        queue_add(&r->queue, str_of(key));
    }
    for (size_t at = 0; (entry = map_next(&r->world.tenants, &at)) != NULL;)
        tenant_add(r, entry->value);
}

/* --- views ------------------------------------------------------------------------------------ */

static void on_lead(void *user, struct str installation, uint64_t epoch)
{
    struct reconciler *r = user;

    must_replace(&r->installation, installation);
    r->leading = epoch > 0;
    r->lead_ms = now_of(r);
    r->epoch = epoch;
    r->counter = 0;
    routes_begin(r);
    calls_clear(r);
    world_forget_doing(&r->world);
    r->woken = false;
    r->platform->ops->alarm_set(r->platform, 0);
    if (r->leading && r->synced)
        reconciler_add_all(r);
    reconciler_wake(r);
}

static void on_synced(void *user)
{
    struct reconciler *r = user;

    r->synced = true;
    r->synced_ms = now_of(r);
    routes_begin(r);
    reconciler_add_all(r);
    reconciler_wake(r);
}

/* All who claim the same short name: one of them may have won or lost it. */
static void add_rivals(struct reconciler *r, const char *name)
{
    const struct world_claim *claim = name != NULL ? map_get(&r->world.claims, str_of(name)) : NULL;

    for (size_t i = 0; claim != NULL && i < claim->count; i++) {
        const struct world_claimant *who = &claim->claimants[i];

        if (who->route != NULL)
            route_add(r, who->route);
        else
            queue_add(&r->queue, str_of(who->model->key));
    }
}

void reconciler_name_moved(struct reconciler *r, const char *before, const char *now)
{
    if (before != NULL && now != NULL && strcmp(before, now) == 0)
        return;
    add_rivals(r, before);
    add_rivals(r, now);
}

static void set_model(struct reconciler *r, struct crd_object *object, bool deleted)
{
    char key[WORLD_KEY_MAX];
    struct world_model *m;
    int64_t old_generation;
    char *old_name = NULL;

    snprintf(key, sizeof(key), "%s/%s", object->name_space, object->name);
    m = world_model_find(&r->world, str_of(key));
    if (m != NULL && m->claimed_name != NULL)
        old_name = must_text(str_of(m->claimed_name));
    old_generation = m != NULL && m->object != NULL ? m->object->generation : 0;
    m = world_model_set(&r->world, str_of(key), deleted ? NULL : object);
    queue_add(&r->queue, str_of(key));
    reconciler_name_moved(r, old_name, m != NULL ? m->claimed_name : NULL);
    if (deleted || old_generation != object->generation)
        routes_of_model_add(r, str_of(key));
    mem_free(old_name);
}

static void on_object(void *user, enum platform_change change, struct crd_object *object)
{
    struct reconciler *r = user;
    bool deleted = change == PLATFORM_DELETED;
    char key[CRD_NAME_MAX + 32];

    if (object->kind->id != CRD_TENANT) /* of which most news are statuses */
        routes_mark_dirty(r);
    switch (object->kind->id) {
    case CRD_MODEL_DEPLOYMENT:
        set_model(r, object, deleted);
        break;
    case CRD_MODEL_ROUTE:
        route_set(r, object, deleted);
        break;
    case CRD_TENANT:
        tenant_set(r, object, deleted);
        break;
    case CRD_PRICE_BOOK:
        prices_set(r, object, deleted);
        snprintf(key, sizeof(key), PRICES_KEY_PREFIX "%s", object->name);
        queue_add(&r->queue, str_of(key));
        break;
    case CRD_KIND_COUNT:
        break;
    }
    reconciler_wake(r);
}

static void on_pod(void *user, enum platform_change change, const struct platform_pod *view)
{
    struct reconciler *r = user;
    struct world_pod *pod;

    r->routes_dirty = true;
    if (change == PLATFORM_DELETED) {
        pod = world_pod_find(&r->world, pod_record_text(view->record, POD_UID));
        if (pod != NULL) {
            struct world_model *m = pod->model;

            queue_add(&r->queue, str_of(m->key));
            world_pod_remove(&r->world, pod);
            world_model_settle(&r->world, m);
        }
    } else {
        pod = world_pod_set(&r->world, view);
        if (pod != NULL)
            queue_add(&r->queue, str_of(pod->model->key));
        else
            log_error("too many pods: this one is not looked after",
                      LOG_VIEW("pod", pod_record_text(view->record, POD_NAME)));
    }
    reconciler_wake(r);
}

static void on_alarm(void *user)
{
    turn(user);
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct platform_handler handler = {
    .on_lead = on_lead,
    .on_synced = on_synced,
    .on_object = on_object,
    .on_pod = on_pod,
    .on_gateways = news_gateways,
    .on_load = news_load,
    .on_ack = news_ack,
    .on_result = news_result,
    .on_probe = news_probe,
    .on_alarm = on_alarm,
};

int reconciler_new(struct reconciler **out, struct platform *platform, struct err *err)
{
    struct reconciler *r = mem_alloc(sizeof(*r));

    if (r == NULL)
        return err_no_memory(err);
    r->platform = platform;
    world_init(&r->world);
    queue_init(&r->queue);
    queue_init(&r->held);
    map_init(&r->calls, CALLS_MAX);
    platform_bind(platform, &handler, r);
    *out = r;
    return 0;
}

void reconciler_free(struct reconciler *r)
{
    if (r == NULL)
        return;
    calls_clear(r);
    map_fini(&r->calls);
    queue_fini(&r->queue);
    queue_fini(&r->held);
    world_fini(&r->world);
    mem_free(r->installation);
    mem_free(r);
}

void reconciler_shut_down(struct reconciler *r, void (*done)(void *user), void *user)
{
    r->shutting_down = true;
    r->shut_down_done = done;
    r->shut_down_user = user;
    r->routes_dirty = true;
    reconciler_add_all(r);
    reconciler_wake(r);
}

void reconciler_stats(const struct reconciler *r, struct reconciler_stats *out)
{
    *out = r->stats;
    out->models = r->world.models.count;
    out->pods = r->world.pods.count;
    out->queued = r->queue.ready_count + r->queue.waiting_count + r->held.ready_count;
    out->keys_added = r->queue.added + r->held.added;
    out->keys_retried = r->queue.retried;
    out->keys_refused = r->queue.refused + r->held.refused;
    out->working = r->working ? 1 : 0;
    out->leading = r->leading;
    out->synced = r->synced;
    out->gateways = 0;
    for (size_t i = 0; i < r->world.gateway_count; i++)
        out->gateways += r->world.gateways[i].live;
}

void reconciler_watch(struct reconciler *r, const struct reconciler_watcher *watcher)
{
    const struct clock *clock = watcher->on_taken != NULL ? r->platform->clock : NULL;

    r->watcher = *watcher;
    queue_watch(&r->queue, clock, watcher->on_taken, watcher->user);
    queue_watch(&r->held, clock, watcher->on_taken, watcher->user);
}
