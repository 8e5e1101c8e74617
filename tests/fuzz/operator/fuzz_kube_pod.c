/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: whatever an API server sends is read or refused, and texts are within their bounds. */
#include <stdlib.h>

#include "fuzz_target.h"
#include "operator/kube/kube_pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *tree = NULL;
    struct kube_meta meta;
    struct kube_pod *pod = NULL;
    struct err err;

    if (kube_object_read(&tree, (struct str){(const char *)data, size}, "input", &err) < 0 ||
        kube_meta_read(&meta, tree, &err) < 0)
        return 0;
    if (kube_pod_read(&pod, tree, &meta, &err) < 0)
        abort(); /* tolerant: only memory can be missing */
    if (pod->message.len >= PLATFORM_MESSAGE_MAX || !str_eq(pod->uid, meta.uid) ||
        str_find_char(pod->address, '/') >= 0 || str_find_char(pod->address, '@') >= 0)
        abort();
    kube_pod_free(pod);
    return 0;
}
