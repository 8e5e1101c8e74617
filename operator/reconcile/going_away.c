/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol of a pod that goes away, so that no client sees it:
 *
 *     recorded as Draining --> routes say so --> every live gateway acknowledges --> the agent is
 *     told --> it has nothing in work, and its usage is acknowledged --> deleted
 *
 * A gateway that does not acknowledge in time cancels it, unless the pod goes anyway (its machine
 * was reclaimed, its deletion was asked for, the platform ends). A pod that is done is deleted; one
 * that is not done in its grace time is deleted as well, and its streams go on elsewhere.
 */
#include "operator/reconcile/pass.h"

#include <string.h>

#include "operator/common/must.h"

/* It will go whoever agrees. */
static bool is_forced(const struct pass *p, const struct world_pod *pod)
{
    return p->r->shutting_down || pod->reclaimed || pod->deleting || world_pod_drains(pod) ||
           pod->phase == PLATFORM_POD_LOST;
}

static void cancel(struct pass *p, struct world_pod *pod)
{
    struct crd_pod *next = pass_next_pod(p, world_pod_name(pod));
    struct str text = pass_text(p,
                                "%.*s stays: a gateway did not acknowledge within %d ms that it "
                                "sends nothing more there",
                                STR_ARG(world_pod_name(pod)), PASS_ACK_WAIT_MS);

    if (next == NULL)
        return;
    next->phase = world_pod_ready(pod) ? CRD_POD_READY : CRD_POD_PENDING;
    next->draining_since_ms = 0;
    pod->drain_counter = 0;
    p->m->place_made = false;
    p->m->drain_hold_until_ms = p->now_ms + PASS_DRAIN_HOLD_MS;
    p->r->stats.drains_cancelled++;
    pass_decision(p, p->next.desired_replicas, p->next.desired_replicas, "ScaleDownCancelled",
                  must(arena_strdup(&p->arena, text)));
    pass_event(p, true, "ScaleDownCancelled", text);
}

static void tell(struct pass *p, struct world_pod *pod)
{
    if (pod->drain_ticket != 0)
        return;
    pod->drain_ticket = reconciler_call(p->r, CALL_DRAIN, p->m->key, world_pod_uid(pod));
    p->r->platform->ops->agent_drain(p->r->platform, pod->drain_ticket, world_pod_uid(pod));
}

/* Before the agent is told: everybody has to know. Returns true when they do. */
static bool gateways_know(struct pass *p, struct world_pod *pod)
{
    int64_t waited;

    if (pod->drain_counter == 0) {
        routes_mark_dirty(p->r); /* the next snapshot shows it; then this model comes again */
        return false;
    }
    if (routes_acknowledged(p->r, pod->drain_counter))
        return true;
    waited = p->now_ms - pod->drain_published_ms;
    if (waited < PASS_ACK_WAIT_MS) {
        pass_requeue(p, pod->drain_published_ms + PASS_ACK_WAIT_MS);
        return false;
    }
    if (is_forced(p, pod))
        return true;
    cancel(p, pod);
    return false;
}

/* A machine that is taken away does not wait: once the gateways know, SIGTERM gives the streams the
 * last seconds that there are, and then hands them over. */
static int64_t grace_of(const struct pass *p, const struct world_pod *pod)
{
    if (pod->reclaimed)
        return 0;
    if (p->r->shutting_down)
        return PASS_DRAIN_SHUT_DOWN_MS;
    return p->next.ready_replicas > 0 ? PASS_DRAIN_IDLE_MS : PASS_DRAIN_LAST_MS;
}

/* The agent said, after it was told, that nothing is left. */
static bool is_done(const struct world_pod *pod)
{
    const struct world_agent *status = &pod->status;

    return pod->drain_told_ms > 0 && pod->answered && pod->probe_failures == 0 &&
           pod->answered_ms >= pod->drain_told_ms && world_pod_drains(pod) &&
           status->running == 0 && status->waiting == 0 && status->unacknowledged == 0;
}

/* Nobody is there who could finish anything: it never served, or does not answer any more. */
static bool is_unreachable(const struct pass *p, const struct world_pod *pod)
{
    if (!pod->ever_ready && !pod->answered)
        return true;
    return pod->failing_since_ms > 0 &&
           p->now_ms - pod->failing_since_ms >= PASS_DRAIN_UNREACHABLE_MS;
}

static void advance(struct pass *p, const struct crd_pod *recorded, struct world_pod *pod)
{
    int64_t since = p->wall_ms - recorded->draining_since_ms;

    if (pod->phase == PLATFORM_POD_LOST) {
        reconciler_delete_pod(p->r, pod, 0);
        return;
    }
    if (pod->deleting && pod->delete_sent_ms == 0)
        return; /* somebody else's deletion: SIGTERM drains it */
    if (pod->drain_told_ms == 0) {
        if (!gateways_know(p, pod))
            return;
        if (is_unreachable(p, pod) || since >= grace_of(p, pod))
            reconciler_delete_pod(p->r, pod, PASS_DELETE_GRACE_MS);
        else if (world_pod_address(pod).len > 0)
            tell(p, pod); /* one that crashed is told when it is back and can report */
        pass_requeue(p, p->now_ms + 1000);
        return;
    }
    if (is_done(pod) || is_unreachable(p, pod) || since >= grace_of(p, pod))
        reconciler_delete_pod(p->r, pod, PASS_DELETE_GRACE_MS);
    else
        pass_requeue(p, p->now_ms + grace_of(p, pod) - since);
}

void pass_going_away(struct pass *p)
{
    for (int i = 0; i < p->seen->pod_count; i++) {
        const struct crd_pod *recorded = &p->seen->pods[i];
        const struct crd_pod *next = pass_next_pod(p, recorded->name);
        struct world_pod *pod = world_pod_find(&p->r->world, recorded->uid);

        if (pod == NULL || next == NULL || recorded->phase != CRD_POD_DRAINING ||
            next->phase != CRD_POD_DRAINING)
            continue;
        advance(p, recorded, pod);
    }
}
