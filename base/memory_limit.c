/* SPDX-License-Identifier: Apache-2.0 */
/* See memory_limit.h. */
#include "base/memory_limit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum { FILE_BYTES_MAX = 64 << 10, KIB = 1024 };

/* A hierarchy of groups that may hold the limits. `swap` bounds swap alone, `both` the sum. */
static const struct hierarchy {
    const char *controller;
    const char *mount;
    const char *memory;
    const char *swap;
    const char *both;
} hierarchies[] = {
    {NULL, "/sys/fs/cgroup", "memory.max", "memory.swap.max", NULL},
    {"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", NULL,
     "memory.memsw.limit_in_bytes"},
};

/* The smallest of each found so far; UINT64_MAX: none. */
struct limits {
    uint64_t memory;
    uint64_t swap;
    uint64_t both;
};

/* --- parsers -------------------------------------------------------------------------------- */

/* A line is "NUMBER:CONTROLLERS:PATH", the controllers of version 2 being none. */
static bool is_of(struct str controllers, const char *wanted)
{
    if (wanted == NULL)
        return controllers.len == 0;
    while (controllers.ptr != NULL) {
        if (str_is(str_cut(&controllers, ','), wanted))
            return true;
    }
    return false;
}

/* A group outside of our namespace shows as "/../name", which leads out of the mount. */
static bool leads_upwards(struct str path)
{
    while (path.ptr != NULL) {
        if (str_is(str_cut(&path, '/'), ".."))
            return true;
    }
    return false;
}

struct str memory_limit_group(struct str text, const char *controller)
{
    while (text.ptr != NULL) {
        struct str path = str_cut(&text, '\n');
        struct str number = str_cut(&path, ':');
        struct str controllers = path.ptr == NULL ? STR_NONE : str_cut(&path, ':');

        if (number.len == 0 || path.ptr == NULL || !is_of(controllers, controller))
            continue;
        if (path.len == 0 || path.ptr[0] != '/' || leads_upwards(path))
            return STR_NONE;
        return path;
    }
    return STR_NONE;
}

bool memory_limit_number(struct str text, uint64_t *out)
{
    struct str word = str_trim(text);

    if (str_is(word, "max")) {
        *out = UINT64_MAX;
        return true;
    }
    return str_to_u64(word, out);
}

bool memory_limit_meminfo(struct str text, const char *name, uint64_t *out)
{
    while (text.ptr != NULL) {
        struct str rest = str_cut(&text, '\n');
        uint64_t kib = 0;

        if (!str_is(str_cut(&rest, ':'), name))
            continue;
        rest = str_trim(rest);
        if (!str_to_u64(str_cut(&rest, ' '), &kib) || !str_is(rest, "kB") || kib > UINT64_MAX / KIB)
            return false;
        *out = kib * KIB;
        return true;
    }
    return false;
}

/* --- files ---------------------------------------------------------------------------------- */

/* False if it can't be read, for whatever reason. */
static bool read_small(struct buf *out, const char *path)
{
    buf_init(out, FILE_BYTES_MAX);
    return file_read(path, out, NULL) == 0;
}

static void lower(uint64_t *lowest, const char *root, const struct hierarchy *h, struct str group,
                  const char *name)
{
    CLEANUP(buf_fini) struct buf text = {0};
    char path[PATH_MAX];
    uint64_t value;
    int length;

    if (name == NULL)
        return;
    length = snprintf(path, sizeof(path), "%s%s%.*s/%s", root, h->mount, STR_ARG(group), name);
    if (length < 0 || (size_t)length >= sizeof(path) || !read_small(&text, path))
        return;
    if (memory_limit_number(buf_str(&text), &value) && value < *lowest)
        *lowest = value;
}

/* From the process's own group up to the top of the mount. */
static void look_at(struct limits *limits, const char *root, const struct hierarchy *h,
                    struct str groups)
{
    struct str group = memory_limit_group(groups, h->controller);

    for (;;) {
        while (group.len > 0 && group.ptr[group.len - 1] == '/')
            group.len--;
        lower(&limits->memory, root, h, group, h->memory);
        lower(&limits->swap, root, h, group, h->swap);
        lower(&limits->both, root, h, group, h->both);
        if (group.len == 0)
            return;
        while (group.ptr[group.len - 1] != '/')
            group.len--;
    }
}

static void read_machine(const char *root, uint64_t *memory, uint64_t *swap)
{
    CLEANUP(buf_fini) struct buf text = {0};
    char path[PATH_MAX];

    *memory = UINT64_MAX;
    *swap = 0;
    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    if (!read_small(&text, path))
        return;
    (void)memory_limit_meminfo(buf_str(&text), "MemTotal", memory);
    (void)memory_limit_meminfo(buf_str(&text), "SwapTotal", swap);
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t both;

    return __builtin_add_overflow(a, b, &both) ? UINT64_MAX : both;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int memory_limit_find(struct memory_limit *out, const char *root)
{
    CLEANUP(buf_fini) struct buf groups = {0};
    struct limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    char path[PATH_MAX];
    uint64_t memory, swap, machine, allowed;

    read_machine(root, &memory, &swap);
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    (void)read_small(&groups, path);
    for (size_t i = 0; i < ARRAY_COUNT(hierarchies); i++)
        look_at(&limits, root, &hierarchies[i], buf_str(&groups));
    machine = sum(memory, swap);
    allowed = least(sum(limits.memory, least(limits.swap, swap)), limits.both);
    if (machine == UINT64_MAX && allowed == UINT64_MAX)
        return -ERR_NOT_FOUND;
    *out = (struct memory_limit){
        .bytes = least(allowed, machine),
        .is_machine = allowed >= machine,
    };
    return 0;
}
