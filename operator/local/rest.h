/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What platform local adds to the operator's endpoint, for people and the CLI: with the admin
 * token, in the shape of Kubernetes.
 *
 *     GET POST PATCH DELETE  /apis/spate.dev/v1alpha1/[namespaces/NS/]KIND[/NAME]   ?watch=true
 *     GET                    /api/v1/[namespaces/NS/]pods[/NAME[/log]]   ?watch, ?follow&tailLines
 *     GET                    /apis/events.k8s.io/v1/[namespaces/NS/]events
 *     GET                    /internal/v1/report, /internal/v1/runs   passed on to the ledger
 *     POST                   /internal/v1/shutdown                    ends all pods, then answers
 *
 * On Kubernetes the API server does this. Loop thread.
 */
#ifndef SPATE_OPERATOR_LOCAL_REST_H
#define SPATE_OPERATOR_LOCAL_REST_H

#include "operator/endpoints/endpoints.h"
#include "operator/local/local.h"

enum {
    REST_LOG_CHUNK = 64 << 10,
    REST_LOG_POLL_MS = 200,
};

/* The caller's, zeroed; local and reconciler are set. */
struct rest {
    struct local *local;
    struct reconciler *reconciler;
    struct http_exchange *shutdown; /* waits for the last pod; or NULL */
    bool ends_for_good;             /* a shutdown was asked for */
};

/* How the endpoint is joined to the platform. */
struct endpoints_host rest_host(struct rest *rest);

/* --- private to the files rest*.c ------------------------------------------------------------- */

/* The path's parts after the fixed ones: [namespaces/NS/]RESOURCE[/NAME[/SUB]]. */
struct rest_path {
    struct str name_space, resource, name, sub;
};
/* False if it has another shape. */
bool rest_path_parse(struct str tail, struct rest_path *out);

void rest_objects(struct rest *rest, struct http_exchange *x, struct str tail);
void rest_pods(struct rest *rest, struct http_exchange *x, struct str tail);
void rest_log(struct rest *rest, struct http_exchange *x, const struct local_pod *pod);
void rest_events(struct rest *rest, struct http_exchange *x, struct str tail);
void rest_ledger(struct rest *rest, struct http_exchange *x);

#endif
