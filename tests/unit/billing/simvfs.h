/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite on the disk that fails on purpose (simdisk.h). One database at a time; connections are
 * used in turn by one thread, so locks are not kept.
 */
#ifndef SPATE_TESTS_SIMVFS_H
#define SPATE_TESTS_SIMVFS_H

#include "simdisk.h"

#define SIMVFS_NAME "spate-sim"

/* Registers the VFS (once) and puts it on this disk. */
void simvfs_use(struct simdisk *d);
/* Forgets what processes shared (the WAL index): call after a reboot of the disk. */
void simvfs_reboot(void);

#endif
