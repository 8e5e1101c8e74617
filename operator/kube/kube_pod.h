/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator keeps of a Pod, and how it is read from the API's JSON. One allocation per pod,
 * a few hundred bytes whatever the size of the object. Pure.
 */
#ifndef SPATE_OPERATOR_KUBE_POD_H
#define SPATE_OPERATOR_KUBE_POD_H

#include "operator/kube/client/kube_object.h"
#include "operator/kube/kube_words.h"
#include "operator/platform.h"

struct kube_pod {
    struct str uid;
    struct str owner_name; /* of the ModelDeployment that controls it; empty: none does */
    struct str owner_uid;
    struct str owner_key; /* "namespace/name" of it, for the index; empty with it */
    struct str template_hash;
    struct str component; /* label spate.dev/component */
    struct str account;   /* service account it runs under */
    struct str node;      /* empty: not scheduled */
    struct str address;   /* "10.77.1.5:8000"; empty until known */
    struct str message;   /* why it does not run, for people */
    struct str tolerated; /* keys of taints, where those keep it from all nodes */
    uint64_t ordinal;
    uint64_t key_mark; /* of the public key that its agent was shown; 0: none */
    uint64_t restarts;
    int64_t created_ms;
    int64_t gone_by_ms; /* Unix time at which its deletion's grace ends; 0: not being deleted */
    enum platform_pod_phase phase;
    enum kube_lack lack;  /* what ends the message: the nodes know it */
    bool blocked;         /* pending, and not for a while only: somebody must do something */
    bool wants_on_demand; /* it may not be on a spot node */
    bool unplaced;        /* no node has room for it */
    bool out_of_memory;   /* its agent, or the run of it before this one, met its limit of memory */
    bool evicted;         /* something takes it away: eviction, preemption, the node shuts down */

    /* Not from the API: kept over changes by the platform. */
    int64_t node_missing_ms; /* monotonic: its node is not known since; 0: it is known */
    bool given_up;           /* its agent was found out of order: never waited for */
    bool told;               /* the handler knows it */
    int64_t key_shown_ms;    /* monotonic: when it was shown our key; 0: never */
};

/* Tells public keys apart: their first 16 digits. 0: it is none. */
uint64_t kube_pod_key_mark(struct str public_key);
/* Tolerant: what is missing or of another type is treated as absent. The caller owns *out. */
int kube_pod_read(struct kube_pod **out, const json_t *object, const struct kube_meta *meta,
                  struct err *err);
void kube_pod_free(struct kube_pod *pod); /* NULL is allowed */

#endif
