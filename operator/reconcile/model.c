/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over one model: the steps in their order, then the status if it changed. */
#include "operator/reconcile/pass.h"

#include <string.h>

#include "operator/common/must.h"

enum { PASS_ARENA_BYTES = 64 << 20 };

/* The last status was not seen yet, so what is seen is not what is. */
static bool must_rest(struct pass *p)
{
    struct world_model *m = p->m;

    if (m->put_ticket == 0 && !m->put_unseen)
        return false;
    if (p->now_ms - m->put_ms < PASS_PUT_WAIT_MS) {
        pass_requeue(p, m->put_ms + PASS_PUT_WAIT_MS);
        return true;
    }
    /* No answer, or no event. Another write, with its precondition, finds out what is true. */
    m->put_ticket = 0;
    m->put_unseen = false;
    m->put_unsure = true;
    return false;
}

static bool shows_all_recorded(const struct pass *p)
{
    for (int i = 0; i < p->seen->pod_count; i++) {
        if (world_pod_find(&p->r->world, p->seen->pods[i].uid) == NULL)
            return false;
    }
    return true;
}

/* To a new leader the status is fresh, while its view of the pods may lag behind: one that it does
 * not show yet is not gone. If it were struck off the status, it would be a stranger when it comes,
 * and be deleted with all that it serves. */
static bool must_wait_for_pods(struct pass *p)
{
    const struct reconciler *r = p->r;
    int64_t since_ms = r->lead_ms > r->synced_ms ? r->lead_ms : r->synced_ms;
    int64_t until_ms = since_ms + PASS_TAKEOVER_WAIT_MS;

    if (p->now_ms >= until_ms || shows_all_recorded(p))
        return false;
    pass_requeue(p, until_ms);
    return true;
}

/* Begins `next` with what stays unless a step changes it. */
static void begin_next(struct pass *p)
{
    const struct crd_model_status *seen = p->seen;
    struct crd_model_status *next = &p->next;
    struct arena *a = &p->arena;

    *next = *seen;
    next->conditions = must(arena_array(a, CRD_CONDITIONS_MAX, sizeof(*next->conditions)));
    next->condition_count = 0;
    next->decisions = must(arena_array(a, CRD_DECISIONS_MAX + 1, sizeof(*next->decisions)));
    if (seen->decision_count > 0)
        memcpy(next->decisions, seen->decisions,
               (size_t)seen->decision_count * sizeof(*next->decisions));
    next->pods = must(arena_array(a, p->m->pod_count + 1, sizeof(*next->pods)));
    next->pod_count = 0;
    next->pending_creates = must(
        arena_array(a, (size_t)seen->pending_create_count + 1, sizeof(*next->pending_creates)));
    next->pending_create_count = 0;
}

static bool conditions_differ(const struct crd_model_status *a, const struct crd_model_status *b)
{
    if (a->condition_count != b->condition_count)
        return true;
    for (int i = 0; i < a->condition_count; i++) {
        if (!str_eq(a->conditions[i].type, b->conditions[i].type) ||
            !str_eq(a->conditions[i].reason, b->conditions[i].reason) ||
            a->conditions[i].status != b->conditions[i].status)
            return true;
    }
    return false;
}

static bool pods_differ(const struct crd_model_status *a, const struct crd_model_status *b)
{
    if (a->pod_count != b->pod_count || a->pending_create_count != b->pending_create_count)
        return true;
    for (int i = 0; i < a->pod_count; i++) {
        if (!str_eq(a->pods[i].uid, b->pods[i].uid) || a->pods[i].phase != b->pods[i].phase)
            return true;
    }
    for (int i = 0; i < a->pending_create_count; i++) {
        if (!str_eq(a->pending_creates[i].name, b->pending_creates[i].name))
            return true;
    }
    return false;
}

/* Pods come or go by it. */
static bool brings_work(const struct crd_model_status *seen, const struct crd_model_status *next)
{
    if (seen->desired_replicas != next->desired_replicas || seen->pod_count != next->pod_count ||
        seen->pending_create_count != next->pending_create_count)
        return true;
    for (int i = 0; i < seen->pod_count; i++) {
        if (!str_eq(seen->pods[i].uid, next->pods[i].uid) ||
            (seen->pods[i].phase == CRD_POD_DRAINING) != (next->pods[i].phase == CRD_POD_DRAINING))
            return true;
    }
    return false;
}

/* What the next step waits for, or somebody watches. The rest (messages, counts, measurements)
 * may wait for its interval. */
