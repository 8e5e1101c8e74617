/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a Hugging Face folder: see model_config.h. */
#include "engine/load/model_config.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/load/config_check.h"

enum { CONFIG_DEPTH_MAX = 16, CONTEXT_DEFAULT_LLAMA = 2048, CONTEXT_DEFAULT_QWEN2 = 32768 };

/* Hugging Face's defaults, for values that a config.json may leave out. */
#define ROPE_THETA_DEFAULT 10000.0
#define NORM_EPS_DEFAULT   1e-6

static const struct {
    const char *class_name;
    const char *model_type;
    enum model_architecture architecture;
} architectures[] = {
    {"LlamaForCausalLM", "llama", MODEL_LLAMA},
    {"Qwen2ForCausalLM", "qwen2", MODEL_QWEN2},
};

const char *model_architecture_name(enum model_architecture architecture)
{
    return architecture == MODEL_QWEN2 ? "Qwen2ForCausalLM" : "LlamaForCausalLM";
}

/* A missing optional member keeps its default; anything else wrong stays an error. */
static int optional(int r)
{
    return r == -ERR_NOT_FOUND ? 0 : r;
}

static int read_int(const json_t *config, const char *key, bool required, int max, int *out,
                    struct err *err)
{
    int64_t value = *out;
    int r = json_get_i64(config, key, required, 1, max, &value, err);

    if (r == 0)
        *out = (int)value;
    return optional(r);
}

static int read_architecture(struct model_config *c, const json_t *config, struct err *err)
{
    struct str name = STR_NONE;
    json_t *classes = NULL;
    int r = json_get_array(config, "architectures", false, &classes, err);

    if (optional(r) < 0)
        return r;
    if (classes != NULL && json_array_size(classes) > 0)
        name = json_str(json_array_get(classes, 0));
    else
        r = json_get_str(config, "model_type", true, &name, err);
    if (optional(r) < 0)
        return r;
    for (size_t i = 0; i < ARRAY_COUNT(architectures); i++) {
        if (str_is(name, architectures[i].class_name) ||
            str_is(name, architectures[i].model_type)) {
            c->architecture = architectures[i].architecture;
            return 0;
        }
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "architecture '%.*s' is not supported; use a model of LlamaForCausalLM or "
                   "Qwen2ForCausalLM",
                   STR_ARG(str_slice(name, 0, 64)));
}

static int read_shape(struct model_config *c, const json_t *config, struct err *err)
{
    const struct {
        const char *key;
        bool required;
        int max;
        int *out;
    } fields[] = {
        {"hidden_size", true, MODEL_HIDDEN_MAX, &c->hidden},
        {"num_hidden_layers", true, MODEL_LAYERS_MAX, &c->layers},
        {"num_attention_heads", true, MODEL_HEADS_MAX, &c->heads},
        {"num_key_value_heads", false, MODEL_HEADS_MAX, &c->kv_heads},
        {"head_dim", false, MODEL_HEAD_DIM_MAX, &c->head_dim},
        {"intermediate_size", true, MODEL_FFN_MAX, &c->ffn},
        {"vocab_size", true, MODEL_VOCAB_MAX, &c->vocab_rows},
        {"max_position_embeddings", false, MODEL_CONTEXT_MAX, &c->context_max},
    };

    c->context_max = c->architecture == MODEL_QWEN2 ? CONTEXT_DEFAULT_QWEN2 : CONTEXT_DEFAULT_LLAMA;
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        int r =
            read_int(config, fields[i].key, fields[i].required, fields[i].max, fields[i].out, err);

        if (r < 0)
            return r;
    }
    if (c->kv_heads == 0)
        c->kv_heads = c->heads;
    if (c->head_dim == 0 && c->hidden % c->heads != 0)
        return err_set(err, ERR_INVALID,
                       "'hidden_size' %d is no multiple of 'num_attention_heads' %d; add "
                       "'head_dim'",
                       c->hidden, c->heads);
    if (c->head_dim == 0)
        c->head_dim = c->hidden / c->heads;
    return 0;
}

/* Features that change the answer and are not done: their members must be absent or switched off.
 */
