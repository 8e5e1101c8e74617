/* SPDX-License-Identifier: Apache-2.0 */
/* Routes in the table: a name in front of several models. They live in the snapshot in force. */
#include "gateway/table.h"

#include "base/hash.h"
#include "base/mem.h"

int table_map_routes(const struct routes *routes, struct map *out)
{
    for (int i = 0; i < routes->route_count; i++) {
        struct routes_route *route = &routes->routes[i];

        if (map_put(out, route->name, route, NULL) < 0 ||
            (route->short_name.len > 0 && map_put(out, route->short_name, route, NULL) < 0))
            return -ERR_NO_MEMORY;
    }
    return 0;
}

bool table_may_use_route(const struct gw_tenant *tenant, const struct routes_route *route)
{
    const struct routes_tenant *spec = tenant->spec;

    return spec != NULL &&
           table_in_list(spec->namespaces, spec->namespace_count, route->name_space) &&
           (spec->model_count == 0 || table_in_list(spec->models, spec->model_count, route->name));
}

const struct routes_route *table_route(const struct table *t, const struct gw_tenant *tenant,
                                       struct str name)
{
    const struct routes_route *route = map_get(&t->route_names, name);

    return route != NULL && table_may_use_route(tenant, route) ? route : NULL;
}

static bool has_ready_pod(const struct gw_model *m)
{
    for (const struct gw_pod *pod = m->pods; pod != NULL; pod = pod->next) {
        if (pod->listed && !pod->draining && pod->address[0] != '\0')
            return true;
    }
    return false;
}

/* It serves, or will once a pod is there: nothing is known that keeps it from that. */
static bool can_serve(const struct gw_model *m)
{
    return m != NULL && m->listed &&
           (has_ready_pod(m) || (m->can_wake && m->hold_reason[0] == '\0'));
}

static struct gw_model *model_named(const struct table *t, struct str name)
{
    return map_get(&t->models, name);
}

struct gw_model *table_route_pick(const struct table *t, const struct routes_route *route,
                                  struct id128 request)
{
    uint64_t total = 0, point;

    for (int i = 0; i < route->target_count; i++) {
        if (can_serve(model_named(t, route->targets[i].model)))
            total += route->targets[i].weight;
    }
    if (total == 0)
        return NULL;
    point = hash64(0, request.bytes, sizeof(request.bytes)) % total;
    for (int i = 0; i < route->target_count; i++) {
        struct gw_model *m = model_named(t, route->targets[i].model);

        if (!can_serve(m))
            continue;
        if (point < route->targets[i].weight)
            return m;
        point -= route->targets[i].weight;
    }
    return NULL;
}

struct gw_model *table_route_fallback(const struct table *t, const struct routes_route *route,
                                      bool ready_only, int *next)
{
    for (int i = *next; i < route->fallback_count; i++) {
        struct gw_model *m = model_named(t, route->fallbacks[i]);

        if (!can_serve(m) || (ready_only && !has_ready_pod(m)))
            continue;
        *next = i + 1;
        return m;
    }
    return NULL;
}
