/* SPDX-License-Identifier: Apache-2.0 */
/* Files: see file.h. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

int file_read(const char *path, struct buf *out, struct err *err)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char block[16384];

    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", path);
    for (;;) {
        ssize_t got = read(fd, block, sizeof(block));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "cannot read %s", path);
        if (got == 0)
            return 0;
        if (buf_append(out, block, (size_t)got) < 0)
            return buf_check(out, path, err);
    }
}

static int write_all(int fd, struct str data)
{
    while (data.len > 0) {
        ssize_t put = write(fd, data.ptr, data.len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data = (struct str){data.ptr + put, data.len - (size_t)put};
    }
    return 0;
}

int file_sync_folder(const char *path, struct err *err)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, "cannot open folder %s", path);
    if (fsync(fd) < 0)
        return err_errno(err, errno, "cannot fsync folder %s", path);
    return 0;
}

static int sync_parent(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(mem_freep) char *folder = NULL;

    if (slash == NULL)
        return file_sync_folder(".", err);
    folder = mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL)
        return err_no_memory(err);
    return file_sync_folder(folder, err);
}

static int write_temporary(const char *temporary, struct str data, mode_t mode, struct err *err)
{
    CLEANUP(fd_closep) int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0)
        return err_errno(err, errno, "cannot create %s", temporary);
    if (fchmod(fd, mode) < 0 || write_all(fd, data) < 0 || fsync(fd) < 0)
        return err_errno(err, errno, "cannot write %s", temporary);
    return 0;
}

#define TEMPORARY_SUFFIX ".tmp"

int file_write_atomic(const char *path, struct str data, mode_t mode, struct err *err)
{
    size_t size = strlen(path) + 40;
    CLEANUP(mem_freep) char *temporary = mem_alloc(size);
    int r;

    if (temporary == NULL)
        return err_no_memory(err);
    snprintf(temporary, size, "%s.%ld" TEMPORARY_SUFFIX, path, (long)getpid());
    unlink(temporary); /* of an earlier process with our pid */
    r = write_temporary(temporary, data, mode, err);
    if (r == 0 && rename(temporary, path) < 0)
        r = err_errno(err, errno, "cannot rename to %s", path);
    if (r < 0) {
        unlink(temporary);
        return r;
    }
    return sync_parent(path, err);
}

/* "name.PID.tmp", and that process has ended. One with our own pid is of an earlier process: this
 * one has not begun to write. */
static bool is_leftover(struct str name)
{
    uint64_t pid = 0;
    size_t at;

    if (!str_ends(name, STR(TEMPORARY_SUFFIX)))
        return false;
    name.len -= strlen(TEMPORARY_SUFFIX);
    for (at = name.len; at > 0 && name.ptr[at - 1] >= '0' && name.ptr[at - 1] <= '9'; at--)
        ;
    if (at < 2 || name.ptr[at - 1] != '.' || !str_to_u64(str_slice(name, at, name.len), &pid) ||
        pid == 0 || pid > INT32_MAX)
        return false;
    return (pid_t)pid == getpid() || (kill((pid_t)pid, 0) < 0 && errno == ESRCH);
}

int file_sweep_temporaries(const char *folder, struct err *err)
{
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    int r = 0;

    if (dir == NULL)
        return errno == ENOENT ? 0 : err_errno(err, errno, "cannot read folder %s", folder);
    while ((entry = readdir(dir)) != NULL) {
        if (is_leftover(str_of(entry->d_name)) && unlinkat(dirfd(dir), entry->d_name, 0) < 0 &&
            errno != ENOENT)
            r = err_errno(err, errno, "cannot remove %s/%s", folder, entry->d_name);
    }
    closedir(dir);
    return r;
}

int file_make_folder(const char *path, struct err *err)
{
    CLEANUP(mem_freep) char *part = mem_strdup(path);

    if (part == NULL)
        return err_no_memory(err);
    for (char *c = part + 1; *part != '\0'; c++) {
        char kept = *c;

        if (kept != '/' && kept != '\0')
            continue;
        *c = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return err_errno(err, errno, "cannot make folder %s", part);
        if (kept == '\0')
            break;
        *c = kept;
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

int file_remove_tree(const char *path, struct err *err)
{
    enum { OPEN_FOLDERS_MAX = 16 };

    if (nftw(path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return err_errno(err, errno, "cannot remove %s", path);
    return 0;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int file_map_open(struct file_map *out, const char *path, struct err *err)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    void *ptr;

    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", path);
    if (fstat(fd, &info) < 0)
        return err_errno(err, errno, "cannot stat %s", path);
    if (!S_ISREG(info.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a regular file", path);
    if (info.st_size == 0) {
        *out = (struct file_map){NULL, 0};
        return 0;
    }
    ptr = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (ptr == MAP_FAILED)
        return err_errno(err, errno, "cannot map %s", path);
    *out = (struct file_map){ptr, (size_t)info.st_size};
    return 0;
}

void file_map_close(struct file_map *map)
{
    union {
        const uint8_t *constant;
        void *mutable;
    } ptr = {map->ptr};

    if (map->ptr != NULL)
        munmap(ptr.mutable, map->size);
    *map = (struct file_map){NULL, 0};
}

char *path_join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    size_t size = length + strlen(name) + 2;
    char *path = mem_alloc(size);

    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (path != NULL)
        snprintf(path, size, "%.*s%s%s", (int)length, folder,
                 length > 0 && folder[length - 1] == '/' ? "" : "/", name);
    return path;
}
