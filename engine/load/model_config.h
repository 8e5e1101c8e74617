/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model is: the shape and constants of a Qwen2 or Llama, from config.json or from the
 * metadata of a GGUF file. Every value is checked against a range, and whatever would change the
 * answer and is not done here (other architectures, activations, rope types, sliding windows,
 * quantised checkpoints) is refused by name.
 */
#ifndef SPATE_ENGINE_LOAD_MODEL_CONFIG_H
#define SPATE_ENGINE_LOAD_MODEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct gguf_meta;

enum {
    MODEL_HIDDEN_MAX = 65536,
    MODEL_LAYERS_MAX = 1024,
    MODEL_HEADS_MAX = 1024,
    MODEL_HEAD_DIM_MAX = 1024,
    MODEL_FFN_MAX = 1 << 20,
    MODEL_VOCAB_MAX = 1 << 22,
    MODEL_CONTEXT_MAX = 1 << 24,
    MODEL_CONFIG_BYTES_MAX = 1 << 20,
};

enum model_architecture { MODEL_LLAMA, MODEL_QWEN2 };

/* RoPE of Llama 3.1: long waves are slowed by `factor`, those between are blended. */
struct model_rope {
    double theta;
    bool llama3; /* the four below are set */
    double factor;
    double low_frequency_factor;
    double high_frequency_factor;
    double original_context;
};

struct model_config {
    enum model_architecture architecture;
    int hidden;
    int layers;
    int heads;
    int kv_heads;
    int head_dim;
    int ffn;
    int vocab_rows; /* rows of embedding and head */
    int context_max;
    double norm_eps;
    struct model_rope rope;
    bool tied;     /* the head is the embedding */
    bool qkv_bias; /* q, k and v have biases */
};

/* "Qwen2ForCausalLM" or "LlamaForCausalLM". */
const char *model_architecture_name(enum model_architecture architecture);

/* From the text of a config.json, in the spelling of transformers 4 or 5. `what` names the file. */
int model_config_read(struct model_config *out, struct str json, const char *what, struct err *err);

/* From GGUF metadata; `tied` is whether output.weight is absent, vocab_rows that of token_embd. */
int model_config_read_gguf(struct model_config *out, const struct gguf_meta *meta, struct err *err);

#endif
