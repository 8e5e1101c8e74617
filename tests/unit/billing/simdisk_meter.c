/* SPDX-License-Identifier: Apache-2.0 */
/* The disk that fails on purpose, as the meter's way to files. See simdisk.h. */
#include <errno.h>
#include <string.h>

#include "simdisk_parts.h"

static int sim_lock(void *context, const char *folder)
{
    (void)context;
    (void)folder;
    return 0;
}

static void sim_unlock(void *context, int handle)
{
    (void)context;
    (void)handle;
}

static int sim_list(void *context, const char *folder,
                    int (*each)(void *argument, const char *name), void *argument)
{
    struct simdisk *d = context;
    size_t length = strlen(folder) + 1;
    int r = d->dead ? -EIO : 0;

    for (int i = 0; i < NAMES_MAX && r >= 0; i++) {
        if (d->seen[i].node != NULL)
            r = each(argument, d->seen[i].path + length);
    }
    return r;
}

static int sim_open(void *context, const char *path, int create)
{
    return simdisk_open(context, path, create);
}

static void sim_close(void *context, int file)
{
    simdisk_close(context, file);
}

static int64_t sim_size(void *context, int file)
{
    return simdisk_size(context, file);
}

static ssize_t sim_pread(void *context, int file, void *out, size_t size, uint64_t offset)
{
    return simdisk_pread(context, file, out, size, offset);
}

static ssize_t sim_pwrite(void *context, int file, const void *bytes, size_t size, uint64_t offset)
{
    return simdisk_pwrite(context, file, bytes, size, offset);
}

static int sim_truncate(void *context, int file, uint64_t size)
{
    return simdisk_truncate(context, file, size);
}

static int sim_sync(void *context, int file)
{
    return simdisk_sync(context, file);
}

static int sim_sync_folder(void *context, const char *folder)
{
    (void)folder;
    return simdisk_sync_folder(context);
}

static int sim_rename(void *context, const char *from, const char *to)
{
    struct simdisk *d = context;
    struct name *name;
    int r;

    pthread_mutex_lock(&d->lock);
    name = simdisk_name_find(d->seen, from);
    r = d->dead ? -EIO : name == NULL ? -ENOENT : simdisk_step(d);
    if (r >= 0)
        simdisk_folder_change(d, from, to, name->node);
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

static int sim_unlink(void *context, const char *path)
{
    return simdisk_unlink(context, path);
}

struct meter_io simdisk_meter_io(struct simdisk *d)
{
    return (struct meter_io){
        .lock = sim_lock,
        .unlock = sim_unlock,
        .list = sim_list,
        .open = sim_open,
        .close = sim_close,
        .size = sim_size,
        .pread = sim_pread,
        .pwrite = sim_pwrite,
        .truncate = sim_truncate,
        .allocate = sim_truncate, /* longer, by zeros */
        .sync = sim_sync,
        .sync_folder = sim_sync_folder,
        .rename = sim_rename,
        .unlink = sim_unlink,
        .context = d,
    };
}
