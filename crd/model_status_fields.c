/* SPDX-License-Identifier: Apache-2.0 */
/* ModelDeployment: the rows of its status. */
#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/model_rows.h"

static const char *const phase_values[] = {"Pending",  "Loading", "Ready",
                                           "Draining", "Failed",  NULL};

static const char *const capacity_values[] = {"Spot", "OnDemand", "Reserved", NULL};

#define CAPACITY(member) CRD_PLACE(struct crd_capacity, member)
#define STATUS(member)   CRD_PLACE(struct crd_model_status, member)
#define DECISION(member) CRD_PLACE(struct crd_decision, member)
#define PHASE(phase)     CRD_PLACE(struct crd_model_status, phase_counts[CRD_POD_##phase])
#define POD(member)      CRD_PLACE(struct crd_pod, member)
#define PENDING(member)  CRD_PLACE(struct crd_pending_create, member)

static const struct crd_field rows[] = {
    CRD_STATUS_ROWS(struct crd_model_status),
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
        .path = "status.selector",
        .type = CRD_STRING,
        .max_length = 256,
        STATUS(selector),
        .describe = "The labels that this model's pods have, for autoscalers and `kubectl get "
                    "pods -l`.",
    },
    {
        .path = "status.phases",
        .type = CRD_OBJECT,
        .describe = "How many of the replicas are where in their lives.",
    },
    {
        .path = "status.phases.pending",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        PHASE(PENDING),
        .describe = "Not started yet: they wait for a machine or an image.",
    },
    {
        .path = "status.phases.loading",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        PHASE(LOADING),
        .describe = "Their agents run and read the weights.",
    },
    {
        .path = "status.phases.ready",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        PHASE(READY),
        .describe = "They take requests.",
    },
    {
        .path = "status.phases.draining",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        PHASE(DRAINING),
        .describe = "They take no new requests and end those that they have.",
    },
    {
        .path = "status.phases.failed",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        PHASE(FAILED),
        .describe = "They can not serve; status.pods says why.",
    },
    {
        .path = "status.capacity",
        .type = CRD_LIST,
        .max_length = CRD_CAPACITY_COUNT,
        .list_keys = {"type"},
        CRD_PLACE_LIST(struct crd_model_status, capacities, capacity_count),
        .describe = "How many of the replicas are on which kind of capacity, as far as their "
                    "machines say.",
    },
    {
        .path = "status.capacity[]",
        .type = CRD_OBJECT,
        .describe = "One kind of capacity.",
    },
    {
        .path = "status.capacity[].type",
        .type = CRD_ENUM,
        .required = true,
        .values = capacity_values,
        CAPACITY(type),
        .describe = "How the machines are paid for. Spot machines are cheap and may be reclaimed.",
    },
    {
        .path = "status.capacity[].replicas",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        CAPACITY(replicas),
        .describe = "Replicas there, those that start or drain included.",
    },
    {
        .path = "status.capacity[].readyReplicas",
        .type = CRD_INTEGER,
        .min = 0,
        .max = CRD_PODS_MAX,
        CAPACITY(ready_replicas),
        .describe = "Those of them that take requests.",
    },
    {
        .path = "status.conditions",
        .type = CRD_LIST,
        .max_length = CRD_CONDITIONS_MAX,
        .list_keys = {"type"},
        CRD_PLACE_LIST(struct crd_model_status, conditions, condition_count),
        .describe = "Statements about the state, each with its reason.",
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
        .list_keys = {"name"},
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
        .describe = "What keeps it from being ready, or from being as it was wished, in words.",
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
        .list_keys = {"name"},
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

const struct crd_rows crd_model_status_rows = {rows, ARRAY_COUNT(rows)};

const char *crd_pod_phase_name(int phase)
{
    return phase >= 0 && phase < CRD_POD_PHASE_COUNT ? phase_values[phase] : NULL;
}
