/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GGUF file as a table of tensors under their Hugging Face names. Sizes are checked here: the
 * metadata reader knows no types.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/load/dequant.h"
#include "engine/load/weights_table.h"

enum { NAME_BYTES_MAX = 128 };

static const struct {
    const char *gguf;
    const char *name;
} global_names[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
    {"rope_freqs.weight", "rope_freqs.weight"},
};

static const struct {
    const char *gguf;
    const char *name;
    enum { ROWS_PLAIN, ROWS_Q, ROWS_K } rows;
} layer_names[] = {
    {"attn_norm.weight", "input_layernorm.weight", ROWS_PLAIN},
    {"attn_q.weight", "self_attn.q_proj.weight", ROWS_Q},
    {"attn_q.bias", "self_attn.q_proj.bias", ROWS_Q},
    {"attn_k.weight", "self_attn.k_proj.weight", ROWS_K},
    {"attn_k.bias", "self_attn.k_proj.bias", ROWS_K},
    {"attn_v.weight", "self_attn.v_proj.weight", ROWS_PLAIN},
    {"attn_v.bias", "self_attn.v_proj.bias", ROWS_PLAIN},
    {"attn_output.weight", "self_attn.o_proj.weight", ROWS_PLAIN},
    {"ffn_norm.weight", "post_attention_layernorm.weight", ROWS_PLAIN},
    {"ffn_gate.weight", "mlp.gate_proj.weight", ROWS_PLAIN},
    {"ffn_up.weight", "mlp.up_proj.weight", ROWS_PLAIN},
    {"ffn_down.weight", "mlp.down_proj.weight", ROWS_PLAIN},
};

/* "blk.12.attn_q.weight" -> layer 12 and the rest. */
static bool split_layer_name(struct str name, uint64_t *layer, struct str *rest)
{
    struct str number;

    if (!str_starts(name, STR("blk.")))
        return false;
    *rest = str_slice(name, 4, name.len);
    number = str_cut(rest, '.');
    return rest->ptr != NULL && str_to_u64(number, layer) && *layer < MODEL_LAYERS_MAX;
}

static int hugging_face_name(const struct model_config *c, struct str gguf_name,
                             char out[NAME_BYTES_MAX], int *rotary_heads, struct err *err)
{
    uint64_t layer;
    struct str rest;

    *rotary_heads = 0;
    for (size_t i = 0; i < ARRAY_COUNT(global_names); i++) {
        if (str_is(gguf_name, global_names[i].gguf)) {
            snprintf(out, NAME_BYTES_MAX, "%s", global_names[i].name);
            return 0;
        }
    }
    for (size_t i = 0; split_layer_name(gguf_name, &layer, &rest) && i < ARRAY_COUNT(layer_names);
         i++) {
        if (!str_is(rest, layer_names[i].gguf))
            continue;
        snprintf(out, NAME_BYTES_MAX, "model.layers.%" PRIu64 ".%s", layer, layer_names[i].name);
        if (c->architecture == MODEL_LLAMA && layer_names[i].rows != ROWS_PLAIN)
            *rotary_heads = layer_names[i].rows == ROWS_Q ? c->heads : c->kv_heads;
        return 0;
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "tensor '%.*s' is none of llama's or qwen2's; use a model without it",
                   STR_ARG(gguf_name));
}

/* Type, shape (GGUF counts from the fastest dimension, we from the slowest) and bytes. */
static int describe(struct tensor *t, const struct gguf_tensor *from, size_t *raw_bytes,
                    struct err *err)
{
    size_t block_bytes = 0;

    if (!dequant_type(from->type, &t->type, &block_bytes))
        return err_set(err, ERR_UNSUPPORTED,
                       "ggml type %" PRIu32 " is not supported; convert the model to F32, F16, "
                       "BF16, Q8_0, Q4_0 or Q4_1",
                       from->type);
    if (from->dim_count > TENSOR_DIMS_MAX || from->elements > SIZE_MAX / sizeof(float))
        return err_set(err, ERR_INVALID, "the shape is too large");
    t->dim_count = from->dim_count;
    for (int i = 0; i < from->dim_count; i++)
        t->shape[i] = (int64_t)from->dims[from->dim_count - 1 - i];
    t->size = (size_t)from->elements * tensor_type_bytes(t->type);
    if (dequant_is_plain(from->type)) {
        *raw_bytes = t->size;
        return 0;
    }
    if (from->dims[0] % DEQUANT_BLOCK != 0)
        return err_set(err, ERR_INVALID, "%" PRIu64 " columns are no multiple of the block of %d",
                       from->dims[0], DEQUANT_BLOCK);
    *raw_bytes = (size_t)(from->elements / DEQUANT_BLOCK) * block_bytes;
    return 0;
}

