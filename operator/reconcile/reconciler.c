/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform's callbacks: each takes the news into the world, adds the keys that it concerns, and
 * ends with one turn: all keys whose time has come, then the routes, then the alarm.
 */
#include "operator/reconcile/reconciler.h"

#include <stdio.h>
#include <string.h>

#include "operator/reconcile/must.h"
#include "operator/reconcile/pass.h"

enum { CALLS_MAX = 1 << 20 };

/* --- calls under way
 * -------------------------------------------------------------------------------- */

static struct str ticket_key(const uint64_t *ticket)
{
    return (struct str){(const char *)ticket, sizeof(*ticket)};
}

static void call_free(struct call *call)
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
    (void)must(map_put(&r->calls, ticket_key(&call->ticket), call, NULL) == 0 ? call : NULL);
    return call->ticket;
}

static void calls_clear(struct reconciler *r)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->calls, &at)) != NULL;)
        call_free(entry->value);
    map_fini(&r->calls);
    map_init(&r->calls, CALLS_MAX);
}

void reconciler_delete_pod(struct reconciler *r, struct world_pod *pod, int64_t grace_ms)
{
    int64_t now = now_of(r);

    if (pod->delete_ticket != 0)
        return;
    if (pod->delete_sent_ms != 0 && now - pod->delete_sent_ms < PASS_DELETE_AGAIN_MS)
        return;
    pod->delete_sent_ms = now;
    pod->delete_ticket = reconciler_call(r, CALL_DELETE, pod->model->key, pod->view.uid);
    r->stats.pods_deleted++;
    r->platform->ops->pod_delete(r->platform, pod->delete_ticket, pod->view.name_space,
                                 pod->view.name, pod->view.uid, grace_ms);
    queue_add_at(&r->queue, str_of(pod->model->key), now + PASS_DELETE_AGAIN_MS);
}

/* --- the turn
 * ----------------------------------------------------------------------------------------- */

static void check_shut_down(struct reconciler *r)
{
    void (*done)(void *user) = r->shut_down_done;

    if (!r->shutting_down || done == NULL || r->world.pods.count > 0)
        return;
    r->shut_down_done = NULL;
    done(r->shut_down_user);
}

static void add_all(struct reconciler *r);

/* A gateway that falls silent holds the size of every model. */
static void check_gateways(struct reconciler *r)
{
    int64_t now = now_of(r);

    for (size_t i = 0; i < r->world.gateway_count; i++) {
        struct world_gateway *gateway = &r->world.gateways[i];
        int64_t silent_at = gateway->report_ms + PASS_GATEWAY_SILENT_MS + 1;

        if (!gateway->live || !gateway->reported || gateway->silent)
            continue;
        if (now < silent_at) {
            queue_add_at(&r->queue, STR(GATEWAYS_KEY), silent_at);
            continue;
        }
        gateway->silent = true;
        log_warn("a gateway is silent; no model is scaled down until it reports",
                 LOG_STR("gateway", gateway->name));
        add_all(r);
    }
}

static void work(struct reconciler *r)
{
    const char *key;

    while ((key = queue_take(&r->queue, now_of(r))) != NULL) {
        if (str_starts(str_of(key), STR(PRICES_KEY_PREFIX)))
            pass_prices(r, key);
        else if (strcmp(key, GATEWAYS_KEY) == 0)
            check_gateways(r);
        else
            pass_model(r, key);
        queue_done(&r->queue, key);
    }
}

static void turn(struct reconciler *r)
{
    int64_t due = INT64_MAX, routes_due;

    if (r->leading && r->synced) {
        do {
            work(r);
            routes_due = routes_turn(r); /* may add keys: pods that now wait for the gateways */
        } while (queue_due_ms(&r->queue) == 0);
        due = queue_due_ms(&r->queue);
        if (routes_due < due)
            due = routes_due;
        check_shut_down(r);
    }
    r->platform->ops->alarm_set(r->platform, due == INT64_MAX ? 0 : due);
}

static void add_all(struct reconciler *r)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->world.models, &at)) != NULL;) {
        const struct world_model *m = entry->value;

        queue_add(&r->queue, str_of(m->key));
    }
    for (size_t at = 0; (entry = map_next(&r->world.books, &at)) != NULL;) {
        const struct world_book *book = entry->value;
        char key[CRD_NAME_MAX + 32];

        snprintf(key, sizeof(key), PRICES_KEY_PREFIX "%s", book->object->name);
        queue_add(&r->queue, str_of(key));
    }
}

/* --- views
 * ---------------------------------------------------------------------------------------------- */

