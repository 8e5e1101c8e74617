/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the check: where it stands, how a fault is told, and its parts. A place has two texts:
 *
 *     shown  spec.scaling.warmup[2].schedule     for people
 *     path   spec.scaling.warmup[].schedule      for the table
 */
#ifndef SPATE_CRD_CHECK_H
#define SPATE_CRD_CHECK_H

#include "crd/object.h"

enum { CHECK_PATH_MAX = 128, CHECK_SHOWN_MAX = 256, CHECK_QUOTE_MAX = 40 };

struct check_place {
    char path[CHECK_PATH_MAX];
    char shown[CHECK_SHOWN_MAX];
};

struct checker {
    const struct crd_kind *kind;
    struct buf *faults;
    int count;
    bool no_memory;
};

/* One line, "place: what; cure". Beyond CRD_FAULTS_MAX they are only counted. */
void check_fault(struct checker *c, const struct check_place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a manifest holds may be hostile: control characters and overlong text stay out. */
const char *check_quote(struct str s, char out[CHECK_QUOTE_MAX]);

struct check_place check_below(const struct check_place *at, const char *name);

/* True if the text matches, false also without memory (marked in c). The pattern is a constant. */
bool check_matches(struct checker *c, const char *pattern, struct str text);

void check_text(struct checker *c, const struct check_place *at, const struct crd_field *field,
                struct str text);
void check_integer(struct checker *c, const struct check_place *at, const struct crd_field *field,
                   const json_t *value);
/* Labels and annotations, by the rules that Kubernetes has for them. */
void check_map(struct checker *c, const struct check_place *at, const struct crd_field *field,
               const json_t *map);

#endif
