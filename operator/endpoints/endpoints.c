/* SPDX-License-Identifier: Apache-2.0 */
/* The table of paths, and the answers that all of them share. */
#include "operator/endpoints/endpoints.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "crd/object.h"

enum { CONNECTIONS_MAX = 1024 };

/* --- answers ---------------------------------------------------------------------------------- */

void endpoints_send(struct http_exchange *x, int status, const struct buf *body)
{
    if (body->failed)
        endpoints_refuse(x, 500, "InternalError", "the answer is too large");
    else
        http_respond(x, status, "application/json", buf_str(body));
}

void endpoints_refuse(struct http_exchange *x, int status, const char *reason, const char *message)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct json_writer w;

    buf_init(&body, CRD_FAULT_BYTES_MAX + 4096);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "kind", "Status");
    json_put_text(&w, "apiVersion", "v1");
    json_key(&w, "metadata");
    json_open(&w, '{');
    json_close(&w, '}');
    json_put_text(&w, "status", "Failure");
    json_put_text(&w, "message", message);
    json_put_text(&w, "reason", reason);
    json_put_i64(&w, "code", status);
    json_close(&w, '}');
    http_respond(x, status, "application/json", buf_str(&body));
}

void endpoints_fail(struct http_exchange *x, int code, const struct err *err)
{
    static const struct {
        enum err_code code;
        int status;
        const char *reason;
    } rows[] = {
        {ERR_INVALID, 422, "Invalid"},      {ERR_SYNTAX, 400, "BadRequest"},
        {ERR_LIMIT, 400, "BadRequest"},     {ERR_UNSUPPORTED, 422, "Invalid"},
        {ERR_NOT_FOUND, 404, "NotFound"},   {ERR_EXISTS, 409, "AlreadyExists"},
        {ERR_CONFLICT, 409, "Conflict"},    {ERR_DENIED, 403, "Forbidden"},
        {ERR_BUSY, 429, "TooManyRequests"}, {ERR_NETWORK, 503, "ServiceUnavailable"},
        {ERR_TIMEOUT, 504, "Timeout"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (code == -(int)rows[i].code) {
            endpoints_refuse(x, rows[i].status, rows[i].reason, err_message(err));
            return;
        }
    }
    endpoints_refuse(x, 500, "InternalError", err_message(err));
}

bool endpoints_query_is(struct http_exchange *x, const char *name, const char *value)
{
    struct str given;

    return http_query_get(x->query, name, x->arena, &given) && str_is(given, value);
}

/* --- paths ------------------------------------------------------------------------------------ */

static void answer_health(struct endpoints *e, struct http_exchange *x)
{
    (void)e;
    http_respond(x, 200, "application/json", STR("{\"status\":\"ok\"}"));
}

static void answer_ready(struct endpoints *e, struct http_exchange *x)
{
    if (e->host.ready == NULL || e->host.ready(e->host.user))
        http_respond(x, 200, "application/json", STR("{\"status\":\"ready\"}"));
    else
        endpoints_refuse(x, 503, "ServiceUnavailable",
                         "the first view of the cluster is not complete yet");
}

static void answer_metrics(struct endpoints *e, struct http_exchange *x)
{
    CLEANUP(buf_fini) struct buf body = {0};

    buf_init(&body, ENDPOINTS_ANSWER_MAX);
    if (metrics_expose(e->metrics, &body) < 0)
        endpoints_refuse(x, 500, "InternalError", "the metrics can't be written");
    else
        http_respond(x, 200, METRICS_CONTENT_TYPE, buf_str(&body));
}

struct plain_path {
    const char *method, *path;
    void (*answer)(struct endpoints *e, struct http_exchange *x);
};

/* Those with a gateway's credential check it themselves. */
static const struct plain_path plain_paths[] = {
    {"GET", "/health", answer_health},      {"GET", "/ready", answer_ready},
    {"GET", "/metrics", answer_metrics},    {"POST", ROUTES_TOKEN_PATH, endpoints_tokens},
    {"GET", ROUTES_PATH, endpoints_routes}, {"POST", LOAD_PATH, endpoints_load},
};

static bool answer_plain(struct endpoints *e, struct http_exchange *x)
{
    bool path_known = false;

    for (size_t i = 0; i < ARRAY_COUNT(plain_paths); i++) {
        const struct plain_path *row = &plain_paths[i];

        if (!str_is(x->path, row->path))
            continue;
        path_known = true;
        if (!str_is(x->method, row->method))
            continue;
        row->answer(e, x);
        return true;
    }
    if (path_known)
        endpoints_refuse(x, 405, "MethodNotAllowed", "this path does not take that method");
    return path_known;
}

static void handle(struct http_exchange *x, void *user)
{
    struct endpoints *e = user;

    if (answer_plain(e, x))
        return;
    if (e->host.handle != NULL && e->host.handle(e->host.user, x))
        return;
    endpoints_refuse(x, 404, "NotFound", "no such path");
}

/* --- life ------------------------------------------------------------------------------------- */

int endpoints_open(struct endpoints *e, const char *address, struct err *err)
{
    struct http_server_limits limits = http_server_limits_default;
    int r;

    limits.connections = CONNECTIONS_MAX;
    limits.body_bytes = ENDPOINTS_BODY_MAX;
    limits.arena_bytes = ENDPOINTS_ANSWER_MAX;
    limits.output_bytes = ENDPOINTS_ANSWER_MAX;
    buf_init(&e->routes, ENDPOINTS_ANSWER_MAX);
    r = endpoints_metrics_open(e, err);
    if (r == 0)
        r = http_server_new(&e->server, e->loop,
                            &(struct http_server_options){
                                .handler = handle,
                                .user = e,
                                .limits = &limits,
                                .metrics = e->metrics,
                            },
                            err);
    return r < 0 ? r : http_server_listen(e->server, address, err);
}

void endpoints_close(struct endpoints *e)
{
    http_server_close(e->server);
    e->server = NULL;
    for (int i = 0; i < 100 && e->waiters != NULL; i++)
        loop_turn(e->loop, 1); /* those that wait are told that their clients are gone */
    buf_fini(&e->routes);
}
