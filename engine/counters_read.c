/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of counter files. It copies by pread, never through a mapping: a file that somebody
 * cuts short must not raise a signal here. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/counters.h"
#include "engine/counters_file.h"

/* A writer commits every few hundred microseconds at most; a copy takes tens. */
enum { READ_TRIES = 1000 };

struct reading {
    int fd;
    const char *path;
    struct counters_header header;
    size_t bank_bytes;          /* used part of a bank */
    struct counters_bank *bank; /* the copy, with its rows behind it; owned */
};

static void reading_fini(struct reading *r)
{
    fd_closep(&r->fd);
    mem_freep(&r->bank);
}

static int read_at(const struct reading *r, void *out, size_t size, size_t offset, struct err *err)
{
    uint8_t *at = out;

    while (size > 0) {
        ssize_t got = pread(r->fd, at, size, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "cannot read the counter file %s", r->path);
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "the counter file %s ends early", r->path);
        at += got;
        offset += (size_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static int check_header(const struct reading *r, struct err *err)
{
    const struct counters_header *h = &r->header;
    struct stat info;
    size_t size;

    if (memcmp(h->magic, COUNTERS_MAGIC, sizeof(h->magic)) != 0)
        return err_set(err, ERR_CORRUPT, "%s is not a counter file", r->path);
    if (h->version != COUNTERS_VERSION || h->crc != counters_header_crc(h))
        return err_set(err, ERR_CORRUPT, "the counter file %s has a damaged header", r->path);
    if (h->row_count < 1 || h->row_count > COUNTERS_ROWS_MAX ||
        h->row_size != sizeof(struct counters_row) ||
        h->bank_size != counters_bank_size(h->row_count))
        return err_set(err, ERR_CORRUPT, "the counter file %s has an impossible layout", r->path);
    size = COUNTERS_PAGE + 2 * (size_t)h->bank_size;
    if (fstat(r->fd, &info) < 0)
        return err_errno(err, errno, "cannot read the counter file %s", r->path);
    if (info.st_size < 0 || (size_t)info.st_size != size)
        return err_set(err, ERR_CORRUPT, "the counter file %s has %lld bytes instead of %zu",
                       r->path, (long long)info.st_size, size);
    return 0;
}

/* Copies the bank that holds; *whole is false where the writer meanwhile began to reuse it. */
static int copy_bank(struct reading *r, bool *whole, struct err *err)
{
    const size_t commit_at = offsetof(struct counters_header, commit);
    uint64_t before;
    uint64_t after;
    int result = read_at(r, &before, sizeof(before), commit_at, err);

    if (result < 0)
        return result;
    atomic_thread_fence(memory_order_seq_cst);
    result = read_at(r, r->bank, r->bank_bytes,
                     COUNTERS_PAGE + (size_t)(before % 2) * r->header.bank_size, err);
    if (result < 0)
        return result;
    atomic_thread_fence(memory_order_seq_cst);
    result = read_at(r, &after, sizeof(after), commit_at, err);
    *whole = before == after;
    return result;
}

static bool counts_fit(const struct engine_counts *sum, const struct engine_counts *total)
{
    return sum->input_computed <= total->input_computed &&
           sum->input_cached <= total->input_cached && sum->output <= total->output &&
           sum->recomputed <= total->recomputed;
}

static bool counts_add(struct engine_counts *sum, const struct engine_counts *counts)
{
    return !__builtin_add_overflow(sum->input_computed, counts->input_computed,
                                   &sum->input_computed) &&
           !__builtin_add_overflow(sum->input_cached, counts->input_cached, &sum->input_cached) &&
           !__builtin_add_overflow(sum->output, counts->output, &sum->output) &&
           !__builtin_add_overflow(sum->recomputed, counts->recomputed, &sum->recomputed);
}

/* Checksum, states, and that the rows do not hold more than the totals. Counts the rows in use. */
static int check_bank(const struct reading *r, int *used, struct err *err)
{
    const struct counters_row *rows = (const struct counters_row *)(const void *)(r->bank + 1);
    uint64_t checksum = counters_head_hash(r->bank);
    struct engine_counts sum = {0};
    bool good = true;

    *used = 0;
    for (size_t i = 0; i < r->header.row_count; i++) {
        checksum += counters_row_hash(&rows[i], i);
        good =
            good && rows[i].state <= COUNTERS_STATE_FINISHED && counts_add(&sum, &rows[i].counts);
        *used += rows[i].state != COUNTERS_STATE_FREE;
    }
    if (checksum != r->bank->checksum)
        return err_set(err, ERR_CORRUPT, "the counter file %s does not match its checksum",
                       r->path);
    if (!good || !counts_fit(&sum, &r->bank->total))
        return err_set(err, ERR_CORRUPT, "the counter file %s contradicts itself", r->path);
    return 0;
}

static int make_view(struct counters_view *out, const struct reading *r, int used, struct err *err)
{
    const struct counters_row *rows = (const struct counters_row *)(const void *)(r->bank + 1);
    struct counters_view view = {.steps = r->bank->steps, .total = r->bank->total};

    memcpy(view.run_id, r->header.run_id, sizeof(view.run_id));
    view.rows = mem_array((size_t)used, sizeof(*view.rows));
    if (view.rows == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < r->header.row_count; i++) {
        if (rows[i].state != COUNTERS_STATE_FREE)
            view.rows[view.row_count++] = rows[i];
    }
    *out = view;
    return 0;
}

int counters_read(struct counters_view *out, const char *path, struct err *err)
{
    CLEANUP(reading_fini) struct reading r = {.fd = open(path, O_RDONLY | O_CLOEXEC), .path = path};
    bool whole = false;
    int used;
    int result;

    if (r.fd < 0)
        return err_errno(err, errno, "cannot open the counter file %s", path);
    result = read_at(&r, &r.header, sizeof(r.header), 0, err);
    if (result == 0)
        result = check_header(&r, err);
    if (result < 0)
        return result;
    r.bank_bytes = sizeof(struct counters_bank) + r.header.row_count * sizeof(struct counters_row);
    r.bank = mem_alloc(r.bank_bytes);
    if (r.bank == NULL)
        return err_no_memory(err);
    for (int attempt = 0; attempt < READ_TRIES && !whole; attempt++) {
        result = copy_bank(&r, &whole, err);
        if (result < 0)
            return result;
    }
    if (!whole)
        return err_set(err, ERR_BUSY, "the counter file %s changes too fast to be read", path);
    result = check_bank(&r, &used, err);
    if (result < 0)
        return result;
    return make_view(out, &r, used, err);
}

void counters_view_fini(struct counters_view *view)
{
    mem_freep(&view->rows);
    view->row_count = 0;
}
