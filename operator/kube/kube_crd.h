/* SPDX-License-Identifier: Apache-2.0 */
/* Our own objects from the API's JSON: the same reader and rules as everywhere else, after what
 * only Kubernetes knows was left out (managedFields, annotations, finalizers ...). Pure. Objects
 * are packed, as there may be thousands. */
#ifndef SPATE_OPERATOR_KUBE_CRD_H
#define SPATE_OPERATOR_KUBE_CRD_H

#include "crd/object.h"
#include "operator/kube/client/kube_object.h"

/* What the store keeps. An object that can't be read (of another version of the CRD) is kept as
 * such: it is neither obeyed nor taken for deleted. */
struct kube_custom {
    struct crd_object *object; /* NULL: see fault */
    char *fault;               /* NULL: none */
    struct crd_object *last;   /* with a fault: as it could be read last; NULL: never */
    int64_t desired;           /* replicas that a model's status wants; 0 for other kinds */
    bool told;                 /* kept over changes by the platform: the handler knows it */
    bool behind;               /* but not as it is now: see kube_absence.c */
};

/* Fails without memory only. The caller owns *out. */
int kube_crd_read(struct kube_custom **out, const json_t *object, const struct crd_kind *kind,
                  const struct kube_meta *meta, struct err *err);
/* What follows `before` (NULL: nothing) remembers how it could be read last. */
void kube_crd_follow(struct kube_custom *custom, const struct kube_custom *before);
/* As it was told last, or is to be told now; NULL: it could never be read. */
struct crd_object *kube_crd_known(const struct kube_custom *custom);
void kube_crd_free(struct kube_custom *custom); /* NULL is allowed */

#endif
