/* SPDX-License-Identifier: Apache-2.0 */
/* Digests, checksums and text encodings of bytes. Pure; thread-safe. */
#ifndef SPATE_BASE_HASH_H
#define SPATE_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum { SHA256_BYTES = 32, SHA256_HEX_LEN = 64 };

void sha256(struct str data, uint8_t out[SHA256_BYTES]);
void sha256_hex(struct str data, char out[SHA256_HEX_LEN + 1]);

/* CRC-32C (Castagnoli), of `data` appended to what `crc` covers; start with 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The same for processors without an instruction for it; public for its test. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size);

/* 64-bit non-cryptographic hash for tables (FNV-1a with a final mix); `seed` varies it. */
uint64_t hash64(uint64_t seed, const void *data, size_t size);

/* In constant time for equal lengths: for digests of secrets. */
bool bytes_equal_secret(const void *a, const void *b, size_t size);

void hex_format(const uint8_t *bytes, size_t size, char *out); /* 2 * size + NUL */
bool hex_parse(struct str text, uint8_t *out, size_t size);    /* exactly `size` bytes */

/* base64url without padding (RFC 7515). */
int base64url_append(struct buf *out, const void *bytes, size_t size);
int base64url_decode(struct buf *out, struct str text, struct err *err);

#endif
