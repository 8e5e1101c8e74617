/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of a tokenizer: id -> bytes, bytes -> id. Filled while the tokenizer opens,
 * read-only afterwards.
 *
 * Files write tokens in the alphabet of GPT-2, in which each byte is one printable character; here
 * they are kept as the bytes they mean. A token with a character outside that alphabet (an added
 * one, mostly) means its own UTF-8 and takes no part in merging.
 */
#ifndef SPATE_ENGINE_TEXT_VOCAB_H
#define SPATE_ENGINE_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    VOCAB_IDS_MAX = 1 << 22,
    VOCAB_PIECE_BYTES_MAX = 4096,
    VOCAB_BYTES_MAX = 256 << 20,
};

struct vocab_piece {
    uint32_t offset; /* into bytes */
    uint32_t length;
    bool present;
    bool special;
    bool mergeable; /* written in the alphabet: findable by its bytes */
};

struct vocab {
    struct buf bytes;
    struct vocab_piece *pieces;
    int32_t size; /* highest id + 1 */
    int32_t cap;
    int32_t *slots; /* hash table of mergeable ids by bytes; -1: free */
    size_t slot_count;
    size_t piece_max;
};

void vocab_init(struct vocab *v);
void vocab_fini(struct vocab *v);

/* Makes room for ids below `ids`, of which at most `ids` come. */
int vocab_reserve(struct vocab *v, int64_t ids, struct err *err);

/* A token as the file writes it, in the alphabet. The id must be free and below the reserve. */
int vocab_add(struct vocab *v, int64_t id, struct str text, struct err *err);
/* An added token: plain text, not mergeable unless the vocabulary has it as such already. An id
 * that is taken must have the same text. */
int vocab_add_plain(struct vocab *v, int64_t id, struct str text, bool special, struct err *err);

/* After the last vocab_add, before vocab_find. */
int vocab_index(struct vocab *v, struct err *err);
/* -1 if no mergeable token has these bytes. */
int32_t vocab_find(const struct vocab *v, struct str bytes);

/* ptr NULL: no such id. */
struct str vocab_bytes(const struct vocab *v, int32_t id);

/* From the alphabet to bytes, appended; false (and nothing appended) if a character is outside it
 * or the buffer failed. */
bool vocab_decode_alphabet(struct str text, struct buf *out);

#endif
