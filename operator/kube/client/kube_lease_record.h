/* SPDX-License-Identifier: Apache-2.0 */
/* A Lease object as leader election reads and writes it. Pure. */
#ifndef SPATE_OPERATOR_KUBE_LEASE_RECORD_H
#define SPATE_OPERATOR_KUBE_LEASE_RECORD_H

#include "operator/kube/client/kube_lease.h"

enum { KUBE_LEASE_VERSION_MAX = 256, KUBE_LEASE_UID_MAX = 128, KUBE_LEASE_S_MAX = 24 * 3600 };

struct kube_lease_record {
    char holder[KUBE_LEASE_IDENTITY_MAX + 1]; /* "": nobody */
    char version[KUBE_LEASE_VERSION_MAX];
    char uid[KUBE_LEASE_UID_MAX];
    int64_t lease_ms; /* at least `least_ms` of the reading */
    uint64_t transitions;
};

/* On failure *out is untouched. */
int kube_lease_record_read(struct kube_lease_record *out, struct str body, int64_t least_ms,
                           struct err *err);

struct kube_lease_change {
    const char *name_space, *name;
    const char *version; /* precondition; NULL: a new object */
    const char *holder;  /* NULL: nobody */
    int64_t now_ms;      /* Unix time, for people */
    uint64_t lease_ms;
    bool acquire; /* another leadership begins: with these transitions */
    uint64_t transitions;
};
/* The body of a POST or of a merge patch. */
void kube_lease_record_write(struct buf *out, const struct kube_lease_change *change);

#endif
