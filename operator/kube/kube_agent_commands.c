/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to the agents in pods, with what has to be written on the pod beside them. */
#include <stdio.h>

#include "base/log.h"
#include "operator/kube/kube_private.h"

enum { PATCH_MAX = 512, KEY_AGAIN_MS = 5000 };

/* Merges one annotation into the pod, on condition that it is still this one. Best effort. */
static void annotate(struct kube *kube, const struct kube_entry *entry, const char *name,
                     const char *value)
{
    const struct kube_target target = {.resource = &kube_pods_resource,
                                       .name_space = kube_entry_space(entry),
                                       .name = kube_entry_name(entry)};
    const struct kube_pod *pod = entry->object;
    struct kube_write *write = kube_write_new(kube, 0);
    char patch[PATCH_MAX];
    struct err err = {0};
    int r = kube_check_lead(kube, &err);

    snprintf(patch, sizeof(patch),
             "{\"metadata\":{\"uid\":\"%.*s\",\"annotations\":{\"%s\":\"%s\"}}}",
             STR_ARG(kube_pod_text(pod, POD_UID)), name, value);
    if (r == 0)
        r = kube_merge_patch(kube->api, &target, KUBE_MANAGER_NOTE, str_of(patch),
                             kube_write_reply(write), &err);
    kube_write_settle(write, r, &err);
}

/*
 * A pod that another installation made trusts the tokens of that one. It is ours now: we are shown
 * to its agent by the annotation, which its kubelet copies into the file that the agent reads.
 */
static void show_key(struct kube *kube, const struct kube_entry *entry)
{
    struct kube_pod *pod = entry->object;
    int64_t now_ms = clock_mono_ms(kube->platform.clock);

    if (pod->key_mark == kube_pod_key_mark(str_of(kube->public_key)) ||
        !kube_leads_for_sure(kube) ||
        (pod->key_shown_ms > 0 && now_ms - pod->key_shown_ms < KEY_AGAIN_MS))
        return;
    pod->key_shown_ms = now_ms;
    log_info("a pod of an earlier installation is taken over",
             LOG_VIEW("pod", kube_entry_name(entry)));
    annotate(kube, entry, KUBE_ANNOTATION_PUBLIC_KEY, kube->public_key);
}

void kube_agent_probe(struct platform *p, struct str pod_uid)
{
    struct kube *kube = kube_of_platform(p);
    const struct kube_entry *entry = kube_pod_by_uid(kube, pod_uid);
    const struct kube_pod *pod = entry == NULL ? NULL : entry->object;

    if (entry != NULL)
        show_key(kube, entry);
    agents_probe(&kube->agents, pod_uid, pod != NULL ? pod->record->restarts : 0,
                 pod != NULL ? kube_pod_text(pod, POD_ADDRESS) : STR_NONE);
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
    agents_drain(&kube->agents, ticket, pod_uid,
                 pod != NULL ? kube_pod_text(pod, POD_ADDRESS) : STR_NONE);
    if (entry != NULL) /* an autoscaler of nodes should leave it alone as long as it drains */
        annotate(kube, entry, KUBE_ANNOTATION_SAFE_TO_EVICT, "false");
}
