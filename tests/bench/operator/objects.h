/* SPDX-License-Identifier: Apache-2.0 */
/* Models and their pods as the API shows them, for the cluster of the bench. Without memory the
 * program ends. */
#ifndef SPATE_TESTS_BENCH_OPERATOR_OBJECTS_H
#define SPATE_TESTS_BENCH_OPERATOR_OBJECTS_H

#include "crd/object.h"
#include "operator/platform.h"

/* The model of that number; it wants so many pods. The caller owns it, as the next. */
json_t *object_model(size_t number, size_t pods_each);
/* A pod of which object_set_pod makes any other: to read a text for each would take most of the
 * time. */
json_t *object_pod(void);
/* `number` is that of the pod among all. */
void object_set_pod(json_t *pod, size_t model, size_t ordinal, size_t number, const char *hash);

/* Of the template of a model that was read. */
void object_hash(const struct crd_object *model, char out[PLATFORM_HASH_LEN + 1]);
/* Gives the model the status that an operator would have written, as far as it matters: all its
 * pods are listed as ready. */
void object_record_pods(json_t *model, size_t number, size_t pods_each, const char *hash);

#endif
