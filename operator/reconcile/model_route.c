/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ModelRoutes: what their status says. Requests are not touched here: a route works by what
 * routes.c puts into the snapshot and the gateways do with it.
 */
#include "operator/reconcile/pass.h"

#include <stdio.h>
#include <string.h>

#include "operator/common/must.h"

enum { ROUTE_ARENA_BYTES = 1 << 20, ROUTE_REST_MS = 10 * 1000, ROUTE_CONDITIONS = 3 };

struct route_pass {
    struct reconciler *r;
    struct world_route *route;
    struct arena arena;
    int64_t wall_ms;
    struct crd_route_status next;
};

static void set_condition(struct route_pass *p, const char *type, bool holds, const char *reason,
                          const char *text)
{
    const struct crd_route_status *seen = &p->route->status;

    p->next.conditions[p->next.condition_count++] =
        (struct crd_condition){.type = str_of(type),
                               .status = holds ? CRD_TRUE : CRD_FALSE,
                               .reason = str_of(reason),
                               .message = must_str(arena_str(&p->arena, str_of(text))),
                               .observed_generation = p->route->object->generation};
    condition_stamp(&p->next.conditions[p->next.condition_count - 1], seen->conditions,
                    seen->condition_count, p->wall_ms);
}

/* --- the name --------------------------------------------------------------------------------- */

static void check_name(struct route_pass *p)
{
    struct world_route *route = p->route;
    const struct crd_object *owner = world_claim_owner(&p->r->world, route->claimed_name);
    bool accepted = owner == route->object;
    char text[PLATFORM_MESSAGE_MAX];

    if (accepted != route->name_accepted) {
        route->name_accepted = accepted;
        routes_mark_dirty(p->r);
    }
    if (accepted)
        snprintf(text, sizeof(text), "served as %s", route->claimed_name);
    else
        snprintf(text, sizeof(text),
                 "the name %s belongs to the %s %s/%s, which is older: choose another spec.name",
                 route->claimed_name != NULL ? route->claimed_name : route->object->name,
                 owner != NULL ? owner->kind->kind : "model",
                 owner != NULL ? owner->name_space : "?", owner != NULL ? owner->name : "?");
    set_condition(p, "NameAccepted", accepted, accepted ? "Accepted" : "NameTaken", text);
}

/* --- the targets ------------------------------------------------------------------------------ */

struct findings {
    int usable; /* targets with a weight, and fallbacks, that may take requests */
    char fault[PLATFORM_MESSAGE_MAX];
    const char *reason;
};

static void look_at(struct route_pass *p, struct findings *found, struct str model, bool counts)
{
    char key[WORLD_KEY_MAX];

    switch (world_route_target(&p->r->world, p->route, model, key)) {
    case WORLD_TARGET_OK:
        found->usable += counts;
        break;
    case WORLD_TARGET_MISSING:
        found->reason = "TargetMissing";
        snprintf(found->fault, sizeof(found->fault),
                 "there is no ModelDeployment %s: create it, or correct the name", key);
        break;
    case WORLD_TARGET_NOT_PERMITTED:
        found->reason = "TargetNotPermitted";
        snprintf(found->fault, sizeof(found->fault),
                 "%s does not permit routes of namespace %s: add it to its "
                 "spec.routing.fromNamespaces",
                 key, p->route->object->name_space);
        break;
    }
}

static void check_targets(struct route_pass *p)
{
    const struct crd_route_spec *spec = &p->route->spec;
    struct findings found = {0};

    for (int i = 0; i < spec->target_count; i++)
        look_at(p, &found, spec->targets[i].model, spec->targets[i].weight > 0);
    for (int i = 0; i < spec->fallback_count; i++)
        look_at(p, &found, spec->fallbacks[i].text, true);
    if (found.reason != NULL)
        set_condition(p, "TargetsResolved", false, found.reason, found.fault);
    else
        set_condition(p, "TargetsResolved", true, "Resolved",
                      "every target and fallback exists and permits this route");
    if (found.usable > 0)
        set_condition(p, "Ready", true, "Ready", "requests are taken");
    else
        set_condition(p, "Ready", false, "NoTarget", found.fault);
}

/* Without memory for it, it is not shown. */
static struct str keep_line(struct route_pass *p, const struct buf *line)
{
    return must_str(line->failed ? STR_NONE : arena_str(&p->arena, buf_str(line)));
}

