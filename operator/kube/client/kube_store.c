/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one kind: see kube_store.h. A list that is being read lives beside the store: for each
 * object it names, either a new entry, or the note that the entry in the store is the same one.
 */
#include "operator/kube/client/kube_store.h"

#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_index.h"

enum { KEY_MAX = 64 + 256 };

struct kube_store {
    struct kube_store_options options;
    struct map entries; /* key -> entry */
    struct kube_index index[KUBE_INDEXES_MAX];
    int index_count;
    struct map listed; /* key -> a new entry, or the store's own: the list that is being read */
    uint64_t list;     /* number of that list */
    bool listing;
};

/* --- entries ---------------------------------------------------------------------------------- */

static void entry_free(struct kube_store *s, struct kube_entry *entry)
{
    if (entry == NULL)
        return;
    if (entry->object != NULL)
        s->options.type->release(s->options.user, entry->object);
    mem_free(entry);
}

/* "namespace/name", or "name"; an empty view if it can't be one. */
static struct str make_key(char space[KEY_MAX], struct str name_space, struct str name)
{
    size_t length = 0;

    if (name_space.len + 1 + name.len >= KEY_MAX || name.len == 0)
        return STR_NONE;
    if (name_space.len > 0) {
        memcpy(space, name_space.ptr, name_space.len);
        space[name_space.len] = '/';
        length = name_space.len + 1;
    }
    memcpy(space + length, name.ptr, name.len);
    length += name.len;
    space[length] = '\0';
    return (struct str){space, length};
}

/* Appends a text and its NUL at *at. */
static const char *place(char **at, struct str text)
{
    char *start = *at;

    memcpy(start, text.ptr != NULL ? text.ptr : "", text.len);
    start[text.len] = '\0';
    *at = start + text.len + 1;
    return start;
}

/* Without its struct. One allocation: there may be a hundred thousand of them. */
static int entry_new(struct kube_entry **out, const struct kube_store *s, struct str key,
                     const struct kube_meta *meta, struct err *err)
{
    size_t links = (size_t)s->index_count * sizeof(struct kube_index_link);
    size_t texts = key.len + meta->uid.len + meta->resource_version.len + 3;
    struct kube_entry *entry = mem_alloc(sizeof(*entry) + links + texts);
    char *at;

    if (entry == NULL)
        return err_no_memory(err);
    entry->link_count = s->index_count;
    at = (char *)(entry->links + s->index_count);
    entry->key = place(&at, key);
    entry->uid = place(&at, meta->uid);
    entry->resource_version = place(&at, meta->resource_version);
    entry->name_space = (struct str){entry->key, meta->name_space.len};
    entry->name = (struct str){entry->key + key.len - meta->name.len, meta->name.len};
    *out = entry;
    return 0;
}

/* 0 with *out NULL: the object was refused by its owner, who was told. */
static int entry_make(struct kube_store *s, struct kube_entry **out, struct str key,
                      const json_t *object, const struct kube_meta *meta, struct err *err)
{
    struct kube_entry *entry = NULL;
    struct err inner = {0};
    void *compact = NULL;
    int r = s->options.type->decode(s->options.user, object, meta, &compact, &inner);

    *out = NULL;
    if (r == -ERR_NO_MEMORY)
        return err_no_memory(err);
    if (r < 0) {
        if (s->options.on_refused != NULL)
            s->options.on_refused(s->options.user, meta, &inner);
        return 0;
    }
    r = entry_new(&entry, s, key, meta, err);
    if (r < 0) {
        s->options.type->release(s->options.user, compact);
        return r;
    }
    entry->object = compact;
    *out = entry;
    return 0;
}

static bool same_object(const struct kube_entry *entry, const struct kube_meta *meta)
{
    return str_is(meta->uid, entry->uid);
}

