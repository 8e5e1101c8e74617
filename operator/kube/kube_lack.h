/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes lack that a pod without a node asks for: the scheduler does not say it in full.
 * Pure. */
#ifndef SPATE_OPERATOR_KUBE_LACK_H
#define SPATE_OPERATOR_KUBE_LACK_H

#include "operator/kube/kube_node.h"
#include "operator/kube/kube_words.h"

/* Begin with {lack, tolerated}, show it every node, and have it end the message. */
struct kube_lack_search {
    enum kube_lack lack;
    struct str tolerated; /* keys of taints, each followed by a blank */
    int offering;         /* nodes with GPUs to give */
    int unused;           /* nodes with a GPU, but without GPUs to give */
    struct kube_words taints;
    int tainted;
};

void kube_lack_see(struct kube_lack_search *search, struct str name, const struct kube_node *node);
void kube_lack_end(const struct kube_lack_search *search, struct kube_words *words);

#endif
