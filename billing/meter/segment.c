/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing segment bytes: see segment.h. */
#include "billing/meter/segment.h"

#include <inttypes.h>
#include <string.h>

#include "base/hash.h"

static const char segment_magic[8] = {'S', 'P', 'A', 'T', 'E', 'M', 'L', '1'};
static const uint8_t entry_marker[4] = {0xf5, 0x53, 0x45, 0xff};

static void put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static void put_u64(uint8_t *out, uint64_t value)
{
    put_u32(out, (uint32_t)value);
    put_u32(out + 4, (uint32_t)(value >> 32));
}

static uint32_t get_u32(const void *bytes)
{
    const uint8_t *at = bytes;

    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const void *bytes)
{
    const uint8_t *at = bytes;

    return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

void segment_header_make(uint8_t out[SEGMENT_HEADER_BYTES], uint64_t number)
{
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, segment_magic, sizeof(segment_magic));
    put_u64(out + 8, number);
    put_u32(out + 24, crc32c(0, out, 24));
}

int segment_header_check(struct str bytes, uint64_t number, struct err *err)
{
    uint64_t found;

    if (bytes.len < SEGMENT_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "the header is cut: %zu of %d bytes", bytes.len,
                       SEGMENT_HEADER_BYTES);
    if (memcmp(bytes.ptr, segment_magic, sizeof(segment_magic)) != 0)
        return err_set(err, ERR_CORRUPT, "bytes 0-7 are not the mark of a usage log segment");
    if (get_u32(bytes.ptr + 24) != crc32c(0, bytes.ptr, 24))
        return err_set(err, ERR_CORRUPT, "the header's checksum does not match");
    found = get_u64(bytes.ptr + 8);
    if (found != number)
        return err_set(err, ERR_CORRUPT,
                       "the header says segment %" PRIu64 ": the file was renamed", found);
    return 0;
}

int segment_entry_append(struct buf *out, uint64_t sequence, struct str payload)
{
    uint8_t head[SEGMENT_ENTRY_BYTES];
    uint32_t crc;

    if (payload.len == 0 || payload.len > SEGMENT_PAYLOAD_MAX)
        return -ERR_LIMIT;
    memcpy(head, entry_marker, sizeof(entry_marker));
    put_u32(head + 4, (uint32_t)payload.len);
    put_u64(head + 8, sequence);
    crc = crc32c(0, head + 4, 12);
    put_u32(head + 16, crc32c(crc, payload.ptr, payload.len));
    if (buf_reserve(out, sizeof(head) + payload.len) == NULL)
        return -ERR_NO_MEMORY;
    buf_append(out, head, sizeof(head));
    return buf_append_str(out, payload);
}

enum entry_state { ENTRY_GOOD, ENTRY_BAD, ENTRY_CUT };

/* Judges what begins at `at`; the reason of a bad one goes to `why`. */
static enum entry_state entry_at(struct str bytes, size_t at, struct segment_entry *out,
                                 struct err *why)
{
    const char *head = bytes.ptr + at;
    size_t left = bytes.len - at;
    size_t marker_len = left < sizeof(entry_marker) ? left : sizeof(entry_marker);
    uint32_t length;
    uint32_t crc;

    if (memcmp(head, entry_marker, marker_len) != 0) {
        err_set(why, ERR_CORRUPT, "byte %zu: no entry begins here", at);
        return ENTRY_BAD;
    }
    if (left < SEGMENT_ENTRY_BYTES) {
        err_set(why, ERR_CORRUPT, "byte %zu: the entry's head is cut", at);
        return ENTRY_CUT;
    }
    length = get_u32(head + 4);
    if (length == 0 || length > SEGMENT_PAYLOAD_MAX) {
        err_set(why, ERR_CORRUPT, "byte %zu: an entry of impossible length %" PRIu32, at, length);
        return ENTRY_BAD;
    }
    if (left - SEGMENT_ENTRY_BYTES < length) {
        err_set(why, ERR_CORRUPT, "byte %zu: the entry is cut", at);
        return ENTRY_CUT;
    }
    crc = crc32c(0, head + 4, 12);
    crc = crc32c(crc, head + SEGMENT_ENTRY_BYTES, length);
    if (crc != get_u32(head + 16)) {
        err_set(why, ERR_CORRUPT, "byte %zu: the entry's checksum does not match", at);
        return ENTRY_BAD;
    }
    *out = (struct segment_entry){
        .sequence = get_u64(head + 8),
        .payload = {head + SEGMENT_ENTRY_BYTES, length},
        .from = at,
        .to = at + SEGMENT_ENTRY_BYTES + length,
    };
    return ENTRY_GOOD;
}

static bool only_zeros(struct str bytes, size_t at)
{
    for (; at < bytes.len; at++) {
        if (bytes.ptr[at] != 0)
            return false;
    }
    return true;
}

/* The first place from `at` on where a readable entry begins, or the end of the bytes. */
static size_t find_entry(struct str bytes, size_t at)
{
    struct segment_entry ignored;

    while (at < bytes.len) {
        const char *hit = memchr(bytes.ptr + at, entry_marker[0], bytes.len - at);

        if (hit == NULL)
            break;
        at = (size_t)(hit - bytes.ptr);
        if (entry_at(bytes, at, &ignored, NULL) == ENTRY_GOOD)
            return at;
        at++;
    }
    return bytes.len;
}

enum segment_found segment_next(struct segment_scan *scan, struct segment_entry *out)
{
    size_t from = scan->at;
    enum entry_state state;
    size_t next;

    *out = (struct segment_entry){.from = from, .to = scan->bytes.len};
    if (from >= scan->bytes.len)
        return scan->more ? SEGMENT_FOUND_MORE : SEGMENT_FOUND_END;
    state = entry_at(scan->bytes, from, out, &scan->why);
    if (state == ENTRY_GOOD) {
        scan->at = out->to;
        return SEGMENT_FOUND_ENTRY;
    }
    if (state == ENTRY_CUT && scan->more)
        return SEGMENT_FOUND_MORE;
    if (only_zeros(scan->bytes, from)) {
        scan->at = scan->bytes.len;
        return SEGMENT_FOUND_END;
    }
    next = find_entry(scan->bytes, from + 1);
    if (next == scan->bytes.len && scan->more) {
        /* The next entry may begin here and end in bytes not given: keep what could be its front.
         */
        if (from > 0 || next <= SEGMENT_ENTRY_MAX)
            return SEGMENT_FOUND_MORE;
        next -= SEGMENT_ENTRY_MAX;
    }
    out->to = next;
    scan->at = next;
    return next < scan->bytes.len ? SEGMENT_FOUND_DAMAGE : SEGMENT_FOUND_TORN;
}
