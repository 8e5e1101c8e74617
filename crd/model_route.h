/* SPDX-License-Identifier: Apache-2.0 */
/* ModelRoute as C structs: one public name in front of several models. */
#ifndef SPATE_CRD_MODEL_ROUTE_H
#define SPATE_CRD_MODEL_ROUTE_H

#include "crd/condition.h"
#include "crd/object.h"

enum {
    CRD_ROUTE_TARGETS_MAX = 16,  /* equal to ROUTES_TARGETS_MAX */
    CRD_ROUTE_FALLBACKS_MAX = 8, /* equal to ROUTES_FALLBACKS_MAX */
    CRD_ROUTE_WEIGHT_MAX = 1000,
    CRD_ROUTE_TEXT_MAX = 2200, /* of all targets with their weights in one line */
};

struct crd_route_target {
    struct str model; /* "name" of the route's own namespace, or "namespace/name" */
    int64_t weight;   /* its share of the sum of all; 0: none */
};

struct crd_route_spec {
    struct str name; /* what clients call it; metadata.name if not given */
    struct crd_route_target *targets;
    int target_count;
    struct crd_name *fallbacks; /* models as above, the first choice first */
    int fallback_count;
    int64_t fallback_after_s;
};

struct crd_route_status {
    int64_t observed_generation;
    struct str targets;   /* for people: "present=9,next=1" */
    struct str fallbacks; /* "next,other" */
    struct crd_condition *conditions;
    int condition_count;
};

/* Strings and lists live in the arena: the object may go. */
int crd_route_spec_read(struct crd_route_spec *out, const struct crd_object *object,
                        struct arena *arena, struct err *err);
int crd_route_status_read(struct crd_route_status *out, const struct crd_object *object,
                          struct arena *arena, struct err *err);
/* A new tree for the object's status. */
int crd_route_status_write(const struct crd_route_status *status, json_t **out, struct err *err);

#endif
