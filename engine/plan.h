/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of engine_config with their defaults and limits applied; pure. */
#ifndef SPATE_ENGINE_PLAN_H
#define SPATE_ENGINE_PLAN_H

#include <stddef.h>

#include "base/err.h"
#include "engine/engine.h"

struct plan_limits {
    int slots;
    int queue_max;
    int chunk_tokens; /* at least `slots`, so that every sequence decodes in every step */
};

/* -ERR_INVALID, naming the setting. */
int plan_limits(struct plan_limits *out, const struct engine_config *config, struct err *err);

/* Sizes by which engine_open allocates, and the plan counts. */
int plan_seq_max(const struct plan_limits *limits);
size_t plan_logits_bytes(int slots, int vocab_rows);

#endif
