/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the disk that fails on purpose: open, read, change, sync, remove. See simdisk.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simdisk_parts.h"

static int handle_new(struct simdisk *d, struct node *node)
{
    for (int i = 0; i < HANDLES_MAX; i++) {
        if (d->handles[i] == NULL) {
            d->handles[i] = node;
            return i;
        }
    }
    return -EMFILE;
}

static void write_node(struct node *node, const struct change *change)
{
    simdisk_change_add(node, change);
    if (change->is_truncate)
        simdisk_content_resize(&node->seen, (size_t)change->offset);
    else
        simdisk_content_write(&node->seen, change->bytes, change->size, change->offset);
}

static int open_locked(struct simdisk *d, const char *path, int create)
{
    struct name *name = simdisk_name_find(d->seen, path);
    struct node *node = name == NULL ? NULL : name->node;
    int r;

    if (d->dead)
        return -EIO;
    if (!create)
        return node == NULL ? -ENOENT : handle_new(d, node);
    r = simdisk_step(d);
    if (r < 0)
        return r;
    if (node == NULL) {
        node = simdisk_node_new(d);
        simdisk_folder_change(d, "", path, node);
    } else {
        write_node(node, &(struct change){.is_truncate = true});
    }
    return r > 0 ? -EIO : handle_new(d, node);
}

int simdisk_open(struct simdisk *d, const char *path, int create)
{
    int r;

    pthread_mutex_lock(&d->lock);
    r = open_locked(d, path, create);
    pthread_mutex_unlock(&d->lock);
    return r;
}

void simdisk_close(struct simdisk *d, int file)
{
    pthread_mutex_lock(&d->lock);
    d->handles[file] = NULL;
    pthread_mutex_unlock(&d->lock);
}

/* NULL for a handle from before the power cut. */
static struct node *node_of(struct simdisk *d, int file)
{
    return d->dead ? NULL : d->handles[file];
}

int64_t simdisk_size(struct simdisk *d, int file)
{
    const struct node *node;
    int64_t size;

    pthread_mutex_lock(&d->lock);
    node = node_of(d, file);
    size = node == NULL ? -EIO : (int64_t)node->seen.size;
    pthread_mutex_unlock(&d->lock);
    return size;
}

ssize_t simdisk_pread(struct simdisk *d, int file, void *out, size_t size, uint64_t offset)
{
    const struct node *node;
    ssize_t got = -EIO;

    pthread_mutex_lock(&d->lock);
    node = node_of(d, file);
    if (node != NULL) {
        size_t left = offset < node->seen.size ? node->seen.size - (size_t)offset : 0;

        got = (ssize_t)(size < left ? size : left);
        if (got > 0)
            memcpy(out, node->seen.bytes + offset, (size_t)got);
    }
    pthread_mutex_unlock(&d->lock);
    return got;
}

/* Common to all changes of a file. */
static int change_file(struct simdisk *d, int file, const struct change *change)
{
    uint64_t end = change->is_truncate ? change->offset : change->offset + change->size;
    struct node *node;
    int r;

    pthread_mutex_lock(&d->lock);
    node = node_of(d, file);
    r = node == NULL ? -EIO : simdisk_fits(d, node, end) ? simdisk_step(d) : -ENOSPC;
    if (r >= 0)
        write_node(node, change);
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

ssize_t simdisk_pwrite(struct simdisk *d, int file, const void *bytes, size_t size, uint64_t offset)
{
    union {
        const void *constant;
        char *mutable;
    } data = {bytes};
    struct change change = {.offset = offset, .size = size, .bytes = data.mutable};
    int r = change_file(d, file, &change);

    return r < 0 ? r : (ssize_t)size;
}

int simdisk_truncate(struct simdisk *d, int file, uint64_t size)
{
    return change_file(d, file, &(struct change){.is_truncate = true, .offset = size});
}

int simdisk_sync(struct simdisk *d, int file)
{
    struct node *node;
    int r;

    pthread_mutex_lock(&d->lock);
    node = node_of(d, file);
    r = node == NULL ? -EIO : simdisk_step(d);
    if (r == 0 && !d->lie) {
        simdisk_content_copy(&node->durable, &node->seen);
        simdisk_changes_drop(node);
    }
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

int simdisk_sync_folder(struct simdisk *d)
{
    int r;

    pthread_mutex_lock(&d->lock);
    r = simdisk_step(d);
    if (r == 0 && !d->lie)
        simdisk_folder_sync(d);
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

int simdisk_unlink(struct simdisk *d, const char *path)
{
    int r;

    pthread_mutex_lock(&d->lock);
    r = d->dead ? -EIO : simdisk_name_find(d->seen, path) == NULL ? -ENOENT : simdisk_step(d);
    if (r >= 0)
        simdisk_folder_change(d, path, "", NULL);
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

bool simdisk_exists(struct simdisk *d, const char *path)
{
    bool found;

    pthread_mutex_lock(&d->lock);
    found = simdisk_name_find(d->seen, path) != NULL;
    pthread_mutex_unlock(&d->lock);
    return found;
}

bool simdisk_content(struct simdisk *d, const char *path, const char **bytes, size_t *size)
{
    const struct name *name = simdisk_name_find(d->seen, path);

    if (name == NULL)
        return false;
    *bytes = name->node->seen.bytes;
    *size = name->node->seen.size;
    return true;
}

void simdisk_put(struct simdisk *d, const char *path, const void *bytes, size_t size)
{
    struct node *node = simdisk_node_new(d);

    simdisk_content_write(&node->seen, bytes, size, 0);
    simdisk_content_write(&node->durable, bytes, size, 0);
    simdisk_folder_change(d, "", path, node);
    simdisk_folder_sync(d);
}
