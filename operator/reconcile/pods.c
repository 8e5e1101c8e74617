/* SPDX-License-Identifier: Apache-2.0 */
/* Which pods are this model's, and the creation of those that are recorded. */
#include "operator/reconcile/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operator/common/must.h"

struct crd_pod *pass_next_pod(struct pass *p, struct str name)
{
    for (int i = 0; i < p->next.pod_count; i++) {
        if (str_eq(p->next.pods[i].name, name))
            return &p->next.pods[i];
    }
    return NULL;
}

static const struct crd_pod *seen_pod(const struct pass *p, const struct world_pod *pod)
{
    for (int i = 0; i < p->seen->pod_count; i++) {
        const struct crd_pod *recorded = &p->seen->pods[i];

        if (str_eq(recorded->name, world_pod_name(pod)) &&
            str_eq(recorded->uid, world_pod_uid(pod)))
            return recorded;
    }
    return NULL;
}

static const struct crd_pending_create *seen_pending(const struct pass *p, struct str name)
{
    for (int i = 0; i < p->seen->pending_create_count; i++) {
        if (str_eq(p->seen->pending_creates[i].name, name))
            return &p->seen->pending_creates[i];
    }
    return NULL;
}

/* The phase of a pod that is not on its way out. A new leader has met no agent yet: until then it
 * is what the one before said. */
static enum crd_pod_phase phase_of(const struct world_pod *pod, const struct crd_pod *before)
{
    if (world_pod_ready(pod))
        return CRD_POD_READY;
    if (pod->phase == PLATFORM_POD_CRASHED || pod->phase == PLATFORM_POD_LOST)
        return CRD_POD_FAILED;
    if (!pod->met && before != NULL && pod->phase == PLATFORM_POD_RUNNING)
        return (enum crd_pod_phase)before->phase;
    if (!pod->answered)
        return CRD_POD_PENDING;
    return pod->status.state == WORLD_AGENT_FAILED ? CRD_POD_FAILED : CRD_POD_LOADING;
}

/* What the platform says of the pod, or the agent: why it failed, or what is not as wished. */
static struct str message_of(const struct world_pod *pod, enum crd_pod_phase phase)
{
    if (pod->message != NULL)
        return str_of(pod->message);
    if ((phase == CRD_POD_FAILED || phase == CRD_POD_READY) && pod->answered)
        return str_of(pod->status.detail);
    return STR_NONE;
}

/* A pod also counts as draining if somebody else asked for its deletion, or if its agent drains
 * already: what an agent was told can't be undone. */
static void record(struct pass *p, struct world_pod *pod, const struct crd_pod *before)
{
    struct crd_pod *out = &p->next.pods[p->next.pod_count++];
    bool draining = pod->deleting || world_pod_drains(pod) ||
                    (before != NULL && before->phase == CRD_POD_DRAINING);

    *out = (struct crd_pod){
        .name = world_pod_name(pod),
        .uid = world_pod_uid(pod),
        .address = world_pod_address(pod),
        .ordinal = (int64_t)pod->record->ordinal,
        .template_hash = pod_record_text(pod->record, POD_TEMPLATE_HASH),
        .phase = draining ? CRD_POD_DRAINING : (int)phase_of(pod, before),
    };
    out->message = message_of(pod, (enum crd_pod_phase)out->phase);
    if (!draining)
        pod->drain_counter = 0; /* should it go later, the gateways are asked anew */
    else
        out->draining_since_ms = before != NULL && before->draining_since_ms > 0
                                     ? before->draining_since_ms
                                     : p->wall_ms;
}

static void measure_cold_start(struct pass *p, struct world_pod *pod, const struct crd_pod *before)
{
    int64_t ms = pod->status.ready_ms - pod->record->created_ms;
    struct str name = world_pod_name(pod);
    bool was_ready = before != NULL && before->phase == CRD_POD_READY;

    if (pod->cold_start_taken || !world_pod_ready(pod))
        return;
    pod->cold_start_taken = true;
    if (pod->record->restarts > 0 || ms <= 0 || was_ready)
        return; /* a restarted agent, or one that was measured by the operator before */
    world_cold_start_add(p->m, ms);
    snprintf(p->m->cold_start_hash, sizeof(p->m->cold_start_hash), "%.*s",
             STR_ARG(pod_record_text(pod->record, POD_TEMPLATE_HASH)));
    pass_event(p, false, "ColdStartCompleted",
               pass_text(p, "%.*s was ready after %lld ms", STR_ARG(name), (long long)ms));
}

