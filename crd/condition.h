/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions: statements in the status of an object, each with its reason. */
#ifndef SPATE_CRD_CONDITION_H
#define SPATE_CRD_CONDITION_H

#include <stdint.h>

#include "base/str.h"

enum { CRD_CONDITIONS_MAX = 16 };

/* True, False, Unknown: the texts are the enum's names. */
enum crd_truth { CRD_TRUE, CRD_FALSE, CRD_UNKNOWN };

struct crd_condition {
    struct str type;
    int status; /* enum crd_truth */
    struct str reason;
    struct str message;
    int64_t last_transition_ms;
    int64_t observed_generation;
};

/* "True", "False", "Unknown"; NULL out of range. */
const char *crd_truth_name(int truth);

#endif
