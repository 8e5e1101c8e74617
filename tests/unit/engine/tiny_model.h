/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A toy in the place of the mathematics (engine/model.h), for tests of the scheduler. It keeps one
 * number per position in its KV store, made of token and position, and its logits depend on the
 * numbers of ALL earlier positions as read through the block table: a wrong block, a block reused
 * too early or a position computed twice differently changes the answer. It also checks each batch.
 */
#ifndef SPATE_TESTS_TINY_MODEL_H
#define SPATE_TESTS_TINY_MODEL_H

#include <stdint.h>

enum { TINY_VOCAB = 50, TINY_ROWS = 64 /* ids from 50 up have the highest logits of all */ };

struct tiny_settings {
    int context_max;
    uint64_t kv_block_bytes;
    uint64_t own_bytes;   /* of the weights */
    uint64_t token_bytes; /* work memory of each token of a batch */
    int64_t fail_after;   /* forward passes until one fails; negative: never */
    int64_t nan_after;    /* the same for a NaN in the logits */
};
extern struct tiny_settings tiny; /* set before engine_open */
void tiny_reset(void);            /* 256 tokens of context, blocks of 1000 bytes, no failures */

extern int tiny_batch_tokens_most; /* the largest batch seen since tiny_reset */

/* What the model computes after these tokens, without any store: the oracle. */
void tiny_logits(float *row, const int32_t *tokens, int count);

#endif
