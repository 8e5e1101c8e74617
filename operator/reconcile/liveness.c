/* SPDX-License-Identifier: Apache-2.0 */
/* Asks agents how they are: often while one loads or drains, rarely when it is ready; and has those
 * started again that do not answer or whose engine stands still. */
#include "operator/reconcile/pass.h"

#include <string.h>

enum {
    PROBE_LOADING_MIN_MS = 10,
    PROBE_LOADING_MAX_MS = 500,
    PROBE_DRAINING_MS = 50,
    PROBE_FAILED_MS = 1000,
};

/* How long until the next probe, by what the last one said. */
static int64_t probe_interval(const struct reconciler *r, const struct world_pod *pod)
{
    int64_t age = clock_wall_ms(r->platform->clock) - pod->record->created_ms;
    int64_t interval;

    if (pod->answered && pod->probe_failures == 0) {
        if (pod->status.state == WORLD_AGENT_READY && pod->drain_told_ms == 0)
            return r->platform->probe_interval_ms > 0 ? r->platform->probe_interval_ms : INT64_MAX;
        if (pod->status.state == WORLD_AGENT_FAILED)
            return PROBE_FAILED_MS;
        if (pod->status.state != WORLD_AGENT_LOADING)
            return PROBE_DRAINING_MS;
    }
    /* Starting: a sixteenth of the age on top of it is late enough. */
    interval = age / 16;
    if (interval < PROBE_LOADING_MIN_MS)
        return PROBE_LOADING_MIN_MS;
    return interval > PROBE_LOADING_MAX_MS ? PROBE_LOADING_MAX_MS : interval;
}

/* Takes an answer in. The pass that follows draws the conclusions. */
void liveness_answer(struct reconciler *r, struct world_pod *pod,
                     const struct platform_probe_result *result)
{
    int64_t now = now_of(r);
    int64_t interval;

    pod->probing = false;
    if (result->code == 0) {
        world_pod_answered(&r->world, pod, result->status);
        pod->met = pod->answered = true;
        pod->answered_ms = now;
        pod->probe_failures = 0;
        pod->failing_since_ms = 0;
        pod->suspect = false;
        if (pod->status.state == WORLD_AGENT_READY)
            pod->ever_ready = true;
    } else {
        if (pod->probe_failures++ == 0)
            pod->failing_since_ms = now;
        pod->met = pod->met || now - pod->failing_since_ms >= PASS_MEET_MS;
    }
    interval = probe_interval(r, pod);
    pod->probe_due_ms = interval == INT64_MAX ? INT64_MAX : now + interval;
}

static void restart(struct pass *p, struct world_pod *pod, const char *why)
{
    struct str name = world_pod_name(pod);
    struct str uid = world_pod_uid(pod);

    pod->restart_asked = true;
    pod->restart_ticket = reconciler_call(p->r, CALL_RESTART, p->m->key, uid);
    p->r->platform->ops->pod_restart(p->r->platform, pod->restart_ticket,
                                     pod_record_text(pod->record, POD_NAME_SPACE), name, uid);
    if (p->m->object != NULL)
        pass_event(p, true, "AgentRestarted", pass_text(p, "%.*s: %s", STR_ARG(name), why));
}

/* An agent that is silent, or whose engine stands still, is started again. One that never answered
 * gets more time: it may still be starting. */
static void check_sanity(struct pass *p, struct world_pod *pod)
{
    int64_t silent_ms = pod->failing_since_ms > 0 ? p->now_ms - pod->failing_since_ms : 0;
    int64_t limit_ms = pod->answered ? PASS_UNRESPONSIVE_MS : PASS_START_MS;

    if (pod->restart_asked)
        return;
    if (pod->stalled)
        restart(p, pod, "a gateway saw its engine make no step");
    else if (pod->probe_failures > 0 && pod->suspect)
        restart(p, pod, "silent to a gateway and to the operator");
    else if (pod->probe_failures > 0 && silent_ms >= limit_ms)
        restart(p, pod, "it did not answer the operator");
    else if (pod->probe_failures > 0)
        pass_requeue(p, pod->failing_since_ms + limit_ms);
}

void pass_probe(struct pass *p)
{
    for (size_t i = 0; i < p->m->pod_count; i++) {
        struct world_pod *pod = p->m->pods[i];

        if (pod->phase != PLATFORM_POD_RUNNING || world_pod_address(pod).len == 0 || pod->deleting)
            continue;
        check_sanity(p, pod);
        if (pod->probing)
            continue;
        if (pod->probe_due_ms > p->now_ms) {
            pass_requeue(p, pod->probe_due_ms);
            continue;
        }
        if (p->r->probes >= PASS_PROBES_MAX) {
            pass_hold(p);
            return;
        }
        pod->probing = true;
        p->r->probes++;
        p->r->platform->ops->agent_probe(p->r->platform, world_pod_uid(pod));
    }
}
