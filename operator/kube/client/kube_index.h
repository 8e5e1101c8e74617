/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One index of a store: value -> the entries that have it.
 *
 *     map: "node-1" -> bucket -> entry <-> entry <-> entry     (links inside the entries)
 */
#ifndef SPATE_OPERATOR_KUBE_INDEX_H
#define SPATE_OPERATOR_KUBE_INDEX_H

#include "operator/kube/client/kube_store.h"

struct kube_index {
    struct map buckets; /* value -> bucket; no empty ones */
};

void kube_index_init(struct kube_index *x);
void kube_index_fini(struct kube_index *x); /* of an index without entries */

/* An empty value: in no list. `which` is the place among the entry's links. -ERR_NO_MEMORY. */
int kube_index_add(struct kube_index *x, int which, struct str value, struct kube_entry *entry);
/* From all indexes that it is in. */
void kube_index_remove_all(struct kube_index *indexes, struct kube_entry *entry);
const struct kube_entry *kube_index_first(const struct kube_index *x, struct str value);

#endif
