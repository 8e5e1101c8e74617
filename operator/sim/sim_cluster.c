/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated API server and its nodes: truth, views, commands. */
#include <stdio.h>
#include <string.h>

#include "operator/sim/sim_private.h"

/* --- truth and views
 * --------------------------------------------------------------------------------- */

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

static struct platform_pod view_of(const struct sim_pod *pod)
{
    return (struct platform_pod){
        .name_space = str_of(pod->name_space),
        .name = str_of(pod->name),
        .uid = str_of(pod->uid),
        .resource_version = str_of(pod->version),
        .owner_name = str_of(pod->owner),
        .owner_uid = str_of(pod->owner_uid),
        .template_hash = str_of(pod->hash),
        .ordinal = pod->ordinal,
        .created_ms = pod->created_ms,
        .deleting = pod->gone_ms != 0,
        .reclaimed = pod->reclaimed,
        .phase = pod->phase,
        .restarts = pod->restarts,
        .address = str_of(pod->address),
        .message = str_of(pod->message),
    };
}

static void tell_pod(struct sim *sim, void *object)
{
    struct sim_pod *pod = object;
    struct platform_pod view = view_of(pod);
    bool known = pod->told;

    pod->dirty = false;
    pod->told = pod->exists;
    if (!pod->exists && !known)
        return; /* came and went unseen */
    sim->platform.handler->on_pod(sim->platform.user,
                                  !pod->exists ? PLATFORM_DELETED
                                  : known      ? PLATFORM_MODIFIED
                                               : PLATFORM_ADDED,
                                  &view);
}

void sim_pod_changed(struct sim *sim, struct sim_pod *pod)
{
    snprintf(pod->version, sizeof(pod->version), "%llu", (unsigned long long)++sim->version);
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
    for (size_t i = 0; i < sim->pod_count; i++) {
        sim->pods[i]->told = false;
        tell_pod(sim, sim->pods[i]);
    }
}

static void new_version(struct sim *sim, struct crd_object *object)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)++sim->version);
    mem_free(object->resource_version);
    object->resource_version = must_text(str_of(text));
}

