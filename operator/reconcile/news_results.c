/* SPDX-License-Identifier: Apache-2.0 */
/* News about commands: their results, and the answers of agents to probes. */
#include <stdio.h>
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/pass.h"

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
        world_text_set(&m->create_message, STR_NONE);
        m->quota_full = false;
        m->place_made = false;
        queue_forget(&r->queue, str_of(call->key));
        queue_add(&r->queue, str_of(call->key));
        return;
    }
    world_text_set(&m->create_message, result->message);
    m->quota_full = result->code == -ERR_LIMIT;
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
    if (result->code < 0)
        fail(r, call, result, "write status");
    if (result->code == 0 || err_class_of(result->code) == ERR_CLASS_CONFLICT) {
        /* Written, or the view is stale: either way the next event shows what is. It may have come
         * before this answer. */
        m->put_unseen = m->object != NULL && strcmp(m->object->resource_version, m->put_base) == 0;
        m->put_unsure = false;
    } else {
        m->put_unsure = true; /* a write that failed on its way may have arrived all the same */
    }
    if (result->code == 0) {
        queue_forget(&r->queue, str_of(call->key));
        queue_add(&r->queue, str_of(call->key));
    }
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

void news_result(void *user, const struct platform_result *result)
{
    struct reconciler *r = user;
    struct call *call = map_remove(&r->calls, reconciler_ticket_key(&result->ticket));

    if (call == NULL)
        return; /* of a leadership that is over */
    if (call->kind == CALL_PUT || call->kind == CALL_TENANT_PUT)
        r->puts--;
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
        prices_result(r, call, result);
        if (result->code < 0)
            fail(r, call, result, "record prices");
        break;
    case CALL_TENANT_PUT:
        tenant_result(r, call, result);
        break;
    case CALL_ROUTE_PUT:
        route_result(r, call, result);
        if (result->code < 0)
            fail(r, call, result, "write status");
        else
            queue_forget(&r->queue, str_of(call->key));
        break;
    }
    reconciler_call_free(call);
    reconciler_wake(r);
}

void news_probe(void *user, const struct platform_probe_result *result)
{
    struct reconciler *r = user;
    struct world_pod *pod = world_pod_find(&r->world, result->pod_uid);

    if (r->probes > 0) /* else of a leadership that is over */
        r->probes--;
    if (pod != NULL && pod->probing && pod->record->restarts == result->restarts) {
        liveness_answer(r, pod, result);
        r->routes_dirty = true;
        queue_add(&r->queue, str_of(pod->model->key));
    }
    reconciler_wake(r);
}
