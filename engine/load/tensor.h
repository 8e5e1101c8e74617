/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tensor as a file stores it: a type, a shape and a place in memory that somebody else owns. The
 * readers check that `size` bytes are really there; nothing here does arithmetic on the values
 * except tensor_widen.
 */
#ifndef SPATE_ENGINE_LOAD_TENSOR_H
#define SPATE_ENGINE_LOAD_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { TENSOR_DIMS_MAX = 4 };

/* X(enum name, safetensors name, bytes). Models use the first three; the others are known so that
 * files which hold them can be read. */
#define TENSOR_TYPES(X)             \
    X(TENSOR_F32, "F32", 4)         \
    X(TENSOR_F16, "F16", 2)         \
    X(TENSOR_BF16, "BF16", 2)       \
    X(TENSOR_F64, "F64", 8)         \
    X(TENSOR_I8, "I8", 1)           \
    X(TENSOR_U8, "U8", 1)           \
    X(TENSOR_BOOL, "BOOL", 1)       \
    X(TENSOR_I16, "I16", 2)         \
    X(TENSOR_U16, "U16", 2)         \
    X(TENSOR_I32, "I32", 4)         \
    X(TENSOR_U32, "U32", 4)         \
    X(TENSOR_I64, "I64", 8)         \
    X(TENSOR_U64, "U64", 8)         \
    X(TENSOR_F8_E4M3, "F8_E4M3", 1) \
    X(TENSOR_F8_E5M2, "F8_E5M2", 1)

enum tensor_type {
#define TENSOR_TYPE_ENUM(name, text, bytes) name,
    TENSOR_TYPES(TENSOR_TYPE_ENUM)
#undef TENSOR_TYPE_ENUM
        TENSOR_TYPE_COUNT
};

struct tensor {
    enum tensor_type type;
    int dim_count;
    int64_t shape[TENSOR_DIMS_MAX]; /* slowest first: a matrix is [rows, columns] */
    const uint8_t *data;            /* may be unaligned */
    size_t size;                    /* bytes: product of the shape times the type's bytes */
};

/* The type by its safetensors name; false if there is none. */
bool tensor_type_parse(struct str name, enum tensor_type *out);
const char *tensor_type_name(enum tensor_type type);
size_t tensor_type_bytes(enum tensor_type type);
/* F32, F16 or BF16: what weights may be. */
bool tensor_type_is_weight(enum tensor_type type);

/* "[12, 64]" into `out`, cut if it does not fit. Returns `out`. */
char *tensor_shape_text(const struct tensor *t, char *out, size_t out_size);

/* One element of a weight type as fp32, exactly. */
float f16_to_f32(uint16_t half);
float bf16_to_f32(uint16_t brain);
/* Rounds to nearest even; for tests and fixtures. */
uint16_t f32_to_bf16(float value);

/* `count` elements from element `from` of a weight tensor as fp32, exactly. */
void tensor_widen(const struct tensor *t, size_t from, size_t count, float *out);

#endif
