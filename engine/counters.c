/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of the counter file. The step thread changes private copies of the rows; a commit
 * copies what changed into the bank that does not hold, and then lets it hold by one store. A row
 * that changed is missing in both banks at first, so each bank has its own list of rows to bring.
 */
#include "engine/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/counters_file.h"

struct counters_stale {
    int *rows; /* [row_count] indices of rows that the bank lacks */
    int count;
    bool *listed;     /* [row_count] */
    uint64_t *hashes; /* [row_count] of the rows as they stand in the bank */
    uint64_t sum;     /* of the hashes */
};

struct counters {
    uint8_t *map;
    size_t map_size;
    int row_count;
    struct counters_row *rows; /* [row_count] the truth, private to this process */
    int *free_rows;            /* a stack */
    int free_count;
    struct engine_counts total;
    struct counters_stale stale[2];
};

static struct counters_header *header_of(const struct counters *c)
{
    return (struct counters_header *)(void *)c->map;
}

static struct counters_bank *bank_of(const struct counters *c, int bank)
{
    size_t at = COUNTERS_PAGE + (size_t)bank * counters_bank_size((size_t)c->row_count);

    return (struct counters_bank *)(void *)(c->map + at);
}

static struct counters_row *bank_rows(struct counters_bank *bank)
{
    return (struct counters_row *)(void *)(bank + 1);
}

static int stale_init(struct counters_stale *stale, int row_count)
{
    size_t count = (size_t)row_count;

    stale->rows = mem_array(count, sizeof(*stale->rows));
    stale->listed = mem_array(count, sizeof(*stale->listed));
    stale->hashes = mem_array(count, sizeof(*stale->hashes));
    if (stale->rows == NULL || stale->listed == NULL || stale->hashes == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        stale->hashes[i] = counters_row_hash(&(struct counters_row){0}, i);
        stale->sum += stale->hashes[i];
    }
    return 0;
}

static int tables_init(struct counters *c, struct err *err)
{
    size_t count = (size_t)c->row_count;

    c->rows = mem_array(count, sizeof(*c->rows));
    c->free_rows = mem_array(count, sizeof(*c->free_rows));
    if (c->rows == NULL || c->free_rows == NULL || stale_init(&c->stale[0], c->row_count) < 0 ||
        stale_init(&c->stale[1], c->row_count) < 0)
        return err_no_memory(err);
    for (int i = 0; i < c->row_count; i++)
        c->free_rows[i] = c->row_count - 1 - i;
    c->free_count = c->row_count;
    return 0;
}

/* Maps the open file, which has its full size, and writes all but its name. */
static int map_file(struct counters *c, int fd, const char *path, const uint8_t run_id[16],
                    struct err *err)
{
    void *map = mmap(NULL, c->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct counters_header *header;

    if (map == MAP_FAILED)
        return err_errno(err, errno, "cannot map the counter file %s", path);
    c->map = map;
    header = header_of(c);
    memcpy(header->magic, COUNTERS_MAGIC, sizeof(header->magic));
    header->version = COUNTERS_VERSION;
    header->row_count = (uint32_t)c->row_count;
    header->row_size = sizeof(struct counters_row);
    header->bank_size = (uint32_t)counters_bank_size((size_t)c->row_count);
    memcpy(header->run_id, run_id, sizeof(header->run_id));
    header->crc = counters_header_crc(header);
    counters_commit(c, 0);
    return 0;
}

/* Makes the file under a temporary name and links it to `path` when it is whole, so that a kill in
 * between leaves no half file there. Its blocks are reserved: no store into it can fail later. */
static int create_file(struct counters *c, const char *path, const uint8_t run_id[16],
                       struct err *err)
{
    char temporary[4096];
    CLEANUP(fd_closep) int fd = -1;
    int r;

