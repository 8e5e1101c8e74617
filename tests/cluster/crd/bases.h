/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Right manifests of every kind, which together have a value in every place that the tables name,
 * and the places in one of them.
 */
#ifndef SPATE_TESTS_CRD_BASES_H
#define SPATE_TESTS_CRD_BASES_H

#include "base/json.h"
#include "crd/field.h"

enum { SPOTS_MAX = 512 };

/* Where a value is or could be. */
struct spot {
    json_t *parent;  /* object or array; borrowed */
    const char *key; /* in an object */
    size_t index;    /* in an array */
    const struct crd_field *field;
};

struct spots {
    const struct crd_kind *kind;
    struct spot items[SPOTS_MAX];
    size_t count;
};

/* An array of manifests, the caller's. Ends the program if the text is wrong. */
json_t *bases_read(void);

/* The kind of a manifest. */
const struct crd_kind *base_kind(const json_t *object);

/* Everything below spec, and what of metadata a person writes. Good until the object changes. */
void spots_find(struct spots *s, const struct crd_kind *kind, json_t *object);

/* Borrowed; NULL: nothing is there. */
json_t *spot_value(const struct spot *spot);
/* Takes the value over. */
void spot_set(const struct spot *spot, json_t *value);
void spot_remove(const struct spot *spot);

#endif
