/* SPDX-License-Identifier: Apache-2.0 */
/* Random model folders: see random_model.h. */
#include "random_model.h"

#include "cmocka_plain.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { FILE_BYTES_MAX = 64 << 20 };

static void add(struct random_plan *p, int layer, const char *name, int rows, int columns,
                float scale, float offset)
{
    struct planned *t = &p->tensors[p->count++];

    assert_in_range(p->count, 1, PLANNED_MAX);
    if (layer < 0)
        snprintf(t->name, sizeof(t->name), "%s", name);
    else
        snprintf(t->name, sizeof(t->name), "model.layers.%d.%s", layer, name);
    t->rows = rows;
    t->columns = columns;
    t->scale = scale;
    t->offset = offset;
}

static void add_matrix(struct random_plan *p, int layer, const char *name, int rows, int columns)
{
    add(p, layer, name, rows, columns, 1 / sqrtf((float)columns), 0);
}

void random_model_plan(struct random_plan *p, const struct random_model *m)
{
    int q_width = m->heads * m->head_dim;
    int kv_width = m->kv_heads * m->head_dim;

    p->count = 0;
    add(p, -1, "model.embed_tokens.weight", m->vocab, m->hidden, 1, 0);
    add(p, -1, "model.norm.weight", 0, m->hidden, 0.2F, 1);
    if (!m->tied)
        add_matrix(p, -1, "lm_head.weight", m->vocab, m->hidden);
    for (int i = 0; i < m->layers; i++) {
        add(p, i, "input_layernorm.weight", 0, m->hidden, 0.2F, 1);
        add(p, i, "post_attention_layernorm.weight", 0, m->hidden, 0.2F, 1);
        add_matrix(p, i, "self_attn.q_proj.weight", q_width, m->hidden);
        add_matrix(p, i, "self_attn.k_proj.weight", kv_width, m->hidden);
        add_matrix(p, i, "self_attn.v_proj.weight", kv_width, m->hidden);
        add_matrix(p, i, "self_attn.o_proj.weight", m->hidden, q_width);
        add_matrix(p, i, "mlp.gate_proj.weight", m->ffn, m->hidden);
        add_matrix(p, i, "mlp.up_proj.weight", m->ffn, m->hidden);
        add_matrix(p, i, "mlp.down_proj.weight", m->hidden, m->ffn);
        if (!m->qwen2)
            continue;
        add(p, i, "self_attn.q_proj.bias", 0, q_width, 0.3F, 0);
        add(p, i, "self_attn.k_proj.bias", 0, kv_width, 0.3F, 0);
        add(p, i, "self_attn.v_proj.bias", 0, kv_width, 0.3F, 0);
    }
}

size_t planned_elements(const struct planned *t)
{
    return (size_t)(t->rows == 0 ? 1 : t->rows) * (size_t)t->columns;
}

static void write_header(struct buf *out, const struct random_plan *p, enum tensor_type type)
{
    struct json_writer w;
    size_t at = 0;

    json_writer_init(&w, out);
    json_open(&w, '{');
    for (int i = 0; i < p->count; i++) {
        const struct planned *t = &p->tensors[i];
        size_t end = at + planned_elements(t) * tensor_type_bytes(type);

        json_key(&w, t->name);
        json_open(&w, '{');
        json_put_text(&w, "dtype", tensor_type_name(type));
        json_key(&w, "shape");
        json_open(&w, '[');
        if (t->rows > 0)
            json_add_i64(&w, t->rows);
        json_add_i64(&w, t->columns);
        json_close(&w, ']');
        json_key(&w, "data_offsets");
        json_open(&w, '[');
        json_add_u64(&w, at);
        json_add_u64(&w, end);
        json_close(&w, ']');
        json_close(&w, '}');
        at = end;
    }
    json_close(&w, '}');
}

/* Evenly spread with variance 1; rounded to 8 bits, so that it is exact in every weight type. */
static float random_value(struct rng *rng)
{
    float step = (float)rng_below(rng, 256) - 127.5F;

    return step / 73.9F;
}

static void write_value(struct buf *out, float value, enum tensor_type type)
{
    /* Six more zero bits than BF16 needs, so that F16 holds it as well. */
    uint16_t brain = f32_to_bf16(value);
    float rounded = bf16_to_f32(brain);
    _Float16 half = (_Float16)rounded;

    if (type == TENSOR_F32)
        buf_append(out, &rounded, sizeof(rounded));
    else if (type == TENSOR_F16)
        buf_append(out, &half, sizeof(half));
    else
        buf_append(out, &brain, sizeof(brain));
}

void random_model_header(struct buf *out, const struct random_plan *p, enum tensor_type type)
{
    struct buf header;
    uint64_t length;

    buf_init(out, FILE_BYTES_MAX);
    buf_init(&header, FILE_BYTES_MAX);
    write_header(&header, p, type);
    while (header.len % 8 != 0)
        buf_append_char(&header, ' ');
    length = header.len;
    buf_append(out, &length, sizeof(length));
    buf_append_str(out, buf_str(&header));
    buf_fini(&header);
}

void random_model_weights(struct buf *out, const struct random_model *m)
{
    static struct random_plan plan;
    struct rng_seeded seeded;

    random_model_plan(&plan, m);
    rng_seeded_init(&seeded, m->seed);
    random_model_header(out, &plan, m->type);
    for (int i = 0; i < plan.count; i++) {
        const struct planned *t = &plan.tensors[i];

        for (size_t k = 0; k < planned_elements(t); k++)
            write_value(out, random_value(&seeded.rng) * t->scale + t->offset, m->type);
    }
    assert_false(out->failed);
}

void random_model_config(struct buf *out, const struct random_model *m)
{
    struct json_writer w;

    buf_init(out, FILE_BYTES_MAX);
    json_writer_init(&w, out);
    json_open(&w, '{');
    json_key(&w, "architectures");
    json_open(&w, '[');
    json_add_str(&w, m->qwen2 ? STR("Qwen2ForCausalLM") : STR("LlamaForCausalLM"));
    json_close(&w, ']');
    json_put_i64(&w, "hidden_size", m->hidden);
    json_put_i64(&w, "num_hidden_layers", m->layers);
    json_put_i64(&w, "num_attention_heads", m->heads);
    json_put_i64(&w, "num_key_value_heads", m->kv_heads);
    json_put_i64(&w, "head_dim", m->head_dim);
    json_put_i64(&w, "intermediate_size", m->ffn);
    json_put_i64(&w, "vocab_size", m->vocab);
    json_put_i64(&w, "max_position_embeddings", 16384);
    json_put_f64(&w, "rms_norm_eps", 1e-5);
    json_put_f64(&w, "rope_theta", 10000);
    json_put_bool(&w, "tie_word_embeddings", m->tied);
    json_close(&w, '}');
    assert_false(out->failed);
}

void write_test_file(const char *folder, const char *name, struct str data)
{
    CLEANUP(mem_freep) char *path = path_join(folder, name);
    FILE *file;

    assert_non_null(path);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data.ptr, 1, data.len, file), data.len);
    assert_int_equal(fclose(file), 0);
}

void random_model_write(const char *folder, const struct random_model *m)
{
    struct buf config, weights;

    assert_int_equal(file_make_folder(folder, NULL), 0);
    random_model_config(&config, m);
    random_model_weights(&weights, m);
    write_test_file(folder, "config.json", buf_str(&config));
    write_test_file(folder, "model.safetensors", buf_str(&weights));
    buf_fini(&config);
    buf_fini(&weights);
}
