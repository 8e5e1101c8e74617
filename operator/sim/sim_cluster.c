/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated API server and its nodes: truth, views, commands. */
#include <stdio.h>
#include <string.h>

#include "operator/sim/sim_private.h"

/* --- truth and views -------------------------------------------------------------------------- */

struct sim_object *sim_object_find(const struct sim *sim, const char *key)
{
    for (size_t i = 0; i < sim->object_count; i++) {
        if (strcmp(sim->objects[i]->key, key) == 0)
            return sim->objects[i];
    }
    return NULL;
}

struct sim_pod *sim_pod_by_uid(struct sim *sim, struct str uid)
{
    for (size_t i = 0; i < sim->pod_count; i++) {
        if (sim->pods[i]->exists && str_is(uid, sim->pods[i]->uid))
            return sim->pods[i];
    }
    return NULL;
}

struct str sim_pod_owner_key(const struct sim_pod *pod, char out[160])
{
    snprintf(out, 160, "%s/%s", pod->name_space, pod->owner);
    return str_of(out);
}

static int64_t view_lag(struct sim *sim)
{
    if (sim_chance(sim, sim->faults.stall_view))
        return sim_chance_ms(sim, sim->faults.stall_ms);
    return sim_chance_ms(sim, sim->options.watch_ms);
}

static enum platform_capacity capacity_of(const struct sim *sim, const struct sim_pod *pod)
{
    if (!sim->options.spot)
        return PLATFORM_CAPACITY_UNKNOWN;
    return pod->ordinal % 2 == 1 ? PLATFORM_CAPACITY_SPOT : PLATFORM_CAPACITY_ON_DEMAND;
}

static struct platform_pod view_of(const struct sim *sim, const struct sim_pod *pod)
{
    const struct pod_facts facts = {
        .name_space = str_of(pod->name_space),
        .name = str_of(pod->name),
        .uid = str_of(pod->uid),
        .owner_name = str_of(pod->owner),
        .owner_uid = str_of(pod->owner_uid),
        .template_hash = str_of(pod->hash),
        .address = str_of(pod->address),
        .ordinal = pod->ordinal,
        .created_ms = pod->created_ms,
        .restarts = (uint32_t)pod->restarts,
    };
    struct platform_pod view = {
        .deleting = pod->gone_ms != 0,
        .reclaimed = pod->reclaimed,
        .reporting = pod->reporting,
        .unplaced = !pod->placed,
        .phase = pod->phase,
        .capacity = capacity_of(sim, pod),
        .message = str_of(pod->message),
    };

    (void)must(pod_record_new(&view.record, &facts, NULL) == 0 ? view.record : NULL);
    return view;
}

static void tell_pod(struct sim *sim, void *object)
{
    struct sim_pod *pod = object;
    struct platform_pod view;
    bool known = pod->told;

    pod->dirty = false;
    if (sim->hide_pods)
        return;
    pod->told = pod->exists;
    if (!pod->exists && !known)
        return; /* came and went unseen */
    view = view_of(sim, pod);
    sim->platform.handler->on_pod(sim->platform.user,
                                  !pod->exists ? PLATFORM_DELETED
                                  : known      ? PLATFORM_MODIFIED
                                               : PLATFORM_ADDED,
                                  &view);
    pod_record_unref(view.record);
}

void sim_pod_changed(struct sim *sim, struct sim_pod *pod)
{
    sim->version++;
    sim_note(sim, "pod %s phase %d agent %d exists %d deleting %d", pod->name, (int)pod->phase,
             (int)pod->agent, pod->exists, pod->gone_ms != 0);
    if (pod->dirty || !sim_operator_lives(sim))
        return;
    pod->dirty = true;
    sim_at(sim, view_lag(sim), tell_pod, NULL, pod, true);
}

static void tell_object(struct sim *sim, void *object)
{
    struct sim_object *o = object;
    struct crd_object *before = o->told;

    o->dirty = false;
    o->told = o->truth != NULL ? crd_object_ref(o->truth) : NULL;
    if (o->told != NULL)
        sim->platform.handler->on_object(
            sim->platform.user, before != NULL ? PLATFORM_MODIFIED : PLATFORM_ADDED, o->told);
    else if (before != NULL)
        sim->platform.handler->on_object(sim->platform.user, PLATFORM_DELETED, before);
    crd_object_unref(before);
}

void sim_object_changed(struct sim *sim, struct sim_object *object)
{
    if (object->dirty || !sim_operator_lives(sim))
        return;
    object->dirty = true;
    sim_at(sim, view_lag(sim), tell_object, NULL, object, true);
}

