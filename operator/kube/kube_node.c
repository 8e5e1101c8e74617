/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: whether they live, whether they go, and how they are paid for. */
#include "operator/kube/kube_node.h"

#include "base/mem.h"

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

int kube_node_read(struct kube_node **out, const json_t *object, const struct kube_meta *meta,
                   struct err *err)
{
    struct kube_node *node = mem_alloc(sizeof(*node));

    if (node == NULL)
        return err_no_memory(err);
    node->ready = is_ready(object);
    node->reclaimed = meta->deleting || has_reclaim_taint(object);
    node->capacity = capacity_of(object);
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
