/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary: see vocab.h. The table has open addressing and at least twice as many slots as
 * ids. */
#include "engine/text/vocab.h"

#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum {
    ALPHABET_SHIFTED = 0x100, /* where the characters for unprintable bytes begin */
    ALPHABET_END = 0x144,
};

void vocab_init(struct vocab *v)
{
    *v = (struct vocab){0};
    buf_init(&v->bytes, VOCAB_BYTES_MAX);
}

void vocab_fini(struct vocab *v)
{
    buf_fini(&v->bytes);
    mem_free(v->pieces);
    mem_free(v->slots);
    *v = (struct vocab){0};
}

int vocab_reserve(struct vocab *v, int64_t ids, struct err *err)
{
    struct vocab_piece *pieces;

    if (ids <= v->cap)
        return 0;
    if (ids > VOCAB_IDS_MAX)
        return err_set(err, ERR_LIMIT, "the vocabulary needs %" PRId64 " ids; the limit is %d", ids,
                       VOCAB_IDS_MAX);
    pieces = mem_resize(v->pieces, (size_t)ids, sizeof(*pieces));
    if (pieces == NULL)
        return err_no_memory(err);
    memset(pieces + v->cap, 0, (size_t)(ids - v->cap) * sizeof(*pieces));
    v->pieces = pieces;
    v->cap = (int32_t)ids;
    return 0;
}

/* Bytes that print as themselves in Latin-1 do so here too; the other 68 are U+0100 and on. */
static bool prints_as_itself(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
           (byte >= 0xae && byte <= 0xff);
}

/* The n-th byte (from 0) that does not print as itself. */
static unsigned shifted_byte(unsigned n)
{
    if (n <= 0x20)
        return n;
    if (n <= 0x20 + 1 + (0xa0 - 0x7f))
        return n - 0x21 + 0x7f;
    return 0xad;
}

bool vocab_decode_alphabet(struct str text, struct buf *out)
{
    size_t before = out->len;

    while (text.len > 0) {
        uint32_t c;
        int length = utf8_decode(text, &c);
        bool known = length > 0 && ((c < 0x100 && prints_as_itself(c)) ||
                                    (c >= ALPHABET_SHIFTED && c < ALPHABET_END));

        if (!known ||
            buf_append_char(out, (char)(c < 0x100 ? c : shifted_byte(c - ALPHABET_SHIFTED))) < 0) {
            out->len = before;
            return false;
        }
        text.ptr += length;
        text.len -= (size_t)length;
    }
    return true;
}

static int check_id(const struct vocab *v, int64_t id, struct str text, struct err *err)
{
    if (id < 0 || id >= v->cap)
        return err_set(err, ERR_INVALID,
                       "token '%.*s' has id %" PRId64
                       ", out of all proportion to the vocabulary; correct the id",
                       STR_ARG(str_slice(text, 0, 64)), id);
    if (text.len > VOCAB_PIECE_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "token %" PRId64 " has %zu bytes; the limit is %d", id,
                       text.len, VOCAB_PIECE_BYTES_MAX);
    return 0;
}

static int finish_piece(struct vocab *v, int64_t id, size_t offset, struct err *err)
{
    struct vocab_piece *piece = &v->pieces[id];

    if (v->bytes.failed) /* the ceiling lies above all that a file can bring */
        return err_no_memory(err);
    piece->offset = (uint32_t)offset;
    piece->length = (uint32_t)(v->bytes.len - offset);
    piece->present = true;
    if (id >= v->size)
        v->size = (int32_t)id + 1;
    if (piece->length > v->piece_max)
        v->piece_max = piece->length;
    return 0;
}

int vocab_add(struct vocab *v, int64_t id, struct str text, struct err *err)
{
    size_t offset = v->bytes.len;
    int r = check_id(v, id, text, err);

    if (r < 0)
        return r;
    if (v->pieces[id].present)
        return err_set(err, ERR_INVALID,
                       "id %" PRId64 " is given to two tokens, the second is '%.*s'; ids must be "
                       "unique",
                       id, STR_ARG(str_slice(text, 0, 64)));
    v->pieces[id].mergeable = vocab_decode_alphabet(text, &v->bytes);
    if (!v->pieces[id].mergeable)
        buf_append_str(&v->bytes, text);
    return finish_piece(v, id, offset, err);
}

int vocab_add_plain(struct vocab *v, int64_t id, struct str text, bool special, struct err *err)
{
    size_t offset = v->bytes.len;
    int r = check_id(v, id, text, err);

    if (r < 0)
        return r;
    if (v->pieces[id].present) {
        if (!str_eq(vocab_bytes(v, (int32_t)id), text))
            return err_set(err, ERR_INVALID,
                           "added token '%.*s' has id %" PRId64
                           ", which the vocabulary gives to another text; ids must be unique",
                           STR_ARG(str_slice(text, 0, 64)), id);
        v->pieces[id].special = special;
        return 0;
    }
    v->pieces[id].special = special;
    buf_append_str(&v->bytes, text);
    return finish_piece(v, id, offset, err);
}

struct str vocab_bytes(const struct vocab *v, int32_t id)
{
    const struct vocab_piece *piece;

    if (id < 0 || id >= v->size || !v->pieces[id].present)
        return STR_NONE;
    piece = &v->pieces[id];
    return (struct str){v->bytes.ptr == NULL ? "" : v->bytes.ptr + piece->offset, piece->length};
}

static size_t slot_of(const struct vocab *v, struct str bytes)
{
    size_t at = hash64(0, bytes.ptr, bytes.len) & (v->slot_count - 1);

    while (v->slots[at] >= 0 && !str_eq(vocab_bytes(v, v->slots[at]), bytes))
        at = (at + 1) & (v->slot_count - 1);
    return at;
}

int vocab_index(struct vocab *v, struct err *err)
{
    v->slot_count = 16;
    while (v->slot_count < 2 * (size_t)v->size)
        v->slot_count *= 2;
    v->slots = mem_array(v->slot_count, sizeof(*v->slots));
    if (v->slots == NULL)
        return err_no_memory(err);
    memset(v->slots, 0xff, v->slot_count * sizeof(*v->slots));
    for (int32_t id = 0; id < v->size; id++) {
        size_t at;

        if (!v->pieces[id].present || !v->pieces[id].mergeable)
            continue;
        at = slot_of(v, vocab_bytes(v, id));
        if (v->slots[at] < 0) /* of equal ones the lowest id counts */
            v->slots[at] = id;
    }
    return 0;
}

int32_t vocab_find(const struct vocab *v, struct str bytes)
{
    return v->slots[slot_of(v, bytes)];
}
