/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a row of logits to a token: a pure function of the row, the tokens so far and the sampling
 * parameters. Equal inputs give equal tokens on every machine: sums run in a fixed order, and the
 * exponential is our own (libm's may differ in the last bit from one CPU to the next).
 *
 * In this order, as vLLM does it:
 *   1. logprobs are taken from the raw row (over ids below vocab_size)
 *   2. logit_bias is added; banned ids lose all chance
 *   3. repetition penalty r over ids of prompt and output: logit > 0 ? logit / r : logit * r;
 *      frequency f and presence p over the output: logit -= f * count + p * (count > 0)
 *   4. temperature 0: the highest logit, ties to the lowest id. Otherwise weight = e^((logit - max)
 *      / temperature); a weight below e^-44 counts as zero (no 53-bit random number can hit it)
 *   5. min_p: ids whose weight is below min_p of the best go
 *   6. top_k: the k best stay, ties to the lowest id
 *   7. top_p: of those the smallest set of best ids whose weights sum to at least top_p stays
 *   8. the id where the running sum of weights passes u * total, u = sample_uniform(seed, position)
 */
#ifndef SPATE_ENGINE_SAMPLE_H
#define SPATE_ENGINE_SAMPLE_H

#include <stdint.h>

#include "base/err.h"
#include "engine/model.h"

struct sample_scratch;

int sample_scratch_new(struct sample_scratch **out, int vocab_size, struct err *err);
uint64_t sample_scratch_bytes(int vocab_size);
void sample_scratch_free(struct sample_scratch *scratch);

/* Samples from logits[0 .. vocab_size of the scratch). All ids of the input are below it, and the
 * parameters are within sample_check. Fails (-ERR_INTERNAL) on NaN or infinite logits, and where no
 * id has any chance. Allocates nothing; the scratch serves one call at a time. */
int sample_row(struct sample_output *out, const float *logits, const struct sample_input *input,
               struct sample_scratch *scratch, struct err *err);

/* -ERR_INVALID, naming the parameter, unless each is finite and in its range. */
int sample_check(const struct engine_sampling *sampling, int vocab_size, struct err *err);

/* The random number for a position, in [0, 1), with 53 bits: splitmix64's finaliser over the seed,
 * then over that result combined with position + 1. */
double sample_uniform(uint64_t seed, uint64_t position);

#endif
