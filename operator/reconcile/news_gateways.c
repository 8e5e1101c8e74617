/* SPDX-License-Identifier: Apache-2.0 */
/* News from gateways: who there is, what they carry, which routes are in force there. */
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/pass.h"

/* A gateway that falls silent holds the size of every model. */
void news_check_gateways(struct reconciler *r)
{
    int64_t now = now_of(r);

    for (size_t i = 0; i < r->world.gateway_count; i++) {
        struct world_gateway *gateway = &r->world.gateways[i];
        int64_t silent_at = gateway->report_ms + PASS_GATEWAY_SILENT_MS + 1;

        if (!gateway->live || !gateway->reported || gateway->silent)
            continue;
        if (now < silent_at) {
            queue_add_at(&r->queue, STR(GATEWAYS_KEY), silent_at);
            continue;
        }
        gateway->silent = true;
        log_warn("a gateway is silent; no model is scaled down until it reports",
                 LOG_STR("gateway", gateway->name));
        reconciler_add_all(r);
    }
}

/* Models that wait for acknowledgements, or whose size is held by a silent gateway. */
static void add_waiting(struct reconciler *r)
{
    const struct world_pod *pod;

    for (size_t at = 0; (pod = set_next(&r->world.pods, &at)) != NULL;) {
        if (pod->drain_counter != 0 && pod->drain_told_ms == 0)
            queue_add(&r->queue, str_of(pod->model->key));
    }
}

void news_gateways(void *user, const struct str *names, int count)
{
    struct reconciler *r = user;

    world_gateways_set(&r->world, names, count);
    if (r->synced)
        reconciler_add_all(r);
    reconciler_wake(r);
}

static void take_ack(struct reconciler *r, struct world_gateway *gateway,
                     const struct routes_version *have)
{
    if (r->installation == NULL || !str_is(have->installation, r->installation))
        return;
    if (gateway->acked && gateway->acked_epoch == have->epoch &&
        gateway->acked_counter == have->counter)
        return;
    gateway->acked = true;
    gateway->acked_epoch = have->epoch;
    gateway->acked_counter = have->counter;
    add_waiting(r);
}

void news_ack(void *user, struct str name, struct id128 run, const struct routes_version *have)
{
    struct reconciler *r = user;
    struct world_gateway *gateway = world_gateway_find(&r->world, name);

    (void)run; /* whichever run of it: the newest word counts */
    if (gateway != NULL && gateway->live)
        take_ack(r, gateway, have);
    reconciler_wake(r);
}

static void take_model_load(struct reconciler *r, const struct world_gateway *gateway,
                            const struct load_model *in)
{
    struct world_model *m = world_model_find(&r->world, in->name);
    struct world_load *load;
    bool changed;

    if (m == NULL)
        return;
    load = world_load_get(m, gateway);
    changed = id_compare(load->run, gateway->run) != 0 || load->in_flight != in->in_flight ||
              load->queued != in->queued;
    *load = (struct world_load){
        .gateway = gateway,
        .run = gateway->run,
        .in_flight = in->in_flight,
        .queued = in->queued,
        .idle_ms = in->idle_ms,
        .report_ms = gateway->report_ms,
    };
    if (changed)
        queue_add(&r->queue, in->name);
}

static void take_suspect(struct reconciler *r, const struct load_suspect *suspect)
{
    struct world_pod *pod = world_pod_find(&r->world, suspect->pod_uid);

    if (pod == NULL)
        return;
    if (str_is(suspect->reason, "stalled"))
        pod->stalled = true;
    pod->suspect = true;
    pod->probe_due_ms = 0; /* at once */
    r->routes_dirty = true;
    queue_add(&r->queue, str_of(pod->model->key));
}

void news_load(void *user, const struct load_report *report)
{
    struct reconciler *r = user;
    struct world_gateway *gateway = world_gateway_find(&r->world, report->gateway);
    struct routes_version have;
    bool was_silent;

    if (gateway == NULL || !gateway->live)
        return; /* not one of ours: the platform says who is */
    if (gateway->reported && id_compare(gateway->run, report->run_id) == 0 &&
        report->sequence <= gateway->sequence)
        return; /* overtaken on its way */
    was_silent =
        !gateway->reported || id_compare(gateway->run, report->run_id) != 0 || gateway->silent;
    gateway->reported = true;
    gateway->silent = false;
    gateway->run = report->run_id;
    gateway->sequence = report->sequence;
    gateway->report_ms = now_of(r);
    gateway->uptime_ms = report->uptime_ms;
    for (int i = 0; i < report->model_count; i++)
        take_model_load(r, gateway, &report->models[i]);
    for (int i = 0; i < report->suspect_count; i++)
        take_suspect(r, &report->suspects[i]);
    if (report->routes_version.len > 0 &&
        routes_version_parse(&have, report->routes_version, NULL) == 0)
        take_ack(r, gateway, &have);
    queue_add_at(&r->queue, STR(GATEWAYS_KEY), gateway->report_ms + PASS_GATEWAY_SILENT_MS + 1);
    if (was_silent)
        reconciler_add_all(r);
    reconciler_wake(r);
}
