/* SPDX-License-Identifier: Apache-2.0 */
/* Time, chance and events of the simulator, and what tests ask of it. */
#include "operator/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "operator/sim/sim_private.h"

/* --- clock and chance ------------------------------------------------------------------------- */

static int64_t mono_ns(void *context)
{
    const struct sim *sim = context;

    return sim->now_ms * 1000000;
}

static int64_t wall_ms(void *context)
{
    const struct sim *sim = context;

    return sim->options.wall_ms + sim->now_ms;
}

int64_t sim_chance_ms(struct sim *sim, int64_t max_ms)
{
    return max_ms <= 1 ? 1 : 1 + (int64_t)rng_below(&sim->chance.rng, (uint64_t)max_ms);
}

bool sim_chance(struct sim *sim, int in_thousand)
{
    return in_thousand > 0 && rng_below(&sim->chance.rng, 1000) < (uint64_t)in_thousand;
}

/* --- notes ------------------------------------------------------------------------------------ */

void sim_note(struct sim *sim, const char *format, ...)
{
    char text[SIM_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim->digest = crc32c(sim->digest, &sim->now_ms, sizeof(sim->now_ms));
    sim->digest = crc32c(sim->digest, text, strlen(text));
    log_debug("sim", LOG_I64("ms", sim->now_ms), LOG_STR("what", text));
}

void sim_broken(struct sim *sim, const char *format, ...)
{
    char text[SIM_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_note(sim, "broken: %s", text);
    if (sim->violation[0] == '\0')
        snprintf(sim->violation, sizeof(sim->violation), "at %lld ms (seed %llu): %s",
                 (long long)sim->now_ms, (unsigned long long)sim->options.seed, text);
}

/* --- events: a binary heap by time and order -------------------------------------------------- */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void sim_at(struct sim *sim, int64_t delay_ms, void (*run)(struct sim *, void *),
            void (*drop)(void *), void *object, bool to_operator)
{
    struct sim_event event = {
        .at_ms = sim->now_ms + delay_ms,
        .order = sim->order++,
        .to_operator = to_operator,
        .life = sim->life,
        .run = run,
        .drop = drop,
        .object = object,
    };
    size_t i = sim->event_count++;

    if (i == sim->event_cap) {
        sim->event_cap = sim->event_cap == 0 ? 256 : 2 * sim->event_cap;
        sim->events = must(mem_resize(sim->events, sim->event_cap, sizeof(*sim->events)));
    }
    for (; i > 0 && earlier(&event, &sim->events[(i - 1) / 2]); i = (i - 1) / 2)
        sim->events[i] = sim->events[(i - 1) / 2];
    sim->events[i] = event;
}

static struct sim_event pop(struct sim *sim)
{
    struct sim_event first = sim->events[0];
    struct sim_event last = sim->events[--sim->event_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= sim->event_count)
            break;
        if (child + 1 < sim->event_count && earlier(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (!earlier(&sim->events[child], &last))
            break;
        sim->events[i] = sim->events[child];
        i = child;
    }
    sim->events[i] = last;
    return first;
}

bool sim_operator_lives(const struct sim *sim)
{
    return sim->life % 2 == 1;
}

static void run_next(struct sim *sim)
{
    struct sim_event event = pop(sim);

    sim->now_ms = event.at_ms;
    if (!event.to_operator || (event.life == sim->life && sim_operator_lives(sim)))
        event.run(sim, event.object);
    else if (event.drop != NULL)
        event.drop(event.object);
}

void sim_run(struct sim *sim, int64_t ms)
{
    int64_t until = sim->now_ms + ms;

    while (sim->event_count > 0 && sim->events[0].at_ms <= until)
        run_next(sim);
    sim->now_ms = until;
}

int64_t sim_now_ms(const struct sim *sim)
{
    return sim->now_ms;
}

/* --- life ------------------------------------------------------------------------------------- */

static void tick(struct sim *sim, void *object)
{
    (void)object;
    sim_pods_tick(sim);
    sim_gateways_tick(sim);
    sim_at(sim, SIM_TICK_MS, tick, NULL, NULL, false);
}

int sim_new(struct sim **out, const struct sim_options *options, struct err *err)
{
    struct sim *sim = mem_alloc(sizeof(*sim));

    if (sim == NULL)
        return err_no_memory(err);
    sim->options = *options;
    if (sim->options.stream_ms == 0)
        sim->options.stream_ms = SIM_STREAM_MS;
    rng_seeded_init(&sim->chance, options->seed);
    sim->clock = (struct clock){.mono_ns = mono_ns, .wall_ms = wall_ms, .context = sim};
    sim->now_ms = 1000;
    sim->platform = (struct platform){
        .ops = &sim_ops,
        .clock = &sim->clock,
        .rng = &sim->chance.rng,
        .probe_interval_ms = 1000,
        .name = "sim",
        .client = "spate",
    };
    sim_gateways_init(sim);
    sim_at(sim, SIM_TICK_MS, tick, NULL, NULL, false);
    *out = sim;
    return 0;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL)
        return;
    for (size_t i = 0; i < sim->event_count; i++) {
        if (sim->events[i].drop != NULL)
            sim->events[i].drop(sim->events[i].object);
    }
    for (size_t i = 0; i < sim->pod_count; i++)
        mem_free(sim->pods[i]);
    for (size_t i = 0; i < sim->object_count; i++) {
        crd_object_unref(sim->objects[i]->truth);
        crd_object_unref(sim->objects[i]->told);
        mem_free(sim->objects[i]);
    }
    for (int i = 0; i < sim->options.gateways; i++)
        routes_free(sim->gateways[i].routes);
    mem_free(sim->events);
    mem_free(sim->pods);
    mem_free(sim->objects);
    mem_free(sim);
}

struct platform *sim_platform(struct sim *sim)
{
    return &sim->platform;
}

void sim_stop(struct sim *sim)
{
    if (sim_operator_lives(sim))
        sim->life++;
    sim_note(sim, "operator stops");
}

static void tell_views(struct sim *sim)
{
    sim_tell_everything(sim);
    sim->platform.handler->on_synced(sim->platform.user);
}

static void begin_life(struct sim *sim)
{
    sim_stop(sim);
    sim->life++;
    sim_gateways_tell(sim);
}

void sim_lead(struct sim *sim)
{
    sim->epoch++;
    sim_note(sim, "operator leads, epoch %llu", (unsigned long long)sim->epoch);
    sim->platform.handler->on_lead(sim->platform.user, STR("sim"), sim->epoch);
}

void sim_start(struct sim *sim)
{
    begin_life(sim);
    sim_lead(sim);
    tell_views(sim);
}

void sim_follow(struct sim *sim)
{
    begin_life(sim);
    sim->platform.handler->on_lead(sim->platform.user, STR("sim"), 0);
    tell_views(sim);
}

void sim_set_faults(struct sim *sim, const struct sim_faults *faults)
{
    sim->faults = faults != NULL ? *faults : (struct sim_faults){0};
}

void sim_mute_gateways(struct sim *sim, bool mute)
{
    sim->mute = mute;
}

void sim_refuse_creation(struct sim *sim, const char *message)
{
    snprintf(sim->refusal, sizeof(sim->refusal), "%s", message != NULL ? message : "");
}

void sim_limit_machines(struct sim *sim, int machines)
{
    sim->machines = machines;
}

void sim_limit_quota(struct sim *sim, int pods)
{
    sim->quota = pods;
}

void sim_hide_pods(struct sim *sim, bool hide)
{
    sim->hide_pods = hide;
    if (!hide)
        sim_tell_pods(sim);
}

/* --- what is ---------------------------------------------------------------------------------- */

static bool is_of(const struct sim_pod *pod, const char *key)
{
    char owner[160];

    return pod->exists && str_is(sim_pod_owner_key(pod, owner), key);
}

int sim_pod_count(const struct sim *sim, const char *key)
{
    int count = 0;

    for (size_t i = 0; i < sim->pod_count; i++)
        count += is_of(sim->pods[i], key);
    return count;
}

int sim_ready_count(const struct sim *sim, const char *key)
{
    const struct routes *routes = sim->gateways[0].routes;
    int count = 0;

    for (int i = 0; routes != NULL && i < routes->model_count; i++) {
        if (!str_is(routes->models[i].name, key))
            continue;
        for (int j = 0; j < routes->models[i].pod_count; j++)
            count += !routes->models[i].pods[j].draining;
    }
    return count;
}

const struct crd_object *sim_object(const struct sim *sim, const char *key)
{
    const struct sim_object *object = sim_object_find(sim, key);

    return object != NULL ? object->truth : NULL;
}

void sim_demand(struct sim *sim, const char *key, uint64_t requests)
{
    struct sim_object *object = sim_object_find(sim, key);

    if (object == NULL)
        return;
    if (object->demand > 0 && requests == 0)
        object->quiet_since_ms = sim->now_ms;
    object->demand = requests;
    sim_note(sim, "demand %s %llu", key, (unsigned long long)requests);
}

void sim_reclaim(struct sim *sim, const char *key)
{
    for (size_t i = 0; i < sim->pod_count; i++) {
        if (is_of(sim->pods[i], key) && !sim->pods[i]->reclaimed) {
            sim->pods[i]->reclaimed = true;
            sim_pod_changed(sim, sim->pods[i]);
            return;
        }
    }
}

void sim_say(struct sim *sim, const char *key, const char *message)
{
    for (size_t i = 0; i < sim->pod_count; i++) {
        struct sim_pod *pod = sim->pods[i];

        if (!is_of(pod, key))
            continue;
        snprintf(pod->message, sizeof(pod->message), "%s", message);
        sim_pod_changed(sim, pod);
        return;
    }
}

void sim_hold_reports(struct sim *sim, bool hold)
{
    sim->hold_reports = hold;
}

void sim_crash(struct sim *sim, const char *key, int64_t back_ms)
{
    for (size_t i = 0; i < sim->pod_count; i++) {
        if (!is_of(sim->pods[i], key))
            continue;
        sim_pod_crash(sim, sim->pods[i]);
        sim->pods[i]->agent_at_ms = sim->now_ms + back_ms;
    }
}

uint64_t sim_prices_posted(const struct sim *sim)
{
    return sim->prices_posted;
}

const struct routes *sim_routes(const struct sim *sim)
{
    return sim->gateways[0].routes;
}

const char *sim_violation(const struct sim *sim)
{
    return sim->violation[0] != '\0' ? sim->violation : NULL;
}

uint32_t sim_digest(const struct sim *sim)
{
    return sim->digest;
}
