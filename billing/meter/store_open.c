/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the usage log: finds the segments, cuts torn tails, repairs corrupt middles. What is cut
 * out goes to the quarantine file first, so that nothing ever disappears.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "billing/meter/store.h"
#include "billing/meter/store_private.h"

static const char acked_magic[8] = {'S', 'P', 'A', 'T', 'E', 'A', 'K', '1'};

void meter_store_acked_encode(uint8_t out[STORE_ACKED_BYTES], uint64_t sequence)
{
    uint32_t crc;

    memcpy(out, acked_magic, 8);
    for (int i = 0; i < 8; i++)
        out[8 + i] = (uint8_t)(sequence >> (8 * i));
    crc = crc32c(0, out, 16);
    for (int i = 0; i < 4; i++)
        out[16 + i] = (uint8_t)(crc >> (8 * i));
}

bool meter_store_acked_decode(const uint8_t bytes[STORE_ACKED_BYTES], uint64_t *sequence)
{
    uint8_t expected[STORE_ACKED_BYTES];
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value |= (uint64_t)bytes[8 + i] << (8 * i);
    meter_store_acked_encode(expected, value);
    if (memcmp(bytes, expected, STORE_ACKED_BYTES) != 0)
        return false;
    *sequence = value;
    return true;
}

int meter_store_damage_line(struct buf *out, const struct clock *clock, uint64_t segment,
                            const struct segment_entry *where, struct str bytes, const char *reason)
{
    struct json_writer w;
    char at[CLOCK_TEXT_MAX];
    struct buf encoded;

    buf_init(&encoded, SIZE_MAX);
    base64url_append(&encoded, bytes.ptr + where->from, where->to - where->from);
    clock_format_utc(clock_wall_ms(clock), at);
    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "at", at);
    json_put_text(&w, "reason", reason);
    json_put_u64(&w, "segment", segment);
    json_put_u64(&w, "from", where->from);
    json_put_u64(&w, "to", where->to);
    json_put_str(&w, "base64url", buf_str(&encoded));
    json_close(&w, '}');
    buf_inherit_failure(out, &encoded);
    buf_fini(&encoded);
    return buf_append_char(out, '\n');
}

/* One segment while it is being looked through. */
struct inspection {
    struct store *s;
    struct store_segment segment;
    bool newest;      /* torn tails are normal here only */
    struct buf bytes; /* the file */
    struct buf good;  /* header and readable entries */
    bool damaged;
    bool torn;
    bool kept; /* what is cut out is safe in the quarantine file */
};

static int read_whole(struct store *s, const char *path, struct buf *out, struct err *err)
{
    int file = s->io->open(s->io->context, path, 0);
    int64_t size;
    char *room;
    ssize_t got;

    if (file < 0)
        return err_errno(err, -file, "cannot open %s", path);
    size = s->io->size(s->io->context, file);
    if (size < 0 || size > METER_SEGMENT_BYTES_MAX) {
        s->io->close(s->io->context, file);
        return size < 0
                   ? err_errno(err, (int)-size, "cannot read %s", path)
                   : err_set(err, ERR_LIMIT, "%s is larger than any segment; move it away", path);
    }
    room = buf_reserve(out, (size_t)size);
    if (room == NULL) {
        s->io->close(s->io->context, file);
        return err_no_memory(err);
    }
    got = s->io->pread(s->io->context, file, room, (size_t)size, 0);
    s->io->close(s->io->context, file);
    if (got < 0)
        return err_errno(err, (int)-got, "cannot read %s", path);
    out->len += (size_t)got;
    return 0;
}

static void keep_damage(struct inspection *in, const struct segment_entry *where,
                        const char *reason)
{
    struct buf line;

    buf_init(&line, SIZE_MAX);
    meter_store_damage_line(&line, in->s->clock, in->segment.number, where, buf_str(&in->bytes),
                            reason);
    if (line.failed || meter_store_quarantine(in->s, buf_str(&line), NULL) < 0)
        in->kept = false;
    buf_fini(&line);
}