static bool same_version(const struct kube_entry *entry, const struct kube_meta *meta)
{
    return same_object(entry, meta) && str_is(meta->resource_version, entry->resource_version);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void tell(struct kube_store *s, enum kube_change change, const struct kube_entry *entry,
                 const void *before, bool unseen)
{
    if (s->options.on_change != NULL)
        s->options.on_change(s->options.user, change, entry, before, unseen);
}

static int link_entry(struct kube_store *s, struct kube_entry *entry, struct err *err)
{
    for (int i = 0; i < s->index_count; i++) {
        int r = 0;

        if (s->options.type->index[i] != NULL)
            r = kube_index_add(&s->index[i], i, s->options.type->index[i](entry->object), entry);
        if (r < 0) {
            kube_index_remove_all(s->index, entry);
            return err_no_memory(err);
        }
    }
    return 0;
}

/* Takes the entry off and frees it, after it was told. */
static void drop(struct kube_store *s, struct kube_entry *entry, bool unseen)
{
    (void)map_remove(&s->entries, str_of(entry->key));
    kube_index_remove_all(s->index, entry);
    tell(s, KUBE_DELETED, entry, NULL, unseen);
    entry_free(s, entry);
}

/* Puts a new entry in the place of `old` (may be NULL: the name was free). Takes `fresh` over if it
 * succeeds; else the store is as it was. */
static int replace(struct kube_store *s, struct kube_entry *fresh, struct kube_entry *old,
                   struct err *err)
{
    int r = link_entry(s, fresh, err);

    if (r < 0)
        return r;
    r = map_put(&s->entries, str_of(fresh->key), fresh, NULL);
    if (r < 0) {
        kube_index_remove_all(s->index, fresh);
        return r == -ERR_NO_MEMORY ? err_no_memory(err)
                                   : err_set(err, ERR_LIMIT, "more than %d objects of one kind",
                                             KUBE_STORE_OBJECTS_MAX);
    }
    if (old == NULL) {
        tell(s, KUBE_ADDED, fresh, NULL, false);
        return 0;
    }
    kube_index_remove_all(s->index, old);
    if (strcmp(old->uid, fresh->uid) == 0) {
        tell(s, KUBE_MODIFIED, fresh, old->object, false);
    } else {
        tell(s, KUBE_DELETED, old, NULL, true);
        tell(s, KUBE_ADDED, fresh, NULL, false);
    }
    entry_free(s, old);
    return 0;
}

int kube_store_put(struct kube_store *s, const json_t *object, const struct kube_meta *meta,
                   struct err *err)
{
    char space[KEY_MAX];
    struct str key = make_key(space, meta->name_space, meta->name);
    struct kube_entry *old = map_get(&s->entries, key);
    struct kube_entry *fresh = NULL;
    int r;

    if (key.len == 0)
        return 0; /* no name of Kubernetes */
    if (old != NULL && same_version(old, meta))
        return 0;
    r = entry_make(s, &fresh, key, object, meta, err);
    if (r < 0 || fresh == NULL)
        return r;
    r = replace(s, fresh, old, err);
    if (r < 0)
        entry_free(s, fresh);
    return r;
}

void kube_store_remove(struct kube_store *s, const struct kube_meta *meta)
{
    char space[KEY_MAX];
    struct kube_entry *old = map_get(&s->entries, make_key(space, meta->name_space, meta->name));

    /* The end of an object whose name another one has already tells nothing new. */
    if (old != NULL && (meta->uid.len == 0 || same_object(old, meta)))
        drop(s, old, false);
}

/* --- lists ------------------------------------------------------------------------------------ */

static void listed_free(struct kube_store *s, struct kube_entry *listed)
{
    if (listed != NULL && map_get(&s->entries, str_of(listed->key)) != listed)
        entry_free(s, listed);
}

void kube_store_list_abort(struct kube_store *s)
{
    struct map_entry *slot;

    for (size_t at = 0; (slot = map_next(&s->listed, &at)) != NULL;)
        listed_free(s, slot->value);
    map_fini(&s->listed);
    map_init(&s->listed, KUBE_STORE_OBJECTS_MAX);
    s->listing = false;
}

void kube_store_list_begin(struct kube_store *s)
{
    kube_store_list_abort(s);
    s->list++;
    s->listing = true;
}

/* What the list says about this name: the store's own entry if nothing changed, else a new one. */
static int make_listed(struct kube_store *s, struct kube_entry **out, struct str key,
                       const json_t *object, const struct kube_meta *meta, struct err *err)
{
    struct kube_entry *old = map_get(&s->entries, key);
    int r;

    if (old != NULL && same_version(old, meta)) {
        *out = old;
        return 0;
    }
    r = entry_make(s, out, key, object, meta, err);
    /* Refused now, but good before: the last good view stays. */
    if (r == 0 && *out == NULL && old != NULL && same_object(old, meta))
        *out = old;
    return r;
}

int kube_store_list_add(struct kube_store *s, const json_t *object, const struct kube_meta *meta,
                        struct err *err)
{
    char space[KEY_MAX];
    struct str key = make_key(space, meta->name_space, meta->name);
    struct kube_entry *listed = NULL;
    void *before = NULL;
    int r;

    if (key.len == 0)
        return 0;
    r = make_listed(s, &listed, key, object, meta, err);
    if (r < 0 || listed == NULL)
        return r;
    r = map_put(&s->listed, key, listed, &before);
    if (r < 0) {
        listed_free(s, listed);
        return r == -ERR_NO_MEMORY ? err_no_memory(err)
                                   : err_set(err, ERR_LIMIT, "more than %d objects of one kind",
                                             KUBE_STORE_OBJECTS_MAX);
    }
    if (before != listed)
        listed_free(s, before);
    return 0;
}

void kube_store_list_remove(struct kube_store *s, const struct kube_meta *meta)
{
    char space[KEY_MAX];
    struct str key = make_key(space, meta->name_space, meta->name);

    listed_free(s, map_remove(&s->listed, key));
}

/* Moves what is new in the list into the store; marks everything that the list holds. */
static int take_listed(struct kube_store *s, struct err *err)
{
    struct map_entry *slot;

    for (size_t at = 0; (slot = map_next(&s->listed, &at)) != NULL;) {
        struct kube_entry *listed = slot->value;
        struct kube_entry *old = map_get(&s->entries, str_of(listed->key));
        int r;

        listed->list = s->list;
        r = listed == old ? 0 : replace(s, listed, old, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static struct kube_entry *find_unlisted(struct kube_store *s, size_t *at)
{
    struct map_entry *slot;

    while ((slot = map_next(&s->entries, at)) != NULL) {
        struct kube_entry *entry = slot->value;

        if (entry->list != s->list)
            return entry;
    }
    return NULL;
}

/* Removing moves slots of the map, so what is to go is gathered first. */
static int drop_unlisted(struct kube_store *s, struct err *err)
{
    CLEANUP(mem_freep) struct kube_entry **gone = NULL;
    struct kube_entry *entry;
    size_t count = 0;
    size_t at = 0;

    while (find_unlisted(s, &at) != NULL)
        count++;
    if (count == 0)
        return 0;
    gone = mem_array(count, sizeof(*gone));
    if (gone == NULL)
        return err_no_memory(err);
    at = 0;
    for (size_t i = 0; (entry = find_unlisted(s, &at)) != NULL; i++)
        gone[i] = entry;
    for (size_t i = 0; i < count; i++)
        drop(s, gone[i], true);
    return 0;
}

int kube_store_list_commit(struct kube_store *s, struct err *err)
{
    int r = take_listed(s, err);

    if (r == 0)
        r = drop_unlisted(s, err);
    kube_store_list_abort(s); /* frees what was not taken */
    return r;
}

/* --- reading ---------------------------------------------------------------------------------- */

size_t kube_store_count(const struct kube_store *s)
{
    return s->entries.count;
}

const struct kube_entry *kube_store_get(const struct kube_store *s, struct str name_space,
                                        struct str name)
{
    char space[KEY_MAX];

    return map_get(&s->entries, make_key(space, name_space, name));
}

const struct kube_entry *kube_store_next(const struct kube_store *s, size_t *at)
{
    struct map_entry *slot = map_next(&s->entries, at);

    return slot != NULL ? slot->value : NULL;
}

const struct kube_entry *kube_store_index_first(const struct kube_store *s, int index,
                                                struct str value)
{
    return kube_index_first(&s->index[index], value);
}

const struct kube_entry *kube_store_index_next(const struct kube_entry *entry, int index)
{
    return entry->links[index].next;
}

/* --- life ------------------------------------------------------------------------------------- */

int kube_store_new(struct kube_store **out, const struct kube_store_options *options,
                   struct err *err)
{
    struct kube_store *s = mem_alloc(sizeof(*s));

    if (s == NULL)
        return err_no_memory(err);
    s->options = *options;
    map_init(&s->entries, KUBE_STORE_OBJECTS_MAX);
    map_init(&s->listed, KUBE_STORE_OBJECTS_MAX);
    for (int i = 0; i < KUBE_INDEXES_MAX; i++) {
        kube_index_init(&s->index[i]);
        if (options->type->index[i] != NULL)
            s->index_count = i + 1;
    }
    *out = s;
    return 0;
}

void kube_store_free(struct kube_store *s)
{
    struct map_entry *slot;

    if (s == NULL)
        return;
    kube_store_list_abort(s);
    for (size_t at = 0; (slot = map_next(&s->entries, &at)) != NULL;) {
        kube_index_remove_all(s->index, slot->value);
        entry_free(s, slot->value);
    }
    map_fini(&s->entries);
    map_fini(&s->listed);
    for (int i = 0; i < KUBE_INDEXES_MAX; i++)
        kube_index_fini(&s->index[i]);
    mem_free(s);
}