static int add_tensor(struct weights *w, const struct gguf_tensor *from, struct err *err)
{
    const struct file_map *map = &w->files[0].map;
    struct weights_entry entry = {.raw_type = from->type};
    char name[NAME_BYTES_MAX];
    size_t raw_bytes = 0;
    int r = hugging_face_name(&w->config, from->name, name, &entry.rotary_heads, err);

    if (r < 0)
        return r;
    r = describe(&entry.tensor, from, &raw_bytes, err);
    if (r < 0)
        return err_wrap(err, r, "tensor '%.*s'", STR_ARG(from->name));
    if (from->offset > map->size || raw_bytes > map->size - from->offset)
        return err_set(err, ERR_INVALID,
                       "tensor '%.*s': %zu bytes at %" PRIu64 " do not fit the file of %zu; fetch "
                       "the file again",
                       STR_ARG(from->name), raw_bytes, from->offset, map->size);
    if (entry.rotary_heads > 0 && entry.tensor.shape[0] % (2 * (int64_t)entry.rotary_heads) != 0)
        return err_set(err, ERR_INVALID, "tensor '%.*s': rows are no multiple of the heads",
                       STR_ARG(from->name));
    entry.raw = map->ptr + from->offset;
    if (dequant_is_plain(from->type) && entry.rotary_heads == 0)
        entry.tensor.data = entry.raw;
    return weights_add(w, str_of(name), &entry, err);
}

static int read_vocab_size(struct weights *w, struct err *err)
{
    const struct gguf_value *tokens = NULL;
    int r = gguf_get_array(w->gguf, "tokenizer.ggml.tokens", false, GGUF_STRING, &tokens, err);

    w->vocab_size = w->config.vocab_rows;
    if (r == -ERR_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    if (tokens->count == 0 || tokens->count > (uint64_t)w->config.vocab_rows)
        return err_set(err, ERR_INVALID,
                       "%" PRIu64 " tokens for %d rows of the embedding; fetch the file again",
                       tokens->count, w->config.vocab_rows);
    w->vocab_size = (int)tokens->count;
    return 0;
}

static int read_all(struct weights *w, struct err *err)
{
    const struct file_map *map = &w->files[0].map;
    int r = gguf_meta_read(&w->gguf, map->ptr, map->size, err);

    if (r < 0)
        return r;
    r = model_config_read_gguf(&w->config, w->gguf, err);
    if (r < 0)
        return r;
    r = read_vocab_size(w, err);
    if (r < 0)
        return r;
    w->entries = mem_array(w->gguf->tensor_count, sizeof(*w->entries));
    if (w->entries == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < w->gguf->tensor_count; i++) {
        r = add_tensor(w, &w->gguf->tensors[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

int weights_open_gguf(struct weights *w, const char *path, struct err *err)
{
    int r;

    w->files = mem_alloc(sizeof(*w->files));
    if (w->files == NULL)
        return err_no_memory(err);
    r = weights_map_file(w, path, "model.gguf", err);
    if (r == 0)
        r = read_all(w, err);
    if (r < 0)
        return err_wrap(err, r, "%s", path);
    return 0;
}

int weights_open_bytes(struct weights **out, const uint8_t *bytes, size_t size, struct err *err)
{
    CLEANUP(weights_closep) struct weights *w = mem_alloc(sizeof(*w));
    int r;

    if (w == NULL)
        return err_no_memory(err);
    map_init(&w->by_name, WEIGHTS_TENSORS_MAX);
    w->files = mem_alloc(sizeof(*w->files));
    if (w->files == NULL)
        return err_no_memory(err);
    w->files[0].map = (struct file_map){bytes, size};
    w->files[0].is_borrowed = true;
    w->file_count = 1;
    r = read_all(w, err);
    if (r < 0)
        return r;
    *out = STEAL(w);
    return 0;
}
