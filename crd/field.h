/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one source of the objects: a table of fields per kind. From a row come the check, the
 * default, the place in the C struct, the line in the reference page and (on Kubernetes) the
 * property in the schema. Rules across fields are rows too. A field ships with the code that obeys
 * it: no row without.
 */
#ifndef SPATE_CRD_FIELD_H
#define SPATE_CRD_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

enum crd_type {
    CRD_OBJECT,  /* its members are the rows below its path */
    CRD_LIST,    /* of what the row "path[]" says */
    CRD_MAP,     /* string -> string, as labels are; not decoded */
    CRD_STRING,  /* struct str */
    CRD_ENUM,    /* int: the index in `values` */
    CRD_INTEGER, /* int64_t */
    CRD_BOOLEAN, /* bool */
    CRD_TIME,    /* RFC 3339 text; int64_t, Unix milliseconds */
    CRD_SHA256,  /* 64 hex digits; uint8_t[SHA256_BYTES] */
    CRD_USD,     /* decimal text, "0.55"; int64_t nano-dollars */
};

/* How a row names its place in the C struct: of the object, or of the element of the list. */
#define CRD_PLACE(type, member) \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
/* For a list: `member` is a pointer to the elements, `count` an int. */
#define CRD_PLACE_LIST(type, member, count)                                \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member), \
    .count_offset = offsetof(type, count), .element_size = sizeof(*((type *)0)->member)

enum { CRD_LIST_KEYS_MAX = 2 };

struct crd_field {
    const char *path; /* "spec.scaling.warmup[].schedule" */
    enum crd_type type;
    bool required;            /* refused when absent */
    const char *default_json; /* filled in when absent; NULL: none */
    const char *describe;     /* full sentences, for the reference page and `kubectl explain` */

    int64_t min, max;          /* CRD_INTEGER: inclusive */
    size_t min_length;         /* strings: in characters */
    size_t max_length;         /* strings: in characters; lists: entries; maps: bytes in all */
    const char *pattern;       /* strings: a regular expression valid in POSIX ERE and RE2 */
    const char *pattern_means; /* what it asks for, in words; said when it does not match */
    const char *const *values; /* CRD_ENUM: NULL-terminated */
    /* Lists of objects: the members that together are unique; none: no such promise. Each is
     * required or has a default. */
    const char *list_keys[CRD_LIST_KEYS_MAX + 1];
    bool is_set; /* lists of strings: none comes twice */

    size_t offset, size; /* 0, 0: not decoded */
    size_t count_offset, element_size;
};

/* A rule across fields: `holds` is asked about each present value at `path`, defaults filled in.
 * `cel` says the same for a Kubernetes API server (with `self` for the value). */
struct crd_rule {
    const char *path;
    const char *member; /* directly below the path: what is to blame, "replicas" */
    const char *reason; /* for the API server: FieldValueInvalid, FieldValueForbidden ... */
    bool (*holds)(const json_t *self);
    const char *cel;
    const char *message; /* what is wrong, and the cure */
};

/* A column of `get`. Wide ones are shown with -o wide. */
struct crd_column {
    const char *title;
    const char *path; /* in the object; "" for what the reader computes (AGE, READY of a list) */
    bool wide;
};

/* Rows that stand one after the other. */
struct crd_rows {
    const struct crd_field *rows;
    size_t count;
};

/* Where `kubectl scale` and autoscalers find their figures: paths in the object. */
struct crd_scale {
    const char *spec_replicas; /* must have a default: without a value /scale answers an error */
    const char *status_replicas;
    const char *selector; /* of the pods, as text */
};

enum crd_kind_id {
    CRD_MODEL_DEPLOYMENT,
    CRD_MODEL_ROUTE,
    CRD_TENANT,
    CRD_PRICE_BOOK,
    CRD_KIND_COUNT
};

#define CRD_GROUP       "spate.dev"
#define CRD_VERSION     "v1alpha1"
#define CRD_API_VERSION CRD_GROUP "/" CRD_VERSION
#define CRD_CATEGORY    "spate" /* `kubectl get spate` */

struct crd_kind {
    enum crd_kind_id id;
    const char *kind;       /* "ModelDeployment" */
    const char *plural;     /* "modeldeployments": in URLs */
    const char *singular;   /* "modeldeployment" */
    const char *short_name; /* "md" */
    bool namespaced;
    const char *describe;
    const struct crd_rows *spec;
    const struct crd_rows *status; /* NULL: the kind has none */
    bool has_conditions;           /* the rows below status.conditions are crd_condition_rows */
    const struct crd_scale *scale; /* NULL: has no size */
    const struct crd_rule *rules;
    size_t rule_count;
    const struct crd_column *columns;
    size_t column_count;
};

extern const struct crd_kind *const crd_kinds[CRD_KIND_COUNT];

/* By kind, plural, singular or short name, in any case, with or without ".spate.dev"; or NULL. */
const struct crd_kind *crd_kind_find(struct str name);
/* The row of a path; NULL if there is none. */
const struct crd_field *crd_field_find(const struct crd_kind *kind, struct str path);

#endif
