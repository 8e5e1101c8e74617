/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling written again for the tests, slowly and plainly: sorts everything, uses libm, knows no
 * heap. Only the order of the steps in engine/sample.h is shared. */
#ifndef SPATE_TESTS_SAMPLE_REFERENCE_H
#define SPATE_TESTS_SAMPLE_REFERENCE_H

#include "engine/model.h"

enum { REFERENCE_VOCAB_MAX = 200 };

/* The chance of each id, 0 for those cut; sums to 1. With temperature 0, one id has 1. */
void reference_chances(double *chances, const float *logits, int vocab_size,
                       const struct sample_input *input);
double reference_logprob(const float *logits, int vocab_size, int32_t id);

#endif
