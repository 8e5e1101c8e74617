/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole reads, atomic writes, folders. Blocking: for start-up, worker threads and the CLI.
 */
#ifndef SPATE_BASE_FILE_H
#define SPATE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Appends the file to `out` (whose ceiling bounds it). */
int file_read(const char *path, struct buf *out, struct err *err);

/* Writes to a temporary name in the same folder, fsyncs, renames over `path`, fsyncs the folder. */
int file_write_atomic(const char *path, struct str data, mode_t mode, struct err *err);
/* Removes the temporary files that processes which were killed left in this folder (not below it);
 * those of processes that still run stay. For the owner of a folder, when it starts; a missing
 * folder is fine. */
int file_sweep_temporaries(const char *folder, struct err *err);

/* Makes the folder and its missing parents (mode 0700 for new ones). */
int file_make_folder(const char *path, struct err *err);
/* Removes a folder and all below it; a missing one is fine. Does not follow links. */
int file_remove_tree(const char *path, struct err *err);
int file_sync_folder(const char *path, struct err *err);
bool file_exists(const char *path);

/* A read-only mapping of a whole file. Empty files map to ptr NULL, size 0. */
struct file_map {
    const uint8_t *ptr;
    size_t size;
};
int file_map_open(struct file_map *out, const char *path, struct err *err);
void file_map_close(struct file_map *map); /* also of a zeroed one */

/* Joins with one '/'; the result is NUL-terminated heap memory or NULL. */
char *path_join(const char *folder, const char *name);

#endif
