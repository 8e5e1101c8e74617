/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an architecture asks of the hardware: a table of operations on a ragged batch. Architectures
 * (engine/model) are written once over it; engine/cpu is one implementation.
 *
 * Exactness: an operation computes each row of its output from that row's inputs alone, and adds in
 * an order that depends on the shapes of the model only: never on how many rows there are, which
 * rows they are, how many threads work, or where a sequence was cut into chunks.
 *
 * Activations are fp32, [tokens][width], in memory that the backend gave (`buffer`). Operations
 * cannot fail: what could go wrong is checked when the backend opens, or by the caller, and nothing
 * is allocated after that. One call at a time.
 *
 * Sampling is no entry yet: it reads the row of logits that the host gets (engine/sample.h). A
 * backend whose logits are far from the host will add one.
 */
#ifndef SPATE_ENGINE_MODEL_BACKEND_H
#define SPATE_ENGINE_MODEL_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/load/tensor.h"
#include "engine/model.h"

/* A weight matrix, [rows][columns], as `weight` of the backend made it. */
struct matrix {
    enum tensor_type type; /* F32, F16 or BF16 */
    int rows;
    int columns;
    const void *data;
};

/* out = x * weight^T + bias: out [tokens][rows], or added to what `out` holds. */
struct linear {
    const struct matrix *weight;
    const float *bias; /* [rows], or NULL */
    float *out;
    bool add;
};

/* The batch with one entry a token beside the sequences. */
struct ragged {
    const struct batch *batch;
    const int32_t *positions; /* [tokens] */
    const int32_t *seq_of;    /* [tokens]: index into batch->seqs */
};

/* What the operations of attention need to know of the model, fixed when the backend opens. */
struct backend_shape {
    int layers;
    int heads;
    int kv_heads;
    int head_dim;
    int batch_tokens_max;
    int kv_blocks;
    const float *rope_frequencies; /* [head_dim / 2], copied */
};

struct backend;

struct backend_ops {
    void (*close)(struct backend *b);

    /* A matrix from a tensor (of two dimensions) that outlives the backend. */
    int (*weight)(struct backend *b, const struct tensor *from, struct matrix *out,
                  struct err *err);
    /* fp32 memory, zeroed, for activations and for vectors; lives as long as the backend. */
    float *(*buffer)(struct backend *b, size_t count);

    /* Once a batch, before the others: cosines and sines of its positions. */
    void (*begin)(struct backend *b, const struct ragged *r);

    /* out[i] = row tokens[i] of the table, as fp32 */
    void (*embed)(struct backend *b, float *out, const struct matrix *table, const int32_t *tokens,
                  int count);
    /* out[i] = x[i] / sqrt(mean(x[i]^2) + eps) * weight, for `count` rows */
    void (*norm)(struct backend *b, float *out, const float *x, const float *weight, int width,
                 float eps, int count);
    /* `job_count` products of the same input: x [count][columns] */
    void (*linear)(struct backend *b, const struct linear *jobs, int job_count, const float *x,
                   int count);
    /* Rotates q [tokens][heads * head_dim] and k [tokens][kv_heads * head_dim] in place to the
     * tokens' positions, then stores k and v in the layer's KV blocks. */
    void (*rotate_and_store)(struct backend *b, int layer, float *q, float *k, const float *v,
                             const struct ragged *r);
    /* out [tokens][heads * head_dim] = causal attention of q over the layer's KV blocks */
    void (*attend)(struct backend *b, int layer, float *out, const float *q,
                   const struct ragged *r);
    /* gate[i] = silu(gate[i]) * up[i] */
    void (*silu_mul)(struct backend *b, float *gate, const float *up, size_t count);
    /* out[i] = x[rows[i]] */
    void (*gather)(struct backend *b, float *out, const float *x, const int32_t *rows, int count,
                   int width);
};

struct backend {
    const struct backend_ops *ops;
    const char *isa; /* name of the kernels in use */
};

/* Bytes of one KV block over all layers, K and V. */
uint64_t backend_kv_block_bytes(const struct backend_shape *shape);
/* What the backend itself keeps for each token of the largest batch. */
uint64_t backend_token_bytes(const struct backend_shape *shape);

#endif
