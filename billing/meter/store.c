/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of the usage log on the disk, once it is open: see store.h. Opening: store_open.c. */
#include "billing/meter/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "billing/meter/store_private.h"

char *meter_store_segment_path(const struct store *s, uint64_t number)
{
    char name[40];

    snprintf(name, sizeof(name), "%08" PRIu64 ".log", number);
    return path_join(s->folder, name);
}

uint64_t meter_store_bytes(const struct store *s)
{
    uint64_t bytes = s->quarantine_bytes + (s->spare ? s->segment_bytes : 0);

    for (size_t i = 0; i < s->segment_count; i++)
        bytes += s->segments[i].bytes;
    return bytes;
}

int meter_store_segment_add(struct store *s, const struct store_segment *segment)
{
    if (s->segment_count == s->segment_cap) {
        size_t cap = s->segment_cap == 0 ? 16 : s->segment_cap * 2;
        struct store_segment *grown = mem_resize(s->segments, cap, sizeof(*grown));

        if (grown == NULL)
            return -ERR_NO_MEMORY;
        s->segments = grown;
        s->segment_cap = cap;
    }
    s->segments[s->segment_count++] = *segment;
    return 0;
}

/* A file of zeros under a temporary name, then renamed: `reserve` is always whole. */
static int make_spare_file(struct store *s, const char *temporary, const char *path)
{
    int file = s->io->open(s->io->context, temporary, 1);
    int r;

    if (file < 0)
        return file;
    r = s->io->allocate(s->io->context, file, s->segment_bytes);
    if (r == 0)
        r = s->io->sync(s->io->context, file);
    s->io->close(s->io->context, file);
    if (r == 0)
        r = s->io->rename(s->io->context, temporary, path);
    if (r == 0)
        r = s->io->sync_folder(s->io->context, s->folder);
    if (r < 0)
        s->io->unlink(s->io->context, temporary);
    return r;
}

static bool make_spare(struct store *s)
{
    CLEANUP(mem_freep) char *temporary = path_join(s->folder, "reserve.tmp");
    CLEANUP(mem_freep) char *path = path_join(s->folder, STORE_SPARE);

    if (temporary == NULL || path == NULL || s->segment_count >= METER_SEGMENTS_MAX)
        return false;
    if (meter_store_bytes(s) + s->segment_bytes > s->max_bytes)
        return false;
    s->spare = make_spare_file(s, temporary, path) == 0;
    return s->spare;
}

bool meter_store_prepare(struct store *s)
{
    if (!s->spare && !make_spare(s))
        return false;
    if (s->current < 0 && meter_store_rotate(s, NULL) < 0)
        return false;
    return s->spare || make_spare(s);
}

void meter_store_abandon(struct store *s)
{
    if (s->current >= 0)
        s->io->close(s->io->context, s->current);
    s->current = -1;
}

/* Gives back the preallocated rest of the current segment. A failure costs only space. */
static void finish_current(struct store *s)
{
    if (s->current < 0)
        return;
    assert(s->segment_count > 0);
    if (s->io->truncate(s->io->context, s->current, s->current_used) == 0)
        s->segments[s->segment_count - 1].bytes = s->current_used;
    meter_store_abandon(s);
}

static int write_header(struct store *s, int file, uint64_t number)
{
    uint8_t header[SEGMENT_HEADER_BYTES];
    ssize_t put;

    segment_header_make(header, number);
    put = s->io->pwrite(s->io->context, file, header, sizeof(header), 0);
    if (put < 0)
        return (int)put;
    return s->io->sync(s->io->context, file);
}

int meter_store_rotate(struct store *s, struct err *err)
{
    CLEANUP(mem_freep) char *spare = path_join(s->folder, STORE_SPARE);
    CLEANUP(mem_freep) char *path = meter_store_segment_path(s, s->next_number);
    struct store_segment added = {.number = s->next_number, .bytes = s->segment_bytes};
    int file;
    int r;

    if (spare == NULL || path == NULL)
        return err_no_memory(err);
    if (!s->spare)
        return err_set(err, ERR_NO_SPACE, "%s has no spare segment left", s->folder);
    file = s->io->open(s->io->context, spare, 0);
    if (file < 0) {
        s->spare = false;
        return err_errno(err, -file, "cannot open %s", spare);
    }
    r = write_header(s, file, s->next_number);
    if (r == 0)
        r = s->io->rename(s->io->context, spare, path);
    if (r < 0 || meter_store_segment_add(s, &added) < 0) {
        s->io->close(s->io->context, file);
        return r < 0 ? err_errno(err, -r, "cannot begin %s", path) : err_no_memory(err);
    }
    s->spare = false;
    s->next_number++;
    s->segment_count--; /* the old current one is still the last for finish_current */
    finish_current(s);
    s->segment_count++;
    s->current = file;
    s->current_used = SEGMENT_HEADER_BYTES;
    r = s->io->sync_folder(s->io->context, s->folder);
    if (r < 0) {
        meter_store_abandon(s);
        return err_errno(err, -r, "cannot begin %s", path);
    }
    return 0;
}

