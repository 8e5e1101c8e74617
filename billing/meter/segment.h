/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one segment of the usage log. Pure: bytes in, entries out. All numbers
 * little-endian.
 *
 *     header   0          8          16         24     28
 *              | SPATEML1 | number   | zero     | crc  | zero |      crc: CRC-32C of bytes 0-23
 *     entry    0        4        8          16    20
 *              | marker | length | sequence | crc | payload (length bytes: one record as JSON)
 *              crc: CRC-32C of bytes 4-15 and of the payload
 *     entry    ...
 *     zeros    up to the end of the preallocated file
 *
 * The marker's bytes cannot occur in JSON, so that a reader which lost its way finds the next
 * entry.
 */
#ifndef SPATE_METER_SEGMENT_H
#define SPATE_METER_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/usage.h"

enum {
    SEGMENT_HEADER_BYTES = 32,
    SEGMENT_ENTRY_BYTES = 20, /* before the payload */
    SEGMENT_PAYLOAD_MAX = USAGE_RECORD_BYTES_MAX,
    SEGMENT_ENTRY_MAX = SEGMENT_ENTRY_BYTES + SEGMENT_PAYLOAD_MAX,
};

struct segment_entry {
    uint64_t sequence;
    struct str payload; /* borrowed from the bytes */
    size_t from;        /* where the entry begins and ends */
    size_t to;
};

void segment_header_make(uint8_t out[SEGMENT_HEADER_BYTES], uint64_t number);
/* -ERR_CORRUPT with the reason. */
int segment_header_check(struct str bytes, uint64_t number, struct err *err);

/* Appends one entry; 0, or the failure of the buffer. */
int segment_entry_append(struct buf *out, uint64_t sequence, struct str payload);

enum segment_found {
    SEGMENT_FOUND_ENTRY,
    SEGMENT_FOUND_DAMAGE, /* [from, to) is unreadable, an entry follows: a corrupt middle */
    SEGMENT_FOUND_TORN,   /* [from, to) is unreadable, up to the end of the bytes */
    SEGMENT_FOUND_MORE,   /* the rest may be the front of an entry: give more bytes, from `from` */
    SEGMENT_FOUND_END,    /* nothing but zeros follows in the bytes */
};

struct segment_scan {
    struct str bytes;
    size_t at;      /* start at SEGMENT_HEADER_BYTES, or at an entry */
    bool more;      /* the file goes on after the bytes */
    struct err why; /* of damage or torn: one line, what and where */
};

/* The next thing in the bytes. `out` has `from` and `to` always, the rest for an entry. */
enum segment_found segment_next(struct segment_scan *scan, struct segment_entry *out);

#endif
