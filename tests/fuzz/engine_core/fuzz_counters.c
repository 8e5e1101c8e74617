/* SPDX-License-Identifier: Apache-2.0 */
/* counters_read over any bytes: as they are, and again with the checksums put right, since no
 * mutation would come past those. A view that is read must agree with itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/counters_file.h"
#include "fuzz_target.h"

static void read_bytes(const uint8_t *data, size_t size)
{
    CLEANUP(fd_closep) int fd = memfd_create("counters", MFD_CLOEXEC);
    struct counters_view view;
    uint64_t output = 0;
    char path[64];

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (counters_read(&view, path, NULL) < 0)
        return;
    for (int i = 0; i < view.row_count; i++)
        output += view.rows[i].counts.output;
    if (output > view.total.output)
        abort();
    counters_view_fini(&view);
}

/* Repairs the header's CRC and, where the layout allows, the checksum of the bank that holds. */
static void repair(uint8_t *data, size_t size)
{
    struct counters_header header;
    struct counters_bank bank;
    size_t at;

    if (size < sizeof(header))
        return;
    memcpy(&header, data, sizeof(header));
    memcpy(header.magic, COUNTERS_MAGIC, sizeof(header.magic));
    header.version = COUNTERS_VERSION;
    header.crc = counters_header_crc(&header);
    memcpy(data, &header, sizeof(header));
    if (header.row_count > COUNTERS_ROWS_MAX ||
        size < COUNTERS_PAGE + 2 * counters_bank_size(header.row_count))
        return;
    at = COUNTERS_PAGE + (size_t)(header.commit % 2) * counters_bank_size(header.row_count);
    memcpy(&bank, data + at, sizeof(bank));
    bank.checksum = counters_head_hash(&bank);
    for (size_t i = 0; i < header.row_count; i++) {
        struct counters_row row;

        memcpy(&row, data + at + sizeof(bank) + i * sizeof(row), sizeof(row));
        bank.checksum += counters_row_hash(&row, i);
    }
    memcpy(data + at, &bank, sizeof(bank));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(mem_freep) uint8_t *copy = mem_dup(data, size);

    read_bytes(data, size);
    if (copy == NULL)
        return 0;
    repair(copy, size);
    read_bytes(copy, size);
    return 0;
}
