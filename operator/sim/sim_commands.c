/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to the simulated cluster: on their way, carried out, answered. */
#include <stdio.h>
#include <string.h>

#include "operator/sim/sim_private.h"

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

static bool quota_is_full(const struct sim *sim)
{
    int pods = 0;

    for (size_t i = 0; i < sim->pod_count; i++)
        pods += sim->pods[i]->exists;
    return sim->quota > 0 && pods >= sim->quota;
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
    if (quota_is_full(sim))
        return refuse(c, ERR_LIMIT, "exceeded quota");
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
    pod->placed = sim->machines == 0;
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
    sim_new_version(sim, copy);
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
        pod->work_ends_ms = sim->now_ms + sim_chance_ms(sim, sim->options.stream_ms);
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

    sim_object_key(object, c.key);
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

/* --- probes ----------------------------------------------------------------------------------- */

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

/* --- the rest --------------------------------------------------------------------------------- */

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
