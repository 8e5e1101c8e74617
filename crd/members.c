/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows lie directly below which: found once for each kind, as every object is walked by them,
 * and a new leader reads ten thousand.
 *
 *     slots    [ - | spec.scaling | - | spec | ... ]    by the hash of the path
 *                        |
 *     members  [ mode | replicas | minReplicas | ... | uri | ... ]    together, in the table's
 * order
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "crd/kinds.h"

enum {
    ROWS_MAX = 255, /* the most of any kind is some 130 */
    SLOT_COUNT = 512,
};
_Static_assert(SLOT_COUNT > ROWS_MAX + 1, "the search for a path that is not there ends");

struct slot {
    struct str path;               /* ptr NULL: the slot is free */
    const struct crd_field *field; /* NULL: the top, which has no row */
    struct crd_members members;
};

struct tree {
    struct crd_member members[ROWS_MAX];
    size_t member_count;
    struct slot slots[SLOT_COUNT];
};

static struct tree trees[CRD_KIND_COUNT];
static pthread_once_t trees_once = PTHREAD_ONCE_INIT;

/* The path's own, or the free one where it would be. */
static struct slot *slot_of(struct tree *tree, struct str path)
{
    size_t at = hash64(0, path.ptr, path.len) % SLOT_COUNT;

    while (tree->slots[at].path.ptr != NULL && !str_eq(tree->slots[at].path, path))
        at = (at + 1) % SLOT_COUNT;
    return &tree->slots[at];
}

static void add_slot(struct tree *tree, const struct crd_kind *kind, const char *path,
                     const struct crd_field *field)
{
    struct slot *slot = slot_of(tree, str_of(path));
    const struct crd_field *row;

    *slot = (struct slot){
        .path = str_of(path), .field = field, .members.all = &tree->members[tree->member_count]};
    for (size_t i = 0; (row = crd_field_at(kind, i)) != NULL; i++) {
        const char *name = crd_field_name_below(row, path);

        if (name == NULL)
            continue;
        tree->members[tree->member_count++] = (struct crd_member){name, row};
        slot->members.count++;
    }
}

static void grow(struct tree *tree, const struct crd_kind *kind)
{
    const struct crd_field *row;

    if (crd_field_at(kind, ROWS_MAX) != NULL)
        abort(); /* tables are constants: the first test of it tells */
    add_slot(tree, kind, "", NULL);
    for (size_t i = 0; (row = crd_field_at(kind, i)) != NULL; i++)
        add_slot(tree, kind, row->path, row);
}

static void grow_all(void)
{
    for (size_t i = 0; i < CRD_KIND_COUNT; i++)
        grow(&trees[crd_kinds[i]->id], crd_kinds[i]);
}

static const struct slot *find(const struct crd_kind *kind, struct str path)
{
    (void)pthread_once(&trees_once, grow_all);
    return slot_of(&trees[kind->id], path);
}

const struct crd_field *crd_field_find(const struct crd_kind *kind, struct str path)
{
    return find(kind, path)->field;
}

struct crd_members crd_members(const struct crd_kind *kind, struct str path)
{
    return find(kind, path)->members;
}
