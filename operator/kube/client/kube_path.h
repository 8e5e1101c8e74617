/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths and queries of the API server. The only place where a name meets a URL: every segment is
 * checked first (names of Kubernetes, so no slash, dot segment, escape or control can pass), and
 * query values are escaped. Pure.
 */
#ifndef SPATE_OPERATOR_KUBE_PATH_H
#define SPATE_OPERATOR_KUBE_PATH_H

#include "operator/kube/client/kube_object.h"

enum { KUBE_PATH_MAX = 4096 }; /* path and query together */

/* What a request is about. */
struct kube_target {
    const struct kube_resource *resource;
    struct str name_space;   /* empty: all namespaces, or a cluster-scoped kind */
    struct str name;         /* empty: the collection */
    const char *subresource; /* NULL: none; "status", "scale" */
};

/* Appends "/api/v1/namespaces/a/pods/b/status" or "/apis/<group>/<version>/...". -ERR_INVALID
 * names the text that is no name; then nothing was appended. */
int kube_path(struct buf *out, const struct kube_target *target, struct err *err);

/* Appends "?name=value", or "&name=value" if there is a '?' in `out` already; escapes the value. */
int kube_query(struct buf *out, const char *name, struct str value);

#endif
