/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF models. Good: each tensor type and both architectures, written with llama's row order, give
 * the very bits of the same values in safetensors. Broken: refused in one line.
 */
#include "cmocka_plain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/load/dequant.h"
#include "engine/load/gguf_meta.h"
#include "engine/load/weights.h"
#include "engine/model.h"
#include "random_model.h"

enum { FILE_BYTES_MAX = 32 << 20, ALIGNMENT = 32, BLOCK = 32, PROMPT = 20 };

/* ggml's numbers. */
enum { RAW_F32 = 0, RAW_F16 = 1, RAW_Q4_0 = 2, RAW_Q4_1 = 3, RAW_Q8_0 = 8, RAW_BF16 = 30 };

static void put(struct buf *out, const void *bytes, size_t size)
{
    assert_int_equal(buf_append(out, bytes, size), 0);
}

static void put_u32(struct buf *out, uint32_t value)
{
    put(out, &value, sizeof(value));
}

static void put_u64(struct buf *out, uint64_t value)
{
    put(out, &value, sizeof(value));
}

static void put_text(struct buf *out, const char *text)
{
    put_u64(out, strlen(text));
    put(out, text, strlen(text));
}

static void put_key_u32(struct buf *out, const char *prefix, const char *name, uint32_t value)
{
    char key[96];

    snprintf(key, sizeof(key), "%s%s", prefix, name);
    put_text(out, key);
    put_u32(out, GGUF_U32);
    put_u32(out, value);
}

static void put_key_f32(struct buf *out, const char *prefix, const char *name, float value)
{
    char key[96];

    snprintf(key, sizeof(key), "%s%s", prefix, name);
    put_text(out, key);
    put_u32(out, GGUF_F32);
    put(out, &value, sizeof(value));
}

static const struct {
    const char *name;
    const char *gguf;
} names[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    {"input_layernorm.weight", "attn_norm.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
};

static void gguf_name(const char *name, char *out, size_t out_size)
{
    struct str rest = str_of(name);
    struct str layer = STR_NONE;

    if (str_starts(rest, STR("model.layers."))) {
        rest = str_slice(rest, strlen("model.layers."), rest.len);
        layer = str_cut(&rest, '.');
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!str_is(rest, names[i].name))
            continue;
        if (layer.len == 0)
            snprintf(out, out_size, "%s", names[i].gguf);
        else
            snprintf(out, out_size, "blk.%.*s.%s", STR_ARG(layer), names[i].gguf);
        return;
    }
    fail_msg("no GGUF name for %s", name);
}

/* The file's row for a Hugging Face row, from the layout of the converter: heads of [2][d/2] rows
 * become [d/2][2]. */
static int file_row(const struct random_model *m, const char *name, int row)
{
    int within = row % m->head_dim, head = row / m->head_dim;
    bool rotary = strstr(name, "q_proj.weight") != NULL || strstr(name, "k_proj.weight") != NULL;

    if (m->qwen2 || !rotary)
        return row;
    for (int pair = 0; pair < m->head_dim / 2; pair++) {
        for (int side = 0; side < 2; side++) {
            if (side * (m->head_dim / 2) + pair == within)
                return head * m->head_dim + pair * 2 + side;
        }
    }
    fail();
    return -1;
}

static size_t raw_bytes(uint32_t type, int columns)
{
    size_t blocks = (size_t)columns / BLOCK;

    switch (type) {
    case RAW_F32:
        return (size_t)columns * 4;
    case RAW_Q4_0:
        return blocks * 18;
    case RAW_Q4_1:
        return blocks * 20;
    case RAW_Q8_0:
        return blocks * 34;
    default:
        return (size_t)columns * 2;
    }
}

static void random_half(struct rng *rng, float scale, uint8_t *out, float *value)
{
    _Float16 half = (_Float16)(((float)rng_below(rng, 2001) - 1000) / 1000 * scale);

    memcpy(out, &half, sizeof(half));
    *value = (float)half;
}

