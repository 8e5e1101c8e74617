/* SPDX-License-Identifier: Apache-2.0 */
/* Byte pair encoding: see bpe.h. */
#include "engine/text/bpe.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/tokenizer.h"

enum {
    SHORT_MAX = 48, /* symbols that are merged by looking at all of them again */
    PART_BYTES_MAX = VOCAB_PIECE_BYTES_MAX,
};

static const uint32_t no_rank = UINT32_MAX;

/* A symbol of a long pretoken, linked to its neighbours by index; -1 is the end. */
struct bpe_symbol {
    int32_t id; /* -1: merged into the one before */
    int32_t previous;
    int32_t next;
};

int bpe_init(struct bpe *b, const struct vocab *vocab, size_t merge_count, struct err *err)
{
    if (merge_count > BPE_MERGES_MAX)
        return err_set(err, ERR_LIMIT, "there are %zu merges; the limit is %d", merge_count,
                       BPE_MERGES_MAX);
    *b = (struct bpe){.vocab = vocab, .unknown_id = -1, .slot_count = 16};
    while (b->slot_count < 2 * merge_count)
        b->slot_count *= 2;
    b->merges = mem_array(b->slot_count, sizeof(*b->merges));
    if (b->merges == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < b->slot_count; i++)
        b->merges[i].id = -1;
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;

        b->byte_ids[byte] = vocab_find(vocab, (struct str){&c, 1});
    }
    return 0;
}

