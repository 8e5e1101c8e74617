/* SPDX-License-Identifier: Apache-2.0 */
/* The counts and conditions of the status, and the words for people in them. */
#include "operator/reconcile/pass.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/plain.h"

struct str pass_text(struct pass *p, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    plain_make(text);
    return must_str(arena_str(&p->arena, str_of(text)));
}

void pass_event(struct pass *p, bool warning, const char *reason, struct str note)
{
    p->r->platform->ops->event_record(p->r->platform, p->m->object, warning, reason, note);
}

void condition_stamp(struct crd_condition *condition, const struct crd_condition *seen,
                     int seen_count, int64_t wall_ms)
{
    condition->last_transition_ms = wall_ms;
    for (int i = 0; i < seen_count; i++) {
        if (str_eq(seen[i].type, condition->type) && seen[i].status == condition->status)
            condition->last_transition_ms = seen[i].last_transition_ms;
    }
}

void pass_condition(struct pass *p, const char *type, enum crd_truth truth, const char *reason,
                    const char *format, ...)
{
    struct crd_condition *out = &p->next.conditions[p->next.condition_count++];
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    plain_make(text);
    *out = (struct crd_condition){
        .type = str_of(type),
        .status = (int)truth,
        .reason = str_of(reason),
        .message = must_str(arena_str(&p->arena, str_of(text))),
        .observed_generation = p->m->object->generation,
    };
    condition_stamp(out, p->seen->conditions, p->seen->condition_count, p->wall_ms);
}

/* The first pod that has something to say about why it is not ready. */
static const struct crd_pod *troubled_pod(const struct pass *p)
{
    const struct crd_pod *failed = NULL;

    for (int i = 0; i < p->next.pod_count; i++) {
        const struct crd_pod *pod = &p->next.pods[i];

        if (pod->phase == CRD_POD_FAILED && (failed == NULL || pod->message.len > 0))
            failed = pod;
    }
    return failed;
}

/* Restarts of the most restless pod. */
static uint64_t most_restarts(const struct pass *p)
{
    uint64_t most = 0;

    for (size_t i = 0; i < p->m->pod_count; i++) {
        if (p->m->pods[i]->record->restarts > most)
            most = p->m->pods[i]->record->restarts;
    }
    return most;
}

static void capacity_condition(struct pass *p)
{
    const struct world_pod *waiting = NULL;

    for (size_t i = 0; i < p->m->pod_count; i++) {
        struct world_pod *pod = p->m->pods[i];
        int64_t due =
            pod->record->created_ms + (pod->blocked ? PASS_BLOCKED_WAIT_MS : PASS_CAPACITY_WAIT_MS);

        if (pod->phase != PLATFORM_POD_PENDING)
            continue;
        if (p->wall_ms >= due)
            waiting = pod;
        else
            pass_requeue(p, p->now_ms + (due - p->wall_ms));
    }
    if (p->next.pending_create_count == 0)
        world_text_set(&p->m->create_message, STR_NONE); /* nothing waits for it any more */
    if (p->m->create_message != NULL)
        pass_condition(p, "CapacityAvailable", CRD_FALSE, "CreationRefused", "%s",
                       p->m->create_message);
    else if (waiting != NULL)
        pass_condition(p, "CapacityAvailable", CRD_FALSE, "PodsPending",
                       "%.*s was not started yet: %s", STR_ARG(world_pod_name(waiting)),
                       waiting->message != NULL ? waiting->message : "no reason given");
    else
        pass_condition(p, "CapacityAvailable", CRD_TRUE, "Available", "every pod found its place");
}

/* What keeps the model from serving at all; empty: nothing. */
static void find_hold_reason(const struct pass *p, char out[PLATFORM_MESSAGE_MAX])
{
    const struct crd_pod *troubled = troubled_pod(p);
    const struct world_pod *known =
        troubled != NULL ? world_pod_find(&p->r->world, troubled->uid) : NULL;

    out[0] = '\0';
    if (p->next.ready_replicas > 0)
        return;
    if (p->m->weights.known && p->m->weights.code < 0)
        snprintf(out, PLATFORM_MESSAGE_MAX, "%s", p->m->weights.message);
    else if (known != NULL && known->answered && known->status.state == WORLD_AGENT_FAILED)
        snprintf(out, PLATFORM_MESSAGE_MAX, "%.*s can't serve: %s", STR_ARG(troubled->name),
                 known->status.detail != NULL ? known->status.detail : "");
    else if (troubled != NULL && most_restarts(p) >= PASS_CRASHES_STALLED)
        snprintf(out, PLATFORM_MESSAGE_MAX, "%.*s keeps ending: %.*s; see `%s logs -n %s %.*s`",
                 STR_ARG(troubled->name), STR_ARG(troubled->message), p->r->platform->client,
                 p->m->object->name_space, STR_ARG(troubled->name));
}

/* What the first replica waits for, or ended with; empty: nothing to speak of. */
static struct str start_trouble(struct pass *p)
{
    for (size_t i = 0; i < p->m->pod_count; i++) {
        const struct world_pod *pod = p->m->pods[i];

        if (pod->message != NULL && (pod->blocked || pod->phase == PLATFORM_POD_CRASHED))
            return pass_text(p, "; %.*s: %s", STR_ARG(world_pod_name(pod)), pod->message);
    }
    return STR("");
}

