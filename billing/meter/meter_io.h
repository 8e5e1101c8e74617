/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file operations of the usage log, as a table of functions: the product uses the system's, the
 * tests put a disk under it that loses power, tears writes or runs full. Every function returns a
 * negative errno on failure. Called from any thread; names are within the one folder of the log.
 */
#ifndef SPATE_METER_IO_H
#define SPATE_METER_IO_H

#include <stdint.h>
#include <sys/types.h>

struct meter_io {
    /* Makes the folder if missing and takes its lock; a handle that `unlock` gives back. */
    int (*lock)(void *context, const char *folder);
    void (*unlock)(void *context, int handle);
    /* Calls `each` with every file name; stops at a negative result and returns it. */
    int (*list)(void *context, const char *folder, int (*each)(void *argument, const char *name),
                void *argument);
    /* Opens for reading and writing; `create` makes the file, empty, or empties it. */
    int (*open)(void *context, const char *path, int create);
    void (*close)(void *context, int file);
    int64_t (*size)(void *context, int file);
    ssize_t (*pread)(void *context, int file, void *out, size_t size, uint64_t offset);
    ssize_t (*pwrite)(void *context, int file, const void *bytes, size_t size, uint64_t offset);
    int (*truncate)(void *context, int file, uint64_t size);
    /* Makes the file `size` bytes of zeros whose space is really there. */
    int (*allocate)(void *context, int file, uint64_t size);
    /* Content (and size) are on the disk when it returns 0. */
    int (*sync)(void *context, int file);
    /* After sync_folder, earlier creations, renames and removals in it are on the disk. */
    int (*sync_folder)(void *context, const char *folder);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    void *context;
};

const struct meter_io *meter_io_system(void);

#endif
