/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory with one lifetime: a request, a reconcile, a parse. Allocations are never freed one by
 * one; arena_reset frees all, newest clean-up first. Has a ceiling. Not thread-safe.
 *
 *     first chunk                 second chunk
 *     +-----+-----+---+----+      +------------+------+----+
 *     | obj | obj |gap|text|  <-  | big object | free |text|
 *     +-----+-----+---+----+      +------------+------+----+
 *
 * Texts need no alignment: they lie at the end of a chunk, without gaps.
 */
#ifndef SPATE_BASE_ARENA_H
#define SPATE_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

struct arena_chunk;
struct arena_cleanup;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    struct arena_cleanup *cleanups;
    size_t used;
    size_t max; /* ceiling of `used` */
};

void arena_init(struct arena *a, size_t max); /* does not allocate */
void arena_reset(struct arena *a);            /* runs clean-ups, frees all; may be used again */
void arena_fini(struct arena *a);             /* the same; for CLEANUP(arena_fini) */

/* The next chunk holds so many bytes and no more: for what lives long and whose `used` is known
 * from an arena with the same allocations. -ERR_NO_MEMORY or 0. */
int arena_reserve(struct arena *a, size_t used);

/* Zeroed, aligned for any type; NULL at the ceiling or without memory. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t count, size_t size);
/* NUL-terminated copies, NULL on failure. */
char *arena_strdup(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A copy as a view; ptr NULL on failure (never for an empty view). */
struct str arena_str(struct arena *a, struct str s);

/* Calls `function(object)` at reset: for descriptors and references. -ERR_NO_MEMORY or 0. */
int arena_on_reset(struct arena *a, void (*function)(void *), void *object);

#endif
