/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's HTTP face. For gateways: ROUTES_TOKEN_PATH with what proves who they are,
 * ROUTES_PATH and LOAD_PATH with the token that they got. For everybody: /health (it runs), /ready
 * (its views are complete), /metrics. The platform adds paths of its own. Loop thread.
 */
#ifndef SPATE_OPERATOR_ENDPOINTS_H
#define SPATE_OPERATOR_ENDPOINTS_H

#include "base/fetch.h"
#include "base/http_server.h"
#include "base/metrics.h"
#include "operator/common/signer.h"
#include "operator/reconcile/reconciler.h"
#include "wire/load.h"
#include "wire/routes.h"

enum {
    ENDPOINTS_BODY_MAX = 32 << 20,
    ENDPOINTS_ANSWER_MAX = 256 << 20,
};
enum { ENDPOINTS_METRIC_COUNT = 18, ENDPOINTS_CONTROLLER_COUNT = 11 };

/* How an admission ended: 0, or negative with err. */
typedef void (*endpoints_admitted)(void *user, int code, const struct err *err);

/* Figures that only a platform knows. */
struct endpoints_figures {
    uint64_t pods_reporting; /* deleted, but their usage is not taken yet */
    uint64_t pods_set_aside; /* their usage was not taken in time */
    uint64_t events_dropped; /* told to nobody: too many, or refused */
};

/* What a platform brings. NULL members: it has no such thing. */
struct endpoints_host {
    void *user;
    struct signer *signer;
    /* Whether the bearer of `credential` is the gateway of that name. done(done_user) once, now or
     * later; -ERR_DENIED: it is not. The views are borrowed for the call. */
    void (*gateway_admit)(void *user, struct str credential, struct str name,
                          endpoints_admitted done, void *done_user);
    void (*load)(void *user, const struct load_report *report);
    void (*ack)(void *user, struct str gateway, struct id128 run,
                const struct routes_version *have);
    /* Answers a path of its own; false: it has none such. */
    bool (*handle)(void *user, struct http_exchange *x);
    /* A standby passes a gateway's request on to the leader and takes the exchange over; false:
     * this process leads. */
    bool (*relay)(void *user, struct http_exchange *x);
    bool (*ready)(void *user); /* NULL: from the start */
    void (*figures)(void *user, struct endpoints_figures *out);
};

struct endpoints {
    struct loop *loop;
    struct endpoints_host host;
    struct reconciler *reconciler;
    struct metrics *metrics;
    struct http_server *server;

    /* The newest route snapshot, as it is sent. */
    struct buf routes;
    struct routes_version version;
    char installation[64];
    bool has_routes;
    struct routes_waiter *waiters;

    struct metric *handles[ENDPOINTS_METRIC_COUNT];
    struct metric *controller[ENDPOINTS_CONTROLLER_COUNT];
};

/* Listens; returns the port. `e` is the caller's, zeroed; loop, host, reconciler and
 * metrics are set. */
int endpoints_open(struct endpoints *e, const char *address, struct err *err);
void endpoints_close(struct endpoints *e);
/* Takes the snapshot over: it becomes what gateways get. */
void endpoints_publish(struct endpoints *e, struct routes *routes);
/* Another leads now: who waits for routes here is answered at once, and asks again. The snapshot is
 * forgotten, as it is old when we lead again. */
void endpoints_release(struct endpoints *e);

/* --- answers, for platforms too --------------------------------------------------------------- */

/* A Kubernetes Status object that says what went wrong; the HTTP status follows the code. */
void endpoints_fail(struct http_exchange *x, int code, const struct err *err);
void endpoints_refuse(struct http_exchange *x, int status, const char *reason, const char *message);
void endpoints_send(struct http_exchange *x, int status, const struct buf *body);
bool endpoints_query_is(struct http_exchange *x, const char *name, const char *value);
/* Compares in a time that tells nothing. An empty secret is nobody's. */
bool endpoints_secret_is(struct str given, struct str wanted);
/* Asks the ledger (its url, without a path) the same, under the operator's own token, and answers
 * with what it says. Who may ask was checked before. */
void endpoints_ask_ledger(struct http_exchange *x, struct fetcher *fetcher, struct signer *signer,
                          struct str ledger_url);

/* --- private to endpoints/ -------------------------------------------------------------------- */

void endpoints_tokens(struct endpoints *e, struct http_exchange *x);
void endpoints_routes(struct endpoints *e, struct http_exchange *x);
void endpoints_load(struct endpoints *e, struct http_exchange *x);
int endpoints_controller_metrics_open(struct endpoints *e, struct err *err);
int endpoints_metrics_open(struct endpoints *e, struct err *err);

/* The rows of the metrics, for the reference page. */
extern const struct metric_info endpoints_controller_table[ENDPOINTS_CONTROLLER_COUNT];
extern const struct metric_info endpoints_metric_table[ENDPOINTS_METRIC_COUNT];

#endif