void bpe_fini(struct bpe *b)
{
    mem_free(b->merges);
    *b = (struct bpe){0};
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The merge of the pair, or the free slot where it belongs. */
static struct bpe_merge *slot_of(const struct bpe *b, uint64_t pair)
{
    uint64_t hash = pair * 0x9e3779b97f4a7c15U;
    size_t at = (size_t)(hash ^ hash >> 32) & (b->slot_count - 1);

    while (b->merges[at].id >= 0 && b->merges[at].pair != pair)
        at = (at + 1) & (b->slot_count - 1);
    return &b->merges[at];
}

/* NULL: these two do not merge. */
static const struct bpe_merge *find_merge(const struct bpe *b, int32_t left, int32_t right)
{
    const struct bpe_merge *merge = slot_of(b, pair_of(left, right));

    return merge->id < 0 ? NULL : merge;
}

static uint32_t rank_of(const struct bpe *b, int32_t left, int32_t right)
{
    const struct bpe_merge *merge = find_merge(b, left, right);

    return merge == NULL ? no_rank : merge->rank;
}

static int unknown_part(const struct bpe *b, struct str left, struct str right, struct err *err)
{
    return err_set(err, ERR_INVALID,
                   "merge %" PRIu32 " ('%.*s' '%.*s') needs a token that the vocabulary lacks; "
                   "vocabulary and merges must come from the same model",
                   b->merge_count, STR_ARG(str_slice(left, 0, 64)),
                   STR_ARG(str_slice(right, 0, 64)));
}

int bpe_add_merge(struct bpe *b, struct str left, struct str right, struct err *err)
{
    char bytes[2 * PART_BYTES_MAX + 1]; /* with the spare byte that a buffer keeps: never grows */
    struct buf both = {.ptr = bytes, .cap = sizeof(bytes), .max = sizeof(bytes) - 1};
    struct bpe_merge *slot;
    int32_t left_id;
    int32_t right_id;
    int32_t id;
    size_t cut;

    if (left.len > PART_BYTES_MAX || right.len > PART_BYTES_MAX ||
        !vocab_decode_alphabet(left, &both))
        return unknown_part(b, left, right, err);
    cut = both.len;
    if (!vocab_decode_alphabet(right, &both))
        return unknown_part(b, left, right, err);
    left_id = vocab_find(b->vocab, (struct str){bytes, cut});
    right_id = vocab_find(b->vocab, (struct str){bytes + cut, both.len - cut});
    id = vocab_find(b->vocab, buf_str(&both));
    if (left_id < 0 || right_id < 0 || id < 0)
        return unknown_part(b, left, right, err);
    slot = slot_of(b, pair_of(left_id, right_id));
    /* A merge given twice counts where it stands last, as in Hugging Face's reader. */
    *slot = (struct bpe_merge){pair_of(left_id, right_id), b->merge_count++, id};
    return 0;
}

int bpe_add_merge_line(struct bpe *b, struct str line, struct err *err)
{
    int64_t space = str_find_char(line, ' ');
    struct str left;
    struct str right;

    if (space < 0)
        return err_set(err, ERR_INVALID,
                       "merge %" PRIu32 " '%.*s' must be two tokens with a space between",
                       b->merge_count, STR_ARG(str_slice(line, 0, 64)));
    left = str_slice(line, 0, (size_t)space);
    right = str_slice(line, (size_t)space + 1, line.len);
    return bpe_add_merge(b, left, right, err);
}

/* Writes the first ids, one for each byte; returns how many. */
static size_t bytes_to_ids(const struct bpe *b, struct str pretoken, int32_t *ids)
{
    size_t count = 0;
    bool after_unknown = false;

    for (size_t i = 0; i < pretoken.len; i++) {
        int32_t id = b->byte_ids[(unsigned char)pretoken.ptr[i]];
        bool unknown = id < 0;

        if (unknown)
            id = b->fuse_unknown && after_unknown ? -1 : b->unknown_id;
        after_unknown = unknown;
        if (id >= 0)
            ids[count++] = id;
    }
    return count;
}

static int encode_short(const struct bpe *b, int32_t *ids, size_t count, struct token_list *out)
{
    uint32_t ranks[SHORT_MAX]; /* ranks[i]: of ids[i] with ids[i + 1] */

    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = rank_of(b, ids[i], ids[i + 1]);
    while (count > 1) {
        size_t best = 0;

        for (size_t i = 1; i + 1 < count; i++) {
            if (ranks[i] < ranks[best])
                best = i;
        }
        if (ranks[best] == no_rank)
            break;
        ids[best] = find_merge(b, ids[best], ids[best + 1])->id;
        count--;
        memmove(ids + best + 1, ids + best + 2, (count - best - 1) * sizeof(*ids));
        memmove(ranks + best, ranks + best + 1, (count - best) * sizeof(*ranks));
        if (best + 1 < count)
            ranks[best] = rank_of(b, ids[best], ids[best + 1]);
        if (best > 0)
            ranks[best - 1] = rank_of(b, ids[best - 1], ids[best]);
    }
    for (size_t i = 0; i < count; i++) {
        int r = token_list_add(out, ids[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * The heap holds rank << 32 | index of the left symbol, smallest first, so equal ranks go from left
 * to right. Entries are not removed when their pair changes: one whose rank is no longer that of
 * the pair at its index is passed over. At most two are added for each merge, which takes one: so
 * there are never more than twice as many as symbols.
 */
static void heap_push(uint64_t *heap, size_t *count, uint64_t entry)
{
    size_t at = (*count)++;

    while (at > 0 && heap[(at - 1) / 2] > entry) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t *count)
{
    uint64_t top = heap[0];
    uint64_t last = heap[--*count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= *count)
            break;
        if (child + 1 < *count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static void push_pair(const struct bpe *b, const struct bpe_symbol *symbols, int32_t left,
                      uint64_t *heap, size_t *count)
{
    uint32_t rank;

    if (left < 0 || symbols[left].next < 0)
        return;
    rank = rank_of(b, symbols[left].id, symbols[symbols[left].next].id);
    if (rank != no_rank)
        heap_push(heap, count, (uint64_t)rank << 32 | (uint32_t)left);
}

static void merge_all(const struct bpe *b, struct bpe_symbol *symbols, size_t symbol_count,
                      uint64_t *heap)
{
    size_t count = 0;

    for (size_t i = 0; i + 1 < symbol_count; i++)
        push_pair(b, symbols, (int32_t)i, heap, &count);
    while (count > 0) {
        uint64_t entry = heap_pop(heap, &count);
        int32_t left = (int32_t)(entry & UINT32_MAX);
        int32_t right = symbols[left].next;
        const struct bpe_merge *merge;

        if (symbols[left].id < 0 || right < 0)
            continue;
        merge = find_merge(b, symbols[left].id, symbols[right].id);
        if (merge == NULL || merge->rank != entry >> 32)
            continue;
        symbols[left].id = merge->id;
        symbols[left].next = symbols[right].next;
        symbols[right].id = -1;
        if (symbols[left].next >= 0)
            symbols[symbols[left].next].previous = left;
        push_pair(b, symbols, symbols[left].previous, heap, &count);
        push_pair(b, symbols, left, heap, &count);
    }
}

void bpe_scratch_fini(struct bpe_scratch *scratch)
{
    mem_free(scratch->symbols);
    mem_free(scratch->heap);
    *scratch = (struct bpe_scratch){0};
}

static int scratch_reserve(struct bpe_scratch *scratch, size_t symbols)
{
    if (symbols <= scratch->cap)
        return 0;
    bpe_scratch_fini(scratch);
    scratch->symbols = mem_array(symbols, sizeof(*scratch->symbols));
    scratch->heap = mem_array(2 * symbols, sizeof(*scratch->heap));
    if (scratch->symbols == NULL || scratch->heap == NULL)
        return -ERR_NO_MEMORY;
    scratch->cap = symbols;
    return 0;
}

static int encode_long(const struct bpe *b, struct str pretoken, struct bpe_scratch *scratch,
                       struct token_list *out)
{
    struct bpe_symbol *symbols;
    int32_t *ids;
    size_t count;
    int r = scratch_reserve(scratch, pretoken.len);

    if (r < 0)
        return r;
    symbols = scratch->symbols;
    ids = (int32_t *)(void *)scratch->heap; /* not in use as a heap yet */
    count = bytes_to_ids(b, pretoken, ids);
    for (size_t i = 0; i < count; i++)
        symbols[i] =
            (struct bpe_symbol){ids[i], (int32_t)i - 1, i + 1 < count ? (int32_t)i + 1 : -1};
    merge_all(b, symbols, count, scratch->heap);
    for (int32_t i = count == 0 ? -1 : 0; i >= 0; i = symbols[i].next) {
        r = token_list_add(out, symbols[i].id);
        if (r < 0)
            return r;
    }
    return 0;
}

int bpe_encode(const struct bpe *b, struct str pretoken, struct bpe_scratch *scratch,
               struct token_list *out)
{
    int32_t ids[SHORT_MAX];

    if (b->whole_first) {
        int32_t id = vocab_find(b->vocab, pretoken);

        if (id >= 0)
            return token_list_add(out, id);
    }
    if (pretoken.len > SHORT_MAX)
        return encode_long(b, pretoken, scratch, out);
    return encode_short(b, ids, bytes_to_ids(b, pretoken, ids), out);
}
