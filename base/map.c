/* SPDX-License-Identifier: Apache-2.0 */
/* The text map: see map.h. Removal shifts the following entries back, so there are no tombstones.
 */
#include "base/map.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

enum { MAP_FIRST_SLOTS = 16 };

void map_init(struct map *m, size_t max)
{
    *m = (struct map){.max = max, .seed = rng_u64(rng_system())};
}

void map_fini(struct map *m)
{
    for (size_t i = 0; i < m->slot_count; i++)
        mem_free(m->slots[i].key);
    mem_free(m->slots);
    *m = (struct map){.max = m->max, .seed = m->seed};
}

/* The slot of the key, or the free slot where it belongs. Needs slot_count > 0. */
static size_t probe(const struct map *m, uint64_t hash, struct str key)
{
    size_t at = hash & (m->slot_count - 1);

    for (;;) {
        const struct map_entry *slot = &m->slots[at];

        if (slot->key == NULL)
            return at;
        if (slot->hash == hash && str_eq((struct str){slot->key, slot->key_len}, key))
            return at;
        at = (at + 1) & (m->slot_count - 1);
    }
}

void *map_get(const struct map *m, struct str key)
{
    const struct map_entry *slot;

    if (m->slot_count == 0)
        return NULL;
    slot = &m->slots[probe(m, hash64(m->seed, key.ptr, key.len), key)];
    return slot->key == NULL ? NULL : slot->value;
}

static int grow(struct map *m)
{
    struct map bigger = *m;

    bigger.slot_count = m->slot_count == 0 ? MAP_FIRST_SLOTS : m->slot_count * 2;
    bigger.slots = mem_array(bigger.slot_count, sizeof(*bigger.slots));
    if (bigger.slots == NULL)
        return -ERR_NO_MEMORY;
    for (size_t i = 0; i < m->slot_count; i++) {
        const struct map_entry *e = &m->slots[i];

        if (e->key != NULL)
            bigger.slots[probe(&bigger, e->hash, (struct str){e->key, e->key_len})] = *e;
    }
    mem_free(m->slots);
    *m = bigger;
    return 0;
}

int map_put(struct map *m, struct str key, void *value, void **old)
{
    uint64_t hash = hash64(m->seed, key.ptr, key.len);
    struct map_entry *slot = NULL;
    char *copy;

    if (m->slot_count > 0)
        slot = &m->slots[probe(m, hash, key)];
    if (slot != NULL && slot->key != NULL) {
        if (old != NULL)
            *old = slot->value;
        slot->value = value;
        return 0;
    }
    if (m->count >= m->max)
        return -ERR_LIMIT;
    copy = mem_strndup(key.len == 0 ? "" : key.ptr, key.len);
    if (copy == NULL)
        return -ERR_NO_MEMORY;
    if ((m->count + 1) * 4 > m->slot_count * 3 && grow(m) < 0) {
        mem_free(copy);
        return -ERR_NO_MEMORY;
    }
    m->slots[probe(m, hash, key)] = (struct map_entry){copy, key.len, hash, value};
    m->count++;
    if (old != NULL)
        *old = NULL;
    return 0;
}

/* True if an entry whose home is `home` may move from `at` to the hole. */
static bool may_move(size_t home, size_t hole, size_t at)
{
    if (hole <= at)
        return home <= hole || home > at;
    return home <= hole && home > at;
}

void *map_remove(struct map *m, struct str key)
{
    size_t hole;
    size_t at;
    void *value;

    if (m->slot_count == 0)
        return NULL;
    hole = probe(m, hash64(m->seed, key.ptr, key.len), key);
    if (m->slots[hole].key == NULL)
        return NULL;
    value = m->slots[hole].value;
    mem_free(m->slots[hole].key);
    m->slots[hole].key = NULL;
    m->count--;
    for (at = (hole + 1) & (m->slot_count - 1); m->slots[at].key != NULL;
         at = (at + 1) & (m->slot_count - 1)) {
        if (!may_move(m->slots[at].hash & (m->slot_count - 1), hole, at))
            continue;
        m->slots[hole] = m->slots[at];
        m->slots[at].key = NULL;
        hole = at;
    }
    return value;
}

struct map_entry *map_next(const struct map *m, size_t *at)
{
    while (*at < m->slot_count) {
        struct map_entry *slot = &m->slots[(*at)++];

        if (slot->key != NULL)
            return slot;
    }
    return NULL;
}
