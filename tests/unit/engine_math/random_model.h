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

enum { PLANNED_MAX = 256, PLANNED_NAME_BYTES = 96 };

/* A tensor that the model has: values random * scale + offset. */
struct planned {
    char name[PLANNED_NAME_BYTES];
    int rows; /* 0: a vector */
    int columns;
    float scale;
    float offset;
};
struct random_plan {
    struct planned tensors[PLANNED_MAX];
    int count;
};
void random_model_plan(struct random_plan *out, const struct random_model *m);
size_t planned_elements(const struct planned *t);

/* Makes `folder` with config.json and model.safetensors. Asserts that it works. */
void random_model_write(const char *folder, const struct random_model *m);

/* The two files as bytes, for tests that break them. Buffers are initialised here. */
void random_model_config(struct buf *out, const struct random_model *m);
void random_model_weights(struct buf *out, const struct random_model *m);

/* Pieces for other writers: the safetensors header of a plan (with its length), a file. */
void random_model_header(struct buf *out, const struct random_plan *p, enum tensor_type type);
void write_test_file(const char *folder, const char *name, struct str data);

#endif
