/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which block of the KV store holds what. The store itself is the model's; here are only its block
 * numbers: who refers to them, and what finished blocks contain, so that equal prefixes share them.
 *
 *     sequence 1:  [ 7 ][ 3 ][ 9 ]           7 and 3 are shared, 9 and 4 are being filled
 *     sequence 2:  [ 7 ][ 3 ][ 4 ]
 *     unreferenced, oldest first:  2 (empty)  5 -> 8 (contents kept until the block is needed)
 *
 * A block may be published once all its tokens are computed. Its key is exact: the serial number of
 * the block before it, the salt and the tokens; the hash only finds it. A serial names one content
 * and is never used again, so a key cannot come to mean another prefix. Blocks of a sequence are
 * released last first, hence a child is always evicted before its parent, and whatever is published
 * can be reached. Not thread-safe; allocates only in kv_new.
 */
#ifndef SPATE_ENGINE_KV_H
#define SPATE_ENGINE_KV_H

#include <stdint.h>

#include "base/err.h"
#include "engine/model.h"

struct kv;

/* The prefix before the first block. */
#define KV_ROOT 0U

int kv_new(struct kv **out, int block_count, struct err *err);
/* Memory that kv_new takes for each block, beside the store itself. */
uint64_t kv_table_bytes(void);
void kv_free(struct kv *kv);

/* Blocks that kv_take could give: those to which nobody refers, cached ones included. */
int kv_available(const struct kv *kv);

/* An empty block with one reference, or -1. Takes empty blocks first, then the least recently used
 * published one, which is forgotten. */
int kv_take(struct kv *kv);
void kv_ref(struct kv *kv, int block);
void kv_release(struct kv *kv, int block);
int kv_refs(const struct kv *kv, int block);

/* The published block with this content, or -1. Adds no reference. `tokens` are KV_BLOCK_TOKENS. */
int kv_find(const struct kv *kv, uint64_t parent, uint64_t salt, const int32_t *tokens);
uint64_t kv_serial(const struct kv *kv,
                   int block); /* of a published block: its children's parent */

/* Publishes `block`, to which the caller refers. If an equal one is published already, moves the
 * caller's reference to that one instead. Returns the block that the caller holds from now on. */
int kv_publish(struct kv *kv, int block, uint64_t parent, uint64_t salt, const int32_t *tokens);

#endif
