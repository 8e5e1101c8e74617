/* SPDX-License-Identifier: Apache-2.0 */
/* ModelDeployment: the rows of its spec. */
#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/model_rows.h"

/* One cron field: stars, values and ranges with steps, in a list. */
#define CRON_ITEM(value)  "(\\*|" value "(-" value ")?)(/[1-9][0-9]?)?"
#define CRON_FIELD(value) CRON_ITEM(value) "(," CRON_ITEM(value) ")*"
#define CRON_MINUTE       "[0-5]?[0-9]"
#define CRON_HOUR         "([01]?[0-9]|2[0-3])"
#define CRON_DAY          "(0?[1-9]|[12][0-9]|3[01])"
#define CRON_MONTH        "(0?[1-9]|1[0-2]|[A-Za-z]{3})"
#define CRON_WEEKDAY      "([0-7]|[A-Za-z]{3})"
#define CRON_PATTERN                                                        \
    "^" CRON_FIELD(CRON_MINUTE) " +" CRON_FIELD(CRON_HOUR) " +" CRON_FIELD( \
        CRON_DAY) " +" CRON_FIELD(CRON_MONTH) " +" CRON_FIELD(CRON_WEEKDAY) "$"

/* Names and values of labels and taints, as Kubernetes has them. */
#define LABEL_PART        "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
#define LABEL_KEY         "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?" LABEL_PART "$"
#define LABEL_KEY_MEANS   "a label's name, such as example.com/pool"
#define LABEL_VALUE       "^(" LABEL_PART ")?$"
#define LABEL_VALUE_MEANS "letters, digits and inner '-', '_' and '.'"

