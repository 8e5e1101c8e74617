/* SPDX-License-Identifier: Apache-2.0 */
/* Inside crd/: the kinds, the rows that all kinds share, and patterns that rows have in common. */
#ifndef SPATE_CRD_KINDS_H
#define SPATE_CRD_KINDS_H

#include "crd/field.h"

extern const struct crd_kind crd_kind_model_deployment;
extern const struct crd_kind crd_kind_model_route;
extern const struct crd_kind crd_kind_tenant;
extern const struct crd_kind crd_kind_price_book;

#define CRD_DNS_LABEL  "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
#define CRD_KIND_NAMES "ModelDeployment, ModelRoute, Tenant or PriceBook"

#define CRD_DNS_LABEL_MEANS "lower-case letters, digits and inner dashes"

/* What clients may call a model or a route by. */
#define CRD_MODEL_NAME       "^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$"
#define CRD_MODEL_NAME_MEANS "letters, digits and inner '.', '_', ':' and '-'"

/* Of a model as "namespace/name". */
#define CRD_LABEL_PART "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

/* The rows that the status of every kind begins with; its struct has an `observed_generation`. */
#define CRD_STATUS_ROWS(status_type)                                                          \
    {                                                                                         \
        .path = "status",                                                                     \
        .type = CRD_OBJECT,                                                                   \
        .describe = "What is; written by the operator.",                                      \
    },                                                                                        \
    {                                                                                         \
        .path = "status.observedGeneration", .type = CRD_INTEGER, .min = 0, .max = INT64_MAX, \
        CRD_PLACE(status_type, observed_generation),                                          \
        .describe = "The generation of spec that this status answers to.",                    \
    }

extern const struct crd_rows crd_common_rows;    /* apiVersion, kind and metadata */
extern const struct crd_rows crd_condition_rows; /* what lies below status.conditions */

/* All rows of a kind by index, the shared ones first; NULL at the end. */
const struct crd_field *crd_field_at(const struct crd_kind *kind, size_t index);

/* A row by its name among those that are directly below the same path. */
struct crd_member {
    const char *name;
    const struct crd_field *field;
};

struct crd_members {
    const struct crd_member *all; /* in the order of the table */
    size_t count;
};

/* What is directly below the path; "" is the top. Thread-safe. */
struct crd_members crd_members(const struct crd_kind *kind, struct str path);

/* The name of the member if the row is directly below `parent` ("" is the top), else NULL. */
const char *crd_field_name_below(const struct crd_field *field, const char *parent);

#endif
