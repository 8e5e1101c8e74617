/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a pod finds its model, from spec.model.uri. Pure: whether it is there, the pod shows.
 *
 *     file:///models/brook          inside the agent's image
 *     pvc://CLAIM/path/in/it        a PersistentVolumeClaim of the model's namespace, read-only
 *     oci://HOST/NAME:TAG#path      an OCI image as a volume, read-only; without #path its root
 */
#ifndef SPATE_OPERATOR_KUBE_SOURCE_H
#define SPATE_OPERATOR_KUBE_SOURCE_H

#include "base/err.h"
#include "base/str.h"

#define KUBE_MODEL_FOLDER "/models" /* where a volume with a model is mounted */

enum kube_source_kind { KUBE_SOURCE_FILE, KUBE_SOURCE_PVC, KUBE_SOURCE_OCI };

/* Borrowed from the uri. */
struct kube_source {
    enum kube_source_kind kind;
    struct str claim; /* PVC */
    struct str image; /* OCI */
    struct str path;  /* FILE: absolute. Else below KUBE_MODEL_FOLDER, without a slash in front */
};

/* -ERR_UNSUPPORTED: another scheme; -ERR_INVALID. Both name the cure. */
int kube_source_read(struct kube_source *out, struct str uri, struct err *err);

#endif