static void on_lead(void *user, struct str installation, uint64_t epoch)
{
    struct reconciler *r = user;

    must_replace(&r->installation, installation);
    r->leading = epoch > 0;
    r->epoch = epoch;
    r->counter = 0;
    r->routes_opened = false;
    r->routes_dirty = true;
    calls_clear(r);
    if (r->leading && r->synced)
        add_all(r);
    turn(r);
}

static void on_synced(void *user)
{
    struct reconciler *r = user;

    r->synced = true;
    r->synced_ms = now_of(r);
    r->routes_dirty = true;
    add_all(r);
    turn(r);
}

/* All who claim the same short name: one of them may have won or lost it. */
static void add_rivals(struct reconciler *r, const char *name)
{
    const struct world_claim *claim = name != NULL ? map_get(&r->world.claims, str_of(name)) : NULL;

    for (size_t i = 0; claim != NULL && i < claim->count; i++)
        queue_add(&r->queue, str_of(claim->models[i]->key));
}

static void set_model(struct reconciler *r, struct crd_object *object, bool deleted)
{
    char key[2 * CRD_NAME_MAX + 2];
    struct world_model *m;
    char *old_name = NULL;

    snprintf(key, sizeof(key), "%s/%s", object->name_space, object->name);
    m = world_model_find(&r->world, str_of(key));
    if (m != NULL && m->claimed_name != NULL)
        old_name = must_text(str_of(m->claimed_name));
    m = world_model_set(&r->world, str_of(key), deleted ? NULL : object);
    queue_add(&r->queue, str_of(key));
    if (m == NULL || old_name == NULL || m->claimed_name == NULL ||
        strcmp(old_name, m->claimed_name) != 0) {
        add_rivals(r, old_name);
        add_rivals(r, m != NULL ? m->claimed_name : NULL);
    }
    mem_free(old_name);
}

static void set_tenant(struct reconciler *r, struct crd_object *object, bool deleted)
{
    void *old = NULL;

    if (deleted)
        old = map_remove(&r->world.tenants, str_of(object->name));
    else if (map_put(&r->world.tenants, str_of(object->name), object, &old) == 0)
        crd_object_ref(object);
    else
        log_error("too many tenants: this one is not served", LOG_STR("tenant", object->name));
    crd_object_unref(old);
}

static void on_object(void *user, enum platform_change change, struct crd_object *object)
{
    struct reconciler *r = user;
    bool deleted = change == PLATFORM_DELETED;
    char key[CRD_NAME_MAX + 32];

    r->routes_dirty = true;
    switch (object->kind->id) {
    case CRD_MODEL_DEPLOYMENT:
        set_model(r, object, deleted);
        break;
    case CRD_TENANT:
        set_tenant(r, object, deleted);
        break;
    case CRD_PRICE_BOOK:
        prices_set(r, object, deleted);
        snprintf(key, sizeof(key), PRICES_KEY_PREFIX "%s", object->name);
        queue_add(&r->queue, str_of(key));
        break;
    case CRD_KIND_COUNT:
        break;
    }
    turn(r);
}

static void on_pod(void *user, enum platform_change change, const struct platform_pod *view)
{
    struct reconciler *r = user;
    struct world_pod *pod;

    r->routes_dirty = true;
    if (change == PLATFORM_DELETED) {
        pod = world_pod_find(&r->world, view->uid);
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
            log_error("too many pods: this one is not looked after", LOG_VIEW("pod", view->name));
    }
    turn(r);
}

/* --- gateways
 * ------------------------------------------------------------------------------------------- */

/* Models that wait for acknowledgements, or whose size is held by a silent gateway. */
static void add_waiting(struct reconciler *r)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->world.pods, &at)) != NULL;) {
        const struct world_pod *pod = entry->value;

        if (pod->drain_counter != 0 && pod->drain_told_ms == 0)
            queue_add(&r->queue, str_of(pod->model->key));
    }
}

static void on_gateways(void *user, const struct str *names, int count)
{
    struct reconciler *r = user;

    world_gateways_set(&r->world, names, count);
    if (r->synced)
        add_all(r);
    turn(r);
}

static void take_ack(struct reconciler *r, struct world_gateway *gateway,
                     const struct routes_version *have)
{
    if (r->installation == NULL || !str_is(have->installation, r->installation))
        return;
    if (gateway->acked && gateway->acked_epoch == have->epoch &&
        gateway->acked_counter == have->counter)
        return;
    gateway->acked = true;
    gateway->acked_epoch = have->epoch;
    gateway->acked_counter = have->counter;
    add_waiting(r);
}

static void on_ack(void *user, struct str name, struct id128 run, const struct routes_version *have)
{
    struct reconciler *r = user;
    struct world_gateway *gateway = world_gateway_find(&r->world, name);

    (void)run; /* whichever run of it: the newest word counts */
    if (gateway != NULL && gateway->live)
        take_ack(r, gateway, have);
    turn(r);
}