/* One random block and its values, straight from the definition of the format. */
static void random_block(struct rng *rng, uint32_t type, float scale, uint8_t *raw, float *values)
{
    float step, minimum = 0;
    uint8_t *quants = raw + 2;

    random_half(rng, type == RAW_Q8_0 ? scale / 100 : scale / 8, raw, &step);
    if (type == RAW_Q4_1) {
        random_half(rng, scale, quants, &minimum);
        quants += 2;
    }
    for (int i = 0; i < (type == RAW_Q8_0 ? BLOCK : BLOCK / 2); i++)
        quants[i] = (uint8_t)rng_below(rng, 256);
    for (int i = 0; i < BLOCK; i++) {
        int nibble = i < BLOCK / 2 ? quants[i % (BLOCK / 2)] & 15 : quants[i % (BLOCK / 2)] >> 4;

        if (type == RAW_Q8_0)
            values[i] = step * (float)(int8_t)quants[i];
        else if (type == RAW_Q4_0)
            values[i] = step * (float)(nibble - 8);
        else
            values[i] = step * (float)nibble + minimum;
    }
}

static void random_row(struct rng *rng, uint32_t type, const struct planned *t, uint8_t *raw,
                       float *values)
{
    for (int i = 0; i < t->columns; i++) {
        uint16_t brain =
            f32_to_bf16(((float)rng_below(rng, 256) - 127.5F) / 73.9F * t->scale + t->offset);
        _Float16 half = (_Float16)bf16_to_f32(brain);

        values[i] = bf16_to_f32(brain);
        if (type == RAW_F32)
            memcpy(raw + 4 * i, &values[i], 4);
        else if (type == RAW_BF16)
            memcpy(raw + 2 * i, &brain, 2);
        else if (type == RAW_F16) {
            values[i] = (float)half;
            memcpy(raw + 2 * i, &half, 2);
        }
    }
    if (type == RAW_F32 || type == RAW_F16 || type == RAW_BF16)
        return;
    for (int i = 0; i < t->columns; i += BLOCK)
        random_block(rng, type, t->scale, raw + raw_bytes(type, i), values + i);
}

struct written {
    struct buf gguf;
    struct buf safetensors;
};

static void put_metadata(struct buf *out, const struct random_model *m, uint64_t tensor_count)
{
    const char *prefix = m->qwen2 ? "qwen2." : "llama.";

    put(out, "GGUF", 4);
    put_u32(out, 3);
    put_u64(out, tensor_count);
    put_u64(out, 9);
    put_text(out, "general.architecture");
    put_u32(out, GGUF_STRING);
    put_text(out, m->qwen2 ? "qwen2" : "llama");
    put_key_u32(out, prefix, "embedding_length", (uint32_t)m->hidden);
    put_key_u32(out, prefix, "block_count", (uint32_t)m->layers);
    put_key_u32(out, prefix, "attention.head_count", (uint32_t)m->heads);
    put_key_u32(out, prefix, "attention.head_count_kv", (uint32_t)m->kv_heads);
    put_key_u32(out, prefix, "attention.key_length", (uint32_t)m->head_dim);
    put_key_u32(out, prefix, "feed_forward_length", (uint32_t)m->ffn);
    put_key_u32(out, prefix, "context_length", 4096);
    put_key_f32(out, prefix, "attention.layer_norm_rms_epsilon", 1e-5F);
}

/* Vectors stay F32 in GGUF files whatever the type of the matrices. */
static uint32_t type_in_file(const struct planned *t, uint32_t type)
{
    return t->rows == 0 ? RAW_F32 : type;
}

