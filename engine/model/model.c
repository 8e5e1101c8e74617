/* SPDX-License-Identifier: Apache-2.0 */
/* A model that runs: weights, transformer and backend behind the scheduler's view of them. */
#include "engine/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "engine/cpu/backend_cpu.h"
#include "engine/load/weights.h"
#include "engine/model/rope.h"
#include "engine/model/transformer.h"

enum {
    BATCH_TOKENS_MAX = 1 << 16,
    KV_BLOCKS_MAX = 1 << 24,
    TOKEN_ARRAYS = 3, /* positions, seq_of, rows */
};

struct model {
    struct model_info info;
    struct model_options options;
    struct weights *weights;
    struct backend *backend;
    struct transformer transformer;
    int32_t *positions; /* [batch_tokens_max] */
    int32_t *seq_of;    /* [batch_tokens_max] */
    int32_t *rows;      /* [batch_tokens_max]: tokens whose logits are wanted */
};

static struct backend_shape shape_of(const struct model_config *c,
                                     const struct model_options *options)
{
    return (struct backend_shape){
        .layers = c->layers,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .batch_tokens_max = options->batch_tokens_max,
        .kv_blocks = options->kv_blocks,
    };
}

/* Equal digests must mean equal answers, and kernels differ in their last bits: so their name is in
 * the digest. */
static void add_isa(uint8_t digest[WEIGHTS_DIGEST_BYTES], const char *isa)
{
    char text[WEIGHTS_DIGEST_BYTES + 16];
    int isa_length = (int)strnlen(isa, 16);

    memcpy(text, digest, WEIGHTS_DIGEST_BYTES);
    memcpy(text + WEIGHTS_DIGEST_BYTES, isa, (size_t)isa_length);
    sha256((struct str){text, (size_t)(WEIGHTS_DIGEST_BYTES + isa_length)}, digest);
}

static int fill_info(struct model_info *info, const struct weights *w, uint64_t own_bytes,
                     enum engine_isa isa, struct err *err)
{
    const struct model_config *c = weights_config(w);
    const struct model_options none = {0};
    const struct backend_shape shape = shape_of(c, &none);
    const char *name = NULL;
    int r = backend_cpu_isa(isa, &name, err);

    if (r < 0)
        return r;
    *info = (struct model_info){
        .layers = c->layers,
        .hidden = c->hidden,
        .vocab_rows = c->vocab_rows,
        .vocab_size = weights_vocab_size(w),
        .context_max = c->context_max,
        .weights_bytes = weights_resident_bytes(w),
        .own_bytes = own_bytes,
        .token_bytes = transformer_token_bytes(c) + backend_token_bytes(&shape) +
                       TOKEN_ARRAYS * sizeof(int32_t),
        .kv_block_bytes = backend_kv_block_bytes(&shape),
    };
    snprintf(info->architecture, sizeof(info->architecture), "%s",
             model_architecture_name(c->architecture));
    snprintf(info->isa, sizeof(info->isa), "%s", name);
    return 0;
}

static int open_weights(struct weights **out, uint64_t *own_bytes, const char *path,
                        struct err *err)
{
    CLEANUP(weights_closep) struct weights *w = NULL;
    int r = weights_open(&w, path, err);

    if (r < 0)
        return r;
    r = transformer_check(w, own_bytes, err);
    if (r < 0)
        return err_wrap(err, r, "%s", path);
    *out = STEAL(w);
    return 0;
}

int model_inspect(struct model_info *out, const char *path, enum engine_isa isa, struct err *err)
{
    CLEANUP(weights_closep) struct weights *w = NULL;
    uint64_t own_bytes = 0;
    int r = open_weights(&w, &own_bytes, path, err);

    if (r < 0)
        return r;
    return fill_info(out, w, own_bytes, isa, err);
}

static int check_options(const struct model_options *o, struct err *err)
{
    const struct {
        const char *name;
        int value;
        int min;
        int max;
    } fields[] = {
        {"threads", o->threads, 0, 256},
        {"batch_tokens_max", o->batch_tokens_max, 1, BATCH_TOKENS_MAX},
        {"logits_rows_max", o->logits_rows_max, 1, BATCH_TOKENS_MAX},
        {"kv_blocks", o->kv_blocks, 1, KV_BLOCKS_MAX},
    };

    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        if (fields[i].value < fields[i].min || fields[i].value > fields[i].max)
            return err_set(err, ERR_INVALID, "%s is %d; it must be from %d to %d", fields[i].name,
                           fields[i].value, fields[i].min, fields[i].max);
    }
    return 0;
}