static const char *const effect_values[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
static const char *const mode_values[] = {"Auto", "Manual", NULL};

#define SPEC(member)   CRD_PLACE(struct crd_model_spec, member)
#define WARMUP(member) CRD_PLACE(struct crd_warmup, member)

static const struct crd_field rows[] = {
    {
        .path = "spec",
        .type = CRD_OBJECT,
        .required = true,
        .describe = "What should be.",
    },
    {
        .path = "spec.model",
        .type = CRD_OBJECT,
        .required = true,
        .describe = "Which weights are served, and under which name.",
    },
    {
        .path = "spec.model.uri",
        .type = CRD_STRING,
        .required = true,
        .min_length = 8,
        .max_length = 1024,
        .pattern = "^[a-z][a-z0-9+.-]*://[^[:cntrl:] ]+$",
        .pattern_means = "a location such as file:///models/brook",
        SPEC(uri),
        .describe = "Where the weights are: a folder in Hugging Face layout, or a GGUF file. "
                    "file:///path is on this machine, or in the agent's image on Kubernetes. "
                    "pvc://CLAIM/path is in a PersistentVolumeClaim of the model's namespace, "
                    "oci://HOST/NAME:TAG#path in an OCI image: both on Kubernetes only.",
    },
    {
        .path = "spec.model.name",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = CRD_MODEL_NAME,
        .pattern_means = CRD_MODEL_NAME_MEANS,
        SPEC(name),
        .describe = "What clients call the model by; metadata.name when absent. Namespace, slash "
                    "and metadata.name always work as well.",
    },
    {
        .path = "spec.engine",
        .type = CRD_OBJECT,
        .default_json = "{}",
        .describe = "Settings of the inference engine in each replica.",
    },
    {
        .path = "spec.engine.slots",
        .type = CRD_INTEGER,
        .default_json = "4",
        .min = 1,
        .max = 256,
        SPEC(slots),
        .describe = "How many requests one replica works on at once.",
    },
    {
        .path = "spec.engine.contextTokens",
        .type = CRD_INTEGER,
        .min = 16,
        .max = 1 << 20,
        SPEC(context_tokens),
        .describe =
            "Longest prompt and answer together, in tokens; the model's own when absent. What "
            "the KV cache can't hold is cut to the largest that fits, and the pods in the "
            "status say so.",
    },
    {
        .path = "spec.engine.kvCacheMiB",
        .type = CRD_INTEGER,
        .min = 1,
        .max = 1 << 22,
        SPEC(kv_cache_mib),
        .describe = "Memory for the keys and values of attention, in MiB; chosen to fit slots and "
                    "contextTokens when absent.",
    },
    {
        .path = "spec.engine.threads",
        .type = CRD_INTEGER,
        .min = 1,
        .max = 1024,
        SPEC(threads),
        .describe =
            "Threads that compute in one replica. When absent one, or on Kubernetes one for "
            "each processor of hardware.cpuMillis, rounded up.",
    },
    {
        .path = "spec.engine.chunkTokens",
        .type = CRD_INTEGER,
        .min = 16,
        .max = 65536,
        SPEC(chunk_tokens),
        .describe = "How many tokens of a prompt are computed in one step, so that a long prompt "
                    "does not hold up others; chosen by the engine when absent.",
    },
    {
        .path = "spec.routing",
        .type = CRD_OBJECT,
        .default_json = "{}",
        .describe = "Who may send requests to the model by a ModelRoute.",
    },
    {
        .path = "spec.routing.fromNamespaces",
        .type = CRD_LIST,
        .max_length = CRD_FROM_NAMESPACES_MAX,
        .is_set = true,
        CRD_PLACE_LIST(struct crd_model_spec, from_namespaces, from_namespace_count),
        .describe = "Namespaces whose ModelRoutes may name this model, beside its own. A lone star "
                    "means all.",
    },
    {
        .path = "spec.routing.fromNamespaces[]",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = "^(\\*|" CRD_LABEL_PART ")$",
        .pattern_means = "the name of a namespace, or a star for all",
        CRD_PLACE(struct crd_name, text),
        .describe = "One namespace.",
    },
    {
        .path = "spec.scaling",
        .type = CRD_OBJECT,
        .default_json = "{}",
        .describe = "How many replicas there are, and when.",
    },
    {
        .path = "spec.scaling.mode",
        .type = CRD_ENUM,
        .default_json = "\"Auto\"",
        .values = mode_values,
        SPEC(mode),
        .describe = "Auto: the load decides, between minReplicas and maxReplicas. Manual: replicas "
                    "decides.",
    },
    {
        .path = "spec.scaling.replicas",
        .type = CRD_INTEGER,
        .default_json = "1",
        .min = 0,
        .max = CRD_REPLICAS_MAX,
        SPEC(replicas),
        .describe = "How many replicas there are in mode Manual; `kubectl scale` sets it. In mode "
                    "Auto it is not obeyed, so nothing but the default is allowed.",
    },
    {
        .path = "spec.scaling.minReplicas",
        .type = CRD_INTEGER,
        .default_json = "0",
        .min = 0,
        .max = CRD_REPLICAS_MAX,
        SPEC(min_replicas),
        .describe = "The least number of replicas in mode Auto. With 0 the model goes to sleep "
                    "when nobody asks, and wakes at the next request.",
    },
    {
        .path = "spec.scaling.maxReplicas",
        .type = CRD_INTEGER,
        .default_json = "1",
        .min = 1,
        .max = CRD_REPLICAS_MAX,
        SPEC(max_replicas),
        .describe = "The largest number of replicas in mode Auto.",
    },
    {
        .path = "spec.scaling.targetUtilizationPercent",
        .type = CRD_INTEGER,
        .default_json = "80",
        .min = 1,
        .max = 100,
        SPEC(target_percent),
        .describe = "Which share of the slots should be taken: lower values keep more room for "
                    "bursts.",
    },
    {
        .path = "spec.scaling.idle",
        .type = CRD_OBJECT,
        .default_json = "{}",
        .describe = "When a model that nobody asks goes to sleep.",
    },
    {
        .path = "spec.scaling.idle.afterSeconds",
        .type = CRD_INTEGER,
        .default_json = "900",
        .min = 0,
        .max = 31 * 86400,
        SPEC(idle_after_s),
        .describe = "How long no request must have come before the replicas go down to "
                    "minReplicas = 0. With 0 the last replica stays once the model is awake.",
    },
    {
        .path = "spec.scaling.scaleDownDelaySeconds",
        .type = CRD_INTEGER,
        .default_json = "60",
        .min = 0,
        .max = 86400,
        SPEC(scale_down_delay_s),
        .describe = "How long the load must have stayed lower before replicas are taken away.",
    },
    {
        .path = "spec.scaling.warmup",
        .type = CRD_LIST,
        .max_length = CRD_WARMUPS_MAX,
        CRD_PLACE_LIST(struct crd_model_spec, warmups, warmup_count),
        .describe = "Times at which replicas are ready before anybody asks.",
    },
    {
        .path = "spec.scaling.warmup[]",
        .type = CRD_OBJECT,
        .describe = "One schedule.",
    },
    {
        .path = "spec.scaling.warmup[].name",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = CRD_DNS_LABEL,
        .pattern_means = CRD_DNS_LABEL_MEANS,
        WARMUP(name),
        .describe = "A name that decisions and events mention.",
    },
    {
        .path = "spec.scaling.warmup[].schedule",
        .type = CRD_STRING,
        .required = true,
        .min_length = 9,
        .max_length = 128,
        .pattern = CRON_PATTERN,
        .pattern_means = "five cron fields: minute, hour, day of month, month, day of week",
        WARMUP(schedule),
        .describe = "When the replicas are ready, as five cron fields: minute, hour, day of month, "
                    "month, day of week. They are started earlier, by the measured cold start.",
    },
    {
        .path = "spec.scaling.warmup[].timeZone",
        .type = CRD_STRING,
        .default_json = "\"Etc/UTC\"",
        .min_length = 1,
        .max_length = 64,
        .pattern = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$",
        .pattern_means = "a name of the IANA time zone database, such as Asia/Shanghai",
        WARMUP(time_zone),
        .describe = "The time zone of the schedule. A time that daylight saving skips counts at "
                    "the first instant after the gap; one that comes twice counts once.",
    },
    {
        .path = "spec.scaling.warmup[].replicas",
        .type = CRD_INTEGER,
        .required = true,
        .min = 1,
        .max = CRD_REPLICAS_MAX,
        WARMUP(replicas),
        .describe = "How many replicas there are at least.",
    },
    {
        .path = "spec.scaling.warmup[].durationSeconds",
        .type = CRD_INTEGER,
        .default_json = "3600",
        .min = 60,
        .max = 7 * 86400,
        WARMUP(duration_s),
        .describe = "How long they are kept.",
    },
    {
        .path = "spec.scaling.spot",
        .type = CRD_OBJECT,
        .describe = "Cheap nodes that may be reclaimed. Without it placement does not look at how "
                    "a node is paid for. On Kubernetes only.",
    },
    {
        .path = "spec.scaling.spot.percent",
        .type = CRD_INTEGER,
        .required = true,
        .min = 1,
        .max = 100,
        SPEC(spot_percent),
        .describe = "Which share of the replicas should be on spot nodes, where there are such; "
                    "the others are only on on-demand or reserved ones.",
    },
    {
        .path = "spec.scaling.spot.minOnDemand",
        .type = CRD_INTEGER,
        .default_json = "0",
        .min = 0,
        .max = CRD_REPLICAS_MAX,
        SPEC(spot_min_on_demand),
        .describe = "How many replicas are not on spot nodes at least, while there are replicas.",
    },
    {
        .path = "spec.hardware",
        .type = CRD_OBJECT,
        .describe = "What one replica needs of its node. On Kubernetes only.",
    },
    {
        .path = "spec.hardware.gpus",
        .type = CRD_INTEGER,
        .min = 1,
        .max = 64,
        SPEC(gpus),
        .describe = "GPUs, as the resource nvidia.com/gpu; the taint of that name is tolerated.",
    },
    {
        .path = "spec.hardware.cpuMillis",
        .type = CRD_INTEGER,
        .min = 10,
        .max = 1024000,
        SPEC(cpu_millis),
        .describe = "Thousandths of a processor that are requested; one for each thread when "
                    "absent.",
    },
    {
        .path = "spec.hardware.memoryMiB",
        .type = CRD_INTEGER,
        .min = 16,
        .max = 1 << 24,
        SPEC(memory_mib),
        .describe = "Memory in MiB, as request and as limit; neither when absent.",
    },
    {
        .path = "spec.placement",
        .type = CRD_OBJECT,
        .describe = "Which nodes the replicas may be on. On Kubernetes only.",
    },
    {
        .path = "spec.placement.nodeLabels",
        .type = CRD_LIST,
        .max_length = CRD_NODE_LABELS_MAX,
        .list_keys = {"key"},
        CRD_PLACE_LIST(struct crd_model_spec, labels, label_count),
        .describe = "Labels that a node must have, all of them.",
    },
    {
        .path = "spec.placement.nodeLabels[]",
        .type = CRD_OBJECT,
        .describe = "One label.",
    },
    {
        .path = "spec.placement.nodeLabels[].key",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = CRD_LABEL_KEY_MAX,
        .pattern = LABEL_KEY,
        .pattern_means = LABEL_KEY_MEANS,
        CRD_PLACE(struct crd_node_label, key),
        .describe = "The name of the label, such as nvidia.com/gpu.product.",
    },
    {
        .path = "spec.placement.nodeLabels[].value",
        .type = CRD_STRING,
        .required = true,
        .max_length = 63,
        .pattern = LABEL_VALUE,
        .pattern_means = LABEL_VALUE_MEANS,
        CRD_PLACE(struct crd_node_label, value),
        .describe = "Its value.",
    },
    {
        .path = "spec.placement.tolerations",
        .type = CRD_LIST,
        .max_length = CRD_TOLERATIONS_MAX,
        CRD_PLACE_LIST(struct crd_model_spec, tolerations, toleration_count),
        .describe = "Taints of nodes that the replicas put up with.",
    },
    {
        .path = "spec.placement.tolerations[]",
        .type = CRD_OBJECT,
        .describe = "One taint.",
    },
    {
        .path = "spec.placement.tolerations[].key",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = CRD_LABEL_KEY_MAX,
        .pattern = LABEL_KEY,
        .pattern_means = LABEL_KEY_MEANS,
        CRD_PLACE(struct crd_toleration, key),
        .describe = "The key of the taint.",
    },
    {
        .path = "spec.placement.tolerations[].value",
        .type = CRD_STRING,
        .max_length = 63,
        .pattern = LABEL_VALUE,
        .pattern_means = LABEL_VALUE_MEANS,
        CRD_PLACE(struct crd_toleration, value),
        .describe = "Its value; any when absent.",
    },
    {
        .path = "spec.placement.tolerations[].effect",
        .type = CRD_ENUM,
        .default_json = "\"NoSchedule\"",
        .values = effect_values,
        CRD_PLACE(struct crd_toleration, effect),
        .describe = "Its effect.",
    },
    {
        .path = "spec.placement.priorityClassName",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = 63,
        .pattern = CRD_DNS_LABEL,
        .pattern_means = CRD_DNS_LABEL_MEANS,
        SPEC(priority_class),
        .describe = "The PriorityClass of the pods; the cluster's default when absent.",
    },
    {
        .path = "spec.placement.runtimeClassName",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = 63,
        .pattern = CRD_DNS_LABEL,
        .pattern_means = CRD_DNS_LABEL_MEANS,
        SPEC(runtime_class),
        .describe = "The RuntimeClass of the pods; the cluster's default when absent.",
    },
};

const struct crd_rows crd_model_spec_rows = {rows, ARRAY_COUNT(rows)};
