/* SPDX-License-Identifier: Apache-2.0 */
/* Platform local: its start, its end, and the views that it tells. */
#include "operator/local/local.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "operator/common/must.h"
#include "operator/local/local_private.h"

/* --- views ------------------------------------------------------------------------------------ */

static void object_changed(void *user, enum platform_change change, struct crd_object *object)
{
    struct local *local = user;

    if (local->started && !local->closing)
        local->platform.handler->on_object(local->platform.user, change, object);
}

static void pod_changed(void *user, enum platform_change change, const struct local_pod *pod)
{
    struct local *local = user;
    struct local_pod_watcher *next;
    struct platform_pod view;

    if (!local->started || local->closing)
        return;
    view = local_pod_view(pod);
    local->platform.handler->on_pod(local->platform.user, change, &view);
    pod_record_unref(view.record);
    for (struct local_pod_watcher *w = local->pod_watchers; w != NULL; w = next) {
        next = w->next;
        w->fn(w->user, change, pod);
    }
}

void local_watch_pods(struct local *local, struct local_pod_watcher *w)
{
    w->next = local->pod_watchers;
    local->pod_watchers = w;
}

void local_unwatch_pods(struct local *local, struct local_pod_watcher *w)
{
    for (struct local_pod_watcher **at = &local->pod_watchers; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return;
        }
    }
}

static void tell_gateways(struct local *local)
{
    struct str names[LOCAL_GATEWAYS_MAX];

    for (int i = 0; i < local->gateway_count; i++)
        names[i] = str_of(local->gateways[i]);
    local->platform.handler->on_gateways(local->platform.user, names, local->gateway_count);
}

/* The folder may change under us: `spate up` adds and removes gateways. */
static void check_gateways(void *object)
{
    struct local *local = object;
    struct err err = {0};
    bool changed = false;

    if (local_gateways_read(local, &changed, &err) < 0)
        log_warn("the gateways can't be listed", LOG_ERR(&err));
    else if (changed || !local->gateways_told)
        tell_gateways(local);
    local->gateways_told = true;
    loop_timer_start(local->loop, &local->gateways_timer, LOCAL_GATEWAYS_POLL_MS);
}

static void alarm_rings(void *object)
{
    struct local *local = object;

    if (!local->closing)
        local->platform.handler->on_alarm(local->platform.user);
}

static void tell_object(void *user, struct crd_object *object)
{
    object_changed(user, PLATFORM_ADDED, object);
}

void local_start(struct local *local)
{
    const struct platform *p = &local->platform;
    struct map_entry *entry;
    struct err err = {0};
    bool changed;

    local->started = true;
    p->handler->on_lead(p->user, str_of(local->installation), local->epoch);
    if (local_gateways_read(local, &changed, &err) < 0)
        log_warn("the gateways can't be listed", LOG_ERR(&err));
    tell_gateways(local);
    local->gateways_told = true;
    for (int i = 0; i < CRD_KIND_COUNT; i++)
        store_each(local->store, crd_kinds[i], STR_NONE, tell_object, local);
    for (size_t at = 0; (entry = map_next(&local->pods.pods, &at)) != NULL;)
        pod_changed(local, PLATFORM_ADDED, entry->value);
    p->handler->on_synced(p->user);
    loop_timer_start(local->loop, &local->gateways_timer, LOCAL_GATEWAYS_POLL_MS);
}

/* --- life ------------------------------------------------------------------------------------- */

static int open_parts(struct local *local, struct err *err)
{
    struct local_pods_options pods = {
        .loop = local->loop,
        .clock = local->platform.clock,
        .rng = local->platform.rng,
        .state = local->options.state,
        .agent_binary = local->options.agent_binary,
        .public_key = local->public_key_path,
        .on_change = pod_changed,
        .user = local,
    };
    int r = store_open(&local->store, local->loop, local->options.state, local->platform.clock,
                       local->platform.rng, err);

    if (r < 0)
        return r;
    local->watcher = (struct store_watcher){.fn = object_changed, .user = local};
    store_watch(local->store, &local->watcher);
    r = agents_open(&local->agents, local->loop, &local->platform, &local->results, &local->signer,
                    err);
    if (r == 0)
        r = fetcher_new(&local->fetcher, local->loop, err);
    if (r == 0)
        r = local_pods_open(&local->pods, &pods, err);
    return r;
}

int local_new(struct local **out, const struct local_options *options, struct err *err)
{
    struct local *local = mem_alloc(sizeof(*local));
    int r;

    if (local == NULL)
        return err_no_memory(err);
    local->options = *options;
    local->loop = options->loop;
    local->lock_fd = -1;
    local->platform = (struct platform){
        .ops = &local_ops,
        .clock = clock_system(),
        .rng = rng_system(),
        .probe_interval_ms = LOCAL_PROBE_INTERVAL_MS,
        .name = "local",
        .client = "spate",
    };
    local->signer.clock = local->platform.clock;
    zones_init(&local->zones);
    results_init(&local->results, local->loop, &local->platform);
    loop_timer_init(&local->alarm, alarm_rings, local);
    loop_timer_init(&local->gateways_timer, check_gateways, local);
    r = local_state_open(local, err);
    if (r == 0)
        r = open_parts(local, err);
    if (r < 0) {
        local_free(local);
        return r;
    }
    *out = local;
    return 0;
}

void local_free(struct local *local)
{
    if (local == NULL)
        return;
    local->closing = true;
    results_close(&local->results);
    loop_timer_stop(&local->alarm);
    loop_timer_stop(&local->gateways_timer);
    agents_cancel(&local->agents);
    if (local->pods.folder != NULL) {
        while (local_pods_busy(&local->pods))
            loop_turn(local->loop, 10);
        local_pods_close(&local->pods);
    }
    store_close(local->store);
    agents_close(&local->agents);
    fetcher_close(local->fetcher);
    zones_fini(&local->zones);
    local_events_free(local);
    local_gateways_free(local);
    if (local->lock_fd >= 0)
        close(local->lock_fd);
    mem_free(local);
}

struct platform *local_platform(struct local *local)
{
    return &local->platform;
}

struct store *local_store(struct local *local)
{
    return local->store;
}

struct local_pods *local_pods(struct local *local)
{
    return &local->pods;
}

struct fetcher *local_fetcher(struct local *local)
{
    return local->fetcher;
}

/* --- gateways' words and tokens --------------------------------------------------------------- */

void local_load(struct local *local, const struct load_report *report)
{
    local->platform.handler->on_load(local->platform.user, report);
}

void local_ack(struct local *local, struct str gateway, struct id128 run,
               const struct routes_version *have)
{
    local->platform.handler->on_ack(local->platform.user, gateway, run, have);
}

struct signer *local_signer(struct local *local)
{
    return &local->signer;
}

struct str local_admin_token(const struct local *local)
{
    return str_of(local->admin_token);
}

struct str local_gateway_secret(const struct local *local)
{
    return str_of(local->gateway_secret);
}

size_t local_event_count(const struct local *local)
{
    return local->event_count;
}

const struct local_event *local_event_at(const struct local *local, size_t index)
{
    return local->events[index];
}
