/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route snapshot: built from what the views show, published when its content changed. A pod is
 * routed to only if its model's status lists it (as seen, so durably) and its agent answers. One
 * that is not, but may have usage to report, is listed apart, until it is gone.
 */
#include "operator/reconcile/pass.h"

#include <string.h>

#include "base/hash.h"
#include "crd/tenant.h"
#include "operator/common/must.h"

enum { ROUTES_ARENA_BYTES = 256 << 20, ROUTES_TEXT_BYTES = 256 << 20 };

void routes_mark_dirty(struct reconciler *r)
{
    r->routes_dirty = true;
}

/* --- building --------------------------------------------------------------------------------- */

static struct str keep(struct routes *routes, struct str text)
{
    return must_str(arena_str(&routes->arena, text));
}

static void add_pod(struct routes *routes, struct routes_model *out, const struct crd_pod *recorded,
                    struct world_pod *pod, uint64_t snapshot)
{
    bool leaving = recorded->phase == CRD_POD_DRAINING || pod->deleting;

    pod->routed = snapshot;
    out->pods[out->pod_count++] = (struct routes_pod){
        .name = keep(routes, world_pod_name(pod)),
        .uid = keep(routes, world_pod_uid(pod)),
        .address = keep(routes, world_pod_address(pod)),
        .draining = leaving || world_pod_drains(pod),
        .slots = pod->status.slots,
        .digest = keep(routes, str_of(pod->status.digest != NULL ? pod->status.digest->hex : NULL)),
    };
}

/* Ready, or on its way out with work that may go on. */
static bool is_routable(const struct world_pod *pod)
{
    return world_pod_address(pod).len > 0 &&
           (world_pod_ready(pod) || (pod->probe_failures == 0 && world_pod_drains(pod)));
}

static void add_model(struct routes *routes, const struct reconciler *r, struct world_model *m)
{
    struct routes_model *out = &routes->models[routes->model_count++];
    int64_t max = m->spec.mode == CRD_SCALING_MANUAL ? m->spec.replicas : m->spec.max_replicas;

    *out = (struct routes_model){
        .name = keep(routes, str_of(m->key)),
        .name_space = keep(routes, str_of(m->object->name_space)),
        .short_name = m->name_accepted && m->claimed_name != NULL
                          ? keep(routes, str_of(m->claimed_name))
                          : STR_NONE,
        .created_s = m->object->created_ms / 1000,
        .can_wake = max > 0 && !r->shutting_down,
        .hold_reason = m->hold_reason != NULL ? keep(routes, str_of(m->hold_reason)) : STR_NONE,
        .pods = must(arena_array(&routes->arena, (size_t)m->status.pod_count + 1,
                                 sizeof(struct routes_pod))),
    };
    for (int i = 0; i < m->status.pod_count; i++) {
        const struct crd_pod *recorded = &m->status.pods[i];
        struct world_pod *pod = world_pod_find(&r->world, recorded->uid);

        if (pod == NULL || pod->model != m || !is_routable(pod))
            continue;
        if (pod->status.context_max > 0)
            m->context_max = pod->status.context_max;
        add_pod(routes, out, recorded, pod, r->snapshot);
    }
    out->context_max = m->context_max;
}

/* --- pods that only report -------------------------------------------------------------------- */

/* An agent runs in it that may have usage which no gateway has taken. It need not answer us: the
 * gateways will see whether it answers them. */
static bool may_have_usage(const struct world_pod *pod)
{
    if (pod->phase != PLATFORM_POD_RUNNING || world_pod_address(pod).len == 0)
        return false;
    return pod->model->object == NULL || pod->deleting || world_pod_drains(pod) ||
           (pod->answered && pod->status.unacknowledged > 0);
}

static bool is_leaver(const struct reconciler *r, const struct world_pod *pod)
{
    return pod->routed != r->snapshot && may_have_usage(pod);
}

static void add_leavers(struct routes *routes, const struct reconciler *r)
{
    const struct world_pod *pod;
    size_t count = 0;

    for (size_t at = 0; (pod = set_next(&r->world.pods, &at)) != NULL;)
        count += is_leaver(r, pod);
    routes->leavers = must(arena_array(&routes->arena, count + 1, sizeof(*routes->leavers)));
    for (size_t at = 0; (pod = set_next(&r->world.pods, &at)) != NULL;) {
        if (!is_leaver(r, pod))
            continue;
        routes->leavers[routes->leaver_count++] = (struct routes_leaver){
            .name = keep(routes, world_pod_name(pod)),
            .uid = keep(routes, world_pod_uid(pod)),
            .address = keep(routes, world_pod_address(pod)),
        };
    }
}

/* --- tenants ---------------------------------------------------------------------------------- */

