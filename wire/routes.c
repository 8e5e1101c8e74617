/* SPDX-License-Identifier: Apache-2.0 */
/* Route snapshots, read: see routes.h. Everything is copied into the snapshot's arena. */
#include "wire/routes.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "wire/field.h"

enum { ROUTES_ARENA_BYTES_MAX = 256 << 20 };

int routes_version_compare(const struct routes_version *a, const struct routes_version *b)
{
    if (!str_eq(a->installation, b->installation))
        return 1;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->counter != b->counter)
        return a->counter < b->counter ? -1 : 1;
    return 0;
}

void routes_version_format(const struct routes_version *version, struct buf *out)
{
    buf_printf(out, "%.*s:%" PRIu64 ":%" PRIu64, STR_ARG(version->installation), version->epoch,
               version->counter);
}

int routes_version_parse(struct routes_version *out, struct str text, struct err *err)
{
    struct routes_version v;
    struct str rest = text;

    v.installation = str_cut(&rest, ':');
    if (!str_is_dns_label(v.installation) || !str_to_u64(str_cut(&rest, ':'), &v.epoch) ||
        !str_to_u64(rest, &v.counter))
        return err_set(err, ERR_INVALID,
                       "a version is written installation:epoch:counter, not '%.*s'",
                       STR_ARG(str_slice(text, 0, 80)));
    *out = v;
    return 0;
}

static int read_names(const json_t *object, const char *key, size_t max, struct arena *arena,
                      struct str **out, int *count, struct err *err)
{
    struct wire_list list;
    struct str *names;
    int r = wire_get_list(object, key, max, sizeof(*names), arena, &list, err);

    if (r < 0)
        return r;
    names = list.items;
    for (int i = 0; i < list.count; i++) {
        const json_t *name = json_array_get(list.members, (size_t)i);

        if (!json_is_string(name))
            return err_set(err, ERR_INVALID, "'%s[%d]' must be a string", key, i);
        names[i] = arena_str(arena, json_str(name));
        if (names[i].ptr == NULL)
            return err_no_memory(err);
    }
    *out = names;
    *count = list.count;
    return 0;
}

static int read_pod(struct routes_pod *pod, const json_t *object, struct arena *arena,
                    struct err *err)
{
    int r;

    if ((r = wire_get_copy(object, "name", arena, &pod->name, err)) < 0 ||
        (r = wire_get_copy(object, "uid", arena, &pod->uid, err)) < 0 ||
        (r = wire_get_copy(object, "address", arena, &pod->address, err)) < 0 ||
        (r = json_get_bool(object, "draining", true, &pod->draining, err)) < 0 ||
        (r = wire_get_u64(object, "slots", &pod->slots, err)) < 0)
        return r;
    return wire_get_copy(object, "digest", arena, &pod->digest, err);
}

static int read_pods(struct routes_model *model, const json_t *object, struct arena *arena,
                     struct err *err)
{
    struct wire_list list;
    int r = wire_get_list(object, "pods", ROUTES_PODS_MAX, sizeof(*model->pods), arena, &list, err);

    if (r < 0)
        return r;
    model->pods = list.items;
    model->pod_count = list.count;
    for (int i = 0; i < list.count; i++) {
        r = read_pod(&model->pods[i], json_array_get(list.members, (size_t)i), arena, err);
        if (r < 0)
            return err_wrap(err, r, "pods[%d]", i);
    }
    return 0;
}

/* The namespace of a "namespace/name". */
static int split_name(struct str name, struct str *name_space, struct err *err)
{
    int64_t slash = str_find_char(name, '/');

    if (slash <= 0)
        return err_set(err, ERR_INVALID, "model name '%.*s' is not namespace/name", STR_ARG(name));
    *name_space = str_slice(name, 0, (size_t)slash);
    return 0;
}

static int read_model(struct routes_model *model, const json_t *object, struct arena *arena,
                      struct err *err)
{
    int r;

    if ((r = wire_get_copy(object, "name", arena, &model->name, err)) < 0 ||
        (r = wire_get_copy(object, "short_name", arena, &model->short_name, err)) < 0 ||
        (r = json_get_i64(object, "created", true, 0, INT64_MAX, &model->created_s, err)) < 0 ||
        (r = wire_get_u64(object, "context_max", &model->context_max, err)) < 0 ||
        (r = json_get_bool(object, "can_wake", true, &model->can_wake, err)) < 0 ||
        (r = wire_get_copy(object, "hold_reason", arena, &model->hold_reason, err)) < 0 ||
        (r = read_pods(model, object, arena, err)) < 0)
        return r;
    return split_name(model->name, &model->name_space, err);
}

