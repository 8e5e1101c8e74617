/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Pod of one replica, as JSON. Fits a namespace that enforces PodSecurity `restricted`: no
 * privileges, no service-account token, nothing writable but its own data. Pure.
 */
#ifndef SPATE_OPERATOR_KUBE_MANIFEST_H
#define SPATE_OPERATOR_KUBE_MANIFEST_H

#include "base/buf.h"
#include "base/json.h"
#include "operator/kube/kube_spot.h"
#include "operator/platform.h"

enum {
    KUBE_MANIFEST_BYTES_MAX = 256 << 10,
    KUBE_START_FACTOR = 3,          /* a model may load for so many times what was measured, */
    KUBE_START_SECONDS_MIN = 60,    /* but for so long at least, */
    KUBE_START_SECONDS_FIRST = 600, /* and for so long where the measure is of another template */
    KUBE_GRACE_SECONDS = 30,        /* SIGTERM to SIGKILL, if somebody else deletes the pod */
};

/* Beside the model: what is the same for all pods, and the wish. Borrowed. */
struct kube_manifest_options {
    const char *image;
    const char *pull_policy;
    const char *pull_secret; /* NULL: none */
    const char *public_key;  /* of the operator's tokens, hex */
    enum kube_wish wish;     /* of this very pod */
    int64_t now_ms;          /* Unix time */
};

/* Appends to `out`. Every name and text of the object is checked before it is used: -ERR_INVALID,
 * -ERR_UNSUPPORTED say what is wrong. */
int kube_manifest_write(struct buf *out, const struct kube_manifest_options *options,
                        const struct platform_pod_spec *spec, struct err *err);

/* "ownerReferences" of what belongs to the model: it goes when the model goes. */
void kube_put_owner(struct json_writer *w, const struct crd_object *model);

#endif