static struct str *keep_names(struct routes *routes, const struct crd_name *names, int count)
{
    struct str *out = must(arena_array(&routes->arena, (size_t)count + 1, sizeof(struct str)));

    for (int i = 0; i < count; i++)
        out[i] = keep(routes, names[i].text);
    return out;
}

static void add_tenant(struct routes *routes, const struct reconciler *r,
                       const struct crd_object *object)
{
    struct routes_tenant *out = &routes->tenants[routes->tenant_count];
    struct crd_tenant_spec spec;
    struct err err = {0};

    if (crd_tenant_spec_read(&spec, object, &routes->arena, &err) < 0) {
        log_error("stored tenant can't be used; apply it again", LOG_STR("tenant", object->name),
                  LOG_ERR(&err));
        return;
    }
    routes->tenant_count++;
    *out = (struct routes_tenant){
        .name = keep(routes, str_of(object->name)),
        .priority = (int)spec.priority,
        .requests_per_minute = (uint64_t)spec.requests_per_minute,
        .concurrency = (uint64_t)spec.concurrency,
        .price_version = prices_version(r, spec.price_book),
        .namespaces = keep_names(routes, spec.namespaces, spec.namespace_count),
        .namespace_count = spec.namespace_count,
        .models = keep_names(routes, spec.models, spec.model_count),
        .model_count = spec.model_count,
        .keys = must(
            arena_array(&routes->arena, (size_t)spec.key_count + 1, sizeof(struct routes_key))),
        .key_count = spec.key_count,
    };
    for (int i = 0; i < spec.key_count; i++) {
        out->keys[i].id = keep(routes, spec.keys[i].id);
        memcpy(out->keys[i].sha256, spec.keys[i].sha256, SHA256_BYTES);
    }
}

/* Only what may be used: gateways need not know who permits whom. */
static bool keep_target(struct routes *routes, const struct reconciler *r,
                        const struct world_route *route, struct str target, struct str *out)
{
    char key[WORLD_KEY_MAX];

    if (world_route_target(&r->world, route, target, key) != WORLD_TARGET_OK)
        return false;
    *out = keep(routes, str_of(key));
    return true;
}

static void add_route(struct routes *routes, const struct reconciler *r,
                      const struct world_route *route)
{
    struct routes_route *out = &routes->routes[routes->route_count++];
    const struct crd_route_spec *spec = &route->spec;

    *out = (struct routes_route){
        .name = keep(routes, str_of(route->key)),
        .name_space = keep(routes, str_of(route->object->name_space)),
        .short_name = route->name_accepted && route->claimed_name != NULL
                          ? keep(routes, str_of(route->claimed_name))
                          : STR_NONE,
        .created_s = route->object->created_ms / 1000,
        .targets = must(arena_array(&routes->arena, ROUTES_TARGETS_MAX, sizeof(*out->targets))),
        .fallbacks =
            must(arena_array(&routes->arena, ROUTES_FALLBACKS_MAX, sizeof(*out->fallbacks))),
        .fallback_after_ms = (uint64_t)spec->fallback_after_s * 1000,
    };
    for (int i = 0; i < spec->target_count; i++) {
        struct routes_target *target = &out->targets[out->target_count];

        target->weight = (uint64_t)spec->targets[i].weight;
        out->target_count += keep_target(routes, r, route, spec->targets[i].model, &target->model);
    }
    for (int i = 0; i < spec->fallback_count; i++)
        out->fallback_count += keep_target(routes, r, route, spec->fallbacks[i].text,
                                           &out->fallbacks[out->fallback_count]);
}

static int by_route_name(const void *a, const void *b)
{
    const struct routes_route *left = a, *right = b;

    return str_compare(left->name, right->name);
}

static int by_model_name(const void *a, const void *b)
{
    const struct routes_model *left = a, *right = b;

    return str_compare(left->name, right->name);
}

static int by_leaver_uid(const void *a, const void *b)
{
    const struct routes_leaver *left = a, *right = b;

    return str_compare(left->uid, right->uid);
}

static int by_tenant_name(const void *a, const void *b)
{
    const struct routes_tenant *left = a, *right = b;

    return str_compare(left->name, right->name);
}

static struct routes *build(struct reconciler *r)
{
    struct routes *routes = must(mem_alloc(sizeof(*routes)));
    struct map_entry *entry;