/* In one line each, for kubectl get. */
static void list_models(struct route_pass *p)
{
    const struct crd_route_spec *spec = &p->route->spec;
    CLEANUP(buf_fini) struct buf line = {0};

    buf_init(&line, CRD_ROUTE_TEXT_MAX);
    for (int i = 0; i < spec->target_count; i++)
        buf_printf(&line, "%s%.*s=%lld", i > 0 ? "," : "", STR_ARG(spec->targets[i].model),
                   (long long)spec->targets[i].weight);
    p->next.targets = keep_line(p, &line);
    buf_clear(&line);
    for (int i = 0; i < spec->fallback_count; i++)
        buf_printf(&line, "%s%.*s", i > 0 ? "," : "", STR_ARG(spec->fallbacks[i].text));
    p->next.fallbacks = keep_line(p, &line);
}

/* --- the pass --------------------------------------------------------------------------------- */

static void put_status(struct route_pass *p, const char *key)
{
    struct world_route *route = p->route;
    json_auto_t *before = NULL;
    json_auto_t *after = NULL;

    (void)must(crd_route_status_write(&route->status, &before, NULL) == 0 ? before : NULL);
    (void)must(crd_route_status_write(&p->next, &after, NULL) == 0 ? after : NULL);
    if (route->has_status && json_equal(before, after))
        return;
    route->put_ms = now_of(p->r);
    route->put_ticket = reconciler_call(p->r, CALL_ROUTE_PUT, key, STR_NONE);
    p->r->platform->ops->status_put(p->r->platform, route->put_ticket, route->object, after);
}

void pass_route(struct reconciler *r, const char *key)
{
    struct route_pass p = {
        .r = r,
        .route = route_of_key(r, key),
        .wall_ms = clock_wall_ms(r->platform->clock),
    };

    if (p.route == NULL) {
        queue_forget(&r->queue, str_of(key)); /* it is gone, and so are its failures */
        return;
    }
    if (p.route->spec_fault != NULL) {
        log_error("stored route can't be used; apply it again", LOG_STR("route", p.route->key),
                  LOG_STR("fault", p.route->spec_fault));
        return;
    }
    if (p.route->put_ms > 0 && now_of(r) - p.route->put_ms < ROUTE_REST_MS) {
        queue_add_at(&r->queue, str_of(key), p.route->put_ms + ROUTE_REST_MS);
        return;
    }
    arena_init(&p.arena, ROUTE_ARENA_BYTES);
    p.next.observed_generation = p.route->object->generation;
    p.next.conditions = must(arena_array(&p.arena, ROUTE_CONDITIONS, sizeof(*p.next.conditions)));
    check_name(&p);
    check_targets(&p);
    list_models(&p);
    put_status(&p, key);
    arena_fini(&p.arena);
}

/* --- news ------------------------------------------------------------------------------------- */

void route_add(struct reconciler *r, const struct world_route *route)
{
    char key[WORLD_KEY_MAX + sizeof(ROUTE_KEY_PREFIX)];

    snprintf(key, sizeof(key), ROUTE_KEY_PREFIX "%s", route->key);
    queue_add(&r->queue, str_of(key));
}

struct world_route *route_of_key(const struct reconciler *r, const char *key)
{
    return world_route_find(&r->world,
                            str_slice(str_of(key), strlen(ROUTE_KEY_PREFIX), strlen(key)));
}

void routes_of_model_add(struct reconciler *r, struct str model_key)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&r->world.routes, &at)) != NULL;) {
        if (world_route_names(entry->value, model_key))
            route_add(r, entry->value);
    }
}

void route_set(struct reconciler *r, struct crd_object *object, bool deleted)
{
    char key[WORLD_KEY_MAX];
    struct world_route *route;
    char *old_name = NULL;

    snprintf(key, sizeof(key), "%s/%s", object->name_space, object->name);
    route = world_route_find(&r->world, str_of(key));
    if (route != NULL && route->claimed_name != NULL)
        old_name = must_text(str_of(route->claimed_name));
    if (route != NULL && deleted)
        route_add(r, route); /* for the queue to forget it */
    route = world_route_set(&r->world, str_of(key), deleted ? NULL : object);
    if (!deleted && route == NULL)
        log_error("too many routes: this one has no effect", LOG_STR("route", key));
    if (route != NULL)
        route_add(r, route);
    reconciler_name_moved(r, old_name, route != NULL ? route->claimed_name : NULL);
    mem_free(old_name);
}

void route_result(struct reconciler *r, const struct call *call,
                  const struct platform_result *result)
{
    struct world_route *route = route_of_key(r, call->key);

    if (route == NULL || route->put_ticket != call->ticket)
        return;
    route->put_ticket = 0;
    if (result->code < 0)
        route->put_ms = 0; /* tried again when its back-off ends, or when the view moves on */
}
