/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte pair encoding of one pretoken: of all adjacent pairs the one of the lowest rank is merged
 * (the leftmost of equals), until none is left. Short pretokens are done in a small array, long
 * ones with a heap: O(n log n) for n bytes, whatever they are.
 *
 *     "hello":  h e l l o  ->  h e ll o  ->  he ll o  ->  hell o  ->  hello
 */
#ifndef SPATE_ENGINE_TEXT_BPE_H
#define SPATE_ENGINE_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "engine/text/vocab.h"

struct token_list;

enum { BPE_MERGES_MAX = 1 << 22 };

struct bpe_merge {
    uint64_t pair; /* left id << 32 | right id */
    uint32_t rank;
    int32_t id; /* of the result; -1: a free slot */
};

struct bpe {
    const struct vocab *vocab; /* not owned */
    struct bpe_merge *merges;  /* hash table by pair */
    size_t slot_count;
    uint32_t merge_count;
    int32_t byte_ids[256]; /* -1: the vocabulary lacks this byte */
    int32_t unknown_id;    /* stands for such bytes; -1: they vanish, as in Hugging Face's BPE */
    bool fuse_unknown;     /* several unknown bytes in a row make one id */
    bool whole_first;      /* ignore_merges: a pretoken that is a token is taken as it is */
};

/* `vocab` is indexed already and outlives the bpe; room for `merge_count` merges. */
int bpe_init(struct bpe *b, const struct vocab *vocab, size_t merge_count, struct err *err);
void bpe_fini(struct bpe *b);

/* The next merge in order of rank; its parts are written in the alphabet of the file. */
int bpe_add_merge(struct bpe *b, struct str left, struct str right, struct err *err);
/* "left right" */
int bpe_add_merge_line(struct bpe *b, struct str line, struct err *err);

/* Memory for one caller, grown to the longest pretoken and used again. */
struct bpe_scratch {
    struct bpe_symbol *symbols;
    uint64_t *heap;
    size_t cap;
};
void bpe_scratch_fini(struct bpe_scratch *scratch);

/* Appends the ids of one pretoken. -ERR_LIMIT or -ERR_NO_MEMORY. */
int bpe_encode(const struct bpe *b, struct str pretoken, struct bpe_scratch *scratch,
               struct token_list *out);

#endif
