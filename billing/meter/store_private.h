/* SPDX-License-Identifier: Apache-2.0 */
/* What store.c and store_open.c share. */
#ifndef SPATE_METER_STORE_PRIVATE_H
#define SPATE_METER_STORE_PRIVATE_H

#include "base/file.h"
#include "billing/meter/store.h"

#define STORE_SPARE      "reserve"
#define STORE_ACKED      "acked"
#define STORE_QUARANTINE "quarantine.jsonl"

/* The watermark file: | "SPATEAK1" | sequence | crc of both |, little-endian. */
enum { STORE_ACKED_BYTES = 20 };
void meter_store_acked_encode(uint8_t out[STORE_ACKED_BYTES], uint64_t sequence);
bool meter_store_acked_decode(const uint8_t bytes[STORE_ACKED_BYTES], uint64_t *sequence);

int meter_store_segment_add(struct store *s, const struct store_segment *segment);

#endif
