/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: whatever an API server sends is read or refused, and texts are within their bounds. */
#include <stdlib.h>

#include "fuzz_target.h"
#include "operator/kube/kube_pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *tree = NULL;
    struct kube_meta meta;
    struct str address;
    struct kube_pod *pod = NULL;
    struct err err;
    int r;

    if (kube_object_read(&tree, (struct str){(const char *)data, size}, "input", &err) < 0 ||
        kube_meta_read(&meta, tree, &err) < 0)
        return 0;
    r = kube_pod_read(&pod, tree, &meta, &err);
    if (r == -ERR_LIMIT)
        return 0;
    if (r < 0)
        abort(); /* tolerant */
    address = kube_pod_text(pod, POD_ADDRESS);
    if (kube_pod_message(pod).len >= PLATFORM_MESSAGE_MAX ||
        !str_eq(kube_pod_text(pod, POD_UID), meta.uid) ||
        !str_eq(kube_pod_text(pod, POD_NAME), meta.name) || str_find_char(address, '/') >= 0 ||
        str_find_char(address, '@') >= 0)
        abort();
    kube_pod_free(pod);
    return 0;
}