static void ready_condition(struct pass *p, const char *hold)
{
    struct str trouble = start_trouble(p);
    int64_t ready = p->next.ready_replicas, desired = p->next.desired_replicas;

    if (ready > 0)
        pass_condition(p, "Ready", CRD_TRUE, ready >= desired ? "Ready" : "Scaling",
                       "%lld of %lld replicas are ready", (long long)ready, (long long)desired);
    else if (hold[0] != '\0')
        pass_condition(p, "Ready", CRD_FALSE, "CanNotServe", "%s", hold);
    else if (desired == 0)
        pass_condition(p, "Ready", CRD_TRUE, "ScaledToZero",
                       p->spec->mode == CRD_SCALING_MANUAL
                           ? "no replica is asked for; raise spec.scaling.replicas"
                           : "no replica runs; the next request starts one");
    else
        pass_condition(p, "Ready", CRD_FALSE, "Starting",
                       "the first of %lld replicas is starting%.*s", (long long)desired,
                       STR_ARG(trouble));
}

static void progress_conditions(struct pass *p, const char *hold)
{
    const struct crd_model_status *next = &p->next;
    bool settled = next->pod_count == next->ready_replicas &&
                   next->ready_replicas == next->desired_replicas &&
                   next->pending_create_count == 0;

    pass_condition(p, "Reconciling", settled ? CRD_FALSE : CRD_TRUE,
                   settled ? "Settled" : "Scaling", "%s",
                   settled ? "the replicas are as wanted" : "replicas come or go");
    if (hold[0] != '\0')
        pass_condition(p, "Stalled", CRD_TRUE, "CanNotServe", "%s", hold);
    else
        pass_condition(p, "Stalled", CRD_FALSE, "Progressing", "nothing is in the way");
}

static void cold_start_figures(struct pass *p)
{
    const struct world_model *m = p->m;

    if (m->cold_start_count == 0)
        return; /* those of the run before stand */
    p->next.cold_start_last_ms = m->cold_starts_ms[(m->cold_start_count - 1) % WORLD_COLD_STARTS];
    p->next.cold_start_median_ms = world_cold_start_percentile(m, 50);
    p->next.cold_start_p90_ms = world_cold_start_percentile(m, 90);
}

/* -1: not known. */
static int capacity_type(const struct pass *p, struct str pod_uid)
{
    const struct world_pod *pod = world_pod_find(&p->r->world, pod_uid);

    switch (pod == NULL ? PLATFORM_CAPACITY_UNKNOWN : pod->capacity) {
    case PLATFORM_CAPACITY_SPOT:
        return CRD_CAPACITY_SPOT;
    case PLATFORM_CAPACITY_ON_DEMAND:
        return CRD_CAPACITY_ON_DEMAND;
    case PLATFORM_CAPACITY_RESERVED:
        return CRD_CAPACITY_RESERVED;
    case PLATFORM_CAPACITY_UNKNOWN:
        break;
    }
    return -1;
}

static void count_capacity(struct pass *p)
{
    struct crd_model_status *next = &p->next;
    struct crd_capacity counts[CRD_CAPACITY_COUNT] = {{0}};

    for (int i = 0; i < next->pod_count; i++) {
        int type = capacity_type(p, next->pods[i].uid);

        if (type < 0)
            continue;
        counts[type].replicas++;
        counts[type].ready_replicas += next->pods[i].phase == CRD_POD_READY;
    }
    next->capacities = must(arena_array(&p->arena, CRD_CAPACITY_COUNT, sizeof(*next->capacities)));
    next->capacity_count = 0;
    for (int type = 0; type < CRD_CAPACITY_COUNT; type++) {
        counts[type].type = type;
        if (counts[type].replicas > 0)
            next->capacities[next->capacity_count++] = counts[type];
    }
}

void pass_counts(struct pass *p)
{
    struct crd_model_status *next = &p->next;

    memset(next->phase_counts, 0, sizeof(next->phase_counts));
    for (int i = 0; i < next->pod_count; i++)
        next->phase_counts[next->pods[i].phase]++;
    next->replicas = next->pod_count;
    next->ready_replicas = next->phase_counts[CRD_POD_READY];
    count_capacity(p);
}

void pass_summary(struct pass *p)
{
    char hold[PLATFORM_MESSAGE_MAX];

    pass_counts(p);
    p->next.observed_generation = p->m->object->generation;
    p->next.selector = pass_text(p, "%s=%s", CRD_POD_MODEL_LABEL, p->m->object->name);
    cold_start_figures(p);
    capacity_condition(p);
    find_hold_reason(p, hold);
    ready_condition(p, hold);
    progress_conditions(p, hold);
    if (strcmp(hold, p->m->hold_reason != NULL ? p->m->hold_reason : "") != 0) {
        world_text_set(&p->m->hold_reason, str_of(hold));
        routes_mark_dirty(p->r);
    }
}