static void take_model_load(struct reconciler *r, const struct world_gateway *gateway,
                            const struct load_model *in)
{
    struct world_model *m = world_model_find(&r->world, in->name);
    struct world_load *load;
    bool changed;

    if (m == NULL)
        return;
    load = world_load_get(m, gateway);
    changed = id_compare(load->run, gateway->run) != 0 || load->in_flight != in->in_flight ||
              load->queued != in->queued;
    *load = (struct world_load){
        .gateway = gateway,
        .run = gateway->run,
        .in_flight = in->in_flight,
        .queued = in->queued,
        .idle_ms = in->idle_ms,
        .report_ms = gateway->report_ms,
    };
    if (changed)
        queue_add(&r->queue, in->name);
}

static void take_suspect(struct reconciler *r, const struct load_suspect *suspect)
{
    struct world_pod *pod = world_pod_find(&r->world, suspect->pod_uid);

    if (pod == NULL)
        return;
    if (str_is(suspect->reason, "stalled"))
        pod->stalled = true;
    pod->suspect = true;
    pod->probe_due_ms = 0; /* at once */
    r->routes_dirty = true;
    queue_add(&r->queue, str_of(pod->model->key));
}

static void on_load(void *user, const struct load_report *report)
{
    struct reconciler *r = user;
    struct world_gateway *gateway = world_gateway_find(&r->world, report->gateway);
    struct routes_version have;
    bool was_silent;

    if (gateway == NULL || !gateway->live)
        return; /* not one of ours: the platform says who is */
    if (gateway->reported && id_compare(gateway->run, report->run_id) == 0 &&
        report->sequence <= gateway->sequence)
        return; /* overtaken on its way */
    was_silent =
        !gateway->reported || id_compare(gateway->run, report->run_id) != 0 || gateway->silent;
    gateway->reported = true;
    gateway->silent = false;
    gateway->run = report->run_id;
    gateway->sequence = report->sequence;
    gateway->report_ms = now_of(r);
    gateway->uptime_ms = report->uptime_ms;
    for (int i = 0; i < report->model_count; i++)
        take_model_load(r, gateway, &report->models[i]);
    for (int i = 0; i < report->suspect_count; i++)
        take_suspect(r, &report->suspects[i]);
    if (report->routes_version.len > 0 &&
        routes_version_parse(&have, report->routes_version, NULL) == 0)
        take_ack(r, gateway, &have);
    queue_add_at(&r->queue, STR(GATEWAYS_KEY), gateway->report_ms + PASS_GATEWAY_SILENT_MS + 1);
    if (was_silent)
        add_all(r);
    turn(r);
}

/* --- results
 * ---------------------------------------------------------------------------------------------- */

static void fail(struct reconciler *r, const struct call *call,
                 const struct platform_result *result, const char *what)
{
    if (err_class_of(result->code) == ERR_CLASS_CONFLICT) {
        r->stats.conflicts++;
    } else {
        r->stats.failures++;
        log_warn("command failed; it is tried again", LOG_STR("command", what),
                 LOG_STR("key", call->key), LOG_STR("subject", call->subject),
                 LOG_VIEW("error", result->message));
    }
    queue_fail(&r->queue, str_of(call->key), now_of(r), r->platform->rng);
}

static void result_create(struct reconciler *r, const struct call *call,
                          const struct platform_result *result)
{
    struct world_model *m = world_model_find(&r->world, str_of(call->key));
    struct world_create *create = m != NULL ? world_create_find(m, str_of(call->subject)) : NULL;

    if (create == NULL || create->ticket != call->ticket)
        return;
    create->ticket = 0;
    if (result->code == 0 || result->code == -ERR_EXISTS) {
        create->done = true;
        create->done_ms = now_of(r);
        m->create_message[0] = '\0';
        queue_forget(&r->queue, str_of(call->key));
        queue_add(&r->queue, str_of(call->key));
        return;
    }
    snprintf(m->create_message, sizeof(m->create_message), "%.*s", STR_ARG(result->message));
    world_create_remove(m, create);
    fail(r, call, result, "create pod");
}

static void result_put(struct reconciler *r, const struct call *call,
                       const struct platform_result *result)
{
    struct world_model *m = world_model_find(&r->world, str_of(call->key));

    if (m == NULL || m->put_ticket != call->ticket)
        return;
    m->put_ticket = 0;
    if (result->code < 0) {
        fail(r, call, result, "write status");
        return;
    }
    /* The event may have come before the answer. */
    m->put_unseen = m->object != NULL && strcmp(m->object->resource_version, m->put_base) == 0;
    queue_forget(&r->queue, str_of(call->key));
    queue_add(&r->queue, str_of(call->key));
}

