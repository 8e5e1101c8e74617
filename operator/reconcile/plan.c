/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pods come and which go, so that `desired` pods of the present settings run. There are never
 * more pods than maxReplicas, those on their way out included, except for pods whose machine is
 * taken away: their successors come while they are still there. After a change of settings new pods
 * come first where there is room for them, below maxReplicas and on the machines; else old ones go
 * one at a time, after draining.
 */
#include "operator/reconcile/pass.h"

#include <string.h>

#include "operator/common/must.h"

struct counts {
    int64_t current;       /* pods of the present settings that stay */
    int64_t current_ready; /* of these */
    int64_t unplaced;      /* and of these: no machine has had room for them for a while */
    int64_t pending;       /* recorded creations */
    int64_t old;           /* pods of other settings that stay */
    int64_t old_ready;
    int64_t draining;
    int64_t lost;  /* of these: their machine is taken away */
    int64_t total; /* all but those */
};

static bool is_current(const struct pass *p, const struct crd_pod *pod)
{
    return str_is(pod->template_hash, p->m->template_hash);
}

/* A pod that will be gone soon whatever we do. */
static bool is_lost(const struct pass *p, const struct crd_pod *pod)
{
    const struct world_pod *known = world_pod_find(&p->r->world, pod->uid);

    return known != NULL && (known->phase == PLATFORM_POD_LOST || known->reclaimed);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A machine may be on its way, or one that a pod has just left: that takes a while to show. */
static bool is_unplaced(struct pass *p, const struct crd_pod *pod)
{
    const struct world_pod *known = world_pod_find(&p->r->world, pod->uid);
    int64_t since_ms;

    if (known == NULL || !known->unplaced)
        return false;
    since_ms = later(p->now_ms - (p->wall_ms - known->record->created_ms),
                     later(p->m->left_ms, p->r->synced_ms));
    if (p->now_ms - since_ms >= PASS_PLACE_WAIT_MS)
        return true;
    pass_requeue(p, since_ms + PASS_PLACE_WAIT_MS);
    return false;
}

static struct counts count(struct pass *p)
{
    struct counts c = {.pending = p->next.pending_create_count};

    for (int i = 0; i < p->next.pod_count; i++) {
        const struct crd_pod *pod = &p->next.pods[i];
        bool ready = pod->phase == CRD_POD_READY;

        if (pod->phase == CRD_POD_DRAINING) {
            c.draining++;
            c.lost += is_lost(p, pod);
            p->m->left_ms = p->now_ms;
        } else if (is_current(p, pod)) {
            c.current++;
            c.current_ready += ready;
            c.unplaced += is_unplaced(p, pod);
        } else {
            c.old++;
            c.old_ready += ready;
        }
    }
    c.total = c.current + c.old + c.draining - c.lost + c.pending;
    return c;
}

static int64_t maximum(const struct pass *p)
{
    int64_t max = p->spec->mode == CRD_SCALING_MANUAL ? p->spec->replicas : p->spec->max_replicas;

    return max > p->next.desired_replicas ? max : p->next.desired_replicas;
}

/* --- going ------------------------------------------------------------------------------------ */

static void mark_draining(struct pass *p, struct crd_pod *pod)
{
    pod->phase = CRD_POD_DRAINING;
    pod->draining_since_ms = p->wall_ms;
}

static bool is_off_spot(const struct pass *p, const struct crd_pod *pod)
{
    const struct world_pod *known = world_pod_find(&p->r->world, pod->uid);

    return known != NULL && known->capacity != PLATFORM_CAPACITY_SPOT;
}

/* No more ready pods stay off spot machines than spec.scaling.spot.minOnDemand. */
static bool is_at_floor(const struct pass *p)
{
    int64_t off_spot = 0;

    for (int i = 0; i < p->next.pod_count; i++)
        off_spot += p->next.pods[i].phase == CRD_POD_READY && is_off_spot(p, &p->next.pods[i]);
    return p->spec->spot_percent > 0 && off_spot <= p->spec->spot_min_on_demand;
}

/* Which of two pods goes first: not ready before ready, then at the floor the one on a spot
 * machine, then the less busy, then the younger. */
static bool goes_before(const struct pass *p, const struct crd_pod *a, const struct crd_pod *b,
                        bool at_floor)
{
    const struct world_pod *known_a = world_pod_find(&p->r->world, a->uid);
    const struct world_pod *known_b = world_pod_find(&p->r->world, b->uid);
    uint64_t running_a = known_a != NULL && known_a->answered ? known_a->status.running : 0;
    uint64_t running_b = known_b != NULL && known_b->answered ? known_b->status.running : 0;

    if ((a->phase == CRD_POD_READY) != (b->phase == CRD_POD_READY))
        return a->phase != CRD_POD_READY;
    if (at_floor && is_off_spot(p, a) != is_off_spot(p, b))
        return is_off_spot(p, b);
    if (running_a != running_b)
        return running_a < running_b;
    return a->ordinal > b->ordinal;
}

static void drain_some(struct pass *p, bool current, int64_t how_many)
{
    for (; how_many > 0; how_many--) {
        struct crd_pod *first = NULL;
        bool at_floor = is_at_floor(p);

        for (int i = 0; i < p->next.pod_count; i++) {
            struct crd_pod *pod = &p->next.pods[i];

            if (pod->phase == CRD_POD_DRAINING || is_current(p, pod) != current)
                continue;
            if (first == NULL || goes_before(p, pod, first, at_floor))
                first = pod;
        }
        if (first == NULL)
            return;
        mark_draining(p, first);
    }
}

/* Pods that go without being asked: their machine does, or they will never run. */
static void drain_lost(struct pass *p)
{
    for (int i = 0; i < p->next.pod_count; i++) {
        if (p->next.pods[i].phase != CRD_POD_DRAINING && is_lost(p, &p->next.pods[i]))
            mark_draining(p, &p->next.pods[i]);
    }
}

/* Takes recorded creations back that were not begun; returns how many. */
static int64_t drop_pending(struct pass *p, int64_t how_many, bool only_old)
{
    struct crd_model_status *next = &p->next;
    int64_t dropped = 0;

    for (int i = next->pending_create_count; i-- > 0 && dropped < how_many;) {
        const struct crd_pending_create *pending = &next->pending_creates[i];

        if (world_create_find(p->m, pending->name) != NULL)
            continue;
        if (only_old && str_is(pending->template_hash, p->m->template_hash))
            continue;
        memmove(&next->pending_creates[i], &next->pending_creates[i + 1],
                (size_t)(next->pending_create_count - i - 1) * sizeof(*pending));
        next->pending_create_count--;
        dropped++;
    }
    return dropped;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* --- coming ----------------------------------------------------------------------------------- */

/* A pod whose agent was not told yet can stay after all. */
static int64_t keep_draining(struct pass *p, int64_t how_many)
{
    int64_t kept = 0;

    for (int i = 0; i < p->next.pod_count && kept < how_many; i++) {
        struct crd_pod *pod = &p->next.pods[i];
        struct world_pod *known = world_pod_find(&p->r->world, pod->uid);

        if (pod->phase != CRD_POD_DRAINING || known == NULL || !is_current(p, pod) ||
            is_lost(p, pod) || known->deleting || known->drain_told_ms != 0 ||
            known->drain_ticket != 0 || known->delete_sent_ms != 0 || !world_pod_ready(known))
            continue;
        pod->phase = CRD_POD_READY;
        pod->draining_since_ms = 0;
        known->drain_counter = 0;
        kept++;
    }
    return kept;
}

static void record_creations(struct pass *p, int64_t how_many)
{
    struct crd_model_status *next = &p->next;
    size_t before = (size_t)next->pending_create_count;
    struct crd_pending_create *grown;

    how_many = least(how_many, CRD_REPLICAS_MAX - next->pending_create_count);
    if (how_many <= 0)
        return;
    grown = must(arena_array(&p->arena, before + (size_t)how_many, sizeof(*grown)));
    if (before > 0)
        memcpy(grown, next->pending_creates, before * sizeof(*grown));
    next->pending_creates = grown;
    for (; how_many > 0; how_many--) {
        struct crd_pending_create *pending = &next->pending_creates[next->pending_create_count++];

        pending->ordinal = next->next_ordinal++;
        pending->template_hash = str_of(p->m->template_hash);
        pending->name = pass_text(p, "%s-%s-%lld", p->m->object->name, p->m->template_hash,
                                  (long long)pending->ordinal);
    }
}

/* Pods of the present settings are missing. */
static void plan_more(struct pass *p, const struct counts *c, int64_t missing)
{
    int64_t room = maximum(p) - c->total;

    missing -= keep_draining(p, missing);
    if (!p->weights_ok || missing <= 0)
        return;
    if (room > 0) {
        record_creations(p, least(missing, room));
    } else if (c->old > 0 && c->draining == 0 && c->current + c->pending == c->current_ready) {
        /* A rollout at maxReplicas: one at a time, and the next when its successor is ready. */
        drain_some(p, false, 1);
    }
}

/* New pods were made, but there is no spare machine for them: an old one makes place, and the next
 * one when its successor is ready. */
static bool makes_place(const struct counts *c)
{
    return c->old > 0 && c->unplaced > 0 && c->draining == 0 && c->pending == 0 &&
           c->current == c->current_ready + c->unplaced;
}

/* The same where a quota is full, so that they can't even be made. Nobody is sent away twice for
 * one creation: who went may fill the quota for a while, or somebody else may be faster. */
static bool makes_room(const struct pass *p, const struct counts *c)
{
    bool one_comes = p->m->create_count > 0 || c->current > c->current_ready;

    return c->old > 0 && c->pending > 0 && c->draining == 0 && !one_comes && p->m->quota_full &&
           !p->m->place_made;
}

static void plan_fewer(struct pass *p, const struct counts *c)
{
    int64_t surplus = c->current + c->pending - p->next.desired_replicas;
    int64_t old_needed = p->next.desired_replicas - c->current_ready;
    bool held = p->m->drain_hold_until_ms > p->now_ms && !p->r->shutting_down;

    if (surplus > 0)
        surplus -= drop_pending(p, surplus, false);
    if (held) {
        pass_requeue(p, p->m->drain_hold_until_ms);
        return;
    }
    if (surplus > 0)
        drain_some(p, true, least(surplus, c->current));
    /* Old ones stay only as long as they stand in for new ones that are not ready. */
    if (old_needed < 0)
        old_needed = 0;
    if (c->old > old_needed) {
        drain_some(p, false, c->old - old_needed);
    } else if (makes_place(c)) {
        drain_some(p, false, 1);
    } else if (makes_room(p, c)) {
        drain_some(p, false, 1);
        p->m->place_made = true;
    }
}

void pass_plan(struct pass *p)
{
    struct counts c;
    int64_t missing;

    drain_lost(p);
    drop_pending(p, p->next.pending_create_count, true);
    c = count(p);
    missing = p->next.desired_replicas - c.current - c.pending;
    if (missing > 0)
        plan_more(p, &c, missing);
    plan_fewer(p, &c);
}
