/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's paths. One parsed route decides both whether a key is needed and what is called;
 * every path also works without /v1 and under /beta, as clients of DeepSeek's API expect. */
#include <stdio.h>

#include "base/mem.h"
#include "gateway/control.h"
#include "gateway/gateway.h"

void gateway_respond_error(struct http_exchange *x, const struct openai_error *error,
                           int64_t retry_after_ms)
{
    const struct openai_error_fact *fact = openai_error_fact(error->code);
    char ms[24];
    char seconds[24];
    struct buf body;

    if (retry_after_ms > 0 && (fact->status == 429 || fact->status == 503)) {
        int64_t capped = retry_after_ms < 60000 ? retry_after_ms : 60000;

        snprintf(ms, sizeof(ms), "%lld", (long long)capped);
        snprintf(seconds, sizeof(seconds), "%lld", (long long)((capped + 999) / 1000));
        (void)http_add_header(x, "retry-after-ms", str_of(ms));
        (void)http_add_header(x, "retry-after", str_of(seconds));
    }
    buf_init(&body, 8192);
    openai_error_write(&body, error);
    http_respond(x, fact->status, "application/json", buf_str(&body));
    buf_fini(&body);
}

static void put_model(struct json_writer *w, const struct gw_model *m, bool short_name)
{
    json_open(w, '{');
    json_put_text(w, "id", short_name ? m->short_name : m->name);
    json_put_text(w, "object", "model");
    json_put_i64(w, "created", m->created_s);
    json_put_text(w, "owned_by", m->name_space);
    if (m->context_max > 0)
        json_put_u64(w, "max_model_len", m->context_max);
    json_close(w, '}');
}

static void put_route(struct json_writer *w, const struct routes_route *route, bool short_name)
{
    json_open(w, '{');
    json_put_str(w, "id", short_name ? route->short_name : route->name);
    json_put_text(w, "object", "model");
    json_put_i64(w, "created", route->created_s);
    json_put_str(w, "owned_by", route->name_space);
    json_close(w, '}');
}

static void list_routes(struct json_writer *w, const struct table *t,
                        const struct gw_tenant *tenant)
{
    for (int i = 0; t->routes != NULL && i < t->routes->route_count; i++) {
        const struct routes_route *route = &t->routes->routes[i];

        if (table_may_use_route(tenant, route))
            put_route(w, route, route->short_name.len > 0);
    }
}

static void list_models(struct gateway *g, struct http_exchange *x, const struct gw_key *key)
{
    struct json_writer w;
    struct map_entry *e;
    struct buf body;

    buf_init(&body, 16 << 20);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "object", "list");
    json_key(&w, "data");
    json_open(&w, '[');
    for (size_t at = 0; (e = map_next(&g->table.models, &at)) != NULL;) {
        const struct gw_model *m = e->value;

        if (table_may_use(key->tenant, m))
            put_model(&w, m, m->short_name[0] != '\0');
    }
    list_routes(&w, &g->table, key->tenant);
    json_close(&w, ']');
    json_close(&w, '}');
    http_respond(x, body.failed ? 500 : 200, "application/json", buf_str(&body));
    buf_fini(&body);
}

static void one_model(struct gateway *g, struct http_exchange *x, const struct gw_key *key,
                      struct str name)
{
    const struct gw_model *m = table_model(&g->table, key->tenant, name);
    const struct routes_route *route = m == NULL ? table_route(&g->table, key->tenant, name) : NULL;
    struct openai_error error;
    struct json_writer w;
    struct buf body;

    if (m == NULL && route == NULL) {
        openai_error_set(&error, OPENAI_NO_MODEL, "model",
                         "the model '%.*s' does not exist or is not for this key",
                         STR_ARG(str_slice(name, 0, 130)));
        gateway_respond_error(x, &error, 0);
        return;
    }
    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    if (m != NULL)
        put_model(&w, m, str_is(name, m->short_name));
    else
        put_route(&w, route, str_eq(name, route->short_name));
    http_respond(x, 200, "application/json", buf_str(&body));
    buf_fini(&body);
}

static void expose_metrics(struct gateway *g, struct http_exchange *x)
{
    struct buf body;

    gateway_metrics_collect(g);
    buf_init(&body, 16 << 20);
    (void)metrics_expose(g->metrics, &body);
    http_respond(x, body.failed ? 500 : 200, METRICS_CONTENT_TYPE, buf_str(&body));
    buf_fini(&body);
}

/* Ready: it has routes (from the operator or from its disk) and can record usage. */
static void health(struct gateway *g, struct http_exchange *x)
{
    bool ready = control_has_routes(g->control) && meter_admission_open(g->meter) && !g->draining;

    http_respond(x, ready ? 200 : 503, "application/json",
                 ready ? STR("{\"status\":\"ready\"}") : STR("{\"status\":\"not ready\"}"));
}

enum route_id {
    ROUTE_NONE,
    ROUTE_CHAT,
    ROUTE_COMPLETIONS,
    ROUTE_MODELS,
    ROUTE_MODEL,
    ROUTE_HEALTH,
    ROUTE_LIVE,
    ROUTE_VERSION,
    ROUTE_METRICS,
};

struct route {
    enum route_id id;
    const char *method;
    bool needs_key;
    struct str rest; /* ROUTE_MODEL: the name */
};

static struct str without_prefix(struct str path)
{
    static const char *const prefixes[] = {"/v1/", "/beta/v1/", "/beta/"};

    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        struct str prefix = str_of(prefixes[i]);

