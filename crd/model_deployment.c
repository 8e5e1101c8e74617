/* SPDX-License-Identifier: Apache-2.0 */
/* ModelDeployment: its table of fields, its columns and its typed readers; the rules lie beside it.
 */
#include "crd/model_deployment.h"

#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/model_rules.h"

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

static const char *const mode_values[] = {"Auto", "Manual", NULL};
static const char *const truth_values[] = {"True", "False", "Unknown", NULL};
static const char *const phase_values[] = {"Pending",  "Loading", "Ready",
                                           "Draining", "Failed",  NULL};

#define SPEC(member)      CRD_PLACE(struct crd_model_spec, member)
#define WARMUP(member)    CRD_PLACE(struct crd_warmup, member)
#define STATUS(member)    CRD_PLACE(struct crd_model_status, member)
#define CONDITION(member) CRD_PLACE(struct crd_condition, member)
#define DECISION(member)  CRD_PLACE(struct crd_decision, member)
#define POD(member)       CRD_PLACE(struct crd_pod, member)
#define PENDING(member)   CRD_PLACE(struct crd_pending_create, member)

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
        .pattern = "^[a-z][a-z0-9+.-]*://[^ ]+$",
        .pattern_means = "a location such as file:///models/brook",
        SPEC(uri),
        .describe = "Where the weights are: file:// and the absolute path of a folder in Hugging "
                    "Face layout, or of a GGUF file.",
    },
    {
        .path = "spec.model.name",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = "^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$",
        .pattern_means = "letters, digits and inner '.', '_', ':' and '-'",
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
        .describe = "Longest prompt and answer together, in tokens; the model's own when absent.",
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
        .describe = "Threads that compute in one replica; a fair share of the cores when absent.",
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
        .min = 0,
        .max = CRD_REPLICAS_MAX,
        SPEC(replicas),
        .describe = "How many replicas there are in mode Manual; not allowed in mode Auto.",
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
        .path = "status",
        .type = CRD_OBJECT,
        .describe = "What is; written by the operator.",
    },
    {
        .path = "status.observedGeneration",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(observed_generation),
        .describe = "The generation of spec that this status answers to.",
    },
    {
        .path = "status.replicas",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        STATUS(replicas),
        .describe = "Replicas that exist, those that start or drain included.",
    },
    {
        .path = "status.readyReplicas",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        STATUS(ready_replicas),
        .describe = "Replicas that take requests.",
    },
    {
        .path = "status.desiredReplicas",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        STATUS(desired_replicas),
        .describe = "Replicas that the last decision asked for.",
    },
    {
        .path = "status.conditions",
        .type = CRD_LIST,
        .max_length = CRD_CONDITIONS_MAX,
        .list_key = "type",
        CRD_PLACE_LIST(struct crd_model_status, conditions, condition_count),
        .describe = "Statements about the state, each with its reason.",
    },
    {
        .path = "status.conditions[]",
        .type = CRD_OBJECT,
        .describe = "One statement.",
    },
    {
        .path = "status.conditions[].type",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = 64,
        CONDITION(type),
        .describe = "What it is about: Ready, Reconciling, Stalled ...",
    },
    {
        .path = "status.conditions[].status",
        .type = CRD_ENUM,
        .required = true,
        .values = truth_values,
        CONDITION(status),
        .describe = "Whether it holds.",
    },
    {
        .path = "status.conditions[].reason",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = 64,
        CONDITION(reason),
        .describe = "Why, as one word for machines.",
    },
    {
        .path = "status.conditions[].message",
        .type = CRD_STRING,
        .max_length = 1024,
        CONDITION(message),
        .describe = "Why, in words, and the cure where there is one.",
    },
    {
        .path = "status.conditions[].lastTransitionTime",
        .type = CRD_TIME,
        .required = true,
        .max_length = 40,
        CONDITION(last_transition_ms),
        .describe = "Since when.",
    },
    {
        .path = "status.conditions[].observedGeneration",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        CONDITION(observed_generation),
        .describe = "The generation of spec that it was seen at.",
    },
    {
        .path = "status.decisions",
        .type = CRD_LIST,
        .max_length = CRD_DECISIONS_MAX,
        CRD_PLACE_LIST(struct crd_model_status, decisions, decision_count),
        .describe = "The last changes of the wanted size, newest first.",
    },
    {
        .path = "status.decisions[]",
        .type = CRD_OBJECT,
        .describe = "One decision.",
    },
    {
        .path = "status.decisions[].time",
        .type = CRD_TIME,
        .required = true,
        .max_length = 40,
        DECISION(time_ms),
        .describe = "When it was made.",
    },
    {
        .path = "status.decisions[].from",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        DECISION(from),
        .describe = "Wanted replicas before.",
    },
    {
        .path = "status.decisions[].to",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        DECISION(to),
        .describe = "Wanted replicas after.",
    },
    {
        .path = "status.decisions[].reason",
        .type = CRD_STRING,
        .required = true,
        .max_length = 64,
        DECISION(reason),
        .describe = "Why, as one word for machines.",
    },
    {
        .path = "status.decisions[].message",
        .type = CRD_STRING,
        .max_length = 256,
        DECISION(message),
        .describe = "Why, with the figures.",
    },
    {
        .path = "status.coldStart",
        .type = CRD_OBJECT,
        .describe = "How long replicas took from creation to ready.",
    },
    {
        .path = "status.coldStart.lastMs",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(cold_start_last_ms),
        .describe = "The last one, in milliseconds.",
    },
    {
        .path = "status.coldStart.medianMs",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(cold_start_median_ms),
        .describe = "The middle one of those remembered.",
    },
    {
        .path = "status.coldStart.p90Ms",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(cold_start_p90_ms),
        .describe = "Nine of ten were not slower; warm-ups start this much earlier.",
    },
    {
        .path = "status.pods",
        .type = CRD_LIST,
        .max_length = CRD_PODS_MAX,
        .list_key = "name",
        CRD_PLACE_LIST(struct crd_model_status, pods, pod_count),
        .describe = "The pods of this model. No other pod is ever routed to.",
    },
    {
        .path = "status.pods[]",
        .type = CRD_OBJECT,
        .describe = "One pod.",
    },
    {
        .path = "status.pods[].name",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = 127,
        POD(name),
        .describe = "Its name.",
    },
    {
        .path = "status.pods[].uid",
        .type = CRD_STRING,
        .max_length = 64,
        POD(uid),
        .describe = "Its identity.",
    },
    {
        .path = "status.pods[].phase",
        .type = CRD_ENUM,
        .required = true,
        .values = phase_values,
        POD(phase),
        .describe = "Where it is in its life.",
    },
    {
        .path = "status.pods[].address",
        .type = CRD_STRING,
        .max_length = 128,
        POD(address),
        .describe = "Host and port that it listens on.",
    },
    {
        .path = "status.pods[].message",
        .type = CRD_STRING,
        .max_length = 512,
        POD(message),
        .describe = "What keeps it from being ready, in words.",
    },
    {
        .path = "status.pods[].ordinal",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        POD(ordinal),
        .describe = "Its number within the model.",
    },
    {
        .path = "status.pods[].templateHash",
        .type = CRD_STRING,
        .max_length = 64,
        POD(template_hash),
        .describe = "Which settings it was created with.",
    },
    {
        .path = "status.pods[].drainingTime",
        .type = CRD_TIME,
        .max_length = 40,
        POD(draining_since_ms),
        .describe = "Since when it is on its way out.",
    },
    {
        .path = "status.pendingCreates",
        .type = CRD_LIST,
        .max_length = CRD_REPLICAS_MAX,
        .list_key = "name",
        CRD_PLACE_LIST(struct crd_model_status, pending_creates, pending_create_count),
        .describe = "Pods that are about to be created, or were and have not been seen yet.",
    },
    {
        .path = "status.pendingCreates[]",
        .type = CRD_OBJECT,
        .describe = "One pod to come.",
    },
    {
        .path = "status.pendingCreates[].name",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = 127,
        PENDING(name),
        .describe = "Its name.",
    },
    {
        .path = "status.pendingCreates[].ordinal",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        PENDING(ordinal),
        .describe = "Its number within the model.",
    },
    {
        .path = "status.pendingCreates[].templateHash",
        .type = CRD_STRING,
        .max_length = 64,
        PENDING(template_hash),
        .describe = "Which settings it is created with.",
    },
    {
        .path = "status.nextOrdinal",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(next_ordinal),
        .describe = "The number of the next pod; no number is used twice.",
    },
};

