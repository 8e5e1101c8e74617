/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the scheduler (engine.c, sched, kv) and the mathematics (load/, model/, cpu/): a model
 * that runs ragged batches over a paged KV store. The scheduler knows no tensor, the model no
 * request.
 */
#ifndef SPATE_ENGINE_MODEL_H
#define SPATE_ENGINE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"

enum { KV_BLOCK_TOKENS = 16 };

struct model;

struct model_info {
    char architecture[32];
    char isa[16];
    int layers;
    int hidden;
    int vocab_rows;  /* rows of the output head: the width of a logits row */
    int vocab_size;  /* ids the tokenizer knows: only these may be sampled; <= vocab_rows */
    int context_max; /* max_position_embeddings */
    uint64_t weights_bytes;
    uint64_t own_bytes;      /* memory made for weights; the rest of them is pages of their files */
    uint64_t token_bytes;    /* work memory for each of batch_tokens_max */
    uint64_t kv_block_bytes; /* of one block over all layers, K and V */
    uint8_t digest[32];
};

struct model_options {
    int threads;
    enum engine_isa isa;
    int batch_tokens_max; /* tokens in one model_forward at most */
    int logits_rows_max;
    int kv_blocks;
};

/*
 * One ragged batch. Sequence s owns tokens[first .. first + count), at positions
 * position .. position + count; its KV for positions p lives in block block_table[p / 16], slot
 * p % 16. Positions before `position` are already in the store; those of this batch are written by
 * the forward pass (tokens of one sequence see each other causally).
 *
 *     tokens  [ 17 4 99 8 | 5 | 12 ]        three sequences: a prefill chunk of 4, two decodes
 *     logits row wanted:  - - - x | x | x   the last token of each, where want_logits
 */
struct batch_seq {
    int first;
    int count;
    int position;
    const int32_t *block_table;
    int logits_row; /* row of `logits` for the last token of this sequence, -1: not wanted */
};

struct batch {
    const int32_t *tokens;
    int token_count;
    const struct batch_seq *seqs;
    int seq_count;
};

/* Headers only: fills everything but what load computes. */
int model_inspect(struct model_info *out, const char *path, enum engine_isa isa, struct err *err);

/* Loads the weights, allocates activations and the KV store. */
int model_open(struct model **out, const char *path, const struct model_options *options,
               struct engine_progress *progress, struct err *err);
void model_close(struct model *m);
const struct model_info *model_info_of(const struct model *m);

/* Runs the batch; writes logits [rows][vocab_rows] in fp32. Allocates nothing. */
int model_forward(struct model *m, const struct batch *batch, float *logits, struct err *err);

/* For tests: logits of every token of the batch, [token_count][vocab_rows]. */
int model_forward_all(struct model *m, const struct batch *batch, float *logits, struct err *err);

/* What is sampled: the id and the logprobs, by the rules of engine_sampling. `counts` of earlier
 * ids come as the lists themselves. Runs on the backend (an operation of it). */
struct sample_input {
    const struct engine_sampling *sampling;
    const int32_t *prompt;
    int prompt_count;
    const int32_t *output;
    int output_count;      /* also the position of the token being sampled */
    const int32_t *banned; /* ids with no chance (stop ids before min_output) */
    int banned_count;
};
struct sample_output {
    int32_t id;
    struct engine_logprob chosen;
    struct engine_logprob top[ENGINE_LOGPROBS_MAX];
};

#endif
