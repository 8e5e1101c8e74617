/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's paths. One parsed route decides both who may call and what is called. */
#include "agent/endpoints.h"
#include "agent/agent.h"
#include "agent/request.h"

#include <string.h>

#include "base/mem.h"

typedef void route_fn(struct agent *a, struct http_exchange *x);

enum route_access { ROUTE_PUBLIC, ROUTE_CALLER, ROUTE_GATEWAY };

struct route {
    const char *method;
    const char *path; /* without the optional prefix /v1 where `versioned` */
    bool versioned;
    enum route_access access;
    route_fn *fn;
};

void agent_respond_error(struct http_exchange *x, const struct openai_error *error)
{
    const struct openai_error_fact *fact = openai_error_fact(error->code);
    struct buf body;

    buf_init(&body, 8192);
    openai_error_write(&body, error);
    if (fact->status == 503)
        (void)http_add_header(x, "retry-after", STR("1"));
    http_respond(x, fact->status, "application/json", buf_str(&body));
    buf_fini(&body);
}

void agent_respond_json(struct http_exchange *x, struct buf *body)
{
    http_respond(x, body->failed ? 500 : 200, "application/json", buf_str(body));
    buf_fini(body);
}

static void chat(struct agent *a, struct http_exchange *x)
{
    request_start(a, x, OPENAI_CHAT);
}

static void completions(struct agent *a, struct http_exchange *x)
{
    request_start(a, x, OPENAI_COMPLETIONS);
}

static void put_model(struct json_writer *w, const struct agent *a)
{
    json_open(w, '{');
    json_put_text(w, "id", a->model_name);
    json_put_text(w, "object", "model");
    json_put_i64(w, "created", a->started_ms / 1000);
    json_put_text(w, "owned_by", "spate");
    json_put_i64(w, "max_model_len", a->plan.context_max);
    json_close(w, '}');
}

static void models(struct agent *a, struct http_exchange *x)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "object", "list");
    json_key(&w, "data");
    json_open(&w, '[');
    put_model(&w, a);
    json_close(&w, ']');
    json_close(&w, '}');
    agent_respond_json(x, &body);
}

/* GET /v1/models/{name}; the name may have slashes. */
static void model(struct agent *a, struct http_exchange *x)
{
    int64_t at = str_find(x->path, STR("/models/"));
    struct str rest = str_slice(x->path, (size_t)at + sizeof("/models/") - 1, x->path.len);
    struct str name = http_path_name(rest, x->arena);
    struct openai_error error;
    struct json_writer w;
    struct buf body;

    if (!str_is(name, a->model_name)) {
        openai_error_set(&error, OPENAI_NO_MODEL, "model",
                         "the model '%.*s' does not exist here; this agent serves '%s'",
                         STR_ARG(str_slice(name, 0, 200)), a->model_name);
        agent_respond_error(x, &error);
        return;
    }
    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    put_model(&w, a);
    agent_respond_json(x, &body);
}

/* Whether it serves; the body says how far loading is. */
static void health(struct agent *a, struct http_exchange *x)
{
    struct stream_status status;
    struct json_writer w;
    struct buf body;

    agent_status(a, &status);
    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    stream_status_write(&w, &status);
    http_respond(x, a->state == AGENT_READY ? 200 : 503, "application/json", buf_str(&body));
    buf_fini(&body);
}

/* The process is alive: also while it loads. */
static void live(struct agent *a, struct http_exchange *x)
{
    (void)a;
    http_respond(x, 200, "text/plain", STR("ok\n"));
}

static void version(struct agent *a, struct http_exchange *x)
{
    (void)a;
    http_respond(x, 200, "application/json", STR("{\"version\":\"" SPATE_VERSION "\"}"));
}

static void expose_metrics(struct agent *a, struct http_exchange *x)
{
    struct engine_stats stats;
    struct buf body;

    if (a->runner != NULL) {
        runner_stats(a->runner, &stats);
        agent_metrics_engine(&a->counters, &stats);
    }
    if (a->book != NULL)
        agent_metrics_unacknowledged(&a->counters, book_count(a->book));
    buf_init(&body, 4 << 20);
    (void)metrics_expose(a->metrics, &body);
    http_respond(x, body.failed ? 500 : 200, METRICS_CONTENT_TYPE, buf_str(&body));
    buf_fini(&body);
}

static void status(struct agent *a, struct http_exchange *x)
{
    struct stream_status s;
    struct json_writer w;
    struct buf body;

    agent_status(a, &s);
    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    stream_status_write(&w, &s);
    agent_respond_json(x, &body);
}

static void drain(struct agent *a, struct http_exchange *x)
{
    agent_drain(a);
    http_respond(x, 200, "application/json", STR("{}"));
}