static const struct crd_column columns[] = {
    {"READY", ".status.conditions[?(@.type==\"Ready\")].status", false},
    {"REPLICAS", ".status.readyReplicas", false},
    {"DESIRED", ".status.desiredReplicas", false},
    {"MODE", ".spec.scaling.mode", false},
    {"REASON", ".status.conditions[?(@.type==\"Ready\")].reason", false},
    {"MIN", ".spec.scaling.minReplicas", true},
    {"MAX", ".spec.scaling.maxReplicas", true},
    {"SLOTS", ".spec.engine.slots", true},
    {"COLD-START-MS", ".status.coldStart.medianMs", true},
    {"URI", ".spec.model.uri", true},
};

const struct crd_kind crd_kind_model_deployment = {
    .id = CRD_MODEL_DEPLOYMENT,
    .kind = "ModelDeployment",
    .plural = "modeldeployments",
    .singular = "modeldeployment",
    .short_name = "md",
    .namespaced = true,
    .describe = "A model that is served: which weights, by which engine settings, and on how many "
                "replicas, from none to many as the load asks.",
    .fields = rows,
    .field_count = ARRAY_COUNT(rows),
    .rules = crd_model_rules,
    .rule_count = CRD_MODEL_RULE_COUNT,
    .columns = columns,
    .column_count = ARRAY_COUNT(columns),
};

const char *crd_truth_name(int truth)
{
    return truth >= CRD_TRUE && truth <= CRD_UNKNOWN ? truth_values[truth] : NULL;
}

const char *crd_pod_phase_name(int phase)
{
    return phase >= 0 && phase < CRD_POD_PHASE_COUNT ? phase_values[phase] : NULL;
}

int crd_model_spec_read(struct crd_model_spec *out, const struct crd_object *object,
                        struct arena *arena, struct err *err)
{
    struct crd_model_spec spec = {0};
    int r = crd_decode(object->kind, "spec", object->spec, &spec, arena, err);

    if (r < 0)
        return r;
    if (spec.name.len == 0) {
        spec.name = arena_str(arena, str_of(object->name));
        if (spec.name.ptr == NULL)
            return err_no_memory(err);
    }
    *out = spec;
    return 0;
}

int crd_model_status_read(struct crd_model_status *out, const struct crd_object *object,
                          struct arena *arena, struct err *err)
{
    struct crd_model_status status = {0};
    int r = crd_decode(object->kind, "status", object->status, &status, arena, err);

    if (r == 0)
        *out = status;
    return r;
}

int crd_model_status_write(const struct crd_model_status *status, json_t **out, struct err *err)
{
    return crd_encode(&crd_kind_model_deployment, "status", status, out, err);
}
