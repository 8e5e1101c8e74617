/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the failing disk share; see simdisk.c for the picture. The lock is held by the
 * caller of all of these. */
#ifndef SPATE_TESTS_SIMDISK_PARTS_H
#define SPATE_TESTS_SIMDISK_PARTS_H

#include <pthread.h>

#include "simdisk.h"

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

void simdisk_content_resize(struct content *c, size_t size);
void simdisk_content_write(struct content *c, const char *bytes, size_t size, uint64_t offset);
void simdisk_content_copy(struct content *to, const struct content *from);
void simdisk_changes_drop(struct node *node);
void simdisk_change_add(struct node *node, const struct change *change);
struct name *simdisk_name_find(struct name *names, const char *path);
void simdisk_folder_sync(struct simdisk *d);
void simdisk_folder_change(struct simdisk *d, const char *removed, const char *added,
                           struct node *node);
int simdisk_step(struct simdisk *d);
bool simdisk_fits(struct simdisk *d, const struct node *node, uint64_t end);
struct node *simdisk_node_new(struct simdisk *d);

#endif
