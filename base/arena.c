/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas: see arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { ARENA_CHUNK_BYTES = 8192 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    size_t used;  /* by objects, from the beginning */
    size_t texts; /* by texts, from the end */
    alignas(max_align_t) unsigned char bytes[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*function)(void *);
    void *object;
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_reset(struct arena *a)
{
    for (struct arena_cleanup *c = a->cleanups; c != NULL; c = c->next)
        c->function(c->object);
    while (a->chunks != NULL) {
        struct arena_chunk *chunk = a->chunks;

        a->chunks = chunk->next;
        mem_free(chunk);
    }
    *a = (struct arena){.max = a->max};
}

void arena_fini(struct arena *a)
{
    arena_reset(a);
}

static struct arena_chunk *add_chunk(struct arena *a, size_t payload)
{
    struct arena_chunk *chunk = mem_alloc(sizeof(*chunk) + payload);

    if (chunk == NULL)
        return NULL;
    chunk->size = payload;
    chunk->next = a->chunks;
    a->chunks = chunk;
    return chunk;
}

int arena_reserve(struct arena *a, size_t used)
{
    return used == 0 || add_chunk(a, used) != NULL ? 0 : -ERR_NO_MEMORY;
}

/* A chunk with so much room, below the ceiling; NULL if there is none. */
static struct arena_chunk *find_room(struct arena *a, size_t bytes)
{
    struct arena_chunk *chunk = a->chunks;

    if (bytes > a->max - a->used)
        return NULL;
    if (chunk == NULL || chunk->size - chunk->used - chunk->texts < bytes)
        chunk = add_chunk(a, bytes > ARENA_CHUNK_BYTES ? bytes : ARENA_CHUNK_BYTES);
    return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    struct arena_chunk *chunk;
    size_t rounded;
    void *object;

    if (__builtin_add_overflow(size == 0 ? 1 : size, align - 1, &rounded))
        return NULL;
    rounded -= rounded % align;
    chunk = find_room(a, rounded);
    if (chunk == NULL)
        return NULL;
    object = chunk->bytes + chunk->used;
    chunk->used += rounded;
    a->used += rounded;
    return object;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(a, bytes);
}

/* Room for a text and its NUL. */
static char *alloc_text(struct arena *a, size_t length)
{
    struct arena_chunk *chunk = length == SIZE_MAX ? NULL : find_room(a, length + 1);

    if (chunk == NULL)
        return NULL;
    chunk->texts += length + 1;
    a->used += length + 1;
    return (char *)chunk->bytes + chunk->size - chunk->texts;
}

char *arena_strdup(struct arena *a, struct str s)
{
    char *copy = alloc_text(a, s.len);

    if (copy != NULL && s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *copy = arena_strdup(a, s);

    return copy == NULL ? STR_NONE : (struct str){copy, s.len};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *text;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    text = alloc_text(a, (size_t)length);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

int arena_on_reset(struct arena *a, void (*function)(void *), void *object)
{
    struct arena_cleanup *cleanup = arena_alloc(a, sizeof(*cleanup));

    if (cleanup == NULL)
        return -ERR_NO_MEMORY;
    *cleanup = (struct arena_cleanup){a->cleanups, function, object};
    a->cleanups = cleanup;
    return 0;
}