/* The length of the longest row of whole entries within `room` bytes. */
static size_t entries_within(struct str entries, uint64_t room, uint64_t *last)
{
    struct segment_scan scan = {.bytes = entries};
    struct segment_entry entry;
    size_t taken = 0;

    while (segment_next(&scan, &entry) == SEGMENT_FOUND_ENTRY && entry.to <= room) {
        taken = entry.to;
        *last = entry.sequence;
    }
    return taken;
}

ssize_t meter_store_write(struct store *s, struct str entries, uint64_t *last, struct err *err)
{
    uint64_t sequence = 0;
    size_t size;
    ssize_t r;

    if (s->current < 0)
        return 0;
    size = entries_within(entries, s->segment_bytes - s->current_used, &sequence);
    if (size == 0)
        return 0;
    r = s->io->pwrite(s->io->context, s->current, entries.ptr, size, s->current_used);
    s->segments[s->segment_count - 1].last_sequence = sequence;
    if (r >= 0)
        r = s->io->sync(s->io->context, s->current);
    if (r < 0) {
        meter_store_abandon(s);
        return err_errno(err, (int)-r, "cannot write to the usage log in %s", s->folder);
    }
    s->current_used += size;
    *last = sequence;
    return (ssize_t)size;
}

static int write_watermark(struct store *s, const char *temporary, const char *path,
                           uint64_t sequence)
{
    uint8_t bytes[STORE_ACKED_BYTES];
    ssize_t put;
    int file = s->io->open(s->io->context, temporary, 1);
    int r;

    if (file < 0)
        return file;
    meter_store_acked_encode(bytes, sequence);
    put = s->io->pwrite(s->io->context, file, bytes, sizeof(bytes), 0);
    r = put < 0 ? (int)put : s->io->sync(s->io->context, file);
    s->io->close(s->io->context, file);
    if (r == 0)
        r = s->io->rename(s->io->context, temporary, path);
    if (r == 0)
        r = s->io->sync_folder(s->io->context, s->folder);
    return r;
}

/* Deleting needs no space, so it goes first: on a full disk it is what makes room again. Without
 * the watermark a crash only ships some records once more. */
static void delete_handled(struct store *s, uint64_t sequence)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->segment_count; i++) {
        struct store_segment segment = s->segments[i];
        bool is_current = s->current >= 0 && i == s->segment_count - 1;
        CLEANUP(mem_freep) char *path = NULL;

        if (!is_current && segment.last_sequence <= sequence)
            path = meter_store_segment_path(s, segment.number);
        if (path == NULL || s->io->unlink(s->io->context, path) < 0)
            s->segments[kept++] = segment;
    }
    s->segment_count = kept;
}

int meter_store_ack(struct store *s, uint64_t sequence, struct err *err)
{
    CLEANUP(mem_freep) char *temporary = path_join(s->folder, STORE_ACKED ".tmp");
    CLEANUP(mem_freep) char *path = path_join(s->folder, STORE_ACKED);
    int r;

    if (temporary == NULL || path == NULL)
        return err_no_memory(err);
    delete_handled(s, sequence);
    r = write_watermark(s, temporary, path, sequence);
    if (r < 0)
        return err_errno(err, -r, "cannot keep the watermark in %s", path);
    s->acked = sequence;
    return 0;
}

int meter_store_quarantine(struct store *s, struct str line, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(s->folder, STORE_QUARANTINE);
    ssize_t put;
    int file;
    int r;

    if (path == NULL)
        return err_no_memory(err);
    file = s->io->open(s->io->context, path, s->quarantine_bytes == 0);
    if (file < 0)
        return err_errno(err, -file, "cannot open %s", path);
    put = s->io->pwrite(s->io->context, file, line.ptr, line.len, s->quarantine_bytes);
    r = put < 0 ? (int)put : s->io->sync(s->io->context, file);
    s->io->close(s->io->context, file);
    if (r == 0 && s->quarantine_bytes == 0)
        r = s->io->sync_folder(s->io->context, s->folder);
    if (r < 0)
        return err_errno(err, -r, "cannot write %s", path);
    s->quarantine_bytes += line.len;
    return 0;
}
