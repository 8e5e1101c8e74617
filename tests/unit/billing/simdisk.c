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
#include "simdisk_parts.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void simdisk_content_resize(struct content *c, size_t size)
{
    if (size > c->cap) {
        c->cap = size * 2 + 64;
        c->bytes = must(realloc(c->bytes, c->cap));
    }
    if (size > c->size)
        memset(c->bytes + c->size, 0, size - c->size);
    c->size = size;
}

void simdisk_content_write(struct content *c, const char *bytes, size_t size, uint64_t offset)
{
    if (size == 0)
        return;
    if (offset + size > c->size)
        simdisk_content_resize(c, offset + size);
    memcpy(c->bytes + offset, bytes, size);
}

void simdisk_content_copy(struct content *to, const struct content *from)
{
    simdisk_content_resize(to, 0);
    simdisk_content_write(to, from->bytes, from->size, 0);
}

struct node *simdisk_node_new(struct simdisk *d)
{
    struct node *node = must(calloc(1, sizeof(*node)));

    node->changes_end = &node->changes;
    d->nodes = must(realloc(d->nodes, (d->node_count + 1) * sizeof(struct node *)));
    d->nodes[d->node_count++] = node;
    return node;
}

void simdisk_changes_drop(struct node *node)
{
    while (node->changes != NULL) {
        struct change *next = node->changes->next;

        free(node->changes->bytes);
        free(node->changes);
        node->changes = next;
    }
    node->changes_end = &node->changes;
}

void simdisk_change_add(struct node *node, const struct change *change)
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

struct name *simdisk_name_find(struct name *names, const char *path)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        if (names[i].node != NULL && strcmp(names[i].path, path) == 0)
            return &names[i];
    }
    return NULL;
}

static void name_put(struct name *names, const char *path, struct node *node)
{
    struct name *name = simdisk_name_find(names, path);

    for (int i = 0; name == NULL && i < NAMES_MAX; i++) {
        if (names[i].node == NULL)
            name = &names[i];
    }
    must(name);
    snprintf(name->path, sizeof(name->path), "%s", path);
    name->node = node;
}

void simdisk_folder_sync(struct simdisk *d)
{
    memcpy(d->durable, d->seen, sizeof(d->durable));
    d->change_count = 0;
}

static void folder_apply(struct name *names, const struct folder_change *change)
{
    struct name *removed = simdisk_name_find(names, change->removed);

    if (removed != NULL)
        removed->node = NULL;
    if (change->added[0] != '\0')
        name_put(names, change->added, change->node);
}

void simdisk_folder_change(struct simdisk *d, const char *removed, const char *added,
                           struct node *node)
{
    struct folder_change *change;

    if (d->change_count == NAMES_MAX * 8)
        simdisk_folder_sync(d);
    change = &d->changes[d->change_count++];
    snprintf(change->removed, sizeof(change->removed), "%s", removed);
    snprintf(change->added, sizeof(change->added), "%s", added);
    change->node = node;
    folder_apply(d->seen, change);
}

/* Counts one change. Negative: it must fail now. 1: it happens, and then the power goes. */
int simdisk_step(struct simdisk *d)
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

bool simdisk_fits(struct simdisk *d, const struct node *node, uint64_t end)
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
        simdisk_changes_drop(d->nodes[i]);
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
        simdisk_content_resize(durable, (size_t)change->offset);
    } else if (fate == 1) {
        simdisk_content_write(durable, change->bytes, (size_t)draw(d, change->size + 1),
                              change->offset);
    } else if (fate == 2) {
        for (size_t at = 0; at < change->size; at += SECTOR) {
            size_t size = change->size - at < SECTOR ? change->size - at : SECTOR;

            if (draw(d, 2) == 0)
                simdisk_content_write(durable, change->bytes + at, size, change->offset + at);
        }
    } else {
        simdisk_content_write(durable, change->bytes, change->size, change->offset);
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
        simdisk_changes_drop(node);
        simdisk_content_copy(&node->seen, &node->durable);
    }
    memset(d->handles, 0, sizeof(d->handles));
    d->dead = false;
    d->power_steps = -1;
}
