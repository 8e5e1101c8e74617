/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of ModelDeployment, one file each. Inside crd/ only. */
#ifndef SPATE_CRD_MODEL_ROWS_H
#define SPATE_CRD_MODEL_ROWS_H

#include "crd/model_deployment.h"

extern const struct crd_rows crd_model_spec_rows;   /* model_fields.c */
extern const struct crd_rows crd_model_status_rows; /* model_status_fields.c */

enum { CRD_MODEL_RULE_COUNT = 5 };
extern const struct crd_rule crd_model_rules[CRD_MODEL_RULE_COUNT]; /* model_rules.c */

#endif
