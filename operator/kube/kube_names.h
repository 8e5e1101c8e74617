/* SPDX-License-Identifier: Apache-2.0 */
/* Labels, annotations and numbers that our objects in Kubernetes carry: written by one part, read
 * by another, shown to people. */
#ifndef SPATE_OPERATOR_KUBE_NAMES_H
#define SPATE_OPERATOR_KUBE_NAMES_H

#include "crd/model_deployment.h"

#define KUBE_LABEL_MODEL     CRD_POD_MODEL_LABEL /* name of the ModelDeployment */
#define KUBE_LABEL_HASH      "spate.dev/template-hash"
#define KUBE_LABEL_ORDINAL   "spate.dev/ordinal"
#define KUBE_LABEL_COMPONENT "spate.dev/component"
#define KUBE_LABEL_CAPACITY  "spate.dev/capacity" /* which one a pod asks for, if the model says */

#define KUBE_COMPONENT_AGENT   "agent"
#define KUBE_COMPONENT_GATEWAY "gateway"

#define KUBE_ANNOTATION_PUBLIC_KEY    "spate.dev/token-public-key"
#define KUBE_ANNOTATION_CREATED_MS    "spate.dev/created-ms" /* Unix time, by the operator's clock */
#define KUBE_ANNOTATION_SAFE_TO_EVICT "cluster-autoscaler.kubernetes.io/safe-to-evict"

/* In whose name a field is written: what metadata.managedFields shows, one for each concern. */
#define KUBE_MANAGER_POD    "spate-operator-pod"    /* pods as they are made */
#define KUBE_MANAGER_NOTE   "spate-operator-note"   /* annotations of pods that run */
#define KUBE_MANAGER_STATUS "spate-operator-status" /* of our own kinds */
#define KUBE_MANAGER_BUDGET "spate-operator-budget" /* PodDisruptionBudgets */
#define KUBE_MANAGER_LEASE  "spate-operator-lease"
#define KUBE_MANAGER_EVENT  "spate-operator-event"
#define KUBE_MANAGER_KEY    "spate-operator-key"    /* the Secret of the signing key */
#define KUBE_MANAGER_REVIEW "spate-operator-review" /* TokenReviews, which are not kept */

#define KUBE_CONTAINER_AGENT  "agent"
#define KUBE_PORT_NAME        "http"
#define KUBE_GATEWAY_AUDIENCE "spate-operator" /* of a gateway's service-account token */

enum {
    KUBE_AGENT_PORT = 8000,
    KUBE_AGENT_UID = 65532, /* not root; also the group that owns the volumes */
};

#endif
