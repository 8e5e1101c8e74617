/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory that can lose power, run full, or lie about sync. What was not synced when the
 * power goes is kept, dropped or torn at random, write by write; folder entries survive up to a
 * random point of their order. Under the usage log (as struct meter_io) and under SQLite
 * (simvfs.h).
 */
#ifndef SPATE_TESTS_SIMDISK_H
#define SPATE_TESTS_SIMDISK_H

#include <stdbool.h>
#include <stdint.h>

#include "billing/meter/meter_io.h"

struct simdisk;

struct simdisk *simdisk_new(uint64_t seed);
void simdisk_free(struct simdisk *d);

/* The power goes at the `steps`-th change from now (1: the next one); negative: never. From then on
 * every call fails with EIO, until simdisk_reboot. */
void simdisk_lose_power_after(struct simdisk *d, int64_t steps);
bool simdisk_is_dead(struct simdisk *d);
void simdisk_reboot(struct simdisk *d);
/* Sync returns success and does nothing: what switching fsync off would be. */
void simdisk_lie_about_sync(struct simdisk *d, bool lie);
/* Total bytes; 0: no limit. Over it writes fail with ENOSPC. */
void simdisk_set_capacity(struct simdisk *d, uint64_t bytes);
/* The `steps`-th change from now fails with ENOSPC, once. */
void simdisk_fail_after(struct simdisk *d, int64_t steps);
uint64_t simdisk_steps(struct simdisk *d); /* changes so far */

/* The file operations; paths are taken whole, there is one folder. */
int simdisk_open(struct simdisk *d, const char *path, int create);
void simdisk_close(struct simdisk *d, int file);
int64_t simdisk_size(struct simdisk *d, int file);
ssize_t simdisk_pread(struct simdisk *d, int file, void *out, size_t size, uint64_t offset);
ssize_t simdisk_pwrite(struct simdisk *d, int file, const void *bytes, size_t size,
                       uint64_t offset);
int simdisk_truncate(struct simdisk *d, int file, uint64_t size);
int simdisk_sync(struct simdisk *d, int file);
int simdisk_sync_folder(struct simdisk *d);
int simdisk_unlink(struct simdisk *d, const char *path);
bool simdisk_exists(struct simdisk *d, const char *path);

/* The whole file, borrowed until the next change; false if it is not there. */
bool simdisk_content(struct simdisk *d, const char *path, const char **bytes, size_t *size);
/* Replaces or makes a file, durably: for tests that break things. */
void simdisk_put(struct simdisk *d, const char *path, const void *bytes, size_t size);

struct meter_io simdisk_meter_io(struct simdisk *d);

#endif