static void result_pod(struct reconciler *r, const struct call *call,
                       const struct platform_result *result)
{
    struct world_pod *pod = world_pod_find(&r->world, str_of(call->subject));
    bool gone = result->code == -ERR_NOT_FOUND;

    if (pod == NULL)
        return;
    if (call->kind == CALL_DELETE && pod->delete_ticket == call->ticket) {
        pod->delete_ticket = 0;
        if (result->code < 0 && !gone) {
            pod->delete_sent_ms = 0;
            fail(r, call, result, "delete pod");
        }
    } else if (call->kind == CALL_RESTART && pod->restart_ticket == call->ticket) {
        pod->restart_ticket = 0;
        if (result->code < 0 && !gone) {
            pod->restart_asked = false;
            fail(r, call, result, "restart agent");
        }
    } else if (call->kind == CALL_DRAIN && pod->drain_ticket == call->ticket) {
        pod->drain_ticket = 0;
        if (result->code < 0) {
            fail(r, call, result, "drain agent");
        } else {
            pod->drain_told_ms = now_of(r);
            pod->probe_due_ms = 0;
            queue_add(&r->queue, str_of(call->key));
        }
    }
}

static void result_weights(struct reconciler *r, const struct call *call,
                           const struct platform_result *result)
{
    struct world_model *m = world_model_find(&r->world, str_of(call->key));

    if (m == NULL || m->weights.ticket != call->ticket)
        return;
    m->weights.ticket = 0;
    m->weights.known = true;
    m->weights.code = result->code;
    m->weights.checked_ms = now_of(r);
    must_replace(&m->weights.message, result->message);
    queue_add(&r->queue, str_of(call->key));
}

static void result_prices(struct reconciler *r, const struct call *call,
                          const struct platform_result *result)
{
    struct str name = str_slice(str_of(call->key), strlen(PRICES_KEY_PREFIX), strlen(call->key));
    struct world_book *book = prices_book(r, name);

    if (book == NULL)
        return;
    if (call->kind == CALL_PRICES_PUT && book->put_ticket == call->ticket) {
        book->put_ticket = 0;
        if (result->code < 0)
            book->put_ms = 0;
    } else if (call->kind == CALL_PRICES_POST && book->post_ticket == call->ticket) {
        book->post_ticket = 0;
        if (result->code == 0)
            book->accepted_version = book->posting_version;
    }
    if (result->code < 0)
        fail(r, call, result, "record prices");
    else
        queue_add(&r->queue, str_of(call->key));
}

static void on_result(void *user, const struct platform_result *result)
{
    struct reconciler *r = user;
    struct call *call = map_remove(&r->calls, ticket_key(&result->ticket));

    if (call == NULL)
        return; /* of a leadership that is over */
    switch (call->kind) {
    case CALL_CREATE:
        result_create(r, call, result);
        break;
    case CALL_DELETE:
    case CALL_RESTART:
    case CALL_DRAIN:
        result_pod(r, call, result);
        break;
    case CALL_PUT:
        result_put(r, call, result);
        break;
    case CALL_WEIGHTS:
        result_weights(r, call, result);
        break;
    case CALL_PRICES_PUT:
    case CALL_PRICES_POST:
        result_prices(r, call, result);
        break;
    }
    call_free(call);
    turn(r);
}

static void on_probe(void *user, const struct platform_probe_result *result)
{
    struct reconciler *r = user;
    struct world_pod *pod = world_pod_find(&r->world, result->pod_uid);

    if (pod != NULL && pod->probing && pod->view.restarts == result->restarts) {
        liveness_answer(r, pod, result);
        r->routes_dirty = true;
        queue_add(&r->queue, str_of(pod->model->key));
    }
    turn(r);
}

static void on_alarm(void *user)
{
    turn(user);
}

/* --- life
 * ----------------------------------------------------------------------------------------------------
 */

static const struct platform_handler handler = {
    .on_lead = on_lead,
    .on_synced = on_synced,
    .on_object = on_object,
    .on_pod = on_pod,
    .on_gateways = on_gateways,
    .on_load = on_load,
    .on_ack = on_ack,
    .on_result = on_result,
    .on_probe = on_probe,
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
    add_all(r);
    turn(r);
}

void reconciler_stats(const struct reconciler *r, struct reconciler_stats *out)
{
    *out = r->stats;
    out->models = r->world.models.count;
    out->pods = r->world.pods.count;
    out->queued = r->queue.ready_count + r->queue.waiting_count;
    out->leading = r->leading;
    out->synced = r->synced;
    out->gateways = 0;
    for (size_t i = 0; i < r->world.gateway_count; i++)
        out->gateways += r->world.gateways[i].live;
}
