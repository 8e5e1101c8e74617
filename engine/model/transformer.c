/* SPDX-License-Identifier: Apache-2.0 */
/* The forward pass: see transformer.h for the formulas. */
#include "engine/model/transformer.h"

static void attention(struct transformer *t, int index, const struct ragged *r)
{
    const struct layer *layer = &t->layers[index];
    const struct backend_ops *op = t->backend->ops;
    struct activations *a = &t->act;
    int count = r->batch->token_count;
    const struct linear inputs[] = {
        {&layer->q, layer->q_bias, a->q, false},
        {&layer->k, layer->k_bias, a->k, false},
        {&layer->v, layer->v_bias, a->v, false},
    };
    const struct linear output = {&layer->o, NULL, a->x, true};

    op->norm(t->backend, a->normed, a->x, layer->attention_norm, t->config.hidden,
             (float)t->config.norm_eps, count);
    op->linear(t->backend, inputs, 3, a->normed, count);
    op->rotate_and_store(t->backend, index, a->q, a->k, a->v, r);
    op->attend(t->backend, index, a->attention, a->q, r);
    op->linear(t->backend, &output, 1, a->attention, count);
}

static void feed_forward(struct transformer *t, const struct layer *layer, int count)
{
    const struct backend_ops *op = t->backend->ops;
    struct activations *a = &t->act;
    const struct linear inputs[] = {
        {&layer->gate, NULL, a->gate, false},
        {&layer->up, NULL, a->up, false},
    };
    const struct linear output = {&layer->down, NULL, a->x, true};

    op->norm(t->backend, a->normed, a->x, layer->ffn_norm, t->config.hidden,
             (float)t->config.norm_eps, count);
    op->linear(t->backend, inputs, 2, a->normed, count);
    op->silu_mul(t->backend, a->gate, a->up, (size_t)count * (size_t)t->config.ffn);
    op->linear(t->backend, &output, 1, a->gate, count);
}

void transformer_run(struct transformer *t, const struct ragged *r)
{
    int count = r->batch->token_count;

    t->backend->ops->begin(t->backend, r);
    t->backend->ops->embed(t->backend, t->act.x, &t->embedding, r->batch->tokens, count);
    for (int i = 0; i < t->config.layers; i++) {
        attention(t, i, r);
        feed_forward(t, &t->layers[i], count);
    }
}

void transformer_logits(struct transformer *t, const int32_t *rows, int count, float *logits)
{
    const struct backend_ops *op = t->backend->ops;
    struct activations *a = &t->act;
    const struct linear head = {&t->head, NULL, logits, false};
    int hidden = t->config.hidden;

    op->gather(t->backend, a->normed, a->x, rows, count, hidden);
    op->norm(t->backend, a->normed, a->normed, t->final_norm, hidden, (float)t->config.norm_eps,
             count);
    op->linear(t->backend, &head, 1, a->normed, count);
}