static int refuse_unsupported(const struct model_config *c, const json_t *config, struct err *err)
{
    static const char *const flags[] = {"use_sliding_window", "mlp_bias", "attention_bias"};
    struct str activation = STR("silu");
    json_t *layer_types = NULL;
    double rotary_share = 1;
    int r;

    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        bool on = false;

        r = json_get_bool(config, flags[i], false, &on, err);
        if (optional(r) < 0)
            return r;
        /* Qwen2 ignores attention_bias: its q, k and v always have biases. */
        if (on && !(c->architecture == MODEL_QWEN2 && strcmp(flags[i], "attention_bias") == 0))
            return err_set(err, ERR_UNSUPPORTED,
                           "'%s' true is not supported; use a model without it", flags[i]);
    }
    r = json_get_str(config, "hidden_act", false, &activation, err);
    if (optional(r) < 0)
        return r;
    if (!str_is(activation, "silu"))
        return err_set(err, ERR_UNSUPPORTED, "'hidden_act' '%.*s' is not supported; only 'silu' is",
                       STR_ARG(str_slice(activation, 0, 32)));
    if (json_is_object(json_object_get(config, "quantization_config")))
        return err_set(err, ERR_UNSUPPORTED,
                       "'quantization_config' is not supported; use the BF16 weights of the model");
    r = json_get_f64(config, "partial_rotary_factor", false, 0, 1, &rotary_share, err);
    if (optional(r) < 0)
        return r;
    if (rotary_share < 1)
        return err_set(err, ERR_UNSUPPORTED, "'partial_rotary_factor' %g is not supported; only 1",
                       rotary_share);
    r = json_get_array(config, "layer_types", false, &layer_types, err);
    for (size_t i = 0; r == 0 && i < json_array_size(layer_types); i++) {
        struct str type = json_str(json_array_get(layer_types, i));

        if (!str_is(type, "full_attention"))
            return err_set(err, ERR_UNSUPPORTED,
                           "'layer_types' has '%.*s'; only 'full_attention' is supported",
                           STR_ARG(str_slice(type, 0, 32)));
    }
    return optional(r);
}

static int read_llama3(struct model_rope *rope, const json_t *scaling, struct err *err)
{
    const struct {
        const char *key;
        double max;
        double *out;
    } fields[] = {
        {"factor", 1e4, &rope->factor},
        {"low_freq_factor", 1e4, &rope->low_frequency_factor},
        {"high_freq_factor", 1e4, &rope->high_frequency_factor},
        {"original_max_position_embeddings", MODEL_CONTEXT_MAX, &rope->original_context},
    };

    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        int r = json_get_f64(scaling, fields[i].key, true, 1, fields[i].max, fields[i].out, err);

        if (r < 0)
            return r;
    }
    if (rope->high_frequency_factor <= rope->low_frequency_factor)
        return err_set(err, ERR_INVALID, "'high_freq_factor' %g must be above 'low_freq_factor' %g",
                       rope->high_frequency_factor, rope->low_frequency_factor);
    rope->llama3 = true;
    return 0;
}

/* rope_scaling of transformers 4 (rope_type or type) or rope_parameters of 5 (with rope_theta). */
static int read_rope(struct model_rope *rope, const json_t *config, struct err *err)
{
    json_t *parameters = NULL;
    struct str type = STR("default");
    int r;

    rope->theta = ROPE_THETA_DEFAULT;
    r = json_get_f64(config, "rope_theta", false, 1, 1e12, &rope->theta, err);
    if (optional(r) < 0)
        return r;
    r = json_get_object(config, "rope_parameters", false, &parameters, err);
    if (r == -ERR_NOT_FOUND)
        r = json_get_object(config, "rope_scaling", false, &parameters, err);
    if (r < 0)
        return optional(r);
    r = json_get_f64(parameters, "rope_theta", false, 1, 1e12, &rope->theta, err);
    if (optional(r) < 0)
        return r;
    r = json_get_str(parameters, "rope_type", false, &type, err);
    if (r == -ERR_NOT_FOUND)
        r = json_get_str(parameters, "type", false, &type, err);
    if (optional(r) < 0)
        return r;
    if (str_is(type, "llama3"))
        return read_llama3(rope, parameters, err);
    if (!str_is(type, "default"))
        return err_set(err, ERR_UNSUPPORTED,
                       "rope type '%.*s' is not supported; only 'default' and 'llama3' are",
                       STR_ARG(str_slice(type, 0, 32)));
    return 0;
}

static int read_all(struct model_config *c, const json_t *config, struct err *err)
{
    int r = read_architecture(c, config, err);

    if (r < 0)
        return r;
    r = refuse_unsupported(c, config, err);
    if (r < 0)
        return r;
    r = read_shape(c, config, err);
    if (r < 0)
        return r;
    r = read_rope(&c->rope, config, err);
    if (r < 0)
        return r;
    c->norm_eps = NORM_EPS_DEFAULT;
    r = optional(json_get_f64(config, "rms_norm_eps", false, 1e-12, 1, &c->norm_eps, err));
    if (r < 0)
        return r;
    r = optional(json_get_bool(config, "tie_word_embeddings", false, &c->tied, err));
    if (r < 0)
        return r;
    c->qkv_bias = c->architecture == MODEL_QWEN2;
    return config_check(c, err);
}

int model_config_read(struct model_config *out, struct str json, const char *what, struct err *err)
{
    const struct json_limits limits = {MODEL_CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX};
    struct model_config c = {0};
    json_auto_t *config = NULL;
    int r = json_read(&config, json, &limits, what, err);

    if (r < 0)
        return r;
    if (!json_is_object(config))
        return err_set(err, ERR_INVALID, "%s must hold an object, not %s", what,
                       json_type_name(config));
    r = read_all(&c, config, err);
    if (r < 0)
        return err_wrap(err, r, "%s", what);
    *out = c;
    return 0;
}