/* A consistent list, as at a takeover. */
void sim_tell_everything(struct sim *sim)
{
    for (size_t i = 0; i < sim->object_count; i++) {
        struct sim_object *o = sim->objects[i];

        crd_object_unref(o->told);
        o->told = NULL;
        tell_object(sim, o);
    }
    for (size_t i = 0; i < sim->pod_count; i++)
        sim->pods[i]->told = false;
    sim_tell_pods(sim);
}

void sim_tell_pods(struct sim *sim)
{
    for (size_t i = 0; i < sim->pod_count; i++)
        tell_pod(sim, sim->pods[i]);
}

void sim_new_version(struct sim *sim, struct crd_object *object)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)++sim->version);
    mem_free(object->resource_version);
    object->resource_version = must_text(str_of(text));
}

void sim_object_key(const struct crd_object *object, char out[160])
{
    if (object->kind->id == CRD_MODEL_DEPLOYMENT)
        snprintf(out, 160, "%s/%s", object->name_space, object->name);
    else if (object->kind->namespaced)
        snprintf(out, 160, "%s:%s/%s", object->kind->singular, object->name_space, object->name);
    else
        snprintf(out, 160, "%s:%s", object->kind->singular, object->name);
}

int sim_apply(struct sim *sim, const char *manifest, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    json_auto_t *tree = NULL;
    struct sim_object *o;
    char key[160];
    int r;

    r = json_read(&tree, str_of(manifest), &json_limits_default, "manifest", err);
    if (r == 0)
        r = crd_object_read(&object, tree, NULL, NULL, err);
    if (r < 0)
        return r;
    sim_object_key(object, key);
    o = sim_object_find(sim, key);
    if (o == NULL) {
        o = must(mem_alloc(sizeof(*o)));
        snprintf(o->key, sizeof(o->key), "%s", key);
        if (sim->object_count == sim->object_cap) {
            sim->object_cap = sim->object_cap == 0 ? 16 : 2 * sim->object_cap;
            sim->objects = must(mem_resize(sim->objects, sim->object_cap, sizeof(*sim->objects)));
        }
        sim->objects[sim->object_count++] = o;
    }
    if (o->truth != NULL) {
        must_replace(&object->uid, str_of(o->truth->uid));
        object->generation = o->truth->generation + (crd_spec_equal(object, o->truth) ? 0 : 1);
        object->created_ms = o->truth->created_ms;
        json_decref(object->status);
        object->status = o->truth->status != NULL ? json_deep_copy(o->truth->status) : NULL;
    } else {
        char uid[32];

        snprintf(uid, sizeof(uid), "uid-%llu", (unsigned long long)++sim->uid);
        must_replace(&object->uid, str_of(uid));
        object->generation = 1;
        object->created_ms = clock_wall_ms(&sim->clock);
        o->quiet_since_ms = sim->now_ms;
    }
    sim_new_version(sim, object);
    crd_object_unref(o->truth);
    o->truth = STEAL(object);
    o->manual = str_is(
        json_str(json_object_get(json_object_get(o->truth->spec, "scaling"), "mode")), "Manual");
    sim_note(sim, "apply %s", key);
    sim_object_changed(sim, o);
    return 0;
}

void sim_delete(struct sim *sim, const char *key)
{
    struct sim_object *o = sim_object_find(sim, key);

    if (o == NULL || o->truth == NULL)
        return;
    crd_object_unref(o->truth);
    o->truth = NULL;
    o->demand = 0;
    sim_note(sim, "delete %s", key);
    sim_object_changed(sim, o);
}

/* --- nodes ------------------------------------------------------------------------------------ */

void sim_pod_crash(struct sim *sim, struct sim_pod *pod)
{
    pod->phase = PLATFORM_POD_CRASHED;
    pod->agent = SIM_AGENT_NONE;
    pod->agent_at_ms = sim->now_ms + sim_chance_ms(sim, sim->options.start_ms);
    pod->running = 0;
    pod->frozen = false;
    pod->address[0] = '\0';
    sim_pod_changed(sim, pod);
}

/* Takes a machine if one is free. */
static bool find_place(struct sim *sim, struct sim_pod *pod)
{
    int taken = 0;

    for (size_t i = 0; i < sim->pod_count; i++)
        taken += sim->pods[i]->exists && sim->pods[i]->placed;
    if (taken >= sim->machines)
        return false;
    pod->placed = true;
    sim_pod_changed(sim, pod);
    return true;
}

