/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated gateways: take routes over, acknowledge them, send work, report load. */
#include <stdio.h>
#include <string.h>

#include "operator/sim/sim_private.h"

enum { TAKE_MS = 20 }; /* routes reach a gateway within so long */

void sim_gateways_init(struct sim *sim)
{
    for (int i = 0; i < sim->options.gateways; i++) {
        struct sim_gateway *gateway = &sim->gateways[i];

        snprintf(gateway->name, sizeof(gateway->name), "gateway-%d", i);
        gateway->run.bytes[0] = (uint8_t)(i + 1);
        gateway->started_ms = sim->now_ms;
    }
}

void sim_gateways_tell(struct sim *sim)
{
    struct str names[SIM_GATEWAYS_MAX];

    for (int i = 0; i < sim->options.gateways; i++)
        names[i] = str_of(sim->gateways[i].name);
    sim->platform.handler->on_gateways(sim->platform.user, names, sim->options.gateways);
}

static bool is_mute(const struct sim *sim, const struct sim_gateway *gateway)
{
    return sim->mute || sim->now_ms < gateway->mute_until_ms;
}

/* --- routes ----------------------------------------------------------------------------------- */

/* A routed pod stands in its model's status, as stored, or exists no more. */
static void check_routes(struct sim *sim, const struct routes *routes)
{
    for (int i = 0; i < routes->model_count; i++) {
        const struct routes_model *model = &routes->models[i];
        char key[160];
        const struct sim_object *o;

        snprintf(key, sizeof(key), "%.*s", STR_ARG(model->name));
        o = sim_object_find(sim, key);
        for (int j = 0; j < model->pod_count; j++) {
            const struct sim_pod *pod = sim_pod_by_uid(sim, model->pods[j].uid);
            bool listed = false;
            const json_t *entry;
            size_t k;

            if (pod == NULL || o == NULL || o->truth == NULL ||
                strcmp(o->truth->uid, pod->owner_uid) != 0)
                continue; /* gone, or of a model that is gone: no status is left to tell */
            json_array_foreach (json_object_get(o->truth->status, "pods"), k, entry)
                listed |= str_eq(json_str(json_object_get(entry, "uid")), model->pods[j].uid);
            if (!listed)
                sim_broken(sim, "%s is routed to and stands in no status", pod->name);
        }
    }
}

struct delivery {
    int gateway;
    struct routes *routes;
};

static void delivery_free(void *object)
{
    struct delivery *delivery = object;

    routes_free(delivery->routes);
    mem_free(delivery);
}

static void take(struct sim *sim, void *object)
{
    struct delivery *delivery = object;
    struct sim_gateway *gateway = &sim->gateways[delivery->gateway];

    if (is_mute(sim, gateway)) { /* it will ask again */
        sim_at(sim, 500, take, delivery_free, delivery, false);
        return;
    }
    if (gateway->routes == NULL ||
        routes_version_compare(&delivery->routes->version, &gateway->routes->version) > 0) {
        struct routes *before = gateway->routes;

        gateway->routes = delivery->routes;
        delivery->routes = before;
        if (sim_operator_lives(sim))
            sim->platform.handler->on_ack(sim->platform.user, str_of(gateway->name), gateway->run,
                                          &gateway->routes->version);
    }
    delivery_free(delivery);
}

static struct routes *copy_routes(const struct routes *routes)
{
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *tree = NULL;
    struct routes *copy = NULL;
    struct json_writer w;

    buf_init(&text, 64 << 20);
    json_writer_init(&w, &text);
    routes_write(&w, routes);
    if (json_read(&tree, buf_str(&text), &json_limits_default, "routes", NULL) < 0 ||
        routes_read(&copy, tree, NULL) < 0)
        return NULL;
    return copy;
}

void sim_routes_take(struct sim *sim, struct routes *routes)
{
    sim_note(sim, "routes %llu:%llu", (unsigned long long)routes->version.epoch,
             (unsigned long long)routes->version.counter);
    check_routes(sim, routes);
    for (int i = 0; i < sim->options.gateways; i++) {
        struct delivery *delivery = must(mem_alloc(sizeof(*delivery)));

        delivery->gateway = i;
        delivery->routes = copy_routes(routes);
        if (delivery->routes == NULL) {
            sim_broken(sim, "the published routes can't be read back");
            mem_free(delivery);
            continue;
        }
        sim_at(sim, sim_chance_ms(sim, TAKE_MS), take, delivery_free, delivery, false);
    }
    routes_free(routes);
}