static int read_models(struct routes *routes, const json_t *object, struct err *err)
{
    struct wire_list list;
    int r = wire_get_list(object, "models", ROUTES_MODELS_MAX, sizeof(*routes->models),
                          &routes->arena, &list, err);

    if (r < 0)
        return r;
    routes->models = list.items;
    routes->model_count = list.count;
    for (int i = 0; i < list.count; i++) {
        r = read_model(&routes->models[i], json_array_get(list.members, (size_t)i), &routes->arena,
                       err);
        if (r < 0)
            return err_wrap(err, r, "models[%d]", i);
    }
    return 0;
}

static int read_key(struct routes_key *key, const json_t *object, struct arena *arena,
                    struct err *err)
{
    struct str digest;
    int r = wire_get_copy(object, "id", arena, &key->id, err);

    if (r == 0)
        r = json_get_str(object, "sha256", true, &digest, err);
    if (r < 0)
        return r;
    if (!hex_parse(digest, key->sha256, sizeof(key->sha256)))
        return err_set(err, ERR_INVALID, "'sha256' of key '%.*s' is not 64 hex digits",
                       STR_ARG(key->id));
    return 0;
}

static int read_keys(struct routes_tenant *tenant, const json_t *object, struct arena *arena,
                     struct err *err)
{
    struct wire_list list;
    int r = wire_get_list(object, "keys", ROUTES_KEYS_PER_TENANT_MAX, sizeof(*tenant->keys), arena,
                          &list, err);

    if (r < 0)
        return r;
    tenant->keys = list.items;
    tenant->key_count = list.count;
    for (int i = 0; i < list.count; i++) {
        r = read_key(&tenant->keys[i], json_array_get(list.members, (size_t)i), arena, err);
        if (r < 0)
            return err_wrap(err, r, "keys[%d]", i);
    }
    return 0;
}

static int read_tenant(struct routes_tenant *tenant, const json_t *object, struct arena *arena,
                       struct err *err)
{
    int64_t priority = 0;
    int r;

    if ((r = wire_get_copy(object, "name", arena, &tenant->name, err)) < 0 ||
        (r = json_get_i64(object, "priority", true, INT32_MIN, INT32_MAX, &priority, err)) < 0 ||
        (r = wire_get_u64(object, "requests_per_minute", &tenant->requests_per_minute, err)) < 0 ||
        (r = wire_get_u64(object, "concurrency", &tenant->concurrency, err)) < 0 ||
        (r = wire_get_u64(object, "price_version", &tenant->price_version, err)) < 0 ||
        (r = read_names(object, "namespaces", ROUTES_NAMES_PER_TENANT_MAX, arena,
                        &tenant->namespaces, &tenant->namespace_count, err)) < 0 ||
        (r = read_names(object, "models", ROUTES_NAMES_PER_TENANT_MAX, arena, &tenant->models,
                        &tenant->model_count, err)) < 0)
        return r;
    tenant->priority = (int)priority;
    return read_keys(tenant, object, arena, err);
}

static int read_targets(struct routes_route *route, const json_t *object, struct arena *arena,
                        struct err *err)
{
    struct wire_list list;
    int r = wire_get_list(object, "targets", ROUTES_TARGETS_MAX, sizeof(*route->targets), arena,
                          &list, err);

    if (r < 0)
        return r;
    route->targets = list.items;
    route->target_count = list.count;
    for (int i = 0; i < list.count; i++) {
        const json_t *member = json_array_get(list.members, (size_t)i);
        struct routes_target *target = &route->targets[i];
        struct str name_space;

        if ((r = wire_get_copy(member, "model", arena, &target->model, err)) < 0 ||
            (r = split_name(target->model, &name_space, err)) < 0 ||
            (r = wire_get_u64(member, "weight", &target->weight, err)) < 0)
            return err_wrap(err, r, "targets[%d]", i);
    }
    return 0;
}

static int read_route(struct routes_route *route, const json_t *object, struct arena *arena,
                      struct err *err)
{
    int r;