static void start_process(struct sim *sim, struct sim_pod *pod)
{
    if (pod->phase == PLATFORM_POD_CRASHED)
        pod->restarts++;
    pod->phase = PLATFORM_POD_RUNNING;
    pod->agent = SIM_AGENT_LOADING;
    pod->agent_at_ms = sim->now_ms + sim_chance_ms(sim, sim->options.load_ms);
    snprintf(pod->address, sizeof(pod->address), "10.0.0.1:%llu", (unsigned long long)++sim->port);
    sim_pod_changed(sim, pod);
}

static void pod_tick(struct sim *sim, struct sim_pod *pod)
{
    bool second = sim->now_ms % 1000 < SIM_TICK_MS;

    if (pod->gone_ms != 0 && sim->now_ms >= pod->gone_ms && sim->hold_reports) {
        if (!pod->reporting) {
            pod->reporting = true;
            pod->agent = SIM_AGENT_DRAINING;
            pod->running = 0;
            sim_pod_changed(sim, pod);
        }
        return;
    }
    if (pod->gone_ms != 0 && sim->now_ms >= pod->gone_ms) {
        pod->exists = false;
        sim_pod_changed(sim, pod);
        return;
    }
    if (pod->agent == SIM_AGENT_NONE && pod->gone_ms == 0 && sim->now_ms >= pod->agent_at_ms &&
        (pod->placed || find_place(sim, pod)))
        start_process(sim, pod);
    if (pod->agent == SIM_AGENT_LOADING && sim->now_ms >= pod->agent_at_ms) {
        pod->agent = SIM_AGENT_READY;
        pod->ready_wall_ms = clock_wall_ms(&sim->clock);
        sim_note(sim, "agent %s ready", pod->name);
    }
    if (pod->agent == SIM_AGENT_DRAINING && sim->now_ms >= pod->work_ends_ms)
        pod->running = 0;
    if (!second)
        return;
    if (pod->phase == PLATFORM_POD_RUNNING && sim_chance(sim, sim->faults.crash))
        sim_pod_crash(sim, pod);
    else if (pod->agent == SIM_AGENT_READY && sim_chance(sim, sim->faults.freeze))
        pod->frozen = true;
    else if (pod->gone_ms == 0 && sim_chance(sim, sim->faults.vanish)) {
        pod->gone_ms = sim->now_ms + sim_chance_ms(sim, 2000);
        sim_pod_changed(sim, pod);
    }
}

/* It stands in the model's status, as a pod or as one to come. */
static bool is_recorded(const struct sim_object *o, const struct sim_pod *pod)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (json_object_get(o->truth->status, "pods"), i, entry) {
        if (str_is(json_str(json_object_get(entry, "uid")), pod->uid))
            return true;
    }
    json_array_foreach (json_object_get(o->truth->status, "pendingCreates"), i, entry) {
        if (str_is(json_str(json_object_get(entry, "name")), pod->name))
            return true;
    }
    return false;
}

static void check_ordinal(struct sim *sim, const struct sim_pod *pod, size_t before)
{
    for (size_t i = 0; i < before; i++) {
        const struct sim_pod *other = sim->pods[i];

        if (other->exists && other->ordinal == pod->ordinal &&
            strcmp(other->owner_uid, pod->owner_uid) == 0)
            sim_broken(sim, "two pods of ordinal %llu: %s and %s", (unsigned long long)pod->ordinal,
                       pod->name, other->name);
    }
}

static void check_model(struct sim *sim, struct sim_object *o)
{
    int64_t max = 0, count = 0;

    if (o->truth == NULL || o->truth->kind->id != CRD_MODEL_DEPLOYMENT)
        return;
    json_get_i64(json_object_get(o->truth->spec, "scaling"), "maxReplicas", false, 0, INT32_MAX,
                 &max, NULL);
    if (max > o->highest_max) /* pods of a maximum that was lowered may be on their way out */
        o->highest_max = max;
    for (size_t i = 0; i < sim->pod_count; i++) {
        const struct sim_pod *pod = sim->pods[i];

        if (!pod->exists || strcmp(pod->owner_uid, o->truth->uid) != 0)
            continue;
        check_ordinal(sim, pod, i);
        if (!pod->reclaimed) /* its successor comes while it is still there */
            count += is_recorded(o, pod);
    }
    if (!o->manual && count > o->highest_max)
        sim_broken(sim, "%lld pods of %s, which may have %lld", (long long)count, o->key,
                   (long long)o->highest_max);
}

void sim_pods_tick(struct sim *sim)
{
    for (size_t i = 0; i < sim->pod_count; i++) {
        if (sim->pods[i]->exists)
            pod_tick(sim, sim->pods[i]);
    }
    for (size_t i = 0; i < sim->object_count; i++)
        check_model(sim, sim->objects[i]);
}
