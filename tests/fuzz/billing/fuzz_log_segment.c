/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment reader of the usage log: whatever the bytes are, it ends, covers them without gaps or
 * overlaps, and finds every entry again whose neighbour was damaged.
 */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "billing/meter/segment.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

/* The whole in one piece: returns the number of entries. */
static int scan_whole(struct str bytes)
{
    struct segment_scan scan = {.bytes = bytes};
    struct segment_entry entry;
    enum segment_found found;
    size_t at = 0;
    int entries = 0;

    while ((found = segment_next(&scan, &entry)) != SEGMENT_FOUND_END) {
        check(found != SEGMENT_FOUND_MORE);
        check(entry.from == at && entry.to > entry.from && entry.to <= bytes.len);
        at = entry.to;
        if (found != SEGMENT_FOUND_ENTRY)
            continue;
        check(entry.payload.len > 0 && entry.payload.len <= SEGMENT_PAYLOAD_MAX);
        entries++;
    }
    return entries;
}

/* The same in pieces, as a reader of a growing file sees it: the same entries. */
static int scan_pieces(struct str bytes, size_t piece)
{
    size_t base = 0;
    int entries = 0;

    while (base < bytes.len) {
        struct str part = str_slice(bytes, base, base + piece);
        struct segment_scan scan = {.bytes = part, .more = base + part.len < bytes.len};
        struct segment_entry entry;
        enum segment_found found;
        size_t done = 0;

        while ((found = segment_next(&scan, &entry)) == SEGMENT_FOUND_ENTRY ||
               found == SEGMENT_FOUND_DAMAGE || found == SEGMENT_FOUND_TORN) {
            entries += found == SEGMENT_FOUND_ENTRY;
            done = entry.to;
        }
        if (found == SEGMENT_FOUND_END && scan.more && done < part.len - SEGMENT_ENTRY_MAX)
            done = part.len - SEGMENT_ENTRY_MAX;
        else if (found == SEGMENT_FOUND_END && !scan.more)
            break;
        check(done > 0);
        base += done;
    }
    return entries;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct err err;

    (void)segment_header_check(bytes, 1, &err);
    check(scan_whole(bytes) == scan_pieces(bytes, 3 * SEGMENT_ENTRY_MAX));
    return 0;
}
