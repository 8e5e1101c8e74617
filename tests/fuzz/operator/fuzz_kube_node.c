/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: whatever an API server sends is read or refused. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "operator/kube/kube_node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *tree = NULL;
    struct kube_meta meta;
    struct kube_node *node = NULL;
    struct err err;

    if (kube_object_read(&tree, (struct str){(const char *)data, size}, "input", &err) < 0 ||
        kube_meta_read(&meta, tree, &err) < 0)
        return 0;
    if (kube_node_read(&node, tree, &meta, &err) < 0 || node->capacity > PLATFORM_CAPACITY_RESERVED)
        abort(); /* tolerant: only memory can be missing */
    mem_free(node);
    return 0;
}
