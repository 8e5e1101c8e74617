/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF's tensor types as numbers. Blocks of 32 weights share a scale (and a minimum):
 *
 *     Q4_0  d f16 | 16 bytes: nibble i low, i + 16 high          value = d * (nibble - 8)
 *     Q4_1  d f16 | m f16 | 16 bytes of nibbles                  value = d * nibble + m
 *     Q8_0  d f16 | 32 bytes, signed                             value = d * byte
 *
 * Values are fp32, rounded as in the reference: product first, then the sum.
 */
#ifndef SPATE_ENGINE_LOAD_DEQUANT_H
#define SPATE_ENGINE_LOAD_DEQUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/load/tensor.h"

enum { DEQUANT_BLOCK = 32 };

/* What ggml type `raw_type` becomes, and the bytes that DEQUANT_BLOCK values take in the file.
 * False: not supported. */
bool dequant_type(uint32_t raw_type, enum tensor_type *out, size_t *block_bytes);
/* F32, F16 or BF16: stored as plain numbers. */
bool dequant_is_plain(uint32_t raw_type);

/* `blocks` blocks of a quantised type from `raw` into fp32. */
void dequant_blocks(uint32_t raw_type, const uint8_t *raw, size_t blocks, float *out);

/*
 * Row `row` of an interleaved rotary matrix, as Hugging Face orders rows: a llama GGUF holds each
 * head's rows as (0, d/2, 1, d/2 + 1 ...). Returns the row of the file.
 */
int64_t dequant_rotary_row(int64_t row, int64_t head_rows);

/*
 * A whole tensor of the file, row by row, into `out` (with the size and type of `shape`, whose data
 * is not looked at). rotary_heads > 0 puts the rows of so many heads back in order.
 */
void dequant_rows(uint8_t *out, const struct tensor *shape, uint32_t raw_type, const uint8_t *raw,
                  int rotary_heads);

#endif
