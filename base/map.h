/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from text to pointer: open addressing, linear probing, keys copied. Bounded: `max`
 * entries, then -ERR_LIMIT. Values are the caller's. Not thread-safe; iteration order is
 * unspecified.
 */
#ifndef SPATE_BASE_MAP_H
#define SPATE_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct map_entry {
    char *key; /* owned, NUL-terminated; NULL: free slot */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t count;
    size_t max;
    uint64_t seed;
};

void map_init(struct map *m, size_t max); /* does not allocate */
void map_fini(struct map *m);

void *map_get(const struct map *m, struct str key); /* NULL if absent */
/* Sets; *old (may be NULL) receives the value that was there, or NULL. -ERR_LIMIT, -ERR_NO_MEMORY.
 */
int map_put(struct map *m, struct str key, void *value, void **old);
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *m, struct str key);

/* for (size_t at = 0; (entry = map_next(m, &at)) != NULL;) ... ; no put meanwhile, and no remove
 * but of this very entry: then at-- before going on. */
struct map_entry *map_next(const struct map *m, size_t *at);

#endif
