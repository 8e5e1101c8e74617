/* SPDX-License-Identifier: Apache-2.0 */
/* A look at the nodes for what a pod lacks: see kube_lack.h. */
#include "operator/kube/kube_lack.h"

#include <stdio.h>

enum { TAINTED_NODES_TOLD = 2 };

/* "key=value:Effect" -> "key" */
static struct str key_of(struct str taint)
{
    struct str rest = taint;
    struct str head = str_cut(&rest, ':');

    return str_cut(&head, '=');
}

static bool is_tolerated(struct str tolerated, struct str key)
{
    while (tolerated.ptr != NULL) {
        struct str one = str_cut(&tolerated, ' ');

        if (str_is(one, "*") || str_eq(one, key))
            return true;
    }
    return false;
}

static void see_taints(struct kube_lack_search *search, struct str name,
                       const struct kube_node *node)
{
    struct str rest = str_of(node->taints);

    while (rest.len > 0) {
        struct str taint = str_cut(&rest, ' ');

        if (taint.len == 0 || is_tolerated(search->tolerated, key_of(taint)))
            continue;
        if (search->tainted++ >= TAINTED_NODES_TOLD)
            return;
        kube_words_add(&search->taints, search->tainted > 1 ? ", " : "");
        kube_words_add_foreign(&search->taints, name);
        kube_words_add(&search->taints, " has ");
        kube_words_add_foreign(&search->taints, taint);
        return;
    }
}

void kube_lack_see(struct kube_lack_search *search, struct str name, const struct kube_node *node)
{
    if (node->gpus > 0)
        search->offering++;
    else if (node->has_gpu)
        search->unused++;
    if (search->lack == KUBE_LACKS_TOLERATION)
        see_taints(search, name, node);
}

static void end_gpus(const struct kube_lack_search *search, struct kube_words *words)
{
    char text[PLATFORM_MESSAGE_MAX];

    if (search->offering > 0)
        snprintf(text, sizeof(text),
                 "; wait until GPUs are free, add nodes that have them, or lower "
                 "spec.hardware.gpus");
    else if (search->unused > 0)
        snprintf(text, sizeof(text),
                 "; no node offers nvidia.com/gpu, though there are NVIDIA devices (in %d): "
                 "install their "
                 "device plugin (gpu-operator)",
                 search->unused);
    else
        snprintf(text, sizeof(text),
                 "; no node offers nvidia.com/gpu: install the NVIDIA device plugin "
                 "(gpu-operator), or leave spec.hardware.gpus out");
    kube_words_add(words, text);
}

void kube_lack_end(const struct kube_lack_search *search, struct kube_words *words)
{
    if (search->lack == KUBE_LACKS_GPUS) {
        end_gpus(search, words);
    } else if (search->lack == KUBE_LACKS_TOLERATION) {
        if (search->tainted > 0) {
            kube_words_add(words, " (");
            kube_words_add(words, search->taints.text);
            kube_words_add(words, ")");
        }
        kube_words_add(words, "; add the taint to spec.placement.tolerations, or take it from the "
                              "node");
    }
}
