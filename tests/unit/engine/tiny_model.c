/* SPDX-License-Identifier: Apache-2.0 */
/* The toy model: see tiny_model.h. */
#include "tiny_model.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/model.h"

struct model {
    struct model_info info;
    struct model_options options;
    uint64_t *cells;      /* [kv_blocks * KV_BLOCK_TOKENS] */
    uint64_t *written_in; /* the same: number of the pass that wrote the cell last */
    uint64_t passes;
};

struct tiny_settings tiny;
int tiny_batch_tokens_most;

void tiny_reset(void)
{
    tiny = (struct tiny_settings){
        .context_max = 256, .kv_block_bytes = 1000, .fail_after = -1, .nan_after = -1};
    tiny_batch_tokens_most = 0;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 31) * 0x7fb5d329728ea185U;
    z = (z ^ z >> 27) * 0x81dadef4bc2dd44dU;
    return z ^ z >> 33;
}

static uint64_t cell_of(int32_t token, int position)
{
    return mix((uint64_t)token * 1000003U + (uint64_t)position + 1);
}

static void row_of_history(float *row, uint64_t history)
{
    for (uint64_t id = 0; id < TINY_ROWS; id++) {
        uint64_t bits = mix(history ^ mix(id + 17));

        row[id] = (float)(bits >> 40) / (float)(1 << 24) * 8.0F - 4.0F;
        if (id >= TINY_VOCAB)
            row[id] += 100.0F;
    }
}

void tiny_logits(float *row, const int32_t *tokens, int count)
{
    uint64_t history = 0;

    for (int i = 0; i < count; i++)
        history += cell_of(tokens[i], i);
    row_of_history(row, history);
}

int model_inspect(struct model_info *out, const char *path, enum engine_isa isa, struct err *err)
{
    (void)isa;
    if (strcmp(path, "tiny") != 0)
        return err_set(err, ERR_NOT_FOUND, "no model at %s", path);
    *out = (struct model_info){.architecture = "tiny",
                               .isa = "none",
                               .layers = 1,
                               .hidden = 1,
                               .vocab_rows = TINY_ROWS,
                               .vocab_size = TINY_VOCAB,
                               .context_max = tiny.context_max,
                               .weights_bytes = tiny.own_bytes + 1,
                               .own_bytes = tiny.own_bytes,
                               .token_bytes = tiny.token_bytes,
                               .kv_block_bytes = tiny.kv_block_bytes};
    return 0;
}

int model_open(struct model **out, const char *path, const struct model_options *options,
               struct engine_progress *progress, struct err *err)
{
    struct model *m = mem_alloc(sizeof(*m));
    size_t cells = (size_t)options->kv_blocks * KV_BLOCK_TOKENS;

    (void)progress;
    if (m == NULL)
        return err_no_memory(err);
    m->options = *options;
    m->cells = mem_array(cells, sizeof(*m->cells));
    m->written_in = mem_array(cells, sizeof(*m->written_in));
    if (m->cells == NULL || m->written_in == NULL) {
        model_close(m);
        return err_no_memory(err);
    }
    *out = m;
    return model_inspect(&m->info, path, options->isa, err);
}

void model_close(struct model *m)
{
    mem_free(m->cells);
    mem_free(m->written_in);
    mem_free(m);
}

const struct model_info *model_info_of(const struct model *m)
{
    return &m->info;
}

static size_t cell_at(const struct model *m, const struct batch_seq *s, int position)
{
    int32_t block = s->block_table[position / KV_BLOCK_TOKENS];

    assert(block >= 0 && block < m->options.kv_blocks);
    return (size_t)block * KV_BLOCK_TOKENS + (size_t)position % KV_BLOCK_TOKENS;
}

/* Writes the cells of one sequence; no cell may be written twice in one pass. */
static void write_cells(struct model *m, const struct batch *batch, const struct batch_seq *s)
{
    assert(s->count >= 1 && s->first >= 0 && s->first + s->count <= batch->token_count);
    assert(s->position >= 0 && s->position + s->count <= m->info.context_max);
    for (int i = 0; i < s->count; i++) {
        size_t at = cell_at(m, s, s->position + i);

        assert(m->written_in[at] != m->passes);
        m->written_in[at] = m->passes;
        m->cells[at] = cell_of(batch->tokens[s->first + i], s->position + i);
    }
}

int model_forward(struct model *m, const struct batch *batch, float *logits, struct err *err)
{
    bool row_used[4096] = {false};

    m->passes++;
    assert(batch->token_count >= 1 && batch->token_count <= m->options.batch_tokens_max);
    if (batch->token_count > tiny_batch_tokens_most)
        tiny_batch_tokens_most = batch->token_count;
    if (tiny.fail_after >= 0 && tiny.fail_after-- == 0)
        return err_set(err, ERR_INTERNAL, "the model was told to fail");
    for (int i = 0; i < batch->seq_count; i++)
        write_cells(m, batch, &batch->seqs[i]);
    for (int i = 0; i < batch->seq_count; i++) {
        const struct batch_seq *s = &batch->seqs[i];
        uint64_t history = 0;

        if (s->logits_row < 0)
            continue;
        assert(s->logits_row < m->options.logits_rows_max && !row_used[s->logits_row]);
        row_used[s->logits_row] = true;
        for (int p = 0; p < s->position + s->count; p++)
            history += m->cells[cell_at(m, s, p)];
        row_of_history(&logits[s->logits_row * TINY_ROWS], history);
        if (tiny.nan_after >= 0 && tiny.nan_after-- == 0)
            logits[s->logits_row * TINY_ROWS + 3] = NAN;
    }
    return 0;
}