/* A pod that nobody recorded is never routed to and goes at once. */
static void delete_stranger(struct pass *p, struct world_pod *pod)
{
    if (pod->delete_sent_ms == 0)
        p->r->stats.strangers++;
    reconciler_delete_pod(p->r, pod, 0);
}

/* Keeps those creations on the list whose pod was not seen yet. */
static void keep_pending(struct pass *p)
{
    for (int i = 0; i < p->seen->pending_create_count; i++) {
        const struct crd_pending_create *pending = &p->seen->pending_creates[i];
        struct world_create *create = world_create_find(p->m, pending->name);

        if (world_model_pod(p->m, pending->name) != NULL || (create != NULL && create->shown))
            continue; /* it was seen: recorded by now, or gone again */
        if (create != NULL && create->done) {
            if (p->now_ms - create->done_ms >= PASS_CREATED_WAIT_MS)
                continue; /* never seen: given up. If it appears after all, it is a stranger. */
            pass_requeue(p, create->done_ms + PASS_CREATED_WAIT_MS);
        }
        p->next.pending_creates[p->next.pending_create_count++] = *pending;
    }
}

static int by_ordinal(const void *a, const void *b)
{
    const struct crd_pod *left = a, *right = b;

    if (left->ordinal != right->ordinal)
        return left->ordinal < right->ordinal ? -1 : 1;
    return str_compare(left->uid, right->uid);
}

/* In an order of their own: that in which they were seen is another one for each leader. */
void pass_adopt(struct pass *p)
{
    for (size_t i = 0; i < p->m->pod_count; i++) {
        struct world_pod *pod = p->m->pods[i];
        const struct crd_pod *before = seen_pod(p, pod);
        bool owned = str_is(pod_record_text(pod->record, POD_OWNER_UID), p->m->object->uid);

        if (pod->reporting)
            continue; /* it goes by itself, and takes nobody's place until then */
        if (!owned || (before == NULL && seen_pending(p, world_pod_name(pod)) == NULL)) {
            delete_stranger(p, pod);
            continue;
        }
        if (p->next.pod_count == CRD_PODS_MAX)
            continue; /* recorded when there is room; until then not routed to */
        measure_cold_start(p, pod, before);
        record(p, pod, before);
    }
    qsort(p->next.pods, (size_t)p->next.pod_count, sizeof(*p->next.pods), by_ordinal);
    keep_pending(p);
}

/* --- creation --------------------------------------------------------------------------------- */

static bool still_wanted(const struct pass *p, struct str name)
{
    for (int i = 0; i < p->next.pending_create_count; i++) {
        if (str_eq(p->next.pending_creates[i].name, name))
            return true;
    }
    return false;
}

static void create(struct pass *p, const struct crd_pending_create *pending)
{
    struct world_create *doing = world_create_find(p->m, pending->name);
    struct platform_pod_spec spec = {
        .name = pending->name,
        .ordinal = (uint64_t)pending->ordinal,
        .template_hash = pending->template_hash,
        .cold_start_p90_ms = p->seen->cold_start_p90_ms,
        .template_measured = str_is(pending->template_hash, p->m->cold_start_hash),
        .model = p->m->object,
    };

    if (doing != NULL && (doing->ticket != 0 || doing->done))
        return;
    if (doing == NULL)
        doing = world_create_add(p->m, pending->name);
    doing->ticket = reconciler_call(p->r, CALL_CREATE, p->m->key, pending->name);
    p->r->stats.pods_created++;
    p->r->platform->ops->pod_create(p->r->platform, doing->ticket, &spec);
}

static void forget_settled(struct pass *p)
{
    for (size_t i = p->m->create_count; i-- > 0;) {
        struct world_create *doing = &p->m->creates[i];
        struct str name = str_of(doing->name);

        if (doing->ticket == 0 && seen_pending(p, name) == NULL && !still_wanted(p, name))
            world_create_remove(p->m, doing);
    }
}

/* Only what the view of the status shows, and what is still wanted. */
void pass_create(struct pass *p)
{
    for (int i = 0; i < p->seen->pending_create_count; i++) {
        const struct crd_pending_create *pending = &p->seen->pending_creates[i];

        if (str_is(pending->template_hash, p->m->template_hash) && still_wanted(p, pending->name))
            create(p, pending);
    }
    forget_settled(p);
}