static void put_infos(struct buf *out, const struct random_plan *plan, uint32_t type)
{
    uint64_t at = 0;

    for (int i = 0; i < plan->count; i++) {
        const struct planned *t = &plan->tensors[i];
        char name[96];
        int rows = t->rows == 0 ? 1 : t->rows;

        gguf_name(t->name, name, sizeof(name));
        put_text(out, name);
        put_u32(out, t->rows == 0 ? 1 : 2);
        put_u64(out, (uint64_t)t->columns);
        if (t->rows > 0)
            put_u64(out, (uint64_t)t->rows);
        put_u32(out, type_in_file(t, type));
        put_u64(out, at);
        at += (uint64_t)rows * raw_bytes(type_in_file(t, type), t->columns);
        at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

static void pad(struct buf *out)
{
    while (out->len % ALIGNMENT != 0)
        put(out, "", 1);
}

static void put_tensor(struct written *w, const struct random_model *m, const struct planned *t,
                       uint32_t type, struct rng *rng)
{
    int rows = t->rows == 0 ? 1 : t->rows;
    size_t row_bytes = raw_bytes(type, t->columns);
    CLEANUP(mem_freep) uint8_t *raw = mem_array((size_t)rows, row_bytes);
    CLEANUP(mem_freep) float *values = mem_array((size_t)t->columns, sizeof(float));

    assert_true(raw != NULL && values != NULL);
    for (int row = 0; row < rows; row++) {
        int place = t->rows == 0 ? 0 : file_row(m, t->name, row);

        random_row(rng, type, t, raw + (size_t)place * row_bytes, values);
        put(&w->safetensors, values, (size_t)t->columns * sizeof(float));
    }
    put(&w->gguf, raw, (size_t)rows * row_bytes);
    pad(&w->gguf);
}

static void write_both(struct written *w, const struct random_model *m, uint32_t type)
{
    static struct random_plan plan;
    struct rng_seeded seeded;

    rng_seeded_init(&seeded, m->seed);
    random_model_plan(&plan, m);
    buf_init(&w->gguf, FILE_BYTES_MAX);
    put_metadata(&w->gguf, m, (uint64_t)plan.count);
    put_infos(&w->gguf, &plan, type);
    pad(&w->gguf);
    random_model_header(&w->safetensors, &plan, TENSOR_F32);
    for (int i = 0; i < plan.count; i++)
        put_tensor(w, m, &plan.tensors[i], type_in_file(&plan.tensors[i], type), &seeded.rng);
}

static void logits_of(const char *path, float *logits)
{
    const struct model_options options = {
        .threads = 1, .batch_tokens_max = PROMPT, .logits_rows_max = 1, .kv_blocks = 2};
    static const int32_t tokens[PROMPT] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3};
    static const int32_t table[] = {0, 1};
    const struct batch_seq seq = {0, PROMPT, 0, table, 0};
    const struct batch batch = {tokens, PROMPT, &seq, 1};
    struct model *m = NULL;
    struct err err = {0};

    if (model_open(&m, path, &options, NULL, &err) < 0 ||
        model_forward(m, &batch, logits, &err) < 0)
        fail_msg("%s", err.message);
    model_close(m);
}

/* Quantised matrices are made anew as fp32, and so are rows that llama keeps in another order. */
static void check_own_bytes(const char *path, const struct random_model *m, uint32_t type)
{
    static struct random_plan plan;
    struct model_info info;
    uint64_t matrices = 0, vectors = 0;
    bool is_plain = type == RAW_F32 || type == RAW_F16 || type == RAW_BF16;

    random_model_plan(&plan, m);
    for (int i = 0; i < plan.count; i++)
        *(plan.tensors[i].rows == 0 ? &vectors : &matrices) +=
            planned_elements(&plan.tensors[i]) * sizeof(float);
    assert_int_equal(model_inspect(&info, path, ENGINE_ISA_AUTO, NULL), 0);
    if (!is_plain)
        assert_int_equal(info.own_bytes, matrices + vectors);
    else if (m->qwen2)
        assert_int_equal(info.own_bytes, vectors);
    else
        assert_in_range(info.own_bytes, vectors + 1, vectors + matrices / 2);
}

static void gguf_equals_safetensors(void **state)
{
    static const uint32_t types[] = {RAW_F32, RAW_F16, RAW_BF16, RAW_Q8_0, RAW_Q4_0, RAW_Q4_1};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(types) * 2; i++) {
        const struct random_model m = {i % 2 == 0, TENSOR_F32, 64, 2,         4,    2,
                                       32,         96,         50, i % 4 < 2, i + 1};
        float expected[50], actual[50];
        struct written w;
        struct buf config;

        write_both(&w, &m, types[i / 2]);
        random_model_config(&config, &m);
        assert_int_equal(file_make_folder("gguf-as-folder", NULL), 0);
        write_test_file("gguf-as-folder", "config.json", buf_str(&config));
        write_test_file("gguf-as-folder", "model.safetensors", buf_str(&w.safetensors));
        write_test_file("gguf-as-folder", "x.gguf", buf_str(&w.gguf));
        logits_of("gguf-as-folder", expected);
        logits_of("gguf-as-folder/x.gguf", actual);
        assert_true(isfinite(expected[0]) && expected[0] != expected[1]);
        assert_memory_equal(actual, expected, sizeof(expected));
        check_own_bytes("gguf-as-folder/x.gguf", &m, types[i / 2]);
        buf_fini(&config);
        buf_fini(&w.gguf);
        buf_fini(&w.safetensors);
    }
}

/* Overwrites the first occurrence of some bytes of a good file. */
static void replace(struct buf *file, const void *old, size_t old_size, const void *new,
                    size_t new_size)
{
    char *at = memmem(file->ptr, file->len, old, old_size);

    assert_non_null(at);
    memcpy(at, new, new_size);
}

static const struct random_model small = {false, TENSOR_F32, 64, 1, 4, 2, 16, 96, 50, true, 1};