/* GGUF files of Llama 3.1 hold the scaled frequencies as divisors. */
static int read_frequencies(float *out, struct weights *w, struct err *err)
{
    const struct model_config *c = weights_config(w);
    const int64_t shape[] = {c->head_dim / 2};
    float divisors[MODEL_HEAD_DIM_MAX / 2];
    struct tensor tensor;
    int r;

    if (!weights_have(w, "rope_freqs.weight")) {
        rope_frequencies(out, c->head_dim, &c->rope, NULL);
        return 0;
    }
    r = weights_take(w, "rope_freqs.weight", 1, shape, &tensor, err);
    if (r < 0)
        return r;
    tensor_widen(&tensor, 0, (size_t)shape[0], divisors);
    for (int i = 0; i < c->head_dim / 2; i++) {
        if (!(divisors[i] > 0))
            return err_set(err, ERR_INVALID, "rope_freqs.weight holds %g; all must be above 0",
                           (double)divisors[i]);
    }
    rope_frequencies(out, c->head_dim, &c->rope, divisors);
    return 0;
}

static int open_backend(struct model *m, const char *path, struct err *err)
{
    float frequencies[MODEL_HEAD_DIM_MAX / 2];
    struct backend_shape shape = shape_of(weights_config(m->weights), &m->options);
    int r = read_frequencies(frequencies, m->weights, err);

    if (r < 0)
        return err_wrap(err, r, "%s", path);
    shape.rope_frequencies = frequencies;
    return backend_cpu_open(&m->backend, &shape, m->options.threads, m->options.isa, err);
}

static int allocate(struct model *m, struct err *err)
{
    size_t tokens = (size_t)m->options.batch_tokens_max;

    m->positions = mem_array(tokens, sizeof(*m->positions));
    m->seq_of = mem_array(tokens, sizeof(*m->seq_of));
    m->rows = mem_array(tokens, sizeof(*m->rows));
    if (m->positions == NULL || m->seq_of == NULL || m->rows == NULL)
        return err_no_memory(err);
    return 0;
}

static int open_parts(struct model *m, const char *path, struct engine_progress *progress,
                      struct err *err)
{
    uint64_t own_bytes = 0;
    int r = open_weights(&m->weights, &own_bytes, path, err);

    if (r == 0)
        r = fill_info(&m->info, m->weights, own_bytes, m->options.isa, err);
    if (r == 0)
        r = open_backend(m, path, err);
    if (r == 0)
        r = allocate(m, err);
    if (r == 0)
        r = weights_read_in(m->weights, progress, m->info.digest, err);
    if (r < 0)
        return r;
    add_isa(m->info.digest, m->info.isa);
    m->transformer.backend = m->backend;
    return transformer_bind(&m->transformer, m->weights, m->options.batch_tokens_max, err);
}

int model_open(struct model **out, const char *path, const struct model_options *options,
               struct engine_progress *progress, struct err *err)
{
    struct model *m;
    int r = check_options(options, err);

    if (r < 0)
        return r;
    m = mem_alloc(sizeof(*m));
    if (m == NULL)
        return err_no_memory(err);
    m->options = *options;
    r = open_parts(m, path, progress, err);
    if (r < 0) {
        model_close(m);
        return r;
    }
    *out = m;
    return 0;
}

void model_close(struct model *m)
{
    if (m == NULL)
        return;
    if (m->backend != NULL)
        m->backend->ops->close(m->backend);
    weights_close(m->weights);
    mem_free(m->transformer.layers);
    mem_free(m->positions);
    mem_free(m->seq_of);
    mem_free(m->rows);
    mem_free(m);
}

const struct model_info *model_info_of(const struct model *m)
{
    return &m->info;
}

