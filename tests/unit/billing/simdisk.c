/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that fails on purpose: see simdisk.h.
 *
 *     folder  path -> node        node  seen:    what reads see
 *             + changes since the       durable: what survives for sure
 *               last sync_folder        + changes since the last sync
 *
 * Memory failures end the test: it is test code.
 */
#include "simdisk.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 512, HANDLES_MAX = 64, PATH_LENGTH_MAX = 200 };

struct change {
    struct change *next;
    bool is_truncate;
    uint64_t offset; /* or the new size */
    size_t size;
    char *bytes;
};

struct content {
    char *bytes;
    size_t size;
    size_t cap;
};

struct node {
    struct content seen;
    struct content durable;
    struct change *changes; /* oldest first */
    struct change **changes_end;
};

struct name {
    char path[PATH_LENGTH_MAX];
    struct node *node; /* NULL: free */
};

struct folder_change {
    char removed[PATH_LENGTH_MAX]; /* empty: none. With both: a rename, which is atomic */
    char added[PATH_LENGTH_MAX];
    struct node *node; /* of the added name */
};

struct simdisk {
    pthread_mutex_t lock;
    uint64_t random;
    int64_t power_steps;
    int64_t fail_steps;
    uint64_t steps;
    bool dead;
    bool lie;
    uint64_t capacity;
    struct name seen[NAMES_MAX];
    struct name durable[NAMES_MAX];
    struct folder_change changes[NAMES_MAX * 8];
    int change_count;
    struct node *handles[HANDLES_MAX];
    struct node **nodes; /* all that were ever made */
    size_t node_count;
};

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static uint64_t draw(struct simdisk *d, uint64_t bound)
{
    d->random += 0x9e3779b97f4a7c15U;

    uint64_t z = d->random;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return (z ^ z >> 31) % bound;
}

static void content_resize(struct content *c, size_t size)
{
    if (size > c->cap) {
        c->cap = size * 2 + 64;
        c->bytes = must(realloc(c->bytes, c->cap));
    }
    if (size > c->size)
        memset(c->bytes + c->size, 0, size - c->size);
    c->size = size;
}

static void content_write(struct content *c, const char *bytes, size_t size, uint64_t offset)
{
    if (size == 0)
        return;
    if (offset + size > c->size)
        content_resize(c, offset + size);
    memcpy(c->bytes + offset, bytes, size);
}

static void content_copy(struct content *to, const struct content *from)
{
    content_resize(to, 0);
    content_write(to, from->bytes, from->size, 0);
}

static struct node *node_new(struct simdisk *d)
{
    struct node *node = must(calloc(1, sizeof(*node)));

    node->changes_end = &node->changes;
    d->nodes = must(realloc(d->nodes, (d->node_count + 1) * sizeof(struct node *)));
    d->nodes[d->node_count++] = node;
    return node;
}

static void changes_drop(struct node *node)
{
    while (node->changes != NULL) {
        struct change *next = node->changes->next;

        free(node->changes->bytes);
        free(node->changes);
        node->changes = next;
    }
    node->changes_end = &node->changes;
}

static void change_add(struct node *node, const struct change *change)
{
    struct change *copy = must(malloc(sizeof(*copy)));

    *copy = *change;
    copy->next = NULL;
    if (change->bytes != NULL) {
        copy->bytes = must(malloc(change->size));
        memcpy(copy->bytes, change->bytes, change->size);
    }
    *node->changes_end = copy;
    node->changes_end = &copy->next;
}

static struct name *name_find(struct name *names, const char *path)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        if (names[i].node != NULL && strcmp(names[i].path, path) == 0)
            return &names[i];
    }
    return NULL;
}

static void name_put(struct name *names, const char *path, struct node *node)
{
    struct name *name = name_find(names, path);

    for (int i = 0; name == NULL && i < NAMES_MAX; i++) {
        if (names[i].node == NULL)
            name = &names[i];
    }
    must(name);
    snprintf(name->path, sizeof(name->path), "%s", path);
    name->node = node;
}

static void folder_sync(struct simdisk *d)
{
    memcpy(d->durable, d->seen, sizeof(d->durable));
    d->change_count = 0;
}

static void folder_apply(struct name *names, const struct folder_change *change)
{
    struct name *removed = name_find(names, change->removed);

    if (removed != NULL)
        removed->node = NULL;
    if (change->added[0] != '\0')
        name_put(names, change->added, change->node);
}

static void folder_change(struct simdisk *d, const char *removed, const char *added,
                          struct node *node)
{
    struct folder_change *change;

    if (d->change_count == NAMES_MAX * 8)
        folder_sync(d);
    change = &d->changes[d->change_count++];
    snprintf(change->removed, sizeof(change->removed), "%s", removed);
    snprintf(change->added, sizeof(change->added), "%s", added);
    change->node = node;
    folder_apply(d->seen, change);
}

/* Counts one change. Negative: it must fail now. 1: it happens, and then the power goes. */
static int step(struct simdisk *d)
{
    if (d->dead)
        return -EIO;
    d->steps++;
    if (d->fail_steps > 0 && --d->fail_steps == 0)
        return -ENOSPC;
    if (d->power_steps > 0 && --d->power_steps == 0) {
        d->dead = true;
        return 1;
    }
    return 0;
}

static bool fits(struct simdisk *d, const struct node *node, uint64_t end)
{
    uint64_t total = 0;

    if (d->capacity == 0 || end <= node->seen.size)
        return true;
    for (int i = 0; i < NAMES_MAX; i++)
        total += d->seen[i].node != NULL ? d->seen[i].node->seen.size : 0;
    return total + end - node->seen.size <= d->capacity;
}

