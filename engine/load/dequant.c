/* SPDX-License-Identifier: Apache-2.0 */
/* Quantised blocks to fp32: see dequant.h. */
#include "engine/load/dequant.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* ggml's numbers. */
enum {
    GGML_F32 = 0,
    GGML_F16 = 1,
    GGML_Q4_0 = 2,
    GGML_Q4_1 = 3,
    GGML_Q8_0 = 8,
    GGML_BF16 = 30,
};

static const struct {
    uint32_t raw_type;
    enum tensor_type type;
    size_t block_bytes;
} raw_types[] = {
    {GGML_F32, TENSOR_F32, 4 * DEQUANT_BLOCK},   {GGML_F16, TENSOR_F16, 2 * DEQUANT_BLOCK},
    {GGML_BF16, TENSOR_BF16, 2 * DEQUANT_BLOCK}, {GGML_Q4_0, TENSOR_F32, 2 + 16},
    {GGML_Q4_1, TENSOR_F32, 2 + 2 + 16},         {GGML_Q8_0, TENSOR_F32, 2 + 32},
};

bool dequant_type(uint32_t raw_type, enum tensor_type *out, size_t *block_bytes)
{
    for (size_t i = 0; i < ARRAY_COUNT(raw_types); i++) {
        if (raw_types[i].raw_type == raw_type) {
            *out = raw_types[i].type;
            *block_bytes = raw_types[i].block_bytes;
            return true;
        }
    }
    return false;
}

bool dequant_is_plain(uint32_t raw_type)
{
    return raw_type == GGML_F32 || raw_type == GGML_F16 || raw_type == GGML_BF16;
}

static float read_f16(const uint8_t *at)
{
    return f16_to_f32((uint16_t)(at[0] | at[1] << 8));
}

static void block_q4_0(const uint8_t *raw, float *out)
{
    float scale = read_f16(raw);

    for (int i = 0; i < DEQUANT_BLOCK / 2; i++) {
        out[i] = scale * (float)((raw[2 + i] & 15) - 8);
        out[i + DEQUANT_BLOCK / 2] = scale * (float)((raw[2 + i] >> 4) - 8);
    }
}

static void block_q4_1(const uint8_t *raw, float *out)
{
    float scale = read_f16(raw);
    float minimum = read_f16(raw + 2);

    for (int i = 0; i < DEQUANT_BLOCK / 2; i++) {
        out[i] = scale * (float)(raw[4 + i] & 15) + minimum;
        out[i + DEQUANT_BLOCK / 2] = scale * (float)(raw[4 + i] >> 4) + minimum;
    }
}

static void block_q8_0(const uint8_t *raw, float *out)
{
    float scale = read_f16(raw);

    for (int i = 0; i < DEQUANT_BLOCK; i++)
        out[i] = scale * (float)(int8_t)raw[2 + i];
}

void dequant_blocks(uint32_t raw_type, const uint8_t *raw, size_t blocks, float *out)
{
    enum tensor_type type;
    size_t block_bytes = 0;
    bool known = dequant_type(raw_type, &type, &block_bytes);

    assert(known && !dequant_is_plain(raw_type));
    (void)known;
    for (size_t i = 0; i < blocks; i++, raw += block_bytes, out += DEQUANT_BLOCK) {
        if (raw_type == GGML_Q4_0)
            block_q4_0(raw, out);
        else if (raw_type == GGML_Q4_1)
            block_q4_1(raw, out);
        else
            block_q8_0(raw, out);
    }
}

int64_t dequant_rotary_row(int64_t row, int64_t head_rows)
{
    int64_t head = row / head_rows;
    int64_t within = row % head_rows;
    int64_t half = head_rows / 2;
    int64_t pair = within % half;

    return head * head_rows + 2 * pair + within / half;
}

void dequant_rows(uint8_t *out, const struct tensor *shape, uint32_t raw_type, const uint8_t *raw,
                  int rotary_heads)
{
    int64_t rows = shape->dim_count == 1 ? 1 : shape->shape[0];
    size_t columns = (size_t)shape->shape[shape->dim_count - 1];
    size_t out_bytes = columns * tensor_type_bytes(shape->type);
    enum tensor_type type;
    size_t block_bytes = 0;
    size_t raw_bytes;

    (void)dequant_type(raw_type, &type, &block_bytes);
    raw_bytes = columns / DEQUANT_BLOCK * block_bytes;
    if (dequant_is_plain(raw_type))
        raw_bytes = out_bytes;
    for (int64_t row = 0; row < rows; row++) {
        int64_t from = rotary_heads == 0 ? row : dequant_rotary_row(row, rows / rotary_heads);
        const uint8_t *source = raw + (size_t)from * raw_bytes;
        uint8_t *target = out + (size_t)row * out_bytes;

        if (dequant_is_plain(raw_type))
            memcpy(target, source, out_bytes);
        else
            dequant_blocks(raw_type, source, columns / DEQUANT_BLOCK, (float *)(void *)target);
    }
}
