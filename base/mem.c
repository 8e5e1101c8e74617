/* SPDX-License-Identifier: Apache-2.0 */
/* The allocation layer: see mem.h. The countdown is the only state, and only tests set it. */
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEM_TRIM_BYTES = 8 << 20 };

static _Atomic int64_t fail_countdown = -1;
static atomic_int fail_seen;

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) < 0)
        return false;
    if (atomic_fetch_sub(&fail_countdown, 1) != 0)
        return false;
    atomic_store(&fail_seen, 1);
    return true;
}

void mem_fail_after(int64_t countdown)
{
    atomic_store(&fail_seen, 0);
    atomic_store(&fail_countdown, countdown);
}

int mem_fail_seen(void)
{
    return atomic_load(&fail_seen);
}

void *mem_alloc(size_t size)
{
    return mem_array(1, size);
}

void *mem_array(size_t count, size_t size)
{
    if (must_fail())
        return NULL;
    return calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void *mem_resize(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || must_fail())
        return NULL;
    return realloc(old, bytes == 0 ? 1 : bytes);
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t length)
{
    char *copy;

    if (length == SIZE_MAX)
        return NULL;
    copy = mem_alloc(length + 1);
    if (copy != NULL && length > 0)
        memcpy(copy, text, length);
    return copy;
}

void *mem_dup(const void *bytes, size_t size)
{
    void *copy = mem_alloc(size);

    if (copy != NULL && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

void mem_free(void *ptr)
{
    free(ptr);
}

size_t mem_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

void mem_trim(void)
{
    if (mallinfo2().fordblks >= MEM_TRIM_BYTES)
        (void)malloc_trim(0);
}

void mem_freep(void *pointer_to_pointer)
{
    void **pointer = pointer_to_pointer;

    free(*pointer);
    *pointer = NULL;
}

void fd_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
