/* SPDX-License-Identifier: Apache-2.0 */
/* The set: see set.h. Removal shifts the following objects back, so there are no tombstones. */
#include "base/set.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

enum { SET_FIRST_SLOTS = 16 };

void set_init(struct set *s, size_t max, set_key_fn key, const void *user)
{
    *s = (struct set){.max = max, .seed = rng_u64(rng_system()), .key = key, .user = user};
}

void set_fini(struct set *s)
{
    mem_free(s->items);
    mem_free(s->hashes);
    s->items = NULL;
    s->hashes = NULL;
    s->slot_count = s->count = 0;
}

static uint32_t hash_of(const struct set *s, struct str key)
{
    return (uint32_t)hash64(s->seed, key.ptr, key.len);
}

/* The slot of the key, or the free slot where it belongs. Needs slot_count > 0. */
static size_t probe(const struct set *s, uint32_t hash, struct str key)
{
    size_t at = hash & (s->slot_count - 1);

    while (s->items[at] != NULL) {
        if (s->hashes[at] == hash && str_eq(s->key(s->user, s->items[at]), key))
            break;
        at = (at + 1) & (s->slot_count - 1);
    }
    return at;
}

/* The same for an object that is not in the set: nothing is compared. */
static size_t probe_free(const struct set *s, uint32_t hash)
{
    size_t at = hash & (s->slot_count - 1);

    while (s->items[at] != NULL)
        at = (at + 1) & (s->slot_count - 1);
    return at;
}

void *set_get(const struct set *s, struct str key)
{
    return s->slot_count == 0 ? NULL : s->items[probe(s, hash_of(s, key), key)];
}

static int grow(struct set *s)
{
    struct set bigger = *s;

    bigger.slot_count = s->slot_count == 0 ? SET_FIRST_SLOTS : s->slot_count * 2;
    bigger.items = mem_array(bigger.slot_count, sizeof(*bigger.items));
    bigger.hashes = mem_array(bigger.slot_count, sizeof(*bigger.hashes));
    if (bigger.items == NULL || bigger.hashes == NULL) {
        mem_free(bigger.items);
        mem_free(bigger.hashes);
        return -ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < s->slot_count; i++) {
        size_t at;

        if (s->items[i] == NULL)
            continue;
        at = probe_free(&bigger, s->hashes[i]);
        bigger.items[at] = s->items[i];
        bigger.hashes[at] = s->hashes[i];
    }
    mem_free(s->items);
    mem_free(s->hashes);
    *s = bigger;
    return 0;
}

int set_put(struct set *s, void *item, void **old)
{
    struct str key = s->key(s->user, item);
    uint32_t hash = hash_of(s, key);
    size_t at = s->slot_count == 0 ? 0 : probe(s, hash, key);
    void *before = s->slot_count == 0 ? NULL : s->items[at];

    if (before == NULL) {
        if (s->count >= s->max)
            return -ERR_LIMIT;
        if ((s->count + 1) * 8 > s->slot_count * 7) {
            if (grow(s) < 0)
                return -ERR_NO_MEMORY;
            at = probe_free(s, hash);
        }
        s->hashes[at] = hash;
        s->count++;
    }
    s->items[at] = item;
    if (old != NULL)
        *old = before;
    return 0;
}

/* True if an object whose home is `home` may move from `at` to the hole. */
static bool may_move(size_t home, size_t hole, size_t at)
{
    if (hole <= at)
        return home <= hole || home > at;
    return home <= hole && home > at;
}

void *set_remove(struct set *s, struct str key)
{
    const size_t mask = s->slot_count - 1;
    size_t hole;
    void *item;

    if (s->slot_count == 0)
        return NULL;
    hole = probe(s, hash_of(s, key), key);
    item = s->items[hole];
    if (item == NULL)
        return NULL;
    s->items[hole] = NULL;
    s->count--;
    for (size_t at = (hole + 1) & mask; s->items[at] != NULL; at = (at + 1) & mask) {
        if (!may_move(s->hashes[at] & mask, hole, at))
            continue;
        s->items[hole] = s->items[at];
        s->hashes[hole] = s->hashes[at];
        s->items[at] = NULL;
        hole = at;
    }
    return item;
}

void *set_next(const struct set *s, size_t *at)
{
    while (*at < s->slot_count) {
        void *item = s->items[(*at)++];

        if (item != NULL)
            return item;
    }
    return NULL;
}
