/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator keeps of a Node, and how it is read from the API's JSON. Pure. */
#ifndef SPATE_OPERATOR_KUBE_NODE_H
#define SPATE_OPERATOR_KUBE_NODE_H

#include "operator/kube/client/kube_object.h"
#include "operator/platform.h"

enum { KUBE_NODE_TAINTS_MAX = 192 };

struct kube_node {
    bool ready;
    bool reclaimed; /* it gave notice: a taint of a reclaim, or it is being deleted */
    enum platform_capacity capacity;
    int64_t gpus;                      /* that it offers: nvidia.com/gpu, allocatable */
    bool has_gpu;                      /* it bears the label of an NVIDIA device, plugin or not */
    char taints[KUBE_NODE_TAINTS_MAX]; /* that keep pods off: "key=value:Effect", by blanks; cut */
};

/* Tolerant, as kube_pod_read. The caller owns *out (mem_free). */
int kube_node_read(struct kube_node **out, const json_t *object, const struct kube_meta *meta,
                   struct err *err);
/* "spot", "on-demand", "reserved", "unknown" */
const char *kube_capacity_name(enum platform_capacity capacity);

/* The labels by which clouds mark spot nodes; NULL, NULL at the end. */
struct kube_label {
    const char *key, *value;
};
extern const struct kube_label kube_spot_labels[];

#endif
