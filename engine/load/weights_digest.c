/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a model's files in and telling what they are. A window at a time: first its pages are
 * asked for, so that the disk reads ahead in large pieces, then what counts is hashed.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "engine/load/weights_table.h"

enum { WINDOW_BYTES = 16 << 20, LENGTH_BYTES = 8 };

/* Numbers in a digest are little-endian everywhere. */
static int put_u64(struct buf *out, uint64_t value)
{
    uint8_t bytes[LENGTH_BYTES];

    for (int i = 0; i < LENGTH_BYTES; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return buf_append(out, bytes, sizeof(bytes));
}

static int put_digest(struct buf *out, struct str data)
{
    uint8_t digest[SHA256_BYTES];

    sha256(data, digest);
    return buf_append(out, digest, sizeof(digest));
}

/* Makes the pages of a window present: one system call, or one read a page on older kernels. */
static void read_window(const uint8_t *from, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    union {
        const uint8_t *constant;
        void *mutable;
    } at = {from};

#ifdef MADV_POPULATE_READ
    if (madvise(at.mutable, size, MADV_POPULATE_READ) == 0)
        return;
#endif
    (void)madvise(at.mutable, size, MADV_WILLNEED);
    for (size_t i = 0; i < size; i += page)
        (void)*(const volatile uint8_t *)(from + i);
}

/* Where the data begins: what lies before it is read whole, since it says what the data is. */
static size_t header_size(const struct weights *w, const struct weights_file *file)
{
    const struct safetensors *s = file->safetensors;

    if (s == NULL)
        return (size_t)w->gguf->data_offset;
    for (size_t i = 0; i < s->count; i++) {
        if (s->entries[i].tensor.size > 0)
            return (size_t)(s->entries[i].tensor.data - file->map.ptr) - s->entries[i].begin;
    }
    return file->map.size;
}

static int sample_file(const struct weights *w, const struct weights_file *file, struct buf *out)
{
    const char *bytes = (const char *)file->map.ptr;
    size_t size = file->map.size;
    size_t header = header_size(w, file);

    if (header > size)
        header = size;
    (void)put_digest(out, (struct str){bytes, header});
    for (size_t at = header; at < size; at += WEIGHTS_SAMPLE_STRIDE) {
        size_t length = size - at < WEIGHTS_SAMPLE_BYTES ? size - at : WEIGHTS_SAMPLE_BYTES;

        (void)put_digest(out, (struct str){bytes + at, length});
    }
    return out->failed ? -1 : 0;
}

static void read_in_file(const struct file_map *map, struct engine_progress *progress)
{
    for (size_t at = 0; at < map->size; at += WINDOW_BYTES) {
        size_t size = map->size - at < WINDOW_BYTES ? map->size - at : WINDOW_BYTES;

        read_window(map->ptr + at, size);
        if (progress != NULL)
            atomic_fetch_add_explicit(&progress->bytes_done, size, memory_order_relaxed);
    }
}

int weights_read_in(struct weights *w, struct engine_progress *progress,
                    uint8_t digest[WEIGHTS_DIGEST_BYTES], struct err *err)
{
    CLEANUP(buf_fini) struct buf identity = {0};
    uint64_t total = 0;

    buf_init(&identity, SIZE_MAX / 2);
    for (int i = 0; i < w->file_count; i++)
        total += w->files[i].map.size;
    if (progress != NULL)
        atomic_store(&progress->bytes_total, total);
    (void)put_digest(&identity, (struct str){w->config_text, w->config_size});
    (void)put_u64(&identity, (uint64_t)w->vocab_size);
    for (int i = 0; i < w->file_count; i++) {
        const struct weights_file *file = &w->files[i];

        read_in_file(&file->map, progress);
        (void)put_u64(&identity, file->map.size);
        if (total <= WEIGHTS_WHOLE_BYTES_MAX)
            (void)put_digest(&identity, (struct str){(const char *)file->map.ptr, file->map.size});
        else
            (void)sample_file(w, file, &identity);
    }
    if (identity.failed)
        return err_no_memory(err);
    sha256(buf_str(&identity), digest);
    return 0;
}
