/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash set of the caller's objects, each found by a text that lies in it: for those who keep
 * objects by the hundred thousand, where a map's copy of each key would cost as much as the object.
 * Bounded: `max` objects, then -ERR_LIMIT. Not thread-safe; iteration order is unspecified.
 *
 *     hashes   [ 0 | a | 0 | 0 | b | c ]      open addressing, linear probing
 *     items    [ - | o | - | - | o | o ]      12 bytes for a slot
 */
#ifndef SPATE_BASE_SET_H
#define SPATE_BASE_SET_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* The text of an object, borrowed from it. It stays the same while the object is in the set. */
typedef struct str (*set_key_fn)(const void *user, const void *item);

struct set {
    void **items; /* NULL: a free slot */
    uint32_t *hashes;
    size_t slot_count; /* a power of two, or 0 */
    size_t count;
    size_t max;
    uint64_t seed;
    set_key_fn key;
    const void *user;
};

/* Does not allocate. `user` is passed to `key`. */
void set_init(struct set *s, size_t max, set_key_fn key, const void *user);
void set_fini(struct set *s); /* the objects are the caller's, and may be gone already */

void *set_get(const struct set *s, struct str key); /* NULL if absent */
/* Takes the place of the object of the same text, if there is one: *old (may be NULL) receives it,
 * or NULL, and nothing is allocated. -ERR_LIMIT, -ERR_NO_MEMORY: the set is as it was. */
int set_put(struct set *s, void *item, void **old);
/* Removes and returns the object, or NULL. */
void *set_remove(struct set *s, struct str key);

/* for (size_t at = 0; (item = set_next(s, &at)) != NULL;) ... ; no put meanwhile, and no remove
 * but of this very object: then at-- before going on. */
void *set_next(const struct set *s, size_t *at);

#endif
