/* SPDX-License-Identifier: Apache-2.0 */
/* The system's file operations for the usage log: see meter_io.h. */
#include "billing/meter/meter_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static int io_lock(void *context, const char *folder)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "lock");
    int file;

    (void)context;
    if (path == NULL || file_make_folder(folder, NULL) < 0)
        return path == NULL ? -ENOMEM : -errno;
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    if (flock(file, LOCK_EX | LOCK_NB) < 0) {
        int r = -errno;

        close(file);
        return r;
    }
    return file;
}

static void io_close(void *context, int file)
{
    (void)context;
    close(file);
}

static int io_list(void *context, const char *folder, int (*each)(void *argument, const char *name),
                   void *argument)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int r = 0;

    (void)context;
    if (dir == NULL)
        return -errno;
    errno = 0;
    while (r >= 0 && (entry = readdir(dir)) != NULL) {
        r = each(argument, entry->d_name);
        errno = 0;
    }
    if (r >= 0 && errno != 0)
        r = -errno;
    closedir(dir);
    return r;
}

static int io_open(void *context, const char *path, int create)
{
    int file = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0600);

    (void)context;
    return file < 0 ? -errno : file;
}

static int64_t io_size(void *context, int file)
{
    struct stat info;

    (void)context;
    return fstat(file, &info) < 0 ? -errno : info.st_size;
}

static ssize_t io_pread(void *context, int file, void *out, size_t size, uint64_t offset)
{
    size_t done = 0;

    (void)context;
    while (done < size) {
        ssize_t got = pread(file, (char *)out + done, size - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static ssize_t io_pwrite(void *context, int file, const void *bytes, size_t size, uint64_t offset)
{
    size_t done = 0;

    (void)context;
    while (done < size) {
        ssize_t put = pwrite(file, (const char *)bytes + done, size - done, (off_t)(offset + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

static int io_truncate(void *context, int file, uint64_t size)
{
    (void)context;
    return ftruncate(file, (off_t)size) < 0 ? -errno : 0;
}

static int io_allocate(void *context, int file, uint64_t size)
{
    (void)context;
    return -posix_fallocate(file, 0, (off_t)size);
}

static int io_sync(void *context, int file)
{
    (void)context;
    return fdatasync(file) < 0 ? -errno : 0;
}

static int io_sync_folder(void *context, const char *folder)
{
    CLEANUP(fd_closep) int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)context;
    return file < 0 || fsync(file) < 0 ? -errno : 0;
}

static int io_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return rename(from, to) < 0 ? -errno : 0;
}

static int io_unlink(void *context, const char *path)
{
    (void)context;
    return unlink(path) < 0 ? -errno : 0;
}

const struct meter_io *meter_io_system(void)
{
    static const struct meter_io system_io = {
        .lock = io_lock,
        .unlock = io_close,
        .list = io_list,
        .open = io_open,
        .close = io_close,
        .size = io_size,
        .pread = io_pread,
        .pwrite = io_pwrite,
        .truncate = io_truncate,
        .allocate = io_allocate,
        .sync = io_sync,
        .sync_folder = io_sync_folder,
        .rename = io_rename,
        .unlink = io_unlink,
    };

    return &system_io;
}
