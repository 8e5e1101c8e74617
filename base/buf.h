/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one growing byte buffer, always with a ceiling. An append that would pass the ceiling (or
 * finds no memory) fails, keeps what is there, and marks the buffer failed: so a series of appends
 * may be checked once, at its end. Not thread-safe.
 */
#ifndef SPATE_BASE_BUF_H
#define SPATE_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;     /* ceiling of len, set once */
    bool failed;    /* an append failed since the last buf_clear */
    bool no_memory; /* the first to fail found no memory (else: the ceiling) */
};

/* Does not allocate. */
void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);  /* frees; the buffer may be used again */
void buf_clear(struct buf *b); /* empties, keeps the memory, forgets a failure */

/* 0, -ERR_LIMIT or -ERR_NO_MEMORY. */
int buf_append(struct buf *b, const void *bytes, size_t size);
int buf_append_str(struct buf *b, struct str s);
int buf_append_text(struct buf *b, const char *text);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
int buf_append_u64(struct buf *b, unsigned long long value); /* decimal, fast */

/* Makes room for `size` more bytes and returns where they go, or NULL; then add to b->len. */
char *buf_reserve(struct buf *b, size_t size);

/* Drops `size` bytes from the front. */
void buf_consume(struct buf *b, size_t size);

/* What is in it; valid until the next change. */
struct str buf_str(const struct buf *b);
/* NUL-terminated, or NULL when there is no memory for the NUL. */
const char *buf_cstr(struct buf *b);

/* Turns the failed mark into an error: -ERR_LIMIT "<what> is larger than the limit of N bytes" or
 * -ERR_NO_MEMORY, as the first failed append met it. */
int buf_check(const struct buf *b, const char *what, struct err *err);
/* What was made from `part` is no better than it: a failure of `part` becomes one of `b`. */
void buf_inherit_failure(struct buf *b, const struct buf *part);

#endif
