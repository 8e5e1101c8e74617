/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From names to weights. One walk over the architecture's tensors serves both purposes: to check
 * the files (headers only), and to bind what they hold to a transformer.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/model/transformer.h"

enum { NAME_BYTES_MAX = 128 };

struct walk {
    struct weights *weights;
    struct transformer *t; /* NULL: check only */
    int layer;             /* -1: outside the layers */
};

static void full_name(const struct walk *walk, const char *name, char out[NAME_BYTES_MAX])
{
    if (walk->layer < 0)
        snprintf(out, NAME_BYTES_MAX, "%s", name);
    else
        snprintf(out, NAME_BYTES_MAX, "model.layers.%d.%s", walk->layer, name);
}

static int bind_matrix(struct walk *walk, const char *name, int rows, int columns,
                       struct matrix *out, struct err *err)
{
    const int64_t shape[] = {rows, columns};
    char full[NAME_BYTES_MAX];
    struct tensor tensor;
    int r;

    full_name(walk, name, full);
    if (walk->t == NULL)
        return weights_check(walk->weights, full, 2, shape, err);
    r = weights_take(walk->weights, full, 2, shape, &tensor, err);
    if (r < 0)
        return r;
    return walk->t->backend->ops->weight(walk->t->backend, &tensor, out, err);
}

/* Vectors are few and small: all become fp32 in the backend's memory. */
static int bind_vector(struct walk *walk, const char *name, int width, const float **out,
                       struct err *err)
{
    const int64_t shape[] = {width};
    char full[NAME_BYTES_MAX];
    struct tensor tensor;
    float *values;
    int r;

    full_name(walk, name, full);
    if (walk->t == NULL)
        return weights_check(walk->weights, full, 1, shape, err);
    r = weights_take(walk->weights, full, 1, shape, &tensor, err);
    if (r < 0)
        return r;
    values = walk->t->backend->ops->buffer(walk->t->backend, (size_t)width);
    if (values == NULL)
        return err_no_memory(err);
    tensor_widen(&tensor, 0, (size_t)width, values);
    *out = values;
    return 0;
}

static int walk_matrices(struct walk *walk, const struct model_config *c, struct layer *layer,
                         struct err *err)
{
    int q_width = c->heads * c->head_dim;
    int kv_width = c->kv_heads * c->head_dim;
    const struct {
        const char *name;
        int rows;
        int columns;
        struct matrix *out;
    } matrices[] = {
        {"self_attn.q_proj.weight", q_width, c->hidden, &layer->q},
        {"self_attn.k_proj.weight", kv_width, c->hidden, &layer->k},
        {"self_attn.v_proj.weight", kv_width, c->hidden, &layer->v},
        {"self_attn.o_proj.weight", c->hidden, q_width, &layer->o},
        {"mlp.gate_proj.weight", c->ffn, c->hidden, &layer->gate},
        {"mlp.up_proj.weight", c->ffn, c->hidden, &layer->up},
        {"mlp.down_proj.weight", c->hidden, c->ffn, &layer->down},
    };

    for (size_t i = 0; i < ARRAY_COUNT(matrices); i++) {
        int r = bind_matrix(walk, matrices[i].name, matrices[i].rows, matrices[i].columns,
                            matrices[i].out, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int walk_vectors(struct walk *walk, const struct model_config *c, struct layer *layer,
                        struct err *err)
{
    int kv_width = c->kv_heads * c->head_dim;
    const struct {
        const char *name;
        int width;
        bool wanted;
        const float **out;
    } vectors[] = {
        {"input_layernorm.weight", c->hidden, true, &layer->attention_norm},
        {"post_attention_layernorm.weight", c->hidden, true, &layer->ffn_norm},
        {"self_attn.q_proj.bias", c->heads * c->head_dim, c->qkv_bias, &layer->q_bias},
        {"self_attn.k_proj.bias", kv_width, c->qkv_bias, &layer->k_bias},
        {"self_attn.v_proj.bias", kv_width, c->qkv_bias, &layer->v_bias},
    };

    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        int r = 0;

        if (vectors[i].wanted)
            r = bind_vector(walk, vectors[i].name, vectors[i].width, vectors[i].out, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int walk_head(struct walk *walk, struct transformer *t, struct err *err)
{
    const struct model_config *c = weights_config(walk->weights);
    const int64_t shape[] = {c->vocab_rows, c->hidden};
    int r = bind_matrix(walk, "model.embed_tokens.weight", c->vocab_rows, c->hidden, &t->embedding,
                        err);

    if (r == 0)
        r = bind_vector(walk, "model.norm.weight", c->hidden, &t->final_norm, err);
    if (r < 0)
        return r;
    if (!c->tied)
        return bind_matrix(walk, "lm_head.weight", c->vocab_rows, c->hidden, &t->head, err);
    t->head = t->embedding;
    /* Some tied checkpoints store the head nevertheless; the reference ignores it. */
    if (weights_have(walk->weights, "lm_head.weight"))
        return weights_check(walk->weights, "lm_head.weight", 2, shape, err);
    return 0;
}

static int walk_all(struct walk *walk, struct transformer *t, struct err *err)
{
    const struct model_config *c = weights_config(walk->weights);
    int r = walk_head(walk, t, err);

    for (walk->layer = 0; r == 0 && walk->layer < c->layers; walk->layer++) {
        struct layer unused = {0};
        struct layer *layer = walk->t == NULL ? &unused : &t->layers[walk->layer];

        r = walk_matrices(walk, c, layer, err);
        if (r == 0)
            r = walk_vectors(walk, c, layer, err);
    }
    if (r < 0)
        return r;
    return weights_check_used(walk->weights, err);
}

int transformer_check(struct weights *w, struct err *err)
{
    struct walk walk = {.weights = w, .layer = -1};
    struct transformer unused = {0};

    return walk_all(&walk, &unused, err);
}

static int take_buffers(struct transformer *t, int batch_tokens_max, struct err *err)
{
    const struct model_config *c = &t->config;
    int q_width = c->heads * c->head_dim;
    int kv_width = c->kv_heads * c->head_dim;
    const struct {
        float **out;
        int width;
    } buffers[] = {
        {&t->act.x, c->hidden}, {&t->act.normed, c->hidden}, {&t->act.q, q_width},
        {&t->act.k, kv_width},  {&t->act.v, kv_width},       {&t->act.attention, q_width},
        {&t->act.gate, c->ffn}, {&t->act.up, c->ffn},
    };

    for (size_t i = 0; i < ARRAY_COUNT(buffers); i++) {
        *buffers[i].out = t->backend->ops->buffer(t->backend, (size_t)batch_tokens_max *
                                                                  (size_t)buffers[i].width);
        if (*buffers[i].out == NULL)
            return err_no_memory(err);
    }
    return 0;
}

int transformer_bind(struct transformer *t, struct weights *w, int batch_tokens_max,
                     struct err *err)
{
    struct walk walk = {.weights = w, .t = t, .layer = -1};
    int r;

    t->config = *weights_config(w);
    t->layers = mem_array((size_t)t->config.layers, sizeof(*t->layers));
    if (t->layers == NULL)
        return err_no_memory(err);
    r = walk_all(&walk, t, err);
    if (r < 0)
        return r;
    return take_buffers(t, batch_tokens_max, err);
}
