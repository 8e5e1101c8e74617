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
    struct set entries; /* by key */
    struct kube_index index[KUBE_INDEXES_MAX];
    int index_count;
    struct set listed; /* by key: new entries, or the store's own. The list that is being read */
    uint32_t list;     /* number of that list */
    bool listing;
};

/* --- entries ---------------------------------------------------------------------------------- */

static struct str key_of(const void *user, const void *item)
{
    const struct kube_entry *entry = item;

    (void)user;
    return (struct str){kube_entry_key(entry), entry->key_len};
}

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
static void place(char **at, struct str text)
{
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
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
    entry->link_count = (uint8_t)s->index_count;
    entry->key_len = (uint16_t)key.len;
    entry->space_len = (uint16_t)meta->name_space.len;
    entry->uid_len = (uint32_t)meta->uid.len;
    at = (char *)(entry->links + s->index_count);
    place(&at, key);
    place(&at, meta->uid);
    place(&at, meta->resource_version);
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
    return str_is(meta->uid, kube_entry_uid(entry));
}

static bool same_version(const struct kube_entry *entry, const struct kube_meta *meta)
{
    return same_object(entry, meta) && str_is(meta->resource_version, kube_entry_version(entry));
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
        if (s->options.type->index[i] != NULL && kube_index_add(&s->index[i], entry) < 0) {
            kube_index_remove_all(s->index, entry);
            return err_no_memory(err);
        }
    }
    return 0;
}

/* Takes the entry off and frees it, after it was told. */
static void drop(struct kube_store *s, struct kube_entry *entry, bool unseen)
{
    (void)set_remove(&s->entries, key_of(NULL, entry));
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
    r = set_put(&s->entries, fresh, NULL);
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
    if (strcmp(kube_entry_uid(old), kube_entry_uid(fresh)) == 0) {
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
    struct kube_entry *old = set_get(&s->entries, key);
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
    struct kube_entry *old = set_get(&s->entries, make_key(space, meta->name_space, meta->name));

    /* The end of an object whose name another one has already tells nothing new. */
    if (old != NULL && (meta->uid.len == 0 || same_object(old, meta)))
        drop(s, old, false);
}

/* --- lists ------------------------------------------------------------------------------------ */

static void listed_free(struct kube_store *s, struct kube_entry *listed)
{
    if (listed != NULL && set_get(&s->entries, key_of(NULL, listed)) != listed)
        entry_free(s, listed);
}

void kube_store_list_abort(struct kube_store *s)
{
    struct kube_entry *listed;

    for (size_t at = 0; (listed = set_next(&s->listed, &at)) != NULL;)
        listed_free(s, listed);
    set_fini(&s->listed);
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
    struct kube_entry *old = set_get(&s->entries, key);
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
    r = set_put(&s->listed, listed, &before);
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

    listed_free(s, set_remove(&s->listed, key));
}

/* Moves what is new in the list into the store; marks everything that the list holds. */
static int take_listed(struct kube_store *s, struct err *err)
{
    struct kube_entry *listed;

    for (size_t at = 0; (listed = set_next(&s->listed, &at)) != NULL;) {
        struct kube_entry *old = set_get(&s->entries, key_of(NULL, listed));
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
    struct kube_entry *entry;

    while ((entry = set_next(&s->entries, at)) != NULL) {
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

    return set_get(&s->entries, make_key(space, name_space, name));
}

const struct kube_entry *kube_store_next(const struct kube_store *s, size_t *at)
{
    return set_next(&s->entries, at);
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
    set_init(&s->entries, KUBE_STORE_OBJECTS_MAX, key_of, NULL);
    set_init(&s->listed, KUBE_STORE_OBJECTS_MAX, key_of, NULL);
    for (int i = 0; i < KUBE_INDEXES_MAX; i++) {
        kube_index_init(&s->index[i], i, options->type->index[i]);
        if (options->type->index[i] != NULL)
            s->index_count = i + 1;
    }
    *out = s;
    return 0;
}

void kube_store_free(struct kube_store *s)
{
    struct kube_entry *entry;

    if (s == NULL)
        return;
    kube_store_list_abort(s);
    for (size_t at = 0; (entry = set_next(&s->entries, &at)) != NULL;) {
        kube_index_remove_all(s->index, entry);
        entry_free(s, entry);
    }
    set_fini(&s->entries);
    for (int i = 0; i < KUBE_INDEXES_MAX; i++)
        kube_index_fini(&s->index[i]);
    mem_free(s);
}