struct simdisk *simdisk_new(uint64_t seed)
{
    struct simdisk *d = must(calloc(1, sizeof(*d)));

    pthread_mutex_init(&d->lock, NULL);
    d->random = seed;
    d->power_steps = -1;
    return d;
}

void simdisk_free(struct simdisk *d)
{
    for (size_t i = 0; i < d->node_count; i++) {
        changes_drop(d->nodes[i]);
        free(d->nodes[i]->seen.bytes);
        free(d->nodes[i]->durable.bytes);
        free(d->nodes[i]);
    }
    free(d->nodes);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

void simdisk_lose_power_after(struct simdisk *d, int64_t steps)
{
    d->power_steps = steps;
}

void simdisk_fail_after(struct simdisk *d, int64_t steps)
{
    d->fail_steps = steps;
}

void simdisk_lie_about_sync(struct simdisk *d, bool lie)
{
    d->lie = lie;
}

void simdisk_set_capacity(struct simdisk *d, uint64_t bytes)
{
    pthread_mutex_lock(&d->lock);
    d->capacity = bytes;
    pthread_mutex_unlock(&d->lock);
}

uint64_t simdisk_steps(struct simdisk *d)
{
    return d->steps;
}

bool simdisk_is_dead(struct simdisk *d)
{
    bool dead;

    pthread_mutex_lock(&d->lock);
    dead = d->dead;
    pthread_mutex_unlock(&d->lock);
    return dead;
}

/* One unsynced write meets the power cut: kept, dropped, or torn at a byte or a sector. */
static void survive(struct simdisk *d, struct content *durable, const struct change *change)
{
    enum { SECTOR = 512 };
    uint64_t fate = draw(d, 4);

    if (fate == 0)
        return;
    if (change->is_truncate) {
        content_resize(durable, (size_t)change->offset);
    } else if (fate == 1) {
        content_write(durable, change->bytes, (size_t)draw(d, change->size + 1), change->offset);
    } else if (fate == 2) {
        for (size_t at = 0; at < change->size; at += SECTOR) {
            size_t size = change->size - at < SECTOR ? change->size - at : SECTOR;

            if (draw(d, 2) == 0)
                content_write(durable, change->bytes + at, size, change->offset + at);
        }
    } else {
        content_write(durable, change->bytes, change->size, change->offset);
    }
}

void simdisk_reboot(struct simdisk *d)
{
    uint64_t kept = draw(d, (uint64_t)d->change_count + 1);

    for (uint64_t i = 0; i < kept; i++)
        folder_apply(d->durable, &d->changes[i]);
    d->change_count = 0;
    memcpy(d->seen, d->durable, sizeof(d->seen));
    for (size_t i = 0; i < d->node_count; i++) {
        struct node *node = d->nodes[i];

        for (const struct change *c = node->changes; c != NULL; c = c->next)
            survive(d, &node->durable, c);
        changes_drop(node);
        content_copy(&node->seen, &node->durable);
    }
    memset(d->handles, 0, sizeof(d->handles));
    d->dead = false;
    d->power_steps = -1;
}

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
    change_add(node, change);
    if (change->is_truncate)
        content_resize(&node->seen, (size_t)change->offset);
    else
        content_write(&node->seen, change->bytes, change->size, change->offset);
}

static int open_locked(struct simdisk *d, const char *path, int create)
{
    struct name *name = name_find(d->seen, path);
    struct node *node = name == NULL ? NULL : name->node;
    int r;

    if (d->dead)
        return -EIO;
    if (!create)
        return node == NULL ? -ENOENT : handle_new(d, node);
    r = step(d);
    if (r < 0)
        return r;
    if (node == NULL) {
        node = node_new(d);
        folder_change(d, "", path, node);
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
    r = node == NULL ? -EIO : fits(d, node, end) ? step(d) : -ENOSPC;
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
    r = node == NULL ? -EIO : step(d);
    if (r == 0 && !d->lie) {
        content_copy(&node->durable, &node->seen);
        changes_drop(node);
    }
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

int simdisk_sync_folder(struct simdisk *d)
{
    int r;

    pthread_mutex_lock(&d->lock);
    r = step(d);
    if (r == 0 && !d->lie)
        folder_sync(d);
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

int simdisk_unlink(struct simdisk *d, const char *path)
{
    int r;

    pthread_mutex_lock(&d->lock);
    r = d->dead ? -EIO : name_find(d->seen, path) == NULL ? -ENOENT : step(d);
    if (r >= 0)
        folder_change(d, path, "", NULL);
    pthread_mutex_unlock(&d->lock);
    return r > 0 ? -EIO : r;
}

bool simdisk_exists(struct simdisk *d, const char *path)
{
    bool found;

    pthread_mutex_lock(&d->lock);
    found = name_find(d->seen, path) != NULL;
    pthread_mutex_unlock(&d->lock);
    return found;
}

bool simdisk_content(struct simdisk *d, const char *path, const char **bytes, size_t *size)
{
    const struct name *name = name_find(d->seen, path);

    if (name == NULL)
        return false;
    *bytes = name->node->seen.bytes;
    *size = name->node->seen.size;
    return true;
}

void simdisk_put(struct simdisk *d, const char *path, const void *bytes, size_t size)
{
    struct node *node = node_new(d);

    content_write(&node->seen, bytes, size, 0);
    content_write(&node->durable, bytes, size, 0);
    folder_change(d, "", path, node);
    folder_sync(d);
}

/* --- as struct meter_io -----------------------------------------------------------------------
 */

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
    name = name_find(d->seen, from);
    r = d->dead ? -EIO : name == NULL ? -ENOENT : step(d);
    if (r >= 0)
        folder_change(d, from, to, name->node);
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