        if (str_starts(path, prefix))
            return str_slice(path, prefix.len - 1, path.len);
    }
    return path;
}

static struct route find_route(struct str path)
{
    static const struct {
        const char *path;
        struct route route;
    } table[] = {
        {"/chat/completions", {ROUTE_CHAT, "POST", true, {0}}},
        {"/completions", {ROUTE_COMPLETIONS, "POST", true, {0}}},
        {"/models", {ROUTE_MODELS, "GET", true, {0}}},
        {"/health", {ROUTE_HEALTH, "GET", false, {0}}},
        {"/ready", {ROUTE_HEALTH, "GET", false, {0}}},
        {"/health/ready", {ROUTE_HEALTH, "GET", false, {0}}},
        {"/health/live", {ROUTE_LIVE, "GET", false, {0}}},
        {"/live", {ROUTE_LIVE, "GET", false, {0}}},
        {"/ping", {ROUTE_LIVE, "GET", false, {0}}},
        {"/version", {ROUTE_VERSION, "GET", false, {0}}},
        {"/metrics", {ROUTE_METRICS, "GET", false, {0}}},
    };
    struct str bare = without_prefix(path);

    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (str_is(bare, table[i].path))
            return table[i].route;
    }
    if (str_starts(bare, STR("/models/")) && bare.len > sizeof("/models/") - 1)
        return (struct route){ROUTE_MODEL, "GET", true,
                              str_slice(bare, sizeof("/models/") - 1, bare.len)};
    return (struct route){0};
}

/* The key's tenant, or NULL with the error set. Never repeats the key. */
static const struct gw_key *authenticate(struct gateway *g, struct http_exchange *x,
                                         struct openai_error *error)
{
    struct str secret = http_bearer_token(&x->headers);
    const struct gw_key *key;

    if (secret.ptr == NULL || secret.len == 0) {
        openai_error_set(error, OPENAI_NO_KEY, NULL,
                         http_header_get(&x->headers, "authorization").ptr == NULL
                             ? "no API key: send the header 'Authorization: Bearer KEY'"
                             : "the Authorization header must be 'Bearer KEY'");
        return NULL;
    }
    key = table_key(&g->table, secret);
    if (key == NULL || key->tenant->spec == NULL) {
        openai_error_set(error, OPENAI_BAD_KEY, NULL,
                         "the API key in the Authorization header is not known or was revoked");
        return NULL;
    }
    return key;
}

static void set_request_id(struct gateway *g, struct http_exchange *x)
{
    enum { REQUEST_ID_MAX = 128 };
    struct str given = http_header_get(&x->headers, "x-request-id");
    char own[ID_TEXT_LEN + 1];

    if (given.len == 0 || given.len > REQUEST_ID_MAX) {
        id_format(id_make(g->clock, g->rng), own);
        given = str_of(own);
    }
    (void)http_add_header(x, "x-request-id", given);
}

static void call_route(struct gateway *g, struct http_exchange *x, const struct route *route,
                       const struct gw_key *key)
{
    switch (route->id) {
    case ROUTE_CHAT:
        flight_start(g, x, OPENAI_CHAT, key);
        break;
    case ROUTE_COMPLETIONS:
        flight_start(g, x, OPENAI_COMPLETIONS, key);
        break;
    case ROUTE_MODELS:
        list_models(g, x, key);
        break;
    case ROUTE_MODEL:
        one_model(g, x, key, http_path_name(route->rest, x->arena));
        break;
    case ROUTE_HEALTH:
        health(g, x);
        break;
    case ROUTE_VERSION:
        http_respond(x, 200, "application/json", STR("{\"version\":\"" SPATE_VERSION "\"}"));
        break;
    case ROUTE_METRICS:
        expose_metrics(g, x);
        break;
    case ROUTE_LIVE:
    case ROUTE_NONE:
        http_respond(x, 200, "text/plain", STR("ok\n"));
        break;
    }
}

void gateway_handle_metrics(struct http_exchange *x, void *user)
{
    if (str_is(x->path, "/metrics") && str_is(x->method, "GET"))
        expose_metrics(user, x);
    else
        http_respond(x, 404, "text/plain", STR("GET /metrics is all there is here\n"));
}

void gateway_handle(struct http_exchange *x, void *user)
{
    struct gateway *g = user;
    struct route route = find_route(x->path);
    const struct gw_key *key = NULL;
    struct openai_error error;

    set_request_id(g, x);
    if (route.id == ROUTE_NONE || (route.id == ROUTE_METRICS && g->metrics_server != NULL)) {
        openai_error_set(&error, OPENAI_NO_ROUTE, NULL,
                         "no such path: %.*s; use /v1/chat/completions, /v1/completions or "
                         "/v1/models",
                         STR_ARG(str_slice(x->path, 0, 200)));
        gateway_respond_error(x, &error, 0);
        return;
    }
    if (!str_is(x->method, route.method)) {
        openai_error_set(&error, OPENAI_METHOD, NULL, "this path takes %s, not %.*s", route.method,
                         STR_ARG(str_slice(x->method, 0, 32)));
        (void)http_add_header(x, "allow", str_of(route.method));
        gateway_respond_error(x, &error, 0);
        return;
    }
    if (route.needs_key) {
        key = authenticate(g, x, &error);
        if (key == NULL) {
            gateway_metrics_refused(&g->counters, openai_error_fact(error.code)->code);
            gateway_respond_error(x, &error, 0);
            return;
        }
    }
    call_route(g, x, &route, key);
}