static void object_key(const struct crd_object *object, char out[160])
{
    if (object->kind->namespaced)
        snprintf(out, 160, "%s/%s", object->name_space, object->name);
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
    object_key(object, key);
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
    new_version(sim, object);
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

/* --- nodes
 * --------------------------------------------------------------------------------------------- */

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

    if (pod->gone_ms != 0 && sim->now_ms >= pod->gone_ms) {
        pod->exists = false;
        sim_pod_changed(sim, pod);
        return;
    }
    if (pod->agent == SIM_AGENT_NONE && pod->gone_ms == 0 && sim->now_ms >= pod->agent_at_ms)
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

/* --- commands
 * ---------------------------------------------------------------------------------------------- */

enum verb {
    VERB_CREATE,
    VERB_DELETE,
    VERB_RESTART,
    VERB_STATUS,
    VERB_DRAIN,
    VERB_PRICES,
    VERB_WEIGHTS
};

struct command {
    uint64_t ticket;
    enum verb verb;
    char name_space[64], name[PLATFORM_NAME_MAX + 1], uid[64], hash[PLATFORM_HASH_LEN + 1];
    char owner[64], version[24], key[160];
    uint64_t ordinal, slots;
    int64_t grace_ms;
    json_t *status;
    int code;
    char message[SIM_TEXT_MAX];
    char written[24];
};

static void command_free(void *object)
{
    struct command *command = object;

    json_decref(command->status);
    mem_free(command);
}

static void answer(struct sim *sim, void *object)
{
    struct command *command = object;
    struct platform_result result = {
        .ticket = command->ticket,
        .code = command->code,
        .message = str_of(command->message),
        .resource_version = str_of(command->written),
    };

    sim->platform.handler->on_result(sim->platform.user, &result);
    command_free(command);
}

static int refuse(struct command *command, enum err_code code, const char *message)
{
    snprintf(command->message, sizeof(command->message), "%s", message);
    return -(int)code;
}

static int do_create(struct sim *sim, struct command *c)
{
    struct sim_pod *pod;

    if (sim->refusal[0] != '\0')
        return refuse(c, ERR_DENIED, sim->refusal);
    for (size_t i = 0; i < sim->pod_count; i++) {
        pod = sim->pods[i];
        if (pod->exists && strcmp(pod->name, c->name) == 0 &&
            strcmp(pod->name_space, c->name_space) == 0)
            return refuse(c, ERR_EXISTS, "a pod of that name exists");
    }
    pod = must(mem_alloc(sizeof(*pod)));
    snprintf(pod->name, sizeof(pod->name), "%s", c->name);
    snprintf(pod->name_space, sizeof(pod->name_space), "%s", c->name_space);
    snprintf(pod->owner, sizeof(pod->owner), "%s", c->owner);
    snprintf(pod->owner_uid, sizeof(pod->owner_uid), "%s", c->uid);
    snprintf(pod->hash, sizeof(pod->hash), "%s", c->hash);
    snprintf(pod->uid, sizeof(pod->uid), "pod-%llu", (unsigned long long)++sim->uid);
    pod->ordinal = c->ordinal;
    pod->slots = c->slots;
    pod->exists = true;
    pod->created_ms = clock_wall_ms(&sim->clock);
    pod->agent_at_ms = sim->now_ms + sim_chance_ms(sim, sim->options.start_ms);
    if (sim->pod_count == sim->pod_cap) {
        sim->pod_cap = sim->pod_cap == 0 ? 64 : 2 * sim->pod_cap;
        sim->pods = must(mem_resize(sim->pods, sim->pod_cap, sizeof(*sim->pods)));
    }
    sim->pods[sim->pod_count++] = pod;
    sim_pod_changed(sim, pod);
    return 0;
}

/* No pod is deleted while a gateway still sends there, unless it is of no use any more. */
static void check_deletion(struct sim *sim, const struct sim_pod *pod)
{
    char key[160];
    const struct sim_object *o;

    sim_pod_owner_key(pod, key);
    o = sim_object_find(sim, key);
    if (o == NULL || o->truth == NULL || strcmp(o->truth->uid, pod->owner_uid) != 0)
        return;
    if (pod->agent == SIM_AGENT_READY && !pod->reclaimed && !pod->frozen && pod->gone_ms == 0 &&
        sim_is_routed(sim, pod))
        sim_broken(sim, "%s is deleted, and a gateway still sends work there", pod->name);
}

static int do_pod(struct sim *sim, struct command *c)
{
    struct sim_pod *pod = NULL;
    int64_t gone;

    for (size_t i = 0; i < sim->pod_count; i++) {
        struct sim_pod *other = sim->pods[i];

        if (other->exists && strcmp(other->name, c->name) == 0 &&
            strcmp(other->name_space, c->name_space) == 0)
            pod = other;
    }
    if (pod == NULL)
        return refuse(c, ERR_NOT_FOUND, "no such pod");
    if (strcmp(pod->uid, c->uid) != 0)
        return refuse(c, ERR_CONFLICT, "another pod has that name");
    if (c->verb == VERB_RESTART) {
        if (pod->phase == PLATFORM_POD_RUNNING)
            sim_pod_crash(sim, pod);
        return 0;
    }
    check_deletion(sim, pod);
    gone = sim->now_ms + (c->grace_ms > 0 ? sim_chance_ms(sim, 500) : 1);
    if (pod->gone_ms == 0 || gone < pod->gone_ms)
        pod->gone_ms = gone;
    sim_pod_changed(sim, pod);
    return 0;
}

static int do_status(struct sim *sim, struct command *c)
{
    struct sim_object *o = sim_object_find(sim, c->key);
    struct crd_object *copy = NULL;

    if (o == NULL || o->truth == NULL || strcmp(o->truth->uid, c->uid) != 0)
        return refuse(c, ERR_NOT_FOUND, "no such object");
    if (strcmp(o->truth->resource_version, c->version) != 0)
        return refuse(c, ERR_CONFLICT, "the object was changed meanwhile");
    (void)must(crd_object_copy(&copy, o->truth, NULL) == 0 ? copy : NULL);
    json_decref(copy->status);
    copy->status = json_incref(c->status);
    new_version(sim, copy);
    snprintf(c->written, sizeof(c->written), "%s", copy->resource_version);
    crd_object_unref(o->truth);
    o->truth = copy;
    sim_object_changed(sim, o);
    return 0;
}

static int do_drain(struct sim *sim, struct command *c)
{
    struct sim_pod *pod = sim_pod_by_uid(sim, str_of(c->uid));

    if (pod == NULL || pod->agent == SIM_AGENT_NONE || pod->frozen)
        return refuse(c, ERR_NETWORK, "no agent answers");
    if (pod->agent != SIM_AGENT_DRAINING) {
        if (sim_is_routed(sim, pod) && !pod->reclaimed && pod->gone_ms == 0)
            sim_broken(sim, "%s is told to drain before every gateway knows", pod->name);
        pod->agent = SIM_AGENT_DRAINING;
        pod->work_ends_ms = sim->now_ms + sim_chance_ms(sim, SIM_STREAM_MS);
        sim_note(sim, "agent %s drains", pod->name);
    }
    return 0;
}

static int execute(struct sim *sim, struct command *c)
{
    switch (c->verb) {
    case VERB_CREATE:
        return do_create(sim, c);
    case VERB_DELETE:
    case VERB_RESTART:
        return do_pod(sim, c);
    case VERB_STATUS:
        return do_status(sim, c);
    case VERB_DRAIN:
        return do_drain(sim, c);
    case VERB_PRICES:
        sim->prices_posted++;
        return 0;
    case VERB_WEIGHTS:
        return strstr(c->key, "missing") != NULL
                   ? refuse(c, ERR_NOT_FOUND, "no such folder: correct spec.model.uri")
                   : 0;
    }
    return refuse(c, ERR_INTERNAL, "no such verb");
}

/* Commands that left are executed even if the operator has died since. */
static void arrive(struct sim *sim, void *object)
{
    struct command *c = object;

    if (sim_chance(sim, sim->faults.refuse)) {
        c->code = refuse(c, ERR_NETWORK, "the connection failed");
    } else {
        c->code = execute(sim, c);
        if (c->code == 0 && sim_chance(sim, sim->faults.lose))
            c->code = refuse(c, ERR_TIMEOUT, "no answer came in time");
    }
    sim_note(sim, "verb %d %s %s: %d", (int)c->verb, c->name, c->key, c->code);
    sim_at(sim, sim_chance_ms(sim, sim->options.api_ms), answer, command_free, c, true);
}

static void send_command(struct platform *p, const struct command *command)
{
    struct sim *sim = (struct sim *)p;
    struct command *c = must(mem_dup(command, sizeof(*command)));

    sim_at(sim, sim_chance_ms(sim, sim->options.api_ms), arrive, command_free, c, false);
}

static void set_text(char *out, size_t size, struct str text)
{
    snprintf(out, size, "%.*s", STR_ARG(text));
}

static void pod_create(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec)
{
    struct command c = {.ticket = ticket, .verb = VERB_CREATE, .ordinal = spec->ordinal};

    set_text(c.name_space, sizeof(c.name_space), str_of(spec->model->name_space));
    set_text(c.name, sizeof(c.name), spec->name);
    set_text(c.owner, sizeof(c.owner), str_of(spec->model->name));
    set_text(c.uid, sizeof(c.uid), str_of(spec->model->uid));
    set_text(c.hash, sizeof(c.hash), spec->template_hash);
    c.slots = (uint64_t)json_integer_value(
        json_object_get(json_object_get(spec->model->spec, "engine"), "slots"));
    send_command(p, &c);
}

static void pod_command(struct platform *p, uint64_t ticket, enum verb verb, struct str name_space,
                        struct str name, struct str uid, int64_t grace_ms)
{
    struct command c = {.ticket = ticket, .verb = verb, .grace_ms = grace_ms};

    set_text(c.name_space, sizeof(c.name_space), name_space);
    set_text(c.name, sizeof(c.name), name);
    set_text(c.uid, sizeof(c.uid), uid);
    send_command(p, &c);
}

static void pod_delete(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                       struct str uid, int64_t grace_ms)
{
    pod_command(p, ticket, VERB_DELETE, name_space, name, uid, grace_ms);
}

static void pod_restart(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                        struct str uid)
{
    pod_command(p, ticket, VERB_RESTART, name_space, name, uid, 0);
}

static void status_put(struct platform *p, uint64_t ticket, const struct crd_object *object,
                       json_t *status)
{
    struct command c = {.ticket = ticket, .verb = VERB_STATUS};

    object_key(object, c.key);
    set_text(c.uid, sizeof(c.uid), str_of(object->uid));
    set_text(c.version, sizeof(c.version), str_of(object->resource_version));
    c.status = json_incref(status);
    send_command(p, &c);
}

static void event_record(struct platform *p, const struct crd_object *about, bool warning,
                         const char *reason, struct str note)
{
    sim_note((struct sim *)p, "event %s %d %s %.*s", about->name, warning, reason, STR_ARG(note));
}

static void agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid)
{
    struct command c = {.ticket = ticket, .verb = VERB_DRAIN};

    set_text(c.uid, sizeof(c.uid), pod_uid);
    send_command(p, &c);
}

