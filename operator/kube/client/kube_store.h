/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of one kind: compact structs by namespace and name, with indexes. A caller's
 * callback makes the struct from the tree, which is dropped. Fed by events one at a time, or by a
 * list that takes effect as a whole at its end:
 *
 *     begin -> add, add, add ... -> commit: tells ADDED, MODIFIED, and DELETED for what is missing
 *                          \-> abort: nothing changed
 *
 * An object of equal uid and resourceVersion is not decoded again and tells no change. A name with
 * another uid is another object: DELETED, then ADDED. Not thread-safe.
 */
#ifndef SPATE_OPERATOR_KUBE_STORE_H
#define SPATE_OPERATOR_KUBE_STORE_H

#include "base/str.h"
#include "operator/kube/client/kube_object.h"

enum {
    KUBE_STORE_OBJECTS_MAX = 200000,
    KUBE_INDEXES_MAX = 4,
};

enum kube_change { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED };

struct kube_entry;

/* The place of an entry among those of equal value in one index; private. */
struct kube_index_link {
    struct kube_entry *next, *back;
};

/* One object. Owned by the store; valid until its next change. There may be a hundred thousand, so
 * its texts lie behind its links, one after the other: read them with the functions below. */
struct kube_entry {
    void *object;  /* what decode made */
    uint32_t list; /* private, as the rest: the last list that held it */
    uint32_t uid_len;
    uint16_t key_len;
    uint16_t space_len;
    uint8_t link_count;
    struct kube_index_link links[]; /* one for each index of the type */
};

/* "namespace/name", or "name". */
static inline const char *kube_entry_key(const struct kube_entry *entry)
{
    return (const char *)(entry->links + entry->link_count);
}

static inline const char *kube_entry_uid(const struct kube_entry *entry)
{
    return kube_entry_key(entry) + entry->key_len + 1;
}

static inline const char *kube_entry_version(const struct kube_entry *entry)
{
    return kube_entry_uid(entry) + entry->uid_len + 1;
}

static inline struct str kube_entry_space(const struct kube_entry *entry)
{
    return (struct str){kube_entry_key(entry), entry->space_len};
}

static inline struct str kube_entry_name(const struct kube_entry *entry)
{
    size_t from = entry->space_len > 0 ? (size_t)entry->space_len + 1 : 0;

    return (struct str){kube_entry_key(entry) + from, entry->key_len - from};
}

/* What the owner of a kind brings. Borrowed: must outlive the store. */
struct kube_store_type {
    /* Makes the compact struct; tolerant of fields that are missing or new. -ERR_NO_MEMORY is tried
     * again later; any other failure leaves out this object alone (on_refused). */
    int (*decode)(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                  struct err *err);
    void (*release)(void *user, void *object);
    /* The value of an object in each index; empty: it is not in this one. Borrowed from it. */
    struct str (*index[KUBE_INDEXES_MAX])(const void *object);
};

struct kube_store_options {
    const struct kube_store_type *type;
    void *user;
    /* May be NULL. `before` is the struct that was replaced (MODIFIED only); entry->object of a
     * DELETED one is the last that was seen, and `unseen` says that its end was not seen: a list
     * missed it. The store must not be changed inside. */
    void (*on_change)(void *user, enum kube_change change, const struct kube_entry *entry,
                      const void *before, bool unseen);
    void (*on_refused)(void *user, const struct kube_meta *meta, const struct err *err);
};

struct kube_store;

int kube_store_new(struct kube_store **out, const struct kube_store_options *options,
                   struct err *err);
void kube_store_free(struct kube_store *s); /* tells nothing; NULL is allowed */

/* -ERR_NO_MEMORY, -ERR_LIMIT: the store is unchanged and must be listed anew. */
int kube_store_put(struct kube_store *s, const json_t *object, const struct kube_meta *meta,
                   struct err *err);
void kube_store_remove(struct kube_store *s, const struct kube_meta *meta);

void kube_store_list_begin(struct kube_store *s); /* drops an unfinished one */
int kube_store_list_add(struct kube_store *s, const json_t *object, const struct kube_meta *meta,
                        struct err *err);
/* An object of the list was deleted before the list ended (streaming lists). */
void kube_store_list_remove(struct kube_store *s, const struct kube_meta *meta);
void kube_store_list_abort(struct kube_store *s);
/* -ERR_NO_MEMORY, -ERR_LIMIT: changes up to there were told; the list must be made anew. */
int kube_store_list_commit(struct kube_store *s, struct err *err);

size_t kube_store_count(const struct kube_store *s);
/* NULL if absent. An empty namespace: a cluster-scoped object. */
const struct kube_entry *kube_store_get(const struct kube_store *s, struct str name_space,
                                        struct str name);
/* for (size_t at = 0; (entry = kube_store_next(s, &at)) != NULL;): all, in no order. */
const struct kube_entry *kube_store_next(const struct kube_store *s, size_t *at);
/* The first of a value in an index, then the next: all entries of that value, in no order. */
const struct kube_entry *kube_store_index_first(const struct kube_store *s, int index,
                                                struct str value);
const struct kube_entry *kube_store_index_next(const struct kube_entry *entry, int index);

#endif
