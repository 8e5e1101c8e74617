/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the Pod's manifest, shared by its files. */
#ifndef SPATE_OPERATOR_KUBE_MANIFEST_PRIVATE_H
#define SPATE_OPERATOR_KUBE_MANIFEST_PRIVATE_H

#include "base/json.h"
#include "crd/model_deployment.h"
#include "operator/kube/kube_manifest.h"
#include "operator/kube/kube_source.h"

#define MANIFEST_DATA_FOLDER  "/var/lib/spate"
#define MANIFEST_TOKEN_FOLDER "/etc/spate"
#define MANIFEST_TOKEN_FILE   "token.pub"
#define MANIFEST_GPU          "nvidia.com/gpu"

/* What the parts work on. */
struct manifest {
    struct json_writer w;
    const struct kube_manifest_options *options;
    const struct platform_pod_spec *pod;
    const struct crd_model_spec *spec;
    struct kube_source source;
};

static inline void manifest_open(struct json_writer *w, const char *key, char bracket)
{
    json_key(w, key);
    json_open(w, bracket);
}

/* Members of the pod's spec: the container; where it may run. */
void manifest_container(struct manifest *m);
void manifest_placement(struct manifest *m);

#endif
