/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: whether they live, whether they go, and how they are paid for. */
#include "operator/kube/kube_node.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define GPU "nvidia.com/gpu"

/* Taints by which clouds and autoscalers say that a node will be gone soon. A key that ends with
 * '/' stands for all below it. */
static const char *const reclaim_taints[] = {
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "aws-node-termination-handler/",
    "cloud.google.com/impending-node-termination",
    "node.cloudprovider.kubernetes.io/shutdown",
    "ToBeDeletedByClusterAutoscaler",
    "node.kubernetes.io/out-of-service",
    "spate.dev/reclaim",
};

/* How clouds mark the kind of capacity. */
const struct kube_label kube_spot_labels[] = {
    {"karpenter.sh/capacity-type", "spot"},
    {"eks.amazonaws.com/capacityType", "SPOT"},
    {"cloud.google.com/gke-spot", "true"},
    {"cloud.google.com/gke-provisioning", "spot"},
    {"kubernetes.azure.com/scalesetpriority", "spot"},
    {NULL, NULL},
};

static const struct kube_label reserved_labels[] = {
    {"karpenter.sh/capacity-type", "reserved"},
    {"eks.amazonaws.com/capacityType", "CAPACITY_BLOCK"},
    {NULL, NULL},
};

/* Without a value: clouds that mark spot nodes alone, so that a node of theirs is on demand. */
static const struct kube_label on_demand_labels[] = {
    {"karpenter.sh/capacity-type", "on-demand"},
    {"eks.amazonaws.com/capacityType", "ON_DEMAND"},
    {"cloud.google.com/gke-nodepool", NULL},
    {"kubernetes.azure.com/agentpool", NULL},
    {NULL, NULL},
};

static bool is_reclaim_taint(struct str key)
{
    for (size_t i = 0; i < ARRAY_COUNT(reclaim_taints); i++) {
        struct str wanted = str_of(reclaim_taints[i]);
        bool is_prefix = str_ends(wanted, STR("/"));

        if (is_prefix ? str_starts(key, wanted) : str_eq(key, wanted))
            return true;
    }
    return false;
}

static bool has_reclaim_taint(const json_t *object)
{
    const json_t *taints = json_object_get(json_object_get(object, "spec"), "taints");
    const json_t *taint;
    size_t i;

    json_array_foreach (taints, i, taint) {
        if (is_reclaim_taint(json_str(json_object_get(taint, "key"))))
            return true;
    }
    return false;
}

static bool is_ready(const json_t *object)
{
    const json_t *conditions = json_object_get(json_object_get(object, "status"), "conditions");
    const json_t *condition;
    size_t i;

    json_array_foreach (conditions, i, condition) {
        if (str_is(json_str(json_object_get(condition, "type")), "Ready"))
            return str_is(json_str(json_object_get(condition, "status")), "True");
    }
    return false;
}

static bool has_one_of(const json_t *labels, const struct kube_label *wanted)
{
    for (; wanted->key != NULL; wanted++) {
        const json_t *value = json_object_get(labels, wanted->key);

        if (value != NULL && (wanted->value == NULL || str_is(json_str(value), wanted->value)))
            return true;
    }
    return false;
}

static enum platform_capacity capacity_of(const json_t *object)
{
    const json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");

    if (has_one_of(labels, kube_spot_labels))
        return PLATFORM_CAPACITY_SPOT;
    if (has_one_of(labels, reserved_labels))
        return PLATFORM_CAPACITY_RESERVED;
    return has_one_of(labels, on_demand_labels) ? PLATFORM_CAPACITY_ON_DEMAND
                                                : PLATFORM_CAPACITY_UNKNOWN;
}

static int64_t gpus_of(const json_t *object)
{
    const json_t *offered = json_object_get(json_object_get(object, "status"), "allocatable");
    int64_t count = 0;

    return str_to_i64(json_str(json_object_get(offered, GPU)), &count) ? count : 0;
}

/* As node feature discovery and NVIDIA's own discovery label them. */
static bool has_gpu(const json_t *object)
{
    static const struct kube_label labels[] = {
        {"feature.node.kubernetes.io/pci-10de.present", "true"},
        {"feature.node.kubernetes.io/pci-0300_10de.present", "true"},
        {"feature.node.kubernetes.io/pci-0302_10de.present", "true"},
        {"nvidia.com/gpu.present", "true"},
        {NULL, NULL},
    };

    return has_one_of(json_object_get(json_object_get(object, "metadata"), "labels"), labels);
}

/* One that does not fit is left out, and those after it. */
static void read_taints(char out[KUBE_NODE_TAINTS_MAX], const json_t *object)
{
    const json_t *taints = json_object_get(json_object_get(object, "spec"), "taints");
    const json_t *taint;
    size_t used = 0, i;

    out[0] = '\0';
    json_array_foreach (taints, i, taint) {
        struct str key = json_str(json_object_get(taint, "key"));
        struct str value = json_str(json_object_get(taint, "value"));
        struct str effect = json_str(json_object_get(taint, "effect"));
        int size;

        if (key.len == 0 || str_is(effect, "PreferNoSchedule"))
            continue;
        size = snprintf(out + used, KUBE_NODE_TAINTS_MAX - used, "%s%.*s%s%.*s:%.*s",
                        used > 0 ? " " : "", STR_ARG(key), value.len > 0 ? "=" : "", STR_ARG(value),
                        STR_ARG(effect));
        if (size < 0 || (size_t)size >= KUBE_NODE_TAINTS_MAX - used) {
            out[used] = '\0';
            return;
        }
        used += (size_t)size;
    }
}

int kube_node_read(struct kube_node **out, const json_t *object, const struct kube_meta *meta,
                   struct err *err)
{
    struct kube_node *node = mem_alloc(sizeof(*node));

    if (node == NULL)
        return err_no_memory(err);
    node->ready = is_ready(object);
    node->reclaimed = meta->deleting || has_reclaim_taint(object);
    node->capacity = capacity_of(object);
    node->gpus = gpus_of(object);
    node->has_gpu = has_gpu(object);
    read_taints(node->taints, object);
    *out = node;
    return 0;
}

const char *kube_capacity_name(enum platform_capacity capacity)
{
    switch (capacity) {
    case PLATFORM_CAPACITY_SPOT:
        return "spot";
    case PLATFORM_CAPACITY_ON_DEMAND:
        return "on-demand";
    case PLATFORM_CAPACITY_RESERVED:
        return "reserved";
    case PLATFORM_CAPACITY_UNKNOWN:
        break;
    }
    return "unknown";
}
