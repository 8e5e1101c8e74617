/* SPDX-License-Identifier: Apache-2.0 */
/* The frequencies of rotary position embedding, rounded as the reference rounds them. */
#ifndef SPATE_ENGINE_MODEL_ROPE_H
#define SPATE_ENGINE_MODEL_ROPE_H

#include "engine/load/model_config.h"

/* frequencies[i] for pair i of head_dim / 2. `divisors` (may be NULL) come from a GGUF file that
 * stores the scaling of Llama 3 as one number a pair. */
void rope_frequencies(float *frequencies, int head_dim, const struct model_rope *rope,
                      const float *divisors);

#endif
