/* SPDX-License-Identifier: Apache-2.0 */
/* The ceilinged buffer: see buf.h. Grows by doubling; one spare byte is kept for buf_cstr. */
#include "base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { BUF_FIRST_CAP = 64 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    b->no_memory = false;
}

static int fail(struct buf *b, enum err_code code)
{
    if (!b->failed)
        b->no_memory = code == ERR_NO_MEMORY;
    b->failed = true;
    return -(int)code;
}

static int grow(struct buf *b, size_t size)
{
    size_t need;
    size_t cap = b->cap == 0 ? BUF_FIRST_CAP : b->cap;
    char *ptr;

    assert(b->len <= b->max);
    if (size > b->max - b->len)
        return fail(b, ERR_LIMIT);
    if (__builtin_add_overflow(b->len + 1, size, &need))
        return fail(b, ERR_LIMIT);
    if (need <= b->cap)
        return 0;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    ptr = mem_resize(b->ptr, cap, 1);
    if (ptr == NULL)
        return fail(b, ERR_NO_MEMORY);
    b->ptr = ptr;
    b->cap = cap;
    return 0;
}

char *buf_reserve(struct buf *b, size_t size)
{
    return grow(b, size) < 0 ? NULL : b->ptr + b->len;
}

int buf_append(struct buf *b, const void *bytes, size_t size)
{
    int r = grow(b, size);

    if (r < 0)
        return r;
    if (size > 0)
        memcpy(b->ptr + b->len, bytes, size);
    b->len += size;
    return 0;
}

int buf_append_str(struct buf *b, struct str s)
{
    return buf_append(b, s.ptr, s.len);
}

int buf_append_text(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

int buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    int length;
    int r;

    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        return fail(b, ERR_LIMIT);
    r = grow(b, (size_t)length);
    if (r < 0)
        return r;
    (void)vsnprintf(b->ptr + b->len, (size_t)length + 1, format, args);
    b->len += (size_t)length;
    return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = buf_vprintf(b, format, args);
    va_end(args);
    return r;
}

int buf_append_u64(struct buf *b, unsigned long long value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return buf_append(b, digits + at, sizeof(digits) - at);
}

void buf_consume(struct buf *b, size_t size)
{
    assert(size <= b->len);
    b->len -= size;
    if (b->len > 0 && size > 0)
        memmove(b->ptr, b->ptr + size, b->len);
}

struct str buf_str(const struct buf *b)
{
    return (struct str){b->ptr, b->len};
}

const char *buf_cstr(struct buf *b)
{
    if (b->ptr == NULL && grow(b, 0) < 0)
        return NULL;
    b->ptr[b->len] = '\0';
    return b->ptr;
}

int buf_check(const struct buf *b, const char *what, struct err *err)
{
    if (!b->failed)
        return 0;
    if (b->no_memory)
        return err_set(err, ERR_NO_MEMORY, "no memory for %s", what);
    return err_set(err, ERR_LIMIT, "%s is larger than the limit of %zu bytes", what, b->max);
}

void buf_inherit_failure(struct buf *b, const struct buf *part)
{
    if (part->failed)
        (void)fail(b, part->no_memory ? ERR_NO_MEMORY : ERR_LIMIT);
}