    if (snprintf(temporary, sizeof(temporary), "%s.new.%d", path, (int)getpid()) >=
        (int)sizeof(temporary))
        return err_set(err, ERR_INVALID, "the path of the counter file is too long");
    fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "cannot create the counter file %s", path);
    r = posix_fallocate(fd, 0, (off_t)c->map_size);
    if (r != 0)
        r = err_errno(err, r, "cannot reserve %zu bytes for the counter file %s", c->map_size,
                      path);
    else
        r = map_file(c, fd, path, run_id, err);
    if (r == 0 && link(temporary, path) < 0)
        r = err_errno(err, errno, "cannot create the counter file %s", path);
    unlink(temporary);
    return r;
}

int counters_create(struct counters **out, const char *path, const uint8_t run_id[16],
                    int row_count, struct err *err)
{
    struct counters *c;
    int r;

    if (row_count < 1 || row_count > COUNTERS_ROWS_MAX)
        return err_set(err, ERR_INVALID, "a counter file has 1 to %d rows, not %d",
                       COUNTERS_ROWS_MAX, row_count);
    c = mem_alloc(sizeof(*c));
    if (c == NULL)
        return err_no_memory(err);
    c->row_count = row_count;
    c->map_size = COUNTERS_PAGE + 2 * counters_bank_size((size_t)row_count);
    r = tables_init(c, err);
    if (r == 0)
        r = create_file(c, path, run_id, err);
    if (r < 0) {
        counters_close(c);
        return r;
    }
    *out = c;
    return 0;
}

void counters_close(struct counters *c)
{
    if (c == NULL)
        return;
    if (c->map != NULL)
        munmap(c->map, c->map_size);
    for (int bank = 0; bank < 2; bank++) {
        mem_free(c->stale[bank].rows);
        mem_free(c->stale[bank].listed);
        mem_free(c->stale[bank].hashes);
    }
    mem_free(c->rows);
    mem_free(c->free_rows);
    mem_free(c);
}

int counters_row_take(struct counters *c, struct engine_tag tag, uint32_t output_start)
{
    int index;

    if (c->free_count == 0)
        return -ERR_BUSY;
    index = c->free_rows[--c->free_count];
    *counters_row_at(c, index) = (struct counters_row){
        .tag = tag, .state = COUNTERS_STATE_RUNNING, .output_start = output_start};
    return index;
}

struct counters_row *counters_row_at(struct counters *c, int index)
{
    for (int bank = 0; bank < 2; bank++) {
        struct counters_stale *stale = &c->stale[bank];

        if (!stale->listed[index]) {
            stale->listed[index] = true;
            stale->rows[stale->count++] = index;
        }
    }
    return &c->rows[index];
}

void counters_row_free(struct counters *c, int index)
{
    *counters_row_at(c, index) = (struct counters_row){0};
    c->free_rows[c->free_count++] = index;
}

struct engine_counts *counters_total(struct counters *c)
{
    return &c->total;
}

void counters_commit(struct counters *c, uint64_t steps)
{
    struct counters_header *header = header_of(c);
    uint64_t commit = atomic_load_explicit(&header->commit, memory_order_relaxed) + 1;
    struct counters_bank *bank = bank_of(c, (int)(commit % 2));
    struct counters_stale *stale = &c->stale[commit % 2];
    struct counters_row *rows = bank_rows(bank);

    for (int i = 0; i < stale->count; i++) {
        int index = stale->rows[i];

        rows[index] = c->rows[index];
        stale->sum -= stale->hashes[index];
        stale->hashes[index] = counters_row_hash(&c->rows[index], (size_t)index);
        stale->sum += stale->hashes[index];
        stale->listed[index] = false;
    }
    stale->count = 0;
    bank->steps = steps;
    bank->total = c->total;
    bank->checksum = counters_head_hash(bank) + stale->sum;
    atomic_store_explicit(&header->commit, commit, memory_order_release);
    /* The next commit's stores go into the other bank, which readers used until now: they must not
     * be seen before this one. */
    atomic_thread_fence(memory_order_seq_cst);
}
