/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which model a flight goes to: that of its name, or one of a route's. By a route, the target is
 * drawn by the request's id, so that it stays the same over all retries; it is woken if it sleeps.
 * A flight whose answer has not begun leaves it for a fallback of the route, going down the list,
 * never up.
 */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/flight.h"
#include "gateway/gateway.h"
#include "gateway/queue.h"

int flight_choose(const struct table *t, const struct gw_tenant *tenant, struct str name,
                  struct flight_choice *out, struct openai_error *error)
{
    const struct routes_route *route;

    out->route = NULL;
    out->fallback_next = 0;
    out->model = table_model(t, tenant, name);
    if (out->model != NULL)
        return 0;
    route = table_route(t, tenant, name);
    if (route == NULL) {
        CLEANUP(buf_fini) struct buf names = {0};

        buf_init(&names, 700);
        table_list_names(t, tenant, GATEWAY_NAMES_LISTED, &names);
        return openai_error_set(
            error, OPENAI_NO_MODEL, "model",
            "the model '%.*s' does not exist or is not for this key; it may use: %.*s",
            STR_ARG(str_slice(name, 0, 130)), STR_ARG(buf_str(&names)));
    }
    out->route = route;
    out->model = table_route_pick(t, route, out->id);
    if (out->model == NULL)
        out->model = table_route_fallback(t, route, false, &out->fallback_next);
    if (out->model == NULL)
        return openai_error_set(error, OPENAI_UNAVAILABLE, "model",
                                "no target and no fallback of the route '%.*s' can serve at the "
                                "moment",
                                STR_ARG(route->name));
    return 0;
}

/* Why it should leave its model now. */
static const char *reason_to_leave(const struct flight *f, const struct routes_route *route,
                                   int64_t now_ms)
{
    int64_t since_ms = f->joined_ms > f->waiting_since_ms ? f->joined_ms : f->waiting_since_ms;

    if (!flight_can_wait(f))
        return "gone";
    return now_ms - since_ms >= (int64_t)route->fallback_after_ms ? "waited" : NULL;
}

static void move(struct flight *f, struct gw_model *to, int64_t now_ms)
{
    struct gw_model *from = f->model;

    gw_queue_remove(&f->g->table, f);
    f->model = to;
    f->joined_ms = now_ms;
    f->cached_tokens = -1; /* nothing of the earlier attempts was delivered, so none is charged */
    to->refs++;
    to->arrived++;
    to->busy_ms = from->busy_ms = now_ms;
    gateway_load_changed(f->g, from);
    gateway_load_changed(f->g, to);
    table_model_unref(&f->g->table, from);
}

bool flight_fall_back(struct flight *f, int64_t now_ms)
{
    const struct table *t = &f->g->table;
    const struct routes_route *route;
    const char *reason;
    struct gw_model *to;

    if (f->route_name == NULL || f->id_count > 0)
        return false;
    route = map_get(&t->route_names, str_of(f->route_name));
    reason = route == NULL ? NULL : reason_to_leave(f, route, now_ms);
    if (reason == NULL)
        return false;
    to = table_route_fallback(t, route, flight_can_wait(f), &f->fallback_next);
    if (to == NULL || to == f->model)
        return false;
    gateway_metrics_fell_back(&f->g->counters, f, to->name, reason);
    log_info("a request goes to a fallback of its route", LOG_STR("route", f->route_name),
             LOG_STR("from", f->model->name), LOG_STR("to", to->name), LOG_STR("reason", reason),
             LOG_STR("request", f->completion_id));
    move(f, to, now_ms);
    if (gw_queue_add(&f->g->table, f) < 0)
        flight_fail(f, OPENAI_QUEUE_FULL, "too many requests wait for the fallback of the route");
    return true;
}