static void inspect(struct inspection *in)
{
    struct segment_scan scan = {.bytes = buf_str(&in->bytes)};
    uint8_t header[SEGMENT_HEADER_BYTES];
    struct segment_entry entry;
    struct err why;
    enum segment_found found;
    bool header_good = segment_header_check(scan.bytes, in->segment.number, &why) == 0;

    segment_header_make(header, in->segment.number);
    buf_append(&in->good, header, sizeof(header));
    if (header_good)
        scan.at = SEGMENT_HEADER_BYTES;
    while ((found = segment_next(&scan, &entry)) != SEGMENT_FOUND_END) {
        if (found == SEGMENT_FOUND_ENTRY) {
            buf_append(&in->good, in->bytes.ptr + entry.from, entry.to - entry.from);
            if (entry.sequence > in->segment.last_sequence)
                in->segment.last_sequence = entry.sequence;
            continue;
        }
        if (found == SEGMENT_FOUND_TORN && in->newest && header_good)
            in->torn = true;
        else
            in->damaged = true;
        keep_damage(in, &entry,
                    entry.from == 0 && !header_good ? err_message(&why) : err_message(&scan.why));
    }
}

/* Replaces the file by its readable part. A failure (a full disk) leaves it: the next open tries.
 */
static void rewrite(struct inspection *in, const char *path)
{
    const struct meter_io *io = in->s->io;
    CLEANUP(mem_freep) char *temporary = path_join(in->s->folder, "repair.tmp");
    ssize_t put;
    int file;

    if (temporary == NULL || in->good.failed || !in->kept)
        return;
    file = io->open(io->context, temporary, 1);
    if (file < 0)
        return;
    put = io->pwrite(io->context, file, in->good.ptr, in->good.len, 0);
    if (put >= 0)
        put = io->sync(io->context, file);
    io->close(io->context, file);
    if (put < 0 || io->rename(io->context, temporary, path) < 0 ||
        io->sync_folder(io->context, in->s->folder) < 0) {
        io->unlink(io->context, temporary);
        return;
    }
    in->segment.bytes = in->good.len;
}

/* Takes away the zeros, or the torn tail, after the last entry. */
static void cut_tail(struct inspection *in, const char *path)
{
    const struct meter_io *io = in->s->io;
    int file;

    if (in->good.failed || in->good.len == in->bytes.len || (in->torn && !in->kept))
        return;
    file = io->open(io->context, path, 0);
    if (file < 0)
        return;
    if (io->truncate(io->context, file, in->good.len) == 0 && io->sync(io->context, file) == 0)
        in->segment.bytes = in->good.len;
    io->close(io->context, file);
}

static int load_segment(struct inspection *in, const char *path, struct err *err)
{
    struct store *s = in->s;
    int r = read_whole(s, path, &in->bytes, err);

    if (r < 0)
        return r;
    in->segment.bytes = in->bytes.len;
    inspect(in);
    if (in->good.failed)
        return err_no_memory(err);
    s->damaged += in->damaged ? 1 : 0;
    s->torn += in->torn ? 1 : 0;
    if (in->damaged)
        rewrite(in, path);
    else
        cut_tail(in, path);
    if (in->segment.last_sequence > s->last_sequence)
        s->last_sequence = in->segment.last_sequence;
    return 0;
}

static int load_segments(struct store *s, struct err *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->segment_count; i++) {
        struct inspection in = {
            .s = s,
            .segment = {.number = s->segments[i].number},
            .newest = i == s->segment_count - 1,
            .kept = true,
        };
        CLEANUP(mem_freep) char *path = meter_store_segment_path(s, in.segment.number);
        int r;

        if (path == NULL)
            return err_no_memory(err);
        buf_init(&in.bytes, METER_SEGMENT_BYTES_MAX);
        buf_init(&in.good, METER_SEGMENT_BYTES_MAX);
        r = load_segment(&in, path, err);
        buf_fini(&in.bytes);
        buf_fini(&in.good);
        if (r < 0)
            return r;
        if (in.segment.last_sequence > s->acked || !in.kept ||
            s->io->unlink(s->io->context, path) < 0)
            s->segments[kept++] = in.segment;
    }
    s->segment_count = kept;
    return 0;
}

/* "00000012.log" -> 12; 0 for any other name. */
static uint64_t segment_number(const char *name)
{
    struct str text = str_of(name);
    uint64_t number;

    if (text.len < 12 || !str_ends(text, STR(".log")) ||
        !str_to_u64(str_slice(text, 0, text.len - 4), &number) || number >= UINT64_MAX / 2)
        return 0;
    return number;
}