static void break_architecture(struct buf *f)
{
    replace(f, "\5\0\0\0\0\0\0\0llama", 13, "\5\0\0\0\0\0\0\0mamba", 13);
}

static void break_key(struct buf *f)
{
    replace(f, "llama.block_count", 17, "llama.block_cOunt", 17);
}

static void break_heads(struct buf *f)
{
    replace(f, "head_count\4\0\0\0\4", 15, "head_count\4\0\0\0\5", 15);
}

static void break_no_heads(struct buf *f)
{
    replace(f, "head_count\4\0\0\0\4", 15, "head_count\4\0\0\0\0", 15);
}

static void break_layers(struct buf *f)
{
    replace(f, "block_count\4\0\0\0\1", 16, "block_count\4\0\0\0\2", 16);
}

static void break_many_layers(struct buf *f)
{
    replace(f, "block_count\4\0\0\0\1\0", 17, "block_count\4\0\0\0\1\5", 17);
}

static void break_ffn(struct buf *f)
{
    replace(f, "feed_forward_length\4\0\0\0\x60", 24, "feed_forward_length\4\0\0\0\x40", 24);
}

static void break_name(struct buf *f)
{
    replace(f, "blk.0.attn_v.weight", 19, "blk.0.attn_w.weight", 19);
}

static void break_twice(struct buf *f)
{
    replace(f, "blk.0.ffn_gate.weight", 21, "blk.0.ffn_down.weight", 21);
}

static void break_layer_number(struct buf *f)
{
    replace(f, "blk.0.ffn_up.weight", 19, "blk.7.ffn_up.weight", 19);
}

static void break_embedding(struct buf *f)
{
    replace(f, "token_embd.weight", 17, "token_embX.weight", 17);
}

/* Q4_K, behind the name, the count of dimensions and the two dimensions of the tensor. */
static void break_type(struct buf *f)
{
    static const char name[] = "blk.0.attn_v.weight";
    char *at = memmem(f->ptr, f->len, name, sizeof(name) - 1);

    assert_non_null(at);
    at[sizeof(name) - 1 + 4 + 16] = 12;
}

static void break_offset(struct buf *f)
{
    static const char name[] = "blk.0.attn_v.weight";
    char *at = memmem(f->ptr, f->len, name, sizeof(name) - 1);

    assert_non_null(at);
    at[sizeof(name) - 1 + 4 + 16 + 4 + 3] = 1; /* 16 MiB on: outside the file */
}

static void break_size(struct buf *f)
{
    f->len -= ALIGNMENT;
}

static void break_eps(struct buf *f)
{
    float negative = -1;
    char *at = memmem(f->ptr, f->len, "epsilon\6\0\0\0", 11);

    assert_non_null(at);
    memcpy(at + 11, &negative, sizeof(negative));
}

static void break_magic(struct buf *f)
{
    f->ptr[0] = 'X';
}

static void broken_files_are_refused(void **state)
{
    static const struct {
        void (*break_it)(struct buf *file);
        const char *fault;
    } cases[] = {
        {break_architecture, "'mamba'"},
        {break_key, "llama.block_count"},
        {break_heads, "share 2"},
        {break_no_heads, "head_count"},
        {break_layers, "'model.layers.1.self_attn.q_proj.weight' is missing"},
        {break_many_layers, "block_count"},
        {break_ffn, "mlp.gate_proj.weight' has shape [96, 64]"},
        {break_name, "'blk.0.attn_w.weight'"},
        {break_twice, "ffn_down"},
        {break_layer_number, "mlp.up_proj.weight' is missing"},
        {break_embedding, "'token_embd.weight' is missing"},
        {break_type, "type 12"},
        {break_offset, "blk.0.attn_v.weight"},
        {break_size, "do not fit"},
        {break_eps, "epsilon"},
        {break_magic, "GGUF"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model_info info;
        struct written w;
        struct err err = {0};

        write_both(&w, &small, RAW_F32);
        cases[i].break_it(&w.gguf);
        write_test_file(".", "broken.gguf", buf_str(&w.gguf));
        assert_true(model_inspect(&info, "broken.gguf", ENGINE_ISA_AUTO, &err) < 0);
        if (strstr(err.message, cases[i].fault) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].fault);
        assert_non_null(strstr(err.message, "broken.gguf"));
        assert_null(strchr(err.message, '\n'));
        buf_fini(&w.gguf);
        buf_fini(&w.safetensors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_equals_safetensors),
        cmocka_unit_test(broken_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
