/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a condition, the same for every kind that has some. */
#include "crd/condition.h"

#include "base/mem.h"
#include "crd/kinds.h"

static const char *const truth_values[] = {"True", "False", "Unknown", NULL};

#define CONDITION(member) CRD_PLACE(struct crd_condition, member)

static const struct crd_field rows[] = {
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
};

const struct crd_rows crd_condition_rows = {rows, ARRAY_COUNT(rows)};

const char *crd_truth_name(int truth)
{
    return truth >= CRD_TRUE && truth <= CRD_UNKNOWN ? truth_values[truth] : NULL;
}
