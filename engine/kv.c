/* SPDX-License-Identifier: Apache-2.0 */
/* KV blocks: see kv.h. A hash table with chains through the blocks, and one list of the blocks to
 * which nobody refers: empty ones at its head, published ones at its tail as they are released. */
#include "engine/kv.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { NONE = -1 };

struct kv_block {
    int refs;
    int list_prev; /* in the list of unreferenced blocks */
    int list_next;
    int chain_next;  /* in the bucket of the table */
    uint64_t serial; /* 0: not published, then the rest is meaningless */
    uint64_t parent;
    uint64_t salt;
    int32_t tokens[KV_BLOCK_TOKENS];
};

struct kv {
    struct kv_block *blocks;
    int block_count;
    int available;
    int list_head; /* given out first */
    int list_tail;
    int *buckets;        /* first block of each chain */
    size_t bucket_count; /* a power of two */
    uint64_t last_serial;
};

static void list_remove(struct kv *kv, int block)
{
    struct kv_block *b = &kv->blocks[block];

    if (b->list_prev == NONE)
        kv->list_head = b->list_next;
    else
        kv->blocks[b->list_prev].list_next = b->list_next;
    if (b->list_next == NONE)
        kv->list_tail = b->list_prev;
    else
        kv->blocks[b->list_next].list_prev = b->list_prev;
    kv->available--;
}

static void list_push_head(struct kv *kv, int block)
{
    struct kv_block *b = &kv->blocks[block];

    b->list_prev = NONE;
    b->list_next = kv->list_head;
    if (kv->list_head == NONE)
        kv->list_tail = block;
    else
        kv->blocks[kv->list_head].list_prev = block;
    kv->list_head = block;
    kv->available++;
}

static void list_push_tail(struct kv *kv, int block)
{
    struct kv_block *b = &kv->blocks[block];

    b->list_prev = kv->list_tail;
    b->list_next = NONE;
    if (kv->list_tail == NONE)
        kv->list_head = block;
    else
        kv->blocks[kv->list_tail].list_next = block;
    kv->list_tail = block;
    kv->available++;
}

int kv_new(struct kv **out, int block_count, struct err *err)
{
    struct kv *kv = mem_alloc(sizeof(*kv));

    if (kv == NULL)
        return err_no_memory(err);
    *kv = (struct kv){.block_count = block_count, .list_head = NONE, .list_tail = NONE};
    kv->bucket_count = 16;
    while (kv->bucket_count < (size_t)block_count)
        kv->bucket_count *= 2;
    kv->blocks = mem_array((size_t)block_count, sizeof(*kv->blocks));
    kv->buckets = mem_array(kv->bucket_count, sizeof(*kv->buckets));
    if (kv->blocks == NULL || kv->buckets == NULL) {
        kv_free(kv);
        return err_no_memory(err);
    }
    for (size_t i = 0; i < kv->bucket_count; i++)
        kv->buckets[i] = NONE;
    for (int block = 0; block < block_count; block++)
        list_push_tail(kv, block);
    *out = kv;
    return 0;
}

uint64_t kv_table_bytes(void)
{
    struct kv *kv = NULL;

    return sizeof(*kv->blocks) + sizeof(*kv->buckets); /* up to two buckets each, in fact */
}

void kv_free(struct kv *kv)
{
    if (kv == NULL)
        return;
    mem_free(kv->blocks);
    mem_free(kv->buckets);
    mem_free(kv);
}

int kv_available(const struct kv *kv)
{
    return kv->available;
}

int kv_refs(const struct kv *kv, int block)
{
    return kv->blocks[block].refs;
}

uint64_t kv_serial(const struct kv *kv, int block)
{
    return kv->blocks[block].serial;
}

static int *bucket_of(const struct kv *kv, uint64_t parent, uint64_t salt, const int32_t *tokens)
{
    uint64_t hash =
        hash64(parent ^ salt * 0x9e3779b97f4a7c15U, tokens, KV_BLOCK_TOKENS * sizeof(*tokens));

    return &kv->buckets[hash & (kv->bucket_count - 1)];
}

int kv_find(const struct kv *kv, uint64_t parent, uint64_t salt, const int32_t *tokens)
{
    int block = *bucket_of(kv, parent, salt, tokens);

    while (block != NONE) {
        const struct kv_block *b = &kv->blocks[block];

        if (b->parent == parent && b->salt == salt &&
            memcmp(b->tokens, tokens, sizeof(b->tokens)) == 0)
            return block;
        block = b->chain_next;
    }
    return NONE;
}

static void unpublish(struct kv *kv, int block)
{
    struct kv_block *b = &kv->blocks[block];
    int *link = bucket_of(kv, b->parent, b->salt, b->tokens);

    while (*link != block)
        link = &kv->blocks[*link].chain_next;
    *link = b->chain_next;
    b->serial = 0;
}

int kv_take(struct kv *kv)
{
    int block = kv->list_head;

    if (block == NONE)
        return NONE;
    list_remove(kv, block);
    if (kv->blocks[block].serial != 0)
        unpublish(kv, block);
    kv->blocks[block].refs = 1;
    return block;
}

void kv_ref(struct kv *kv, int block)
{
    if (kv->blocks[block].refs++ == 0)
        list_remove(kv, block);
}

void kv_release(struct kv *kv, int block)
{
    struct kv_block *b = &kv->blocks[block];

    b->refs--;
    if (b->refs > 0)
        return;
    if (b->serial == 0)
        list_push_head(kv, block);
    else
        list_push_tail(kv, block);
}

int kv_publish(struct kv *kv, int block, uint64_t parent, uint64_t salt, const int32_t *tokens)
{
    struct kv_block *b = &kv->blocks[block];
    int known = kv_find(kv, parent, salt, tokens);
    int *bucket;

    if (known != NONE) {
        kv_ref(kv, known);
        kv_release(kv, block);
        return known;
    }
    bucket = bucket_of(kv, parent, salt, tokens);
    b->serial = ++kv->last_serial;
    b->parent = parent;
    b->salt = salt;
    memcpy(b->tokens, tokens, sizeof(b->tokens));
    b->chain_next = *bucket;
    *bucket = block;
    return block;
}
