/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One index of a store: value -> the entries that have it.
 *
 *     set: "node-1" -> entry <-> entry <-> entry     (links inside the entries)
 *
 * The set holds the first entry of each value, which brings the value's text with it.
 */
#ifndef SPATE_OPERATOR_KUBE_INDEX_H
#define SPATE_OPERATOR_KUBE_INDEX_H

#include "base/set.h"
#include "operator/kube/client/kube_store.h"

struct kube_index {
    struct set firsts;
    int which; /* the place among an entry's links */
    struct str (*value)(const void *object);
};

/* `value` may be NULL: then no entry is ever in it. */
void kube_index_init(struct kube_index *x, int which, struct str (*value)(const void *object));
void kube_index_fini(struct kube_index *x); /* of an index without entries */

/* An empty value: in no list. -ERR_NO_MEMORY. */
int kube_index_add(struct kube_index *x, struct kube_entry *entry);
/* From all indexes that it is in. */
void kube_index_remove_all(struct kube_index *indexes, struct kube_entry *entry);
const struct kube_entry *kube_index_first(const struct kube_index *x, struct str value);

#endif