static void prices_post(struct platform *p, uint64_t ticket, struct str json)
{
    struct command c = {.ticket = ticket, .verb = VERB_PRICES};

    (void)json;
    send_command(p, &c);
}

static void weights_check(struct platform *p, uint64_t ticket, struct str uri)
{
    struct command c = {.ticket = ticket, .verb = VERB_WEIGHTS};

    set_text(c.key, sizeof(c.key), uri);
    send_command(p, &c);
}

/* --- probes
 * -------------------------------------------------------------------------------------------------
 */

struct probe {
    char uid[64];
    uint64_t restarts;
};

static void probe_answer(struct sim *sim, void *object)
{
    struct probe *probe = object;
    const struct sim_pod *pod = sim_pod_by_uid(sim, str_of(probe->uid));
    struct stream_status status = {.slots = 4, .context_max = 4096};
    struct platform_probe_result result = {
        .pod_uid = str_of(probe->uid),
        .restarts = probe->restarts,
        .code = -ERR_NETWORK,
    };
    static const char *const states[] = {"", "loading", "ready", "draining"};

    if (pod != NULL && pod->agent != SIM_AGENT_NONE && pod->restarts == probe->restarts) {
        if (pod->frozen) {
            result.code = -ERR_TIMEOUT;
        } else {
            snprintf(status.state, sizeof(status.state), "%s", states[pod->agent]);
            snprintf(status.digest, sizeof(status.digest), "%064d", 7);
            status.running = pod->running;
            status.slots = pod->slots;
            status.ready_ms = pod->ready_wall_ms;
            result.code = 0;
            result.status = &status;
        }
    }
    sim->platform.handler->on_probe(sim->platform.user, &result);
    mem_free(probe);
}

