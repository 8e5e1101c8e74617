/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the usage log while it is being written, and keeping what nobody accepts. A reader opens
 * segments by number on its own and stops at what is durable, so it shares nothing with the log
 * thread but three numbers.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/json.h"
#include "base/mem.h"
#include "billing/meter/meter_private.h"

enum { READ_BYTES = 1 << 20 };

struct reading {
    struct meter *m;
    struct meter_cursor *cursor;
    uint64_t end_number; /* how far it may go, see meter_private.h */
    uint64_t end_offset;
    int max;
    int count;
    int (*each)(void *user, uint64_t sequence, struct str json);
    void *user;
};

enum piece_result { PIECE_AGAIN, PIECE_SEGMENT_DONE, PIECE_STOP };

/* Bytes of the segment from the cursor on. -ERR_NOT_FOUND if it was deleted (all of it handled). */
static int read_bytes(struct reading *reading, struct buf *bytes, bool *more, struct err *err)
{
    struct store *s = &reading->m->store;
    uint64_t offset = reading->cursor->offset;
    CLEANUP(mem_freep) char *path = meter_store_segment_path(s, reading->cursor->segment);
    char *room = buf_reserve(bytes, READ_BYTES);
    uint64_t wanted = READ_BYTES;
    int64_t end;
    ssize_t got;
    int file;

    if (path == NULL || room == NULL)
        return err_no_memory(err);
    file = s->io->open(s->io->context, path, 0);
    if (file == -ENOENT)
        return -ERR_NOT_FOUND;
    if (file < 0)
        return err_errno(err, -file, "cannot open %s", path);
    end = s->io->size(s->io->context, file);
    if (end >= 0 && reading->cursor->segment == reading->end_number)
        end = (int64_t)reading->end_offset;
    if (end >= 0 && (uint64_t)end < offset + wanted)
        wanted = (uint64_t)end > offset ? (uint64_t)end - offset : 0;
    got = s->io->pread(s->io->context, file, room, wanted, offset);
    s->io->close(s->io->context, file);
    if (end < 0 || got < 0)
        return err_errno(err, got < 0 ? (int)-got : (int)-end, "cannot read %s", path);
    bytes->len += (size_t)got;
    *more = got == (ssize_t)wanted && offset + wanted < (uint64_t)end;
    return 0;
}

static int keep_damage(struct reading *reading, const struct segment_scan *scan,
                       const struct segment_entry *where, struct err *err)
{
    struct meter *m = reading->m;
    struct buf line;
    int r;

    buf_init(&line, SIZE_MAX);
    meter_store_damage_line(&line, m->store.clock, reading->cursor->segment, where, scan->bytes,
                            err_message(&scan->why));
    r = buf_check(&line, "the quarantine line", err);
    pthread_mutex_lock(&m->quarantine_lock);
    if (r == 0)
        r = meter_store_quarantine(&m->store, buf_str(&line), err);
    if (r == 0)
        m->store.damaged++;
    pthread_mutex_unlock(&m->quarantine_lock);
    buf_fini(&line);
    return r;
}

/* Hands one entry out, unless it was before: a segment given up after a failed write and its
 * successor hold the same records. */
static int hand_out(struct reading *reading, const struct segment_entry *entry)
{
    if (entry->sequence <= reading->cursor->sequence)
        return 0;
    if (reading->each(reading->user, entry->sequence, entry->payload) < 0)
        return -1;
    reading->cursor->sequence = entry->sequence;
    reading->count++;
    return 0;
}

/* Goes through the entries of one piece, which begins at `base` in the segment. */
static int read_entries(struct reading *reading, struct segment_scan *scan, uint64_t base,
                        struct err *err)
{
    struct meter_cursor *cursor = reading->cursor;
    struct segment_entry entry;

    while (reading->count < reading->max) {
        int r = 0;

        switch (segment_next(scan, &entry)) {
        case SEGMENT_FOUND_MORE:
            return PIECE_AGAIN;
        case SEGMENT_FOUND_END:
            if (!scan->more || scan->bytes.len <= SEGMENT_ENTRY_MAX)
                return PIECE_SEGMENT_DONE;
            /* Zeros up to here: go on behind them, but never before what was read. */
            if (cursor->offset < base + scan->bytes.len - SEGMENT_ENTRY_MAX)
                cursor->offset = base + scan->bytes.len - SEGMENT_ENTRY_MAX;
            return PIECE_AGAIN;
        case SEGMENT_FOUND_ENTRY:
            if (hand_out(reading, &entry) < 0)
                return PIECE_STOP;
            break;
        case SEGMENT_FOUND_DAMAGE:
        case SEGMENT_FOUND_TORN:
            r = keep_damage(reading, scan, &entry, err);
            break;
        }
        if (r < 0)
            return r;
        cursor->offset = base + entry.to;
    }
    return PIECE_STOP;
}

static int read_piece(struct reading *reading, struct err *err)
{
    struct segment_scan scan = {.at = 0};
    uint64_t base = reading->cursor->offset;
    struct buf bytes;
    int r;

    buf_init(&bytes, READ_BYTES);
    r = read_bytes(reading, &bytes, &scan.more, err);
    if (r == 0) {
        scan.bytes = buf_str(&bytes);
        r = read_entries(reading, &scan, base, err);
    } else if (r == -ERR_NOT_FOUND) {
        r = PIECE_SEGMENT_DONE;
    }
    buf_fini(&bytes);
    return r;
}

static void begin(struct reading *reading)
{
    struct meter *m = reading->m;
    struct meter_cursor *cursor = reading->cursor;

    pthread_mutex_lock(&m->lock);
    reading->end_number = m->end_number;
    reading->end_offset = m->end_offset;
    if (cursor->sequence < m->stats.acked)
        cursor->sequence = m->stats.acked;
    if (cursor->segment < m->first_number) {
        cursor->segment = m->first_number;
        cursor->offset = SEGMENT_HEADER_BYTES;
    }
    pthread_mutex_unlock(&m->lock);
}

int meter_read(struct meter *m, struct meter_cursor *cursor, int max,
               int (*each)(void *user, uint64_t sequence, struct str json), void *user,
               struct err *err)
{
    struct reading reading = {.m = m, .cursor = cursor, .max = max, .each = each, .user = user};

    begin(&reading);
    while (reading.count < max && cursor->segment <= reading.end_number) {
        int r = read_piece(&reading, err);

        if (r < 0)
            return r;
        if (r == PIECE_STOP || (r == PIECE_SEGMENT_DONE && cursor->segment == reading.end_number))
            break;
        if (r == PIECE_SEGMENT_DONE) {
            cursor->segment++;
            cursor->offset = SEGMENT_HEADER_BYTES;
        }
    }
    return reading.count;
}

int meter_quarantine(struct meter *m, struct str json, const char *reason, struct err *err)
{
    struct json_writer w;
    char at[CLOCK_TEXT_MAX];
    struct buf line;
    int r;

    buf_init(&line, SIZE_MAX);
    clock_format_utc(clock_wall_ms(m->store.clock), at);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_text(&w, "at", at);
    json_put_text(&w, "reason", reason);
    json_put_str(&w, "record", json);
    json_close(&w, '}');
    buf_append_char(&line, '\n');
    r = buf_check(&line, "the quarantine line", err);
    pthread_mutex_lock(&m->quarantine_lock);
    if (r == 0)
        r = meter_store_quarantine(&m->store, buf_str(&line), err);
    if (r == 0)
        m->store.quarantined++;
    pthread_mutex_unlock(&m->quarantine_lock);
    buf_fini(&line);
    return r;
}