static bool is_urgent(const struct crd_model_status *seen, const struct crd_model_status *next)
{
    return seen->observed_generation != next->observed_generation ||
           seen->next_ordinal != next->next_ordinal ||
           seen->decision_count != next->decision_count ||
           (next->decision_count > 0 && seen->decisions[0].time_ms != next->decisions[0].time_ms) ||
           conditions_differ(seen, next) || seen->desired_replicas != next->desired_replicas ||
           pods_differ(seen, next);
}

/* True if the write shall wait; then the pass comes again. */
static bool may_wait(struct pass *p)
{
    int64_t due_ms = p->m->put_ms + p->r->platform->status_interval_ms;

    if (p->now_ms >= due_ms || p->m->put_unsure || !p->m->has_status ||
        is_urgent(p->seen, &p->next))
        return false;
    pass_requeue(p, due_ms);
    return true;
}

/* True if others are written first: thousands of statuses that only report must not stand before
 * one that brings a pod. The pass comes again when there is room. */
static bool must_stand_back(struct pass *p)
{
    if (p->r->puts < PASS_PUTS_MAX || brings_work(p->seen, &p->next))
        return false;
    pass_hold(p);
    return true;
}

static void put_status(struct pass *p)
{
    struct world_model *m = p->m;
    json_auto_t *before = NULL;
    json_t *after = NULL;

    (void)must(crd_model_status_write(p->seen, &before, NULL) == 0 ? before : NULL);
    (void)must(crd_model_status_write(&p->next, &after, NULL) == 0 ? after : NULL);
    if (m->has_status && !m->put_unsure && json_equal(before, after)) {
        json_decref(after);
        return;
    }
    if (may_wait(p) || must_stand_back(p)) {
        json_decref(after);
        return;
    }
    must_replace(&m->put_base, str_of(m->object->resource_version));
    m->put_unseen = false;
    m->put_ms = p->now_ms;
    m->put_ticket = reconciler_call(p->r, CALL_PUT, m->key, STR_NONE);
    p->r->puts++;
    p->r->platform->ops->status_put(p->r->platform, m->put_ticket, m->object, after);
    json_decref(after);
}

static void run_steps(struct pass *p)
{
    begin_next(p);
    pass_name(p);
    pass_weights(p);
    pass_adopt(p);
    pass_counts(p);
    pass_scale(p);
    pass_plan(p);
    if (!p->m->put_unsure) { /* else what is seen may be older than what we wrote */
        pass_going_away(p);
        pass_create(p);
    }
    pass_summary(p);
    put_status(p);
}

/* The object is gone: its pods go after it (on Kubernetes its garbage collector does the same). */
static void delete_orphans(struct pass *p)
{
    for (size_t i = 0; i < p->m->pod_count; i++) {
        if (!p->m->pods[i]->reporting)
            reconciler_delete_pod(p->r, p->m->pods[i], PASS_DELETE_GRACE_MS);
    }
    routes_mark_dirty(p->r);
}

static void run(struct pass *p)
{
    if (p->m->object == NULL) {
        delete_orphans(p);
        return;
    }
    pass_probe(p);
    if (p->m->spec_fault != NULL) {
        p->unusable = true;
        log_error("stored object can't be used; apply it again", LOG_STR("model", p->m->key),
                  LOG_STR("fault", p->m->spec_fault));
        return;
    }
    if (!must_rest(p) && !must_wait_for_pods(p))
        run_steps(p);
}

static enum reconciler_outcome outcome_of(const struct pass *p)
{
    if (p->unusable)
        return RECONCILER_ERROR;
    if (p->held)
        return RECONCILER_REQUEUE;
    return p->requeue_ms != INT64_MAX ? RECONCILER_REQUEUE_AFTER : RECONCILER_SUCCESS;
}

void pass_model(struct reconciler *r, const char *key)
{
    struct pass p = {
        .r = r,
        .m = world_model_find(&r->world, str_of(key)),
        .now_ms = now_of(r),
        .wall_ms = clock_wall_ms(r->platform->clock),
        .requeue_ms = INT64_MAX,
    };

    r->stats.passes++;
    if (p.m == NULL) {
        r->stats.outcomes[RECONCILER_SUCCESS]++;
        queue_forget(&r->queue, str_of(key)); /* it is gone, and so are its failures */
        return;
    }
    arena_init(&p.arena, PASS_ARENA_BYTES);
    p.spec = &p.m->spec;
    p.seen = &p.m->status;
    run(&p);
    r->stats.outcomes[outcome_of(&p)]++;
    if (p.requeue_ms != INT64_MAX)
        queue_add_at(&r->queue, str_of(key), p.requeue_ms);
    arena_fini(&p.arena);
}