bool sim_is_routed(const struct sim *sim, const struct sim_pod *pod)
{
    for (int g = 0; g < sim->options.gateways; g++) {
        const struct routes *routes = sim->gateways[g].routes;

        for (int i = 0; routes != NULL && i < routes->model_count; i++) {
            for (int j = 0; j < routes->models[i].pod_count; j++) {
                const struct routes_pod *routed = &routes->models[i].pods[j];

                if (str_is(routed->uid, pod->uid) && !routed->draining)
                    return true;
            }
        }
    }
    return false;
}

/* --- work and load ---------------------------------------------------------------------------- */

/* Spreads the demand over the pods that the first gateway knows; returns what finds no place. */
static uint64_t place_demand(struct sim *sim, const struct sim_object *o)
{
    const struct routes *routes = sim->gateways[0].routes;
    uint64_t left = o->demand;

    for (int i = 0; routes != NULL && i < routes->model_count; i++) {
        const struct routes_model *model = &routes->models[i];

        if (!str_is(model->name, o->key))
            continue;
        for (int j = 0; j < model->pod_count; j++) {
            struct sim_pod *pod = sim_pod_by_uid(sim, model->pods[j].uid);
            uint64_t take_some = left < model->pods[j].slots ? left : model->pods[j].slots;

            if (pod == NULL || model->pods[j].draining || pod->agent != SIM_AGENT_READY)
                continue;
            pod->running = take_some;
            left -= take_some;
        }
    }
    return left;
}

uint64_t sim_queued(const struct sim *sim, const char *key)
{
    const struct sim_object *o = sim_object_find(sim, key);
    uint64_t room = 0;

    for (size_t i = 0; o != NULL && i < sim->pod_count; i++) {
        const struct sim_pod *pod = sim->pods[i];
        char owner[160];

        if (pod->exists && pod->agent == SIM_AGENT_READY && sim_is_routed(sim, pod) &&
            str_is(sim_pod_owner_key(pod, owner), key))
            room += pod->slots;
    }
    return o == NULL || o->demand <= room ? 0 : o->demand - room;
}

static void report(struct sim *sim, int index)
{
    struct sim_gateway *gateway = &sim->gateways[index];
    struct load_model *models = must(mem_array(sim->object_count + 1, sizeof(*models)));
    struct load_report load = {
        .gateway = str_of(gateway->name),
        .run_id = gateway->run,
        .sequence = ++gateway->sequence,
        .uptime_ms = sim->now_ms - gateway->started_ms,
        .models = models,
    };
    CLEANUP(buf_fini) struct buf version = {0};

    buf_init(&version, 128);
    if (gateway->routes != NULL)
        routes_version_format(&gateway->routes->version, &version);
    load.routes_version = buf_str(&version);
    for (size_t i = 0; i < sim->object_count; i++) {
        const struct sim_object *o = sim->objects[i];
        uint64_t left;

        if (o->truth == NULL || o->truth->kind->id != CRD_MODEL_DEPLOYMENT)
            continue;
        left = index == 0 ? place_demand(sim, o) : 0;
        models[load.model_count++] = (struct load_model){
            .name = str_of(o->key),
            .in_flight = index == 0 ? o->demand - left : 0,
            .queued = left,
            .idle_ms = index == 0 && o->demand > 0 ? 0 : sim->now_ms - o->quiet_since_ms,
        };
    }
    sim->platform.handler->on_load(sim->platform.user, &load);
    mem_free(models);
}

void sim_gateways_tick(struct sim *sim)
{
    for (int i = 0; i < sim->options.gateways; i++) {
        struct sim_gateway *gateway = &sim->gateways[i];

        if (sim->now_ms % 1000 < SIM_TICK_MS && sim_chance(sim, sim->faults.mute))
            gateway->mute_until_ms = sim->now_ms + sim_chance_ms(sim, 8000);
        if (sim_operator_lives(sim) && !is_mute(sim, gateway))
            report(sim, i);
    }
}
