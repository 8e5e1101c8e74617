/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Qwen2 and Llama: a stack of layers of attention and a gated feed-forward, each before a norm and
 * added to the stream. The two differ in the biases of q, k and v alone.
 *
 *     x = embedding[token]
 *     x += Wo attend(rotate(Wq n), rotate(Wk n), Wv n)     n = norm(x)
 *     x += Wdown (silu(Wgate n) * (Wup n))                 n = norm(x)
 *     logits = head norm(x)
 */
#ifndef SPATE_ENGINE_MODEL_TRANSFORMER_H
#define SPATE_ENGINE_MODEL_TRANSFORMER_H

#include "engine/load/model_config.h"
#include "engine/load/weights.h"
#include "engine/model/backend.h"

struct layer {
    const float *attention_norm; /* [hidden] */
    struct matrix q;             /* [heads * head_dim][hidden] */
    struct matrix k;             /* [kv_heads * head_dim][hidden] */
    struct matrix v;             /* [kv_heads * head_dim][hidden] */
    const float *q_bias;         /* [heads * head_dim], or NULL */
    const float *k_bias;         /* [kv_heads * head_dim], or NULL */
    const float *v_bias;         /* [kv_heads * head_dim], or NULL */
    struct matrix o;             /* [hidden][heads * head_dim] */
    const float *ffn_norm;       /* [hidden] */
    struct matrix gate;          /* [ffn][hidden] */
    struct matrix up;            /* [ffn][hidden] */
    struct matrix down;          /* [hidden][ffn] */
};

/* Activations of one batch; n is batch_tokens_max. */
struct activations {
    float *x;         /* [n][hidden], the residual stream */
    float *normed;    /* [n][hidden] */
    float *q;         /* [n][heads * head_dim] */
    float *k;         /* [n][kv_heads * head_dim] */
    float *v;         /* [n][kv_heads * head_dim] */
    float *attention; /* [n][heads * head_dim] */
    float *gate;      /* [n][ffn] */
    float *up;        /* [n][ffn] */
};

struct transformer {
    struct model_config config;
    struct backend *backend;
    struct matrix embedding; /* [vocab_rows][hidden] */
    struct layer *layers;    /* [config.layers] */
    const float *final_norm; /* [hidden] */
    struct matrix head;      /* [vocab_rows][hidden]; the embedding if tied */
    struct activations act;
};

/* Checks that `w` holds each tensor of the architecture in its shape, and no other. `own_bytes`
 * (may be NULL): the memory that binding them is going to take, beside the files' own pages. */
int transformer_check(struct weights *w, uint64_t *own_bytes, struct err *err);
/* Memory of the activations for each token of the largest batch. */
uint64_t transformer_token_bytes(const struct model_config *c);

/* Binds the weights and takes buffers from the backend. The caller owns t->layers on every path. */
int transformer_bind(struct transformer *t, struct weights *w, int batch_tokens_max,
                     struct err *err);

/* The residual stream of the batch, in act.x. */
void transformer_run(struct transformer *t, const struct ragged *r);

/* Logits [count][vocab_rows] of the rows of act.x that `rows` lists. */
void transformer_logits(struct transformer *t, const int32_t *rows, int count, float *logits);

#endif
