/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's HTTP face. For people and the CLI, with the admin token, in the shape of
 * Kubernetes:
 *
 *     GET POST PATCH DELETE  /apis/spate.dev/v1alpha1/[namespaces/NS/]KIND[/NAME]   ?watch=true
 *     GET                    /api/v1/[namespaces/NS/]pods[/NAME[/log]]   ?watch, ?follow&tailLines
 *     GET                    /apis/events.k8s.io/v1/[namespaces/NS/]events
 *     GET                    /internal/v1/report, /internal/v1/runs   passed on to the ledger
 *     POST                   /internal/v1/shutdown                    ends all pods, then answers
 *
 * For gateways: ROUTES_TOKEN_PATH with their secret, ROUTES_PATH and LOAD_PATH with the token that
 * they got. For everybody: /health, /metrics. Loop thread.
 */
#ifndef SPATE_OPERATOR_ENDPOINTS_H
#define SPATE_OPERATOR_ENDPOINTS_H

#include "base/http_server.h"
#include "base/metrics.h"
#include "operator/local/local.h"
#include "operator/reconcile/reconciler.h"

enum {
    ENDPOINTS_BODY_MAX = 32 << 20,
    ENDPOINTS_ANSWER_MAX = 256 << 20,
    ENDPOINTS_LOG_CHUNK = 64 << 10,
    ENDPOINTS_LOG_POLL_MS = 200,
};

struct endpoints {
    struct loop *loop;
    struct local *local;
    struct reconciler *reconciler;
    struct metrics *metrics;
    struct http_server *server;

    /* The newest route snapshot, as it is sent. */
    struct buf routes;
    struct routes_version version;
    char installation[64];
    bool has_routes;
    struct routes_waiter *waiters;

    struct http_exchange *shutdown; /* waits for the last pod; or NULL */
    bool ends_for_good;             /* a shutdown was asked for */
    struct metric *handles[16];
};

/* Listens; returns the port. `e` is the caller's, zeroed; loop, local and reconciler are set. */
int endpoints_open(struct endpoints *e, const char *address, struct err *err);
void endpoints_close(struct endpoints *e);
/* Takes the snapshot over: it becomes what gateways get. */
void endpoints_publish(struct endpoints *e, struct routes *routes);

/* --- private to endpoints/ -------------------------------------------------------------------- */

/* The path's parts after the fixed ones: [namespaces/NS/]RESOURCE[/NAME[/SUB]]. */
struct endpoints_path {
    struct str name_space, resource, name, sub;
};
/* False if it has another shape. */
bool endpoints_path_parse(struct str rest, struct endpoints_path *out);

/* A Kubernetes Status object that says what went wrong; the HTTP status follows the code. */
void endpoints_fail(struct http_exchange *x, int code, const struct err *err);
void endpoints_refuse(struct http_exchange *x, int status, const char *reason, const char *message);
void endpoints_send(struct http_exchange *x, int status, const struct buf *body);
bool endpoints_query_is(struct http_exchange *x, const char *name, const char *value);

void endpoints_objects(struct endpoints *e, struct http_exchange *x, struct str rest);
void endpoints_pods(struct endpoints *e, struct http_exchange *x, struct str rest);
void endpoints_log(struct endpoints *e, struct http_exchange *x, const struct local_pod *pod);
void endpoints_events(struct endpoints *e, struct http_exchange *x, struct str rest);
void endpoints_tokens(struct endpoints *e, struct http_exchange *x);
void endpoints_routes(struct endpoints *e, struct http_exchange *x);
void endpoints_load(struct endpoints *e, struct http_exchange *x);
void endpoints_ledger(struct endpoints *e, struct http_exchange *x);
void endpoints_shutdown(struct endpoints *e, struct http_exchange *x);
int endpoints_metrics_open(struct endpoints *e, struct err *err);

/* The rows of spate_operator_*, for the reference page. */
enum { ENDPOINTS_METRIC_COUNT = 15 };
extern const struct metric_info endpoints_metric_table[ENDPOINTS_METRIC_COUNT];

#endif
