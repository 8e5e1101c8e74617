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
    uint64_t own_bytes;    /* that binding takes: counted while checking */
};

static void full_name(const struct walk *walk, const char *name, char out[NAME_BYTES_MAX])
{
    if (walk->layer < 0)
        snprintf(out, NAME_BYTES_MAX, "%s", name);
    else
        snprintf(out, NAME_BYTES_MAX, "model.layers.%d.%s", walk->layer, name);
}

/* The check of a tensor of which binding makes `copied` bytes, beside its own. */
static int check_tensor(struct walk *walk, const char *name, int dim_count, const int64_t *shape,
                        uint64_t copied, struct err *err)
{
    int r = weights_check(walk->weights, name, dim_count, shape, err);

    if (r == 0)
        walk->own_bytes += weights_own_bytes(walk->weights, name) + copied;
    return r;
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
        return check_tensor(walk, full, 2, shape, 0, err);
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
        return check_tensor(walk, full, 1, shape, (uint64_t)width * sizeof(float), err);
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

int transformer_check(struct weights *w, uint64_t *own_bytes, struct err *err)
{
    struct walk walk = {.weights = w, .layer = -1};
    struct transformer unused = {0};
    int r = walk_all(&walk, &unused, err);

    if (r == 0 && own_bytes != NULL)
        *own_bytes = walk.own_bytes;
    return r;
}

enum { ACTIVATIONS = 8 };

struct activation {
    float **out;
    int width; /* of each token */
};

static void list_activations(struct activation out[ACTIVATIONS], struct activations *act,
                             const struct model_config *c)
{
    int q_width = c->heads * c->head_dim;
    int kv_width = c->kv_heads * c->head_dim;
    const struct activation all[ACTIVATIONS] = {
        {&act->x, c->hidden}, {&act->normed, c->hidden},  {&act->q, q_width},   {&act->k, kv_width},
        {&act->v, kv_width},  {&act->attention, q_width}, {&act->gate, c->ffn}, {&act->up, c->ffn},
    };

    memcpy(out, all, sizeof(all));
}

uint64_t transformer_token_bytes(const struct model_config *c)
{
    struct activations unused;
    struct activation all[ACTIVATIONS];
    uint64_t bytes = 0;

    list_activations(all, &unused, c);
    for (size_t i = 0; i < ACTIVATIONS; i++)
        bytes += (uint64_t)all[i].width * sizeof(float);
    return bytes;
}

static int take_buffers(struct transformer *t, int batch_tokens_max, struct err *err)
{
    struct activation all[ACTIVATIONS];

    list_activations(all, &t->act, &t->config);
    for (size_t i = 0; i < ACTIVATIONS; i++) {
        *all[i].out =
            t->backend->ops->buffer(t->backend, (size_t)batch_tokens_max * (size_t)all[i].width);
        if (*all[i].out == NULL)
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
