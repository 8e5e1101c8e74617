/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of ModelDeployment; see model_rules.c. Inside crd/ only. */
#ifndef SPATE_CRD_MODEL_RULES_H
#define SPATE_CRD_MODEL_RULES_H

#include "crd/field.h"

enum { CRD_MODEL_RULE_COUNT = 6 };
extern const struct crd_rule crd_model_rules[CRD_MODEL_RULE_COUNT];

#endif
