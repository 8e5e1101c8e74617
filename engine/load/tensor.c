/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor types, and their values as fp32: see tensor.h. */
#include "engine/load/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
#define TENSOR_TYPE_ROW(name, text, bytes) {text, bytes},
    TENSOR_TYPES(TENSOR_TYPE_ROW)
#undef TENSOR_TYPE_ROW
};

bool tensor_type_parse(struct str name, enum tensor_type *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (str_is(name, types[i].name)) {
            *out = (enum tensor_type)i;
            return true;
        }
    }
    return false;
}

const char *tensor_type_name(enum tensor_type type)
{
    return types[type].name;
}

size_t tensor_type_bytes(enum tensor_type type)
{
    return types[type].bytes;
}

bool tensor_type_is_weight(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

char *tensor_shape_text(const struct tensor *t, char *out, size_t out_size)
{
    size_t used = 0;

    assert(out_size > 0);
    out[0] = '\0';
    for (int i = 0; i < t->dim_count && used < out_size; i++) {
        int put =
            snprintf(out + used, out_size - used, "%s%" PRId64, i == 0 ? "[" : ", ", t->shape[i]);

        used += put > 0 ? (size_t)put : 0;
    }
    if (used < out_size)
        snprintf(out + used, out_size - used, "%s", t->dim_count == 0 ? "[]" : "]");
    return out;
}

float bf16_to_f32(uint16_t brain)
{
    uint32_t bits = (uint32_t)brain << 16;
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

float f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1f;
    uint32_t fraction = half & 0x3ff;
    uint32_t bits;
    float value;

    if (exponent == 0x1f) { /* infinity or NaN */
        bits = sign | 0x7f800000 | fraction << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else { /* zero or subnormal: fraction * 2^-24 is exact in fp32 */
        value = (float)fraction * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint16_t f32_to_bf16(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000) /* NaN stays one */
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void tensor_widen(const struct tensor *t, size_t from, size_t count, float *out)
{
    const uint8_t *at = t->data + from * tensor_type_bytes(t->type);

    assert(tensor_type_is_weight(t->type));
    assert((from + count) * tensor_type_bytes(t->type) <= t->size);
    if (t->type == TENSOR_F32) {
        memcpy(out, at, count * sizeof(*out));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;

        memcpy(&bits, at + 2 * i, sizeof(bits));
        out[i] = t->type == TENSOR_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
}
