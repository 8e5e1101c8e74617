/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model folders made at test time: a random Qwen2 or Llama of any small shape, with biases, norm
 * weights other than one, and a logit scale near that of real models.
 */
#ifndef SPATE_TESTS_RANDOM_MODEL_H
#define SPATE_TESTS_RANDOM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/load/tensor.h"

struct random_model {
    bool qwen2; /* else Llama */
    enum tensor_type type;
    int hidden;
    int layers;
    int heads;
    int kv_heads;
    int head_dim;
    int ffn;
    int vocab;
    bool tied;
    uint64_t seed;
};

/* Makes `folder` with config.json and model.safetensors. Asserts that it works. */
void random_model_write(const char *folder, const struct random_model *m);

/* The two files as bytes, for tests that break them. Buffers are initialised here. */
void random_model_config(struct buf *out, const struct random_model *m);
void random_model_weights(struct buf *out, const struct random_model *m);

#endif