static int check_seq(const struct model *m, const struct batch *batch, const struct batch_seq *seq,
                     int index, struct err *err)
{
    int last;

    if (seq->count < 1 || seq->position < 0 || seq->first < 0 ||
        seq->count > batch->token_count - seq->first)
        return err_set(err, ERR_INVALID, "sequence %d: tokens %d + %d at position %d", index,
                       seq->first, seq->count, seq->position);
    if (__builtin_add_overflow(seq->position, seq->count - 1, &last))
        return err_set(err, ERR_INVALID, "sequence %d: position overflows", index);
    for (int i = 0; i <= last / KV_BLOCK_TOKENS; i++) {
        if (seq->block_table[i] < 0 || seq->block_table[i] >= m->options.kv_blocks)
            return err_set(err, ERR_INVALID, "sequence %d: block %d of %d", index,
                           seq->block_table[i], m->options.kv_blocks);
    }
    return 0;
}

static int check_tokens(const struct model *m, const struct batch *batch, struct err *err)
{
    if (batch->token_count < 1 || batch->token_count > m->options.batch_tokens_max)
        return err_set(err, ERR_INVALID, "%d tokens in a batch of at most %d", batch->token_count,
                       m->options.batch_tokens_max);
    for (int i = 0; i < batch->token_count; i++) {
        if (batch->tokens[i] < 0 || batch->tokens[i] >= m->info.vocab_rows)
            return err_set(err, ERR_INVALID, "token id %d of a vocabulary of %d", batch->tokens[i],
                           m->info.vocab_rows);
    }
    return 0;
}

/* Sequences must lie end to end and cover the tokens. */
static int prepare(struct model *m, const struct batch *batch, struct err *err)
{
    int at = 0;
    int r = check_tokens(m, batch, err);

    if (r < 0)
        return r;
    for (int s = 0; s < batch->seq_count; s++) {
        const struct batch_seq *seq = &batch->seqs[s];

        r = check_seq(m, batch, seq, s, err);
        if (r < 0)
            return r;
        if (seq->first != at)
            return err_set(err, ERR_INVALID, "sequence %d begins at token %d, not at %d", s,
                           seq->first, at);
        for (int i = 0; i < seq->count; i++, at++) {
            m->positions[at] = seq->position + i;
            m->seq_of[at] = s;
        }
    }
    if (at != batch->token_count)
        return err_set(err, ERR_INVALID, "%d tokens of the batch belong to no sequence",
                       batch->token_count - at);
    return 0;
}

/* Which token's logits go into each row. Rows must be 0, 1, 2 ... in any order. */
static int wanted_rows(struct model *m, const struct batch *batch, int *count, struct err *err)
{
    int wanted = 0;

    for (int s = 0; s < batch->seq_count; s++)
        wanted += batch->seqs[s].logits_row >= 0;
    if (wanted > m->options.logits_rows_max)
        return err_set(err, ERR_INVALID, "%d rows of logits; at most %d", wanted,
                       m->options.logits_rows_max);
    for (int i = 0; i < wanted; i++)
        m->rows[i] = -1;
    for (int s = 0; s < batch->seq_count; s++) {
        const struct batch_seq *seq = &batch->seqs[s];

        if (seq->logits_row < 0)
            continue;
        if (seq->logits_row >= wanted || m->rows[seq->logits_row] >= 0)
            return err_set(err, ERR_INVALID,
                           "sequence %d wants row %d of logits: rows must be 0 to %d, each once", s,
                           seq->logits_row, wanted - 1);
        m->rows[seq->logits_row] = seq->first + seq->count - 1;
    }
    *count = wanted;
    return 0;
}

int model_forward(struct model *m, const struct batch *batch, float *logits, struct err *err)
{
    const struct ragged ragged = {batch, m->positions, m->seq_of};
    int wanted = 0;
    int r = prepare(m, batch, err);

    if (r == 0)
        r = wanted_rows(m, batch, &wanted, err);
    if (r < 0)
        return r;
    transformer_run(&m->transformer, &ragged);
    if (wanted > 0)
        transformer_logits(&m->transformer, m->rows, wanted, logits);
    return 0;
}

int model_forward_all(struct model *m, const struct batch *batch, float *logits, struct err *err)
{
    const struct ragged ragged = {batch, m->positions, m->seq_of};
    int r = prepare(m, batch, err);

    if (r < 0)
        return r;
    for (int i = 0; i < batch->token_count; i++)
        m->rows[i] = i;
    transformer_run(&m->transformer, &ragged);
    transformer_logits(&m->transformer, m->rows, batch->token_count, logits);
    return 0;
}