    if ((r = wire_get_copy(object, "name", arena, &route->name, err)) < 0 ||
        (r = split_name(route->name, &route->name_space, err)) < 0 ||
        (r = wire_get_copy(object, "short_name", arena, &route->short_name, err)) < 0 ||
        (r = json_get_i64(object, "created", true, 0, INT64_MAX, &route->created_s, err)) < 0 ||
        (r = read_targets(route, object, arena, err)) < 0 ||
        (r = read_names(object, "fallbacks", ROUTES_FALLBACKS_MAX, arena, &route->fallbacks,
                        &route->fallback_count, err)) < 0)
        return r;
    return wire_get_u64(object, "fallback_after_ms", &route->fallback_after_ms, err);
}

static int read_routes(struct routes *routes, const json_t *object, struct err *err)
{
    struct wire_list list;
    int r;

    if (json_object_get(object, "routes") == NULL)
        return 0;
    r = wire_get_list(object, "routes", ROUTES_ROUTES_MAX, sizeof(*routes->routes), &routes->arena,
                      &list, err);
    if (r < 0)
        return r;
    routes->routes = list.items;
    routes->route_count = list.count;
    for (int i = 0; i < list.count; i++) {
        r = read_route(&routes->routes[i], json_array_get(list.members, (size_t)i), &routes->arena,
                       err);
        if (r < 0)
            return err_wrap(err, r, "routes[%d]", i);
    }
    return 0;
}

static int read_leaver(struct routes_leaver *leaver, const json_t *object, struct arena *arena,
                       struct err *err)
{
    int r;

    if ((r = wire_get_copy(object, "name", arena, &leaver->name, err)) < 0 ||
        (r = wire_get_copy(object, "uid", arena, &leaver->uid, err)) < 0)
        return r;
    return wire_get_copy(object, "address", arena, &leaver->address, err);
}

static int read_leavers(struct routes *routes, const json_t *object, struct err *err)
{
    struct wire_list list;
    int r;

    if (json_object_get(object, "leavers") == NULL)
        return 0;
    r = wire_get_list(object, "leavers", ROUTES_PODS_MAX, sizeof(*routes->leavers), &routes->arena,
                      &list, err);
    if (r < 0)
        return r;
    routes->leavers = list.items;
    routes->leaver_count = list.count;
    for (int i = 0; i < list.count; i++) {
        r = read_leaver(&routes->leavers[i], json_array_get(list.members, (size_t)i),
                        &routes->arena, err);
        if (r < 0)
            return err_wrap(err, r, "leavers[%d]", i);
    }
    return 0;
}

static int read_tenants(struct routes *routes, const json_t *object, struct err *err)
{
    struct wire_list list;
    int r = wire_get_list(object, "tenants", ROUTES_TENANTS_MAX, sizeof(*routes->tenants),
                          &routes->arena, &list, err);

    if (r < 0)
        return r;
    routes->tenants = list.items;
    routes->tenant_count = list.count;
    for (int i = 0; i < list.count; i++) {
        r = read_tenant(&routes->tenants[i], json_array_get(list.members, (size_t)i),
                        &routes->arena, err);
        if (r < 0)
            return err_wrap(err, r, "tenants[%d]", i);
    }
    return 0;
}

static int read_all(struct routes *routes, const json_t *object, struct err *err)
{
    struct str version;
    int r;

    if ((r = wire_get_copy(object, "version", &routes->arena, &version, err)) < 0 ||
        (r = routes_version_parse(&routes->version, version, err)) < 0 ||
        (r = read_models(routes, object, err)) < 0 || (r = read_leavers(routes, object, err)) < 0 ||
        (r = read_routes(routes, object, err)) < 0)
        return r;
    return read_tenants(routes, object, err);
}

static void routes_freep(struct routes **routes)
{
    routes_free(*routes);
}

int routes_read(struct routes **out, const json_t *object, struct err *err)
{
    CLEANUP(routes_freep) struct routes *routes = mem_alloc(sizeof(*routes));
    int r;

    if (routes == NULL)
        return err_no_memory(err);
    arena_init(&routes->arena, ROUTES_ARENA_BYTES_MAX);
    r = read_all(routes, object, err);
    if (r < 0)
        return err_wrap(err, r, "route snapshot");
    *out = STEAL(routes);
    return 0;
}

void routes_free(struct routes *routes)
{
    if (routes == NULL)
        return;
    arena_fini(&routes->arena);
    mem_free(routes);
}
