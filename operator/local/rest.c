/* SPDX-License-Identifier: Apache-2.0 */
/* What platform local adds to the operator's endpoint: the table of its paths, who may call them,
 * and its part in what gateways call. */
#include "operator/local/rest.h"

#include "base/log.h"
#include "operator/common/must.h"

/* --- who calls -------------------------------------------------------------------------------- */

static bool is_admin(const struct rest *rest, const struct http_exchange *x)
{
    return endpoints_secret_is(http_bearer_token(&x->headers), local_admin_token(rest->local));
}

static void refuse_caller(struct http_exchange *x)
{
    endpoints_refuse(x, 401, "Unauthorized",
                     "the bearer token is missing or wrong: use the one in STATE/admin-token");
}

/* --- ending all pods -------------------------------------------------------------------------- */

static void shutdown_left(struct http_exchange *x)
{
    struct rest *rest = x->user;

    rest->shutdown = NULL; /* it goes on without a listener */
    http_abort(x);
}

static void shutdown_done(void *user)
{
    struct rest *rest = user;
    struct http_exchange *x = rest->shutdown;

    rest->shutdown = NULL;
    log_info("all pods have ended");
    if (x != NULL)
        http_respond(x, 200, "application/json", STR("{}"));
}

static void answer_shutdown(struct rest *rest, struct http_exchange *x)
{
    if (rest->shutdown != NULL) {
        endpoints_refuse(x, 409, "Conflict", "all pods are being ended already");
        return;
    }
    rest->shutdown = x;
    rest->ends_for_good = true;
    x->user = rest;
    x->on_disconnect = shutdown_left;
    reconciler_shut_down(rest->reconciler, shutdown_done, rest);
}

/* --- the tables ------------------------------------------------------------------------------- */

struct plain_path {
    const char *method, *path;
    void (*answer)(struct rest *rest, struct http_exchange *x);
};

static const struct plain_path plain_paths[] = {
    {"GET", "/internal/v1/report", rest_ledger},
    {"GET", "/internal/v1/runs", rest_ledger},
    {"GET", "/internal/v1/prices", rest_ledger},
    {"POST", "/internal/v1/shutdown", answer_shutdown},
};

struct tree {
    const char *prefix;
    void (*answer)(struct rest *rest, struct http_exchange *x, struct str tail);
};

static void answer_runs(struct rest *rest, struct http_exchange *x, struct str tail)
{
    (void)tail;
    if (str_is(x->method, "GET"))
        rest_ledger(rest, x);
    else
        endpoints_refuse(x, 405, "MethodNotAllowed", "this path takes GET only");
}

static const struct tree trees[] = {
    {"/apis/" CRD_API_VERSION "/", rest_objects},
    {"/api/v1/", rest_pods},
    {"/apis/events.k8s.io/v1/", rest_events},
    {"/internal/v1/runs/", answer_runs},
};

static bool answer_plain(struct rest *rest, struct http_exchange *x)
{
    bool path_known = false;

    for (size_t i = 0; i < ARRAY_COUNT(plain_paths); i++) {
        const struct plain_path *row = &plain_paths[i];

        if (!str_is(x->path, row->path))
            continue;
        path_known = true;
        if (!str_is(x->method, row->method))
            continue;
        if (!is_admin(rest, x))
            refuse_caller(x);
        else
            row->answer(rest, x);
        return true;
    }
    if (path_known)
        endpoints_refuse(x, 405, "MethodNotAllowed", "this path does not take that method");
    return path_known;
}

static bool handle(void *user, struct http_exchange *x)
{
    struct rest *rest = user;

    if (answer_plain(rest, x))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(trees); i++) {
        struct str prefix = str_of(trees[i].prefix);

        if (!str_starts(x->path, prefix))
            continue;
        if (!is_admin(rest, x))
            refuse_caller(x);
        else
            trees[i].answer(rest, x, str_slice(x->path, prefix.len, x->path.len));
        return true;
    }
    return false;
}

/* --- gateways --------------------------------------------------------------------------------- */

static void admit_gateway(void *user, struct str credential, struct str name,
                          endpoints_admitted done, void *done_user)
{
    const struct rest *rest = user;
    struct err err = {0};
    int r;

    if (endpoints_secret_is(credential, local_gateway_secret(rest->local)))
        r = local_gateway_register(rest->local, name, &err);
    else
        r = err_set(&err, ERR_DENIED,
                    "the gateway's secret is missing or wrong: use STATE/gateway-secret");
    done(done_user, r, &err);
}

static void take_load(void *user, const struct load_report *report)
{
    const struct rest *rest = user;

    local_load(rest->local, report);
}

static void take_ack(void *user, struct str gateway, struct id128 run,
                     const struct routes_version *have)
{
    const struct rest *rest = user;

    local_ack(rest->local, gateway, run, have);
}

static void take_figures(void *user, struct endpoints_figures *out)
{
    const struct rest *rest = user;
    const struct local_pods *pods = local_pods(rest->local);
    struct map_entry *entry;

    out->pods_set_aside = pods->set_aside;
    for (size_t at = 0; (entry = map_next(&pods->pods, &at)) != NULL;) {
        const struct local_pod *pod = entry->value;

        out->pods_reporting += pod->report_since_ms != 0;
    }
}

struct endpoints_host rest_host(struct rest *rest)
{
    return (struct endpoints_host){
        .user = rest,
        .signer = local_signer(rest->local),
        .handle = handle,
        .gateway_admit = admit_gateway,
        .load = take_load,
        .ack = take_ack,
        .figures = take_figures,
    };
}
