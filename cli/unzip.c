/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives: see unzip.h. */
#include "cli/unzip.h"

#include <string.h>

/* next_in is a pointer to const */
#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"

enum {
    END_BYTES = 22,
    COMMENT_MAX = 65535,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    PIECE_BYTES = 256 * 1024,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    FLAG_ENCRYPTED = 1,
};

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static const uint8_t *bytes_at(struct str archive, uint64_t offset, uint64_t size)
{
    if (offset > archive.len || size > archive.len - offset)
        return NULL;
    return (const uint8_t *)archive.ptr + offset;
}

/* The end record stands last, before a comment of its own choice. */
static const uint8_t *find_end(struct str archive)
{
    size_t last = archive.len < END_BYTES ? 0 : archive.len - END_BYTES;

    for (size_t back = 0; archive.len >= END_BYTES && back <= COMMENT_MAX && back <= last; back++) {
        const uint8_t *p = bytes_at(archive, last - back, END_BYTES);

        if (memcmp(p, "PK\5\6", 4) == 0)
            return p;
    }
    return NULL;
}

static int bad(const char *what, struct err *err)
{
    return err_set(err, ERR_SYNTAX, "the archive is damaged (%s); fetch it again", what);
}

/* Follows a central entry to its data. */
static int read_entry(struct zip_entry *out, struct str archive, const uint8_t *central,
                      struct str name, struct err *err)
{
    uint32_t method = u16(central + 10);
    uint64_t compressed = u32(central + 20);
    uint64_t offset = u32(central + 42);
    const uint8_t *local = bytes_at(archive, offset, LOCAL_BYTES);
    const uint8_t *data;

    if ((u16(central + 8) & FLAG_ENCRYPTED) != 0 ||
        (method != METHOD_STORED && method != METHOD_DEFLATED))
        return err_set(err, ERR_UNSUPPORTED, "the archive packs %.*s in a way that is not known",
                       STR_ARG(name));
    if (local == NULL || memcmp(local, "PK\3\4", 4) != 0)
        return bad("local header", err);
    data = bytes_at(archive, offset + LOCAL_BYTES + u16(local + 26) + u16(local + 28), compressed);
    if (data == NULL)
        return bad("data beyond the end", err);
    *out = (struct zip_entry){
        .name = name,
        .data = {(const char *)data, compressed},
        .size = u32(central + 24),
        .crc = u32(central + 16),
        .deflated = method == METHOD_DEFLATED,
    };
    return 0;
}

int zip_find(struct zip_entry *out, struct str archive, struct str suffix, struct err *err)
{
    const uint8_t *end = find_end(archive);
    uint64_t at;
    uint32_t count;

    if (end == NULL)
        return err_set(err, ERR_SYNTAX, "this is no zip archive");
    count = u16(end + 10);
    at = u32(end + 16);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *central = bytes_at(archive, at, CENTRAL_BYTES);
        const uint8_t *name_bytes;
        struct str name;

        if (central == NULL || memcmp(central, "PK\1\2", 4) != 0)
            return bad("directory", err);
        name_bytes = bytes_at(archive, at + CENTRAL_BYTES, u16(central + 28));
        if (name_bytes == NULL)
            return bad("name", err);
        name = (struct str){(const char *)name_bytes, u16(central + 28)};
        if (str_ends(name, suffix))
            return read_entry(out, archive, central, name, err);
        at += CENTRAL_BYTES + name.len + u16(central + 30) + u16(central + 32);
    }
    return err_set(err, ERR_NOT_FOUND, "the archive holds no %.*s file", STR_ARG(suffix));
}

/* What has been unpacked so far. */
struct output {
    const struct zip_entry *entry;
    int (*fn)(void *user, struct str bytes);
    void *user;
    uint64_t size;
    uLong crc;
};

static int put(struct output *output, const void *bytes, size_t size, struct err *err)
{
    output->size += size;
    if (output->size > output->entry->size)
        return bad("more data than announced", err);
    output->crc = crc32(output->crc, bytes, (uInt)size);
    return output->fn(output->user, (struct str){bytes, size});
}

static int copy_stored(struct output *output, struct err *err)
{
    struct str rest = output->entry->data;
    int r = 0;

    while (rest.len > 0 && r == 0) {
        size_t size = rest.len < PIECE_BYTES ? rest.len : PIECE_BYTES;

        r = put(output, rest.ptr, size, err);
        rest = str_slice(rest, size, rest.len);
    }
    return r;
}

static int inflate_pieces(struct output *output, z_stream *stream, uint8_t *piece, struct err *err)
{
    struct str rest = output->entry->data;
    int state = Z_OK;

    while (state != Z_STREAM_END) {
        size_t take = rest.len < PIECE_BYTES ? rest.len : PIECE_BYTES;
        int r;

        if (stream->avail_in == 0) {
            stream->next_in = (const Bytef *)rest.ptr;
            stream->avail_in = (uInt)take;
            rest = str_slice(rest, take, rest.len);
        }
        stream->next_out = piece;
        stream->avail_out = PIECE_BYTES;
        state = inflate(stream, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END)
            return bad("compressed data", err);
        r = put(output, piece, PIECE_BYTES - stream->avail_out, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_deflated(struct output *output, struct err *err)
{
    CLEANUP(mem_freep) uint8_t *piece = mem_alloc(PIECE_BYTES);
    z_stream stream = {0};
    int r;

    if (piece == NULL || inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return err_no_memory(err);
    r = inflate_pieces(output, &stream, piece, err);
    inflateEnd(&stream);
    return r;
}

int zip_extract(const struct zip_entry *entry, int (*fn)(void *user, struct str bytes), void *user,
                struct err *err)
{
    struct output output = {.entry = entry, .fn = fn, .user = user, .crc = crc32(0, NULL, 0)};
    int r = entry->deflated ? copy_deflated(&output, err) : copy_stored(&output, err);

    if (r < 0)
        return r;
    if (output.size != entry->size || output.crc != entry->crc)
        return bad("checksum", err);
    return 0;
}
