/* SPDX-License-Identifier: Apache-2.0 */
/* The views of ModelRoutes, and which models they lead to. */
#include <stdio.h>
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/world.h"

struct world_route *world_route_find(const struct world *w, struct str key)
{
    return map_get(&w->routes, key);
}

static struct world_route *route_get(struct world *w, struct str key)
{
    struct world_route *route = map_get(&w->routes, key);

    if (route != NULL)
        return route;
    route = must(mem_alloc(sizeof(*route)));
    if (map_put(&w->routes, key, route, NULL) < 0) {
        mem_free(route);
        return NULL;
    }
    route->key = must_text(key);
    arena_init(&route->arena, WORLD_PARSE_BYTES);
    return route;
}

void world_route_free(struct world *w, struct world_route *route)
{
    world_claim_drop(w, (struct world_claimant){.route = route}, &route->claimed_name);
    crd_object_unref(route->object);
    arena_fini(&route->arena);
    mem_free(route->spec_fault);
    mem_free(route->key);
    mem_free(route);
}

static void read_object(struct world_route *route)
{
    struct err err = {0};

    arena_reset(&route->arena);
    route->spec = (struct crd_route_spec){0};
    route->status = (struct crd_route_status){0};
    route->has_status = crd_object_has_status(route->object);
    world_text_set(&route->spec_fault, STR_NONE);
    if (crd_route_spec_read(&route->spec, route->object, &route->arena, &err) < 0 ||
        crd_route_status_read(&route->status, route->object, &route->arena, &err) < 0)
        world_text_set(&route->spec_fault, str_of(err_message(&err)));
}

struct world_route *world_route_set(struct world *w, struct str key, struct crd_object *object)
{
    struct world_route *route;

    if (object == NULL) {
        route = map_remove(&w->routes, key);
        if (route != NULL)
            world_route_free(w, route);
        return NULL;
    }
    route = route_get(w, key);
    if (route == NULL)
        return NULL;
    crd_object_ref(object);
    crd_object_unref(route->object);
    route->object = object;
    route->put_ms = 0; /* seen: the next write may go out */
    route->put_ticket = 0;
    read_object(route);
    world_claim_set(w, (struct world_claimant){.route = route}, &route->claimed_name,
                    route->spec.name);
    return route;
}

/* "name" is of the route's own namespace. */
static void target_key(const struct world_route *route, struct str target, char out[WORLD_KEY_MAX])
{
    if (str_find_char(target, '/') >= 0)
        snprintf(out, WORLD_KEY_MAX, "%.*s", STR_ARG(target));
    else
        snprintf(out, WORLD_KEY_MAX, "%s/%.*s", route->object->name_space, STR_ARG(target));
}

static bool permits(const struct world_model *m, const char *name_space)
{
    if (strcmp(m->object->name_space, name_space) == 0)
        return true;
    for (int i = 0; i < m->spec.from_namespace_count; i++) {
        struct str permitted = m->spec.from_namespaces[i].text;

        if (str_is(permitted, "*") || str_is(permitted, name_space))
            return true;
    }
    return false;
}

enum world_target world_route_target(const struct world *w, const struct world_route *route,
                                     struct str target, char key[WORLD_KEY_MAX])
{
    const struct world_model *m;

    target_key(route, target, key);
    m = world_model_find(w, str_of(key));
    if (m == NULL || m->object == NULL)
        return WORLD_TARGET_MISSING;
    return permits(m, route->object->name_space) ? WORLD_TARGET_OK : WORLD_TARGET_NOT_PERMITTED;
}

bool world_route_names(const struct world_route *route, struct str model_key)
{
    char key[WORLD_KEY_MAX];

    for (int i = 0; i < route->spec.target_count; i++) {
        target_key(route, route->spec.targets[i].model, key);
        if (str_is(model_key, key))
            return true;
    }
    for (int i = 0; i < route->spec.fallback_count; i++) {
        target_key(route, route->spec.fallbacks[i].text, key);
        if (str_is(model_key, key))
            return true;
    }
    return false;
}