static void agent_probe(struct platform *p, struct str pod_uid)
{
    struct sim *sim = (struct sim *)p;
    const struct sim_pod *pod = sim_pod_by_uid(sim, pod_uid);
    struct probe *probe = must(mem_alloc(sizeof(*probe)));
    bool frozen = pod != NULL && pod->frozen;

    set_text(probe->uid, sizeof(probe->uid), pod_uid);
    probe->restarts = pod != NULL ? pod->restarts : 0;
    sim_at(sim, frozen ? 2000 : sim_chance_ms(sim, 5), probe_answer, mem_free, probe, true);
}

/* --- the rest
 * --------------------------------------------------------------------------------------------------
 */

static void routes_publish(struct platform *p, struct routes *routes)
{
    sim_routes_take((struct sim *)p, routes);
}

static void alarm_rings(struct sim *sim, void *object)
{
    uint64_t *number = object;

    if (*number == sim->alarm)
        sim->platform.handler->on_alarm(sim->platform.user);
    mem_free(number);
}

static void alarm_set(struct platform *p, int64_t mono_ms)
{
    struct sim *sim = (struct sim *)p;
    uint64_t *number;

    sim->alarm++;
    if (mono_ms == 0)
        return;
    number = must(mem_alloc(sizeof(*number)));
    *number = sim->alarm;
    sim_at(sim, mono_ms > sim->now_ms ? mono_ms - sim->now_ms : 0, alarm_rings, mem_free, number,
           true);
}

static const struct tz *time_zone(struct platform *p, struct str name)
{
    (void)p;
    return str_is(name, "Etc/UTC") ? tz_utc() : NULL;
}

const struct platform_ops sim_ops = {
    .pod_create = pod_create,
    .pod_delete = pod_delete,
    .pod_restart = pod_restart,
    .status_put = status_put,
    .event_record = event_record,
    .agent_probe = agent_probe,
    .agent_drain = agent_drain,
    .routes_publish = routes_publish,
    .prices_post = prices_post,
    .weights_check = weights_check,
    .alarm_set = alarm_set,
    .time_zone = time_zone,
};