static int see_name(void *argument, const char *name)
{
    struct store *s = argument;
    struct store_segment segment = {.number = segment_number(name)};

    if (segment.number != 0)
        return meter_store_segment_add(s, &segment) < 0 ? -ENOMEM : 0;
    if (strcmp(name, STORE_SPARE) == 0)
        s->spare = true;
    if (str_ends(str_of(name), STR(".tmp"))) {
        CLEANUP(mem_freep) char *path = path_join(s->folder, name);

        if (path != NULL)
            s->io->unlink(s->io->context, path);
    }
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct store_segment *left = a;
    const struct store_segment *right = b;

    return left->number < right->number ? -1 : left->number > right->number;
}

static int64_t file_size(struct store *s, const char *name)
{
    CLEANUP(mem_freep) char *path = path_join(s->folder, name);
    int64_t size = 0;
    int file;

    if (path == NULL)
        return -ENOMEM;
    file = s->io->open(s->io->context, path, 0);
    if (file < 0)
        return file;
    size = s->io->size(s->io->context, file);
    s->io->close(s->io->context, file);
    return size;
}

static int read_watermark(struct store *s, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(s->folder, STORE_ACKED);
    uint8_t bytes[STORE_ACKED_BYTES] = {0};
    ssize_t got;
    int file;

    if (path == NULL)
        return err_no_memory(err);
    file = s->io->open(s->io->context, path, 0);
    if (file == -ENOENT)
        return 0;
    if (file < 0)
        return err_errno(err, -file, "cannot open %s", path);
    got = s->io->pread(s->io->context, file, bytes, sizeof(bytes), 0);
    s->io->close(s->io->context, file);
    if (got < 0)
        return err_errno(err, (int)-got, "cannot read %s", path);
    /* A damaged watermark counts as none: what is still here is shipped once more, and the ledger
     * knows duplicates. */
    if (!meter_store_acked_decode(bytes, &s->acked))
        s->damaged++;
    return 0;
}

/* The last line may be torn: a new one then begins on a line of its own. */
static void find_quarantine_end(struct store *s)
{
    CLEANUP(mem_freep) char *path = path_join(s->folder, STORE_QUARANTINE);
    int64_t size = file_size(s, STORE_QUARANTINE);
    char last = '\n';
    int file;

    if (path == NULL || size <= 0)
        return;
    s->quarantine_bytes = (uint64_t)size;
    file = s->io->open(s->io->context, path, 0);
    if (file < 0)
        return;
    s->io->pread(s->io->context, file, &last, 1, s->quarantine_bytes - 1);
    s->io->close(s->io->context, file);
    if (last != '\n')
        meter_store_quarantine(s, STR("\n"), NULL);
}

int meter_store_open(struct store *s, const struct meter_options *options, struct err *err)
{
    int r;

    *s = (struct store){
        .io = options->io != NULL ? options->io : meter_io_system(),
        .clock = options->clock != NULL ? options->clock : clock_system(),
        .folder = mem_strdup(options->folder),
        .lock = -1,
        .segment_bytes = options->segment_bytes,
        .max_bytes = options->max_bytes,
        .current = -1,
    };
    if (s->folder == NULL)
        return err_no_memory(err);
    s->lock = s->io->lock(s->io->context, s->folder);
    if (s->lock == -EWOULDBLOCK)
        return err_set(err, ERR_BUSY, "%s is in use by another process; give each its own folder",
                       s->folder);
    if (s->lock < 0)
        return err_errno(err, -s->lock, "cannot lock the usage log in %s", s->folder);
    r = s->io->list(s->io->context, s->folder, see_name, s);
    if (r < 0)
        return err_errno(err, -r, "cannot list %s", s->folder);
    if (s->segment_count > 0)
        qsort(s->segments, s->segment_count, sizeof(s->segments[0]), by_number);
    s->next_number = s->segment_count == 0 ? 1 : s->segments[s->segment_count - 1].number + 1;
    find_quarantine_end(s);
    if (s->spare && file_size(s, STORE_SPARE) != (int64_t)s->segment_bytes)
        s->spare = false; /* of another segment size: replaced by the next one */
    r = read_watermark(s, err);
    if (r == 0)
        r = load_segments(s, err);
    if (s->acked > s->last_sequence)
        s->last_sequence = s->acked;
    return r;
}

void meter_store_close(struct store *s)
{
    if (s->current >= 0 && s->segment_count > 0 && s->current_used > 0)
        s->io->truncate(s->io->context, s->current, s->current_used);
    meter_store_abandon(s);
    if (s->lock >= 0)
        s->io->unlock(s->io->context, s->lock);
    s->lock = -1;
    mem_free(s->segments);
    mem_free(s->folder);
    s->segments = NULL;
    s->folder = NULL;
}
