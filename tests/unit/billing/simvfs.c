/* SPDX-License-Identifier: Apache-2.0 */
/* A VFS of SQLite on simdisk: see simvfs.h. Time, randomness and names are the default VFS's. */
#include "simvfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { SHM_REGIONS_MAX = 16, SHM_REGION_BYTES = 32768 };

struct sim_file {
    sqlite3_file base;
    int file;
    bool made; /* its folder entry is not synced yet */
    bool temporary;
    char *path;
};

static struct simdisk *disk;
static void *shared[SHM_REGIONS_MAX]; /* the WAL index */

static struct sim_file *as_sim(sqlite3_file *f)
{
    return (struct sim_file *)(void *)f;
}

static int code_of(int64_t r, int otherwise)
{
    if (r >= 0)
        return SQLITE_OK;
    return r == -ENOSPC ? SQLITE_FULL : otherwise;
}

static int file_close(sqlite3_file *f)
{
    struct sim_file *file = as_sim(f);

    simdisk_close(disk, file->file);
    if (file->temporary)
        simdisk_unlink(disk, file->path);
    free(file->path);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *out, int size, sqlite3_int64 offset)
{
    ssize_t got = simdisk_pread(disk, as_sim(f)->file, out, (size_t)size, (uint64_t)offset);

    if (got < 0)
        return SQLITE_IOERR_READ;
    if (got < size) {
        memset((char *)out + got, 0, (size_t)(size - got));
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *f, const void *bytes, int size, sqlite3_int64 offset)
{
    return code_of(simdisk_pwrite(disk, as_sim(f)->file, bytes, (size_t)size, (uint64_t)offset),
                   SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return code_of(simdisk_truncate(disk, as_sim(f)->file, (uint64_t)size), SQLITE_IOERR_TRUNCATE);
}

/* As SQLite's own VFS: the first sync of a new file also syncs the folder. */
static int file_sync(sqlite3_file *f, int flags)
{
    struct sim_file *file = as_sim(f);
    int r = simdisk_sync(disk, file->file);

    (void)flags;
    if (r == 0 && file->made) {
        r = simdisk_sync_folder(disk);
        file->made = r != 0;
    }
    return code_of(r, SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    int64_t r = simdisk_size(disk, as_sim(f)->file);

    if (r >= 0)
        *size = r;
    return code_of(r, SQLITE_IOERR_FSTAT);
}

static int file_lock(sqlite3_file *f, int level)
{
    (void)f;
    (void)level;
    return SQLITE_OK;
}

static int file_check_lock(sqlite3_file *f, int *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *argument)
{
    (void)f;
    (void)op;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *f)
{
    (void)f;
    return 512;
}

static int file_traits(sqlite3_file *f)
{
    (void)f;
    return 0; /* nothing is atomic, nothing is in order */
}

static int shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **out)
{
    (void)f;
    *out = NULL;
    if (region >= SHM_REGIONS_MAX || size > SHM_REGION_BYTES)
        return SQLITE_IOERR_SHMSIZE;
    if (shared[region] == NULL && extend)
        shared[region] = calloc(1, SHM_REGION_BYTES);
    *out = shared[region];
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *f, int offset, int count, int flags)
{
    (void)f;
    (void)offset;
    (void)count;
    (void)flags;
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *f)
{
    (void)f;
    __sync_synchronize();
}

static int shm_unmap(sqlite3_file *f, int remove)
{
    (void)f;
    if (remove)
        simvfs_reboot();
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    static int temporaries;
    struct sim_file *file = as_sim(f);
    char name[40];
    bool exists;
    int handle;

    (void)vfs;
    memset(file, 0, sizeof(*file));
    if (path == NULL) {
        sqlite3_snprintf((int)sizeof(name), name, "db/temporary-%d", temporaries++);
        path = name;
    }
    exists = simdisk_exists(disk, path);
    if (!exists && (flags & SQLITE_OPEN_CREATE) == 0)
        return SQLITE_CANTOPEN;
    handle = simdisk_open(disk, path, !exists);
    if (handle < 0)
        return code_of(handle, SQLITE_CANTOPEN);
    file->file = handle;
    file->made = !exists;
    file->temporary = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    file->path = strdup(path);
    file->base.pMethods = &methods;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    int r = simdisk_unlink(disk, path);

    (void)vfs;
    if (r == -ENOENT)
        return SQLITE_IOERR_DELETE_NOENT;
    if (r == 0 && sync_folder)
        r = simdisk_sync_folder(disk);
    return code_of(r, SQLITE_IOERR_DELETE);
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    (void)flags;
    *out = simdisk_exists(disk, path);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
}

void simvfs_reboot(void)
{
    for (int i = 0; i < SHM_REGIONS_MAX; i++) {
        free(shared[i]);
        shared[i] = NULL;
    }
}

void simvfs_use(struct simdisk *d)
{
    static sqlite3_vfs vfs;

    disk = d;
    simvfs_reboot();
    if (vfs.zName != NULL)
        return;
    vfs = *sqlite3_vfs_find(NULL);
    vfs.iVersion = 2;
    vfs.szOsFile = sizeof(struct sim_file);
    vfs.pNext = NULL;
    vfs.zName = SIMVFS_NAME;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xAccess = vfs_access;
    vfs.xFullPathname = vfs_full_path;
    sqlite3_vfs_register(&vfs, 0);
}
