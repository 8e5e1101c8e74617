/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all Kubernetes objects have in common: where they live, their metadata, and how their JSON
 * is read. Pure; everything is borrowed unless said otherwise.
 */
#ifndef SPATE_OPERATOR_KUBE_OBJECT_H
#define SPATE_OPERATOR_KUBE_OBJECT_H

#include "base/json.h"

enum {
    KUBE_OBJECT_BYTES_MAX = 8 << 20, /* one object; etcd takes 1.5 MiB, the API server 3 MiB */
    KUBE_OBJECT_DEPTH_MAX = 64,
};

/* A kind, as it stands in URLs. Constants of the caller: {"spate.dev", "v1alpha1", "tenants"}. */
struct kube_resource {
    const char *group; /* "": the core group */
    const char *version;
    const char *plural;
    bool namespaced;
};

/* metadata, borrowed from the tree. Missing texts are empty. */
struct kube_meta {
    struct str name_space; /* empty: cluster-scoped */
    struct str name;
    struct str uid;
    struct str resource_version; /* opaque: only ever compared for equality */
    int64_t generation;
    int64_t created_ms; /* Unix time; 0: absent */
    bool deleting;      /* has a deletionTimestamp */
};

/* Needs a name; anything else may be missing. Any wrong type is -ERR_INVALID. */
int kube_meta_read(struct kube_meta *out, const json_t *object, struct err *err);

/* Parses one object and drops metadata.managedFields. A NUL in a text becomes U+FFFD: anybody who
 * may write an annotation can put one there. The caller owns *out. */
int kube_object_read(json_t **out, struct str text, const char *what, struct err *err);

/* A MicroTime of the API: "2026-11-22T15:04:05.123000Z", always with six digits. */
enum { KUBE_TIME_MAX = 40 };
void kube_time_format(int64_t wall_ms, char out[KUBE_TIME_MAX]);

/* The value of an annotation, or an empty view with ptr NULL. */
struct str kube_annotation(const json_t *object, const char *name);

#endif
