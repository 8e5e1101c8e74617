/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary positions, the KV store and attention. A query looks at its sequence's blocks from the
 * first to its own, one after the other, whichever chunk or batch it came in: so the order of its
 * sums is a function of its position alone. Queries of a tile share each block while it is in the
 * cache.
 */
#include <math.h>

#include "engine/cpu/cpu.h"

static void make_angles(struct cpu *c, const struct ragged *r)
{
    int half = c->head_dim / 2;

    for (int token = 0; token < r->batch->token_count; token++) {
        for (int i = 0; i < half; i++) {
            /* The reference rounds the angle to fp32; at position 9,000 that is what counts. */
            float angle = (float)r->positions[token] * c->frequencies[i];

            c->cosines[token * half + i] = (float)cos((double)angle);
            c->sines[token * half + i] = (float)sin((double)angle);
        }
    }
}

static void make_tiles(struct cpu *c, const struct ragged *r)
{
    c->tile_count = 0;
    c->context_total = 0;
    for (int s = 0; s < r->batch->seq_count; s++) {
        const struct batch_seq *seq = &r->batch->seqs[s];

        for (int done = 0; done < seq->count; done += CPU_TILE_TOKENS) {
            int left = seq->count - done;

            c->tiles[c->tile_count++] = (struct cpu_tile){
                .seq = s,
                .first = seq->first + done,
                .count = left < CPU_TILE_TOKENS ? left : CPU_TILE_TOKENS,
            };
        }
        c->context_total += (int64_t)seq->count * (seq->position + seq->count);
    }
}

void cpu_begin(struct backend *b, const struct ragged *r)
{
    struct cpu *c = (struct cpu *)b;

    make_angles(c, r);
    make_tiles(c, r);
}

struct store_args {
    struct cpu *c;
    int layer;
    float *q;
    float *k;
    const float *v;
    const struct ragged *r;
};

/* A token's key goes down one column of the block, its value along one row. */
static void store_token(const struct store_args *a, int token)
{
    const struct cpu *c = a->c;
    const struct batch_seq *seq = &a->r->batch->seqs[a->r->seq_of[token]];
    int position = a->r->positions[token];
    int block = seq->block_table[position / KV_BLOCK_TOKENS];
    int slot = position % KV_BLOCK_TOKENS;

    for (int h = 0; h < c->kv_heads; h++) {
        size_t from = ((size_t)token * (size_t)c->kv_heads + (size_t)h) * (size_t)c->head_dim;
        float *keys = cpu_kv_at(c, a->layer, block, 0, h);
        float *values = cpu_kv_at(c, a->layer, block, 1, h);

        for (int d = 0; d < c->head_dim; d++) {
            keys[d * KV_BLOCK_TOKENS + slot] = a->k[from + (size_t)d];
            values[slot * c->head_dim + d] = a->v[from + (size_t)d];
        }
    }
}

static void rotate_heads(const struct cpu *c, float *x, int heads, int token)
{
    int half = c->head_dim / 2;

    for (int h = 0; h < heads; h++)
        c->kernels->rotate(x + ((size_t)token * (size_t)heads + (size_t)h) * (size_t)c->head_dim,
                           c->cosines + token * half, c->sines + token * half, half);
}

static void store_task(void *arg, int token)
{
    const struct store_args *a = arg;

    rotate_heads(a->c, a->q, a->c->heads, token);
    rotate_heads(a->c, a->k, a->c->kv_heads, token);
    store_token(a, token);
}

void cpu_rotate_and_store(struct backend *b, int layer, float *q, float *k, const float *v,
                          const struct ragged *r)
{
    struct cpu *c = (struct cpu *)b;
    struct store_args args = {c, layer, q, k, v, r};
    int tokens = r->batch->token_count;

    cpu_run(c, store_task, &args, tokens,
            (int64_t)tokens * (c->heads + c->kv_heads) * c->head_dim * 2);
}

struct attend_args {
    struct cpu *c;
    int layer;
    float *out;
    const float *q;
    const struct ragged *r;
};

/* One block, for the queries of the tile that see it and share this KV head. */
static void attend_tile_block(const struct attend_args *a, const struct cpu_tile *tile, int kv_head,
                              int block)
{
    const struct cpu *c = a->c;
    const struct batch_seq *seq = &a->r->batch->seqs[tile->seq];
    int group = c->heads / c->kv_heads;
    int place = seq->block_table[block];
    struct attend_block view = {
        .keys = cpu_kv_at(c, a->layer, place, 0, kv_head),
        .values = cpu_kv_at(c, a->layer, place, 1, kv_head),
        .head_dim = c->head_dim,
        .scale = 1 / sqrtf((float)c->head_dim),
    };

    for (int token = tile->first; token < tile->first + tile->count; token++) {
        int seen = a->r->positions[token] + 1 - block * KV_BLOCK_TOKENS;

        if (seen <= 0)
            continue;
        view.count = seen < KV_BLOCK_TOKENS ? seen : KV_BLOCK_TOKENS;
        for (int head = kv_head * group; head < (kv_head + 1) * group; head++) {
            size_t at = (size_t)token * (size_t)c->heads + (size_t)head;

            c->kernels->attend(&c->softmax[at], a->out + at * (size_t)c->head_dim,
                               a->q + at * (size_t)c->head_dim, &view);
        }
    }
}

static void finish_tile(const struct attend_args *a, const struct cpu_tile *tile, int kv_head)
{
    const struct cpu *c = a->c;
    int group = c->heads / c->kv_heads;

    for (int token = tile->first; token < tile->first + tile->count; token++) {
        for (int head = kv_head * group; head < (kv_head + 1) * group; head++) {
            size_t at = (size_t)token * (size_t)c->heads + (size_t)head;

            c->kernels->scale(a->out + at * (size_t)c->head_dim, 1 / c->softmax[at].sum,
                              c->head_dim);
        }
    }
}

static void attend_task(void *arg, int task)
{
    const struct attend_args *a = arg;
    const struct cpu *c = a->c;
    const struct cpu_tile *tile = &c->tiles[task / c->kv_heads];
    int kv_head = task % c->kv_heads;
    int group = c->heads / c->kv_heads;
    int last = a->r->positions[tile->first + tile->count - 1];

    for (int token = tile->first; token < tile->first + tile->count; token++) {
        for (int head = kv_head * group; head < (kv_head + 1) * group; head++)
            c->softmax[(size_t)token * (size_t)c->heads + (size_t)head] = (struct softmax){0, 0};
    }
    for (int block = 0; block <= last / KV_BLOCK_TOKENS; block++)
        attend_tile_block(a, tile, kv_head, block);
    finish_tile(a, tile, kv_head);
}

void cpu_attend(struct backend *b, int layer, float *out, const float *q, const struct ragged *r)
{
    struct cpu *c = (struct cpu *)b;
    struct attend_args args = {c, layer, out, q, r};

    cpu_run(c, attend_task, &args, c->tile_count * c->kv_heads,
            c->context_total * c->heads * c->head_dim * 2);
}
