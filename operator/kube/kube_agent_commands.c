/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to the agents in pods, with what has to be written on the pod beside them. */
#include <stdio.h>

#include "base/log.h"
#include "operator/kube/kube_private.h"

enum { PATCH_MAX = 512, KEY_AGAIN_MS = 5000 };

/*
 * A pod that another installation made trusts the tokens of that one. It is ours now: we are shown
 * to its agent by the annotation, which its kubelet copies into the file that the agent reads.
 */
static void show_key(struct kube *kube, const struct kube_entry *entry)
{
    const struct kube_target target = {
        .resource = &kube_pods_resource, .name_space = entry->name_space, .name = entry->name};
    struct kube_pod *pod = entry->object;
    int64_t now_ms = clock_mono_ms(kube->platform.clock);
    struct kube_write *write;
    char patch[PATCH_MAX];
    struct err err = {0};
    int r = kube_check_lead(kube, &err);

    if (pod->key_mark == kube_pod_key_mark(str_of(kube->public_key)) || r < 0 ||
        (pod->key_shown_ms > 0 && now_ms - pod->key_shown_ms < KEY_AGAIN_MS))
        return;
    pod->key_shown_ms = now_ms;
    log_info("a pod of an earlier installation is taken over", LOG_VIEW("pod", entry->name));
    snprintf(patch, sizeof(patch),
             "{\"metadata\":{\"uid\":\"%.*s\",\"annotations\":{\"" KUBE_ANNOTATION_PUBLIC_KEY
             "\":\"%s\"}}}",
             STR_ARG(pod->uid), kube->public_key);
    write = kube_write_new(kube, 0);
    r = kube_merge_patch(kube->api, &target, str_of(patch), kube_write_reply(write), &err);
    kube_write_settle(write, r, &err);
}

void kube_agent_probe(struct platform *p, struct str pod_uid)
{
    struct kube *kube = kube_of_platform(p);
    const struct kube_entry *entry = kube_pod_by_uid(kube, pod_uid);
    const struct kube_pod *pod = entry == NULL ? NULL : entry->object;

    if (entry != NULL)
        show_key(kube, entry);
    agents_probe(&kube->agents, pod_uid, pod != NULL ? pod->restarts : 0,
                 pod != NULL ? pod->address : STR_NONE);
}

/* An autoscaler of nodes should leave the pod alone as long as it drains. Best effort. */
static void keep_from_eviction(struct kube *kube, const struct kube_entry *entry)
{
    const struct kube_target target = {
        .resource = &kube_pods_resource, .name_space = entry->name_space, .name = entry->name};
    struct kube_write *write = kube_write_new(kube, 0);
    struct err err = {0};
    int r = kube_check_lead(kube, &err);

    if (r == 0)
        r = kube_merge_patch(kube->api, &target,
                             STR("{\"metadata\":{\"annotations\":{\"" KUBE_ANNOTATION_SAFE_TO_EVICT
                                 "\":\"false\"}}}"),
                             kube_write_reply(write), &err);
    kube_write_settle(write, r, &err);
}

void kube_agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid)
{
    struct kube *kube = kube_of_platform(p);
    const struct kube_entry *entry = kube_pod_by_uid(kube, pod_uid);
    const struct kube_pod *pod = entry == NULL ? NULL : entry->object;
    struct err err = {0};

    if (kube_check_lead(kube, &err) < 0) { /* a drain can't be undone */
        results_add(&kube->results, ticket, -ERR_BUSY, &err, STR_NONE);
        return;
    }
    agents_drain(&kube->agents, ticket, pod_uid, pod != NULL ? pod->address : STR_NONE);
    if (entry != NULL)
        keep_from_eviction(kube, entry);
}