static const struct route routes[] = {
    {"POST", "/chat/completions", true, ROUTE_CALLER, chat},
    {"POST", "/completions", true, ROUTE_CALLER, completions},
    {"GET", "/models", true, ROUTE_CALLER, models},
    {"GET", "/health", false, ROUTE_PUBLIC, health},
    {"GET", "/ready", false, ROUTE_PUBLIC, health},
    {"GET", "/v1/health/ready", false, ROUTE_PUBLIC, health},
    {"GET", "/v1/health/live", false, ROUTE_PUBLIC, live},
    {"GET", "/live", false, ROUTE_PUBLIC, live},
    {"GET", "/ping", false, ROUTE_PUBLIC, live},
    {"GET", "/version", false, ROUTE_PUBLIC, version},
    {"GET", "/metrics", false, ROUTE_PUBLIC, expose_metrics},
    {"POST", STREAM_PATH_CANCEL, false, ROUTE_GATEWAY, endpoint_cancel},
    {"POST", STREAM_PATH_ABANDON, false, ROUTE_GATEWAY, endpoint_abandon},
    {"GET", STREAM_PATH_USAGE, false, ROUTE_GATEWAY, endpoint_collect},
    {"POST", STREAM_PATH_ACK, false, ROUTE_GATEWAY, endpoint_acknowledge},
    {"POST", STREAM_PATH_DRAIN, false, ROUTE_GATEWAY, drain},
    {"GET", STREAM_PATH_STATUS, false, ROUTE_GATEWAY, status},
};

static const struct route one_model = {"GET", "/models/", true, ROUTE_CALLER, model};

static bool path_matches(const struct route *r, struct str path)
{
    if (str_is(path, r->path))
        return true;
    return r->versioned && str_starts(path, STR("/v1")) &&
           str_is(str_slice(path, 3, path.len), r->path);
}

static const struct route *find_route(const struct http_exchange *x, bool *other_method)
{
    *other_method = false;
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (!path_matches(&routes[i], x->path))
            continue;
        if (str_is(x->method, routes[i].method))
            return &routes[i];
        *other_method = true;
    }
    if (str_is(x->method, "GET") &&
        (str_starts(x->path, STR("/v1/models/")) || str_starts(x->path, STR("/models/"))))
        return &one_model;
    return NULL;
}

/* Another operator may have taken the pod over, and shown it its own key: the file is read again
 * when a token does not fit, at most once in a while. */
static bool reread_key(struct agent *a)
{
    enum { KEY_REREAD_MS = 1000 };
    int64_t now_ms = clock_mono_ms(a->clock);

    if (a->key_read_ms != 0 && now_ms - a->key_read_ms < KEY_REREAD_MS)
        return false;
    a->key_read_ms = now_ms;
    return token_public_load(a->public_key, a->settings->token_public_key, NULL) == 0;
}

static int check_token(struct agent *a, struct str token, struct err *err)
{
    int64_t now_s = clock_wall_ms(a->clock) / 1000;
    struct token_claims claims;
    int r = token_verify(&claims, token, a->public_key, TOKEN_AUDIENCE_AGENT, now_s, err);

    if (r < 0 && reread_key(a))
        r = token_verify(&claims, token, a->public_key, TOKEN_AUDIENCE_AGENT, now_s, err);
    return r;
}

/* Without a token key everything is open: then the agent listens on loopback only. */
static bool may_call(struct agent *a, const struct http_exchange *x, const struct route *route,
                     struct openai_error *error)
{
    struct str token = http_bearer_token(&x->headers);
    struct err err = {0};

    if (route->access == ROUTE_PUBLIC || !a->trusts_gateways)
        return true;
    if (token.ptr == NULL) {
        openai_error_set(error, OPENAI_NO_KEY, NULL, "this port is internal: a token is needed");
        return false;
    }
    if (check_token(a, token, &err) < 0) {
        openai_error_set(error, OPENAI_BAD_KEY, NULL, "%s", err_message(&err));
        return false;
    }
    return true;
}

/* Echoes a sane id of the caller, else makes one. */
static void set_request_id(struct agent *a, struct http_exchange *x)
{
    enum { REQUEST_ID_MAX = 128 };
    struct str given = http_header_get(&x->headers, "x-request-id");
    char own[ID_TEXT_LEN + 1];

    if (given.len == 0 || given.len > REQUEST_ID_MAX) {
        id_format(id_make(a->clock, rng_system()), own);
        given = str_of(own);
    }
    (void)http_add_header(x, "x-request-id", given);
}

void agent_handle(struct http_exchange *x, void *user)
{
    struct agent *a = user;
    bool other_method;
    const struct route *route = find_route(x, &other_method);
    struct openai_error error;

    set_request_id(a, x);
    if (route == NULL) {
        openai_error_set(&error, other_method ? OPENAI_METHOD : OPENAI_NO_ROUTE, NULL,
                         other_method ? "this path does not take %.*s" : "no such path: %.*s",
                         STR_ARG(str_slice(other_method ? x->method : x->path, 0, 200)));
        agent_respond_error(x, &error);
        return;
    }
    if (!may_call(a, x, route, &error)) {
        agent_respond_error(x, &error);
        return;
    }
    route->fn(a, x);
}
