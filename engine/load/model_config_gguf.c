/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's configuration from GGUF metadata: see model_config.h. Keys carry the architecture's
 * name: "llama.block_count", "qwen2.block_count".
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/load/config_check.h"
#include "engine/load/gguf_meta.h"
#include "engine/load/model_config.h"

enum { KEY_BYTES_MAX = 64 };

#define ROPE_THETA_DEFAULT 10000.0

struct keys {
    const struct gguf_meta *meta;
    const char *prefix;
};

static int optional(int r)
{
    return r == -ERR_NOT_FOUND ? 0 : r;
}

static int get_int(const struct keys *k, const char *name, bool required, int max, int *out,
                   struct err *err)
{
    char key[KEY_BYTES_MAX];
    int64_t value = *out;
    int r;

    snprintf(key, sizeof(key), "%s.%s", k->prefix, name);
    r = gguf_get_i64(k->meta, key, required, 1, max, &value, err);
    if (r == 0)
        *out = (int)value;
    return optional(r);
}

static int get_real(const struct keys *k, const char *name, bool required, double min, double max,
                    double *out, struct err *err)
{
    char key[KEY_BYTES_MAX];

    snprintf(key, sizeof(key), "%s.%s", k->prefix, name);
    return optional(gguf_get_f64(k->meta, key, required, min, max, out, err));
}

static int read_architecture(struct model_config *c, struct keys *k, struct err *err)
{
    struct str name = STR_NONE;
    int r = gguf_get_str(k->meta, "general.architecture", true, &name, err);

    if (r < 0)
        return r;
    if (str_is(name, "llama")) {
        c->architecture = MODEL_LLAMA;
        k->prefix = "llama";
        return 0;
    }
    if (str_is(name, "qwen2")) {
        c->architecture = MODEL_QWEN2;
        k->prefix = "qwen2";
        return 0;
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "general.architecture '%.*s' is not supported; use a llama or qwen2 model",
                   STR_ARG(str_slice(name, 0, 64)));
}

static int read_shape(struct model_config *c, const struct keys *k, struct err *err)
{
    const struct {
        const char *name;
        bool required;
        int max;
        int *out;
    } fields[] = {
        {"embedding_length", true, MODEL_HIDDEN_MAX, &c->hidden},
        {"block_count", true, MODEL_LAYERS_MAX, &c->layers},
        {"attention.head_count", true, MODEL_HEADS_MAX, &c->heads},
        {"attention.head_count_kv", false, MODEL_HEADS_MAX, &c->kv_heads},
        {"attention.key_length", false, MODEL_HEAD_DIM_MAX, &c->head_dim},
        {"feed_forward_length", true, MODEL_FFN_MAX, &c->ffn},
        {"context_length", true, MODEL_CONTEXT_MAX, &c->context_max},
    };

    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        int r = get_int(k, fields[i].name, fields[i].required, fields[i].max, fields[i].out, err);

        if (r < 0)
            return r;
    }
    if (c->kv_heads == 0)
        c->kv_heads = c->heads;
    if (c->head_dim == 0 && c->hidden % c->heads != 0)
        return err_set(err, ERR_INVALID, "embedding_length %d is no multiple of head_count %d",
                       c->hidden, c->heads);
    if (c->head_dim == 0)
        c->head_dim = c->hidden / c->heads;
    return 0;
}

static int read_rope(struct model_config *c, const struct keys *k, struct err *err)
{
    char key[KEY_BYTES_MAX];
    struct str type = STR("none");
    int rotated = c->head_dim, value_length = c->head_dim;
    int r;

    c->rope.theta = ROPE_THETA_DEFAULT;
    r = get_real(k, "rope.freq_base", false, 1, 1e12, &c->rope.theta, err);
    if (r < 0)
        return r;
    r = get_int(k, "rope.dimension_count", false, MODEL_HEAD_DIM_MAX, &rotated, err);
    if (r < 0)
        return r;
    r = get_int(k, "attention.value_length", false, MODEL_HEAD_DIM_MAX, &value_length, err);
    if (r < 0)
        return r;
    if (rotated != c->head_dim || value_length != c->head_dim)
        return err_set(err, ERR_UNSUPPORTED,
                       "rope.dimension_count %d and value_length %d must equal the head's %d",
                       rotated, value_length, c->head_dim);
    snprintf(key, sizeof(key), "%s.rope.scaling.type", k->prefix);
    r = optional(gguf_get_str(k->meta, key, false, &type, err));
    if (r < 0)
        return r;
    if (!str_is(type, "none"))
        return err_set(err, ERR_UNSUPPORTED, "rope.scaling.type '%.*s' is not supported",
                       STR_ARG(str_slice(type, 0, 32)));
    return 0;
}

/* The table of embeddings says how many rows there are: dims are [hidden, rows]. */
static int read_vocab(struct model_config *c, const struct gguf_meta *meta, struct err *err)
{
    const struct gguf_tensor *embedding = gguf_find_tensor(meta, STR("token_embd.weight"));

    if (embedding == NULL)
        return err_set(err, ERR_INVALID,
                       "tensor 'token_embd.weight' is missing; use a GGUF file "
                       "with the weights in it");
    if (embedding->dim_count != 2 || embedding->dims[1] > MODEL_VOCAB_MAX)
        return err_set(err, ERR_INVALID,
                       "tensor 'token_embd.weight' must have two dimensions and at most %d rows",
                       MODEL_VOCAB_MAX);
    c->vocab_rows = (int)embedding->dims[1];
    c->tied = gguf_find_tensor(meta, STR("output.weight")) == NULL;
    return 0;
}

int model_config_read_gguf(struct model_config *out, const struct gguf_meta *meta, struct err *err)
{
    struct model_config c = {0};
    struct keys k = {.meta = meta};
    int r = read_architecture(&c, &k, err);

    if (r < 0)
        return r;
    r = read_shape(&c, &k, err);
    if (r < 0)
        return r;
    r = read_rope(&c, &k, err);
    if (r < 0)
        return r;
    r = get_real(&k, "attention.layer_norm_rms_epsilon", true, 1e-12, 1, &c.norm_eps, err);
    if (r < 0)
        return r;
    r = read_vocab(&c, meta, err);
    if (r < 0)
        return r;
    c.qkv_bias = c.architecture == MODEL_QWEN2;
    r = config_check(&c, err);
    if (r < 0)
        return r;
    *out = c;
    return 0;
}
