/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator keeps of a Pod, and how it is read from the API's JSON: a few hundred bytes
 * whatever the size of the object, of which the record is shared with the reconciler. Pure.
 */
#ifndef SPATE_OPERATOR_KUBE_POD_H
#define SPATE_OPERATOR_KUBE_POD_H

#include "operator/kube/client/kube_object.h"
#include "operator/kube/kube_words.h"
#include "operator/platform.h"

/* What few pods have. */
struct kube_pod_extras {
    struct str account;   /* of a gateway: the service account it runs under */
    struct str message;   /* why it does not run, for people */
    struct str tolerated; /* keys of taints, where those keep it from all nodes */
    char texts[];
};

struct kube_pod {
    struct pod_record *record;
    struct kube_pod_extras *extras; /* NULL: none of them; read them with the functions below */
    uint64_t key_mark;              /* of the public key that its agent was shown; 0: none */
    int64_t gone_by_ms; /* Unix time at which its deletion's grace ends; 0: not being deleted */

    /* Not from the API: kept over changes by the platform. */
    int64_t node_missing_ms; /* monotonic: its node is not known since; 0: it is known */
    int64_t key_shown_ms;    /* monotonic: when it was shown our key; 0: never */
    bool given_up : 1;       /* its agent was found out of order: never waited for */
    bool told : 1;           /* the handler knows it */

    bool blocked : 1;         /* pending, and not for a while only: somebody must do something */
    bool wants_on_demand : 1; /* it may not be on a spot node */
    bool unplaced : 1;        /* no node has room for it */
    bool out_of_memory : 1;   /* its agent, or the run before this one, met its limit of memory */
    bool evicted : 1; /* something takes it away: eviction, preemption, the node shuts down */
    enum platform_pod_phase phase : 8;
    enum kube_lack lack : 8; /* what ends the message: the nodes know it */
    uint16_t node_len;
    char node[]; /* empty: not scheduled */
};

static inline struct str kube_pod_text(const struct kube_pod *pod, enum pod_text which)
{
    return pod_record_text(pod->record, which);
}

static inline struct str kube_pod_node(const struct kube_pod *pod)
{
    return (struct str){pod->node, pod->node_len};
}

static inline struct str kube_pod_account(const struct kube_pod *pod)
{
    return pod->extras != NULL ? pod->extras->account : STR_NONE;
}

static inline struct str kube_pod_message(const struct kube_pod *pod)
{
    return pod->extras != NULL ? pod->extras->message : STR_NONE;
}

static inline struct str kube_pod_tolerated(const struct kube_pod *pod)
{
    return pod->extras != NULL ? pod->extras->tolerated : STR_NONE;
}

/* A ModelDeployment controls it. */
static inline bool kube_pod_is_owned(const struct kube_pod *pod)
{
    return kube_pod_text(pod, POD_OWNER_KEY).len > 0;
}

/* Tells public keys apart: their first 16 digits. 0: it is none. */
uint64_t kube_pod_key_mark(struct str public_key);
/* Tolerant: what is missing or of another type is treated as absent, and words for people are cut
 * at PLATFORM_MESSAGE_MAX. -ERR_LIMIT: its name, namespace, uid or node's name is longer than
 * POD_RECORD_TEXT_MAX, which the API takes of nobody. The caller owns *out. */
int kube_pod_read(struct kube_pod **out, const json_t *object, const struct kube_meta *meta,
                  struct err *err);
void kube_pod_free(struct kube_pod *pod); /* NULL is allowed */

#endif