    r->snapshot++;
    arena_init(&routes->arena, ROUTES_ARENA_BYTES);
    routes->version.installation = keep(routes, str_of(r->installation));
    routes->models =
        must(arena_array(&routes->arena, r->world.models.count + 1, sizeof(*routes->models)));
    routes->routes =
        must(arena_array(&routes->arena, r->world.routes.count + 1, sizeof(*routes->routes)));
    routes->tenants =
        must(arena_array(&routes->arena, r->world.tenants_served + 1, sizeof(*routes->tenants)));
    for (size_t at = 0; (entry = map_next(&r->world.models, &at)) != NULL;) {
        struct world_model *m = entry->value;

        if (m->object != NULL && m->spec_fault == NULL)
            add_model(routes, r, m);
    }
    for (size_t at = 0; (entry = map_next(&r->world.routes, &at)) != NULL;) {
        const struct world_route *route = entry->value;

        if (route->spec_fault == NULL)
            add_route(routes, r, route);
    }
    for (size_t at = 0; (entry = map_next(&r->world.tenants, &at)) != NULL;) {
        const struct world_tenant *tenant = entry->value;

        if (tenant->served)
            add_tenant(routes, r, tenant->object);
    }
    add_leavers(routes, r);
    qsort(routes->leavers, (size_t)routes->leaver_count, sizeof(*routes->leavers), by_leaver_uid);
    qsort(routes->models, (size_t)routes->model_count, sizeof(*routes->models), by_model_name);
    qsort(routes->routes, (size_t)routes->route_count, sizeof(*routes->routes), by_route_name);
    qsort(routes->tenants, (size_t)routes->tenant_count, sizeof(*routes->tenants), by_tenant_name);
    return routes;
}

/* --- content -----------------------------------------------------------------------------------*/

/* Of the content with an empty version, so that equal content gives an equal digest. */
static void digest(const struct routes *routes, char out[SHA256_HEX_LEN + 1])
{
    struct json_writer w;
    struct buf text;

    buf_init(&text, ROUTES_TEXT_BYTES);
    json_writer_init(&w, &text);
    routes_write(&w, routes);
    (void)must(text.failed ? NULL : text.ptr);
    sha256_hex(buf_str(&text), out);
    buf_fini(&text);
}

/* Draining pods that are shown as such for the first time: their wait for the gateways begins. */
static void stamp_draining(struct reconciler *r)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->world.models, &at)) != NULL;) {
        struct world_model *m = entry->value;

        for (int i = 0; i < m->status.pod_count; i++) {
            struct world_pod *pod;

            if (m->status.pods[i].phase != CRD_POD_DRAINING)
                continue;
            pod = world_pod_find(&r->world, m->status.pods[i].uid);
            if (pod == NULL || pod->drain_counter != 0)
                continue;
            pod->drain_counter = r->counter;
            pod->drain_published_ms = now_of(r);
            queue_add(&r->queue, str_of(m->key));
        }
    }
}

/* --- publishing ------------------------------------------------------------------------------- */

static void publish(struct reconciler *r)
{
    struct routes *routes = build(r);
    char content[SHA256_HEX_LEN + 1];

    r->routes_dirty = false;
    digest(routes, content);
    if (r->routes_opened && strcmp(content, r->routes_digest) == 0) {
        routes_free(routes);
        stamp_draining(r); /* what is published already may show them */
        return;
    }
    memcpy(r->routes_digest, content, sizeof(content));
    r->routes_opened = true;
    r->published_ms = now_of(r);
    r->counter++;
    r->stats.routes++;
    routes->version.epoch = r->epoch;
    routes->version.counter = r->counter;
    stamp_draining(r);
    r->platform->ops->routes_publish(r->platform, routes);
}

/* A snapshot is whole, so the more models and pods, the rarer. */
static int64_t gap_ms(const struct reconciler *r)
{
    int64_t gap = PASS_PUBLISH_GAP_MS +
                  (int64_t)r->world.models.count / PASS_PUBLISH_MODELS_PER_MS +
                  PASS_PUBLISH_COST_TIMES * r->publish_cost_ms;

    return gap < PASS_PUBLISH_GAP_MAX_MS ? gap : PASS_PUBLISH_GAP_MAX_MS;
}

int64_t routes_turn(struct reconciler *r)
{
    int64_t now = now_of(r);

    if (!r->leading || !r->synced || !r->routes_dirty)
        return INT64_MAX;
    if (!r->routes_opened && !routes_may_open(r))
        return r->first_routes.look_ms;
    if (r->routes_opened && now - r->published_ms < gap_ms(r))
        return r->published_ms + gap_ms(r);
    publish(r);
    r->publish_cost_ms = now_of(r) - now;
    return INT64_MAX;
}

bool routes_acknowledged(const struct reconciler *r, uint64_t counter)
{
    for (size_t i = 0; i < r->world.gateway_count; i++) {
        const struct world_gateway *gateway = &r->world.gateways[i];

        if (!gateway->live)
            continue;
        if (!gateway->acked || gateway->acked_epoch != r->epoch || gateway->acked_counter < counter)
            return false;
    }
    return true;
}
