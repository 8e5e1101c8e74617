/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of the counter file, for its writer and its reader (counters.h has the idea).
 *
 *     0      struct counters_header   magic, sizes, run id, their CRC, and `commit`
 *     4096   bank 0                   struct counters_bank, then row_count rows
 *     ...    bank 1                   the same, from the next multiple of 4096
 *
 * `commit` counts the commits: the bank that holds is number commit % 2. Each bank has a checksum
 * over all of it, so that a file torn by a power cut (it is never synced) is seen as such. It is
 * the sum of one hash per part, which lets a commit renew only the rows that it wrote.
 */
#ifndef SPATE_ENGINE_COUNTERS_FILE_H
#define SPATE_ENGINE_COUNTERS_FILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "engine/counters.h"

enum {
    COUNTERS_VERSION = 1,
    COUNTERS_PAGE = 4096,
    COUNTERS_ROWS_MAX = 1 << 20,
    COUNTERS_STATE_FREE = 0,
    COUNTERS_STATE_RUNNING = 1,
    COUNTERS_STATE_FINISHED = 2,
};

struct counters_header {
    char magic[8];
    uint32_t version;
    uint32_t row_count;
    uint32_t row_size;  /* sizeof(struct counters_row), a check on the layout */
    uint32_t bank_size; /* bytes from one bank to the next */
    uint8_t run_id[16];
    uint32_t reserved;
    uint32_t crc; /* CRC-32C of all before */
    _Atomic uint64_t commit;
};

struct counters_bank {
    uint64_t checksum; /* counters_head_hash + counters_row_hash of each row, modulo 2^64 */
    uint64_t steps;
    struct engine_counts total;
};

/* Bytes of one bank, a multiple of the page size. */
static inline size_t counters_bank_size(size_t row_count)
{
    size_t size = sizeof(struct counters_bank) + row_count * sizeof(struct counters_row);

    return (size + COUNTERS_PAGE - 1) / COUNTERS_PAGE * COUNTERS_PAGE;
}

static inline uint64_t counters_row_hash(const struct counters_row *row, size_t index)
{
    return hash64(index + 1, row, sizeof(*row));
}

static inline uint64_t counters_head_hash(const struct counters_bank *bank)
{
    return hash64(bank->steps, &bank->total, sizeof(bank->total));
}

static inline uint32_t counters_header_crc(const struct counters_header *header)
{
    return crc32c(0, header, offsetof(struct counters_header, crc));
}

#endif
