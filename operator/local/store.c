/* SPDX-License-Identifier: Apache-2.0 */
/* The object store: what is in force in a map, changes in a FIFO, one at a time in the pool. */
#include "operator/local/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "operator/common/must.h"

enum { KEY_MAX = 256, OBJECT_TEXT_MAX = 16 << 20 };

enum verb { VERB_APPLY, VERB_STATUS, VERB_DELETE };

struct change {
    struct store *store;
    enum verb verb;
    struct crd_object *wanted; /* as given; NULL for a deletion */
    json_t *status;
    char key[KEY_MAX];
    bool create_only, dry_run;
    store_done done;
    void *user;
    struct change *next;

    /* While it is carried out: */
    struct crd_object *result;
    bool created;
    char *path, *text; /* for the pool; text NULL: remove the file */
    int code;
    struct err err;
};

struct store {
    struct loop *loop;
    const struct clock *clock;
    const struct rng *rng;
    char *folder;
    struct map objects; /* "plural/namespace_name" -> crd_object */
    uint64_t version;
    struct change *first, *last;
    size_t waiting;
    bool busy; /* a change is in the pool */
    struct loop_deferred start;
    struct store_watcher *watchers;
};

static void make_key(const struct crd_kind *kind, struct str name_space, struct str name,
                     char out[KEY_MAX])
{
    if (kind->namespaced)
        snprintf(out, KEY_MAX, "%s/%.*s_%.*s", kind->plural, STR_ARG(name_space), STR_ARG(name));
    else
        snprintf(out, KEY_MAX, "%s/%.*s", kind->plural, STR_ARG(name));
}

static void key_of(const struct crd_object *object, char out[KEY_MAX])
{
    make_key(object->kind, str_of(object->name_space), str_of(object->name), out);
}

static char *path_of(const struct store *s, const char *key)
{
    char name[KEY_MAX + 8];

    snprintf(name, sizeof(name), "%s.json", key);
    return must(path_join(s->folder, name));
}

/* --- reading ---------------------------------------------------------------------------------- */

static int read_object(struct store *s, const char *path, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *tree = NULL;
    uint64_t version = 0;
    char key[KEY_MAX];
    int r;

    buf_init(&text, OBJECT_TEXT_MAX);
    r = file_read(path, &text, err);
    if (r == 0)
        r = json_read(&tree, buf_str(&text), &json_limits_default, path, err);
    if (r == 0)
        r = crd_object_read(&object, tree, NULL, NULL, err);
    if (r < 0)
        return err_wrap(err, r, "%s", path);
    if (str_to_u64(str_of(object->resource_version), &version) && version > s->version)
        s->version = version;
    key_of(object, key);
    r = map_put(&s->objects, str_of(key), object, NULL);
    if (r < 0)
        return err_set(err, ERR_LIMIT, "%s: more than %d objects", path, STORE_OBJECTS_MAX);
    (void)STEAL(object);
    return 0;
}

/* A file that can't be read is left where it is, and said: nothing is thrown away. */
static int read_folder(struct store *s, const char *plural, struct err *err)
{
    CLEANUP(mem_freep) char *folder = path_join(s->folder, plural);
    struct dirent *entry;
    DIR *dir;
    int r = folder == NULL ? err_no_memory(err) : file_make_folder(folder, err);

    if (r == 0)
        r = file_sweep_temporaries(folder, err);
    if (r < 0)
        return r;
    dir = opendir(folder);
    if (dir == NULL)
        return err_errno(err, errno, "%s", folder);
    while ((entry = readdir(dir)) != NULL) {
        CLEANUP(mem_freep) char *path = NULL;
        struct err why = {0};

        if (!str_ends(str_of(entry->d_name), STR(".json")))
            continue;
        path = must(path_join(folder, entry->d_name));
        if (read_object(s, path, &why) < 0)
            log_error("a stored object can't be read; correct or remove its file", LOG_ERR(&why));
    }
    closedir(dir);
    return 0;
}

static void run_next(void *object);

int store_open(struct store **out, struct loop *loop, const char *folder, const struct clock *clock,
               const struct rng *rng, struct err *err)
{
    struct store *s = mem_alloc(sizeof(*s));
    uint64_t by_time = (uint64_t)clock_wall_ms(clock);
    int r = 0;

    if (s == NULL)
        return err_no_memory(err);
    s->loop = loop;
    s->clock = clock;
    s->rng = rng;
    s->folder = must(path_join(folder, "objects"));
    map_init(&s->objects, STORE_OBJECTS_MAX);
    loop_deferred_init(&s->start, run_next, s);
    for (int i = 0; r == 0 && i < CRD_KIND_COUNT; i++)
        r = read_folder(s, crd_kinds[i]->plural, err);
    /* Versions that a deletion took with it are not used again. */
    if (s->version < by_time)
        s->version = by_time;
    if (r < 0) {
        store_close(s);
        return r;
    }
    *out = s;
    return 0;
}

/* --- one change ------------------------------------------------------------------------------- */

static void change_free(struct change *c)
{
    crd_object_unref(c->wanted);
    crd_object_unref(c->result);
    json_decref(c->status);
    mem_free(c->path);
    mem_free(c->text);
    mem_free(c);
}

static struct crd_object *copy_of(const struct crd_object *object)
{
    struct crd_object *copy = NULL;

    (void)must(crd_object_copy(&copy, object, NULL) == 0 ? copy : NULL);
    return copy;
}

static void stamp(struct store *s, struct crd_object *object)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)++s->version);
    must_replace(&object->resource_version, str_of(text));
}

static int apply(struct store *s, struct change *c, const struct crd_object *present)
{
    struct crd_object *object = copy_of(c->wanted);
    const char *version = object->resource_version;

    c->result = object;
    if (present == NULL) {
        char uid[ID_TEXT_LEN + 1];

        if (version[0] != '\0')
            return err_set(&c->err, ERR_NOT_FOUND,
                           "%s \"%s\" not found; leave resourceVersion out "
                           "to create it",
                           object->kind->plural, object->name);
        id_format(id_make(s->clock, s->rng), uid);
        must_replace(&object->uid, str_of(uid));
        object->created_ms = clock_wall_ms(s->clock);
        object->generation = 1;
        json_decref(object->status);
        object->status = NULL;
        c->created = true;
        return 0;
    }
    if (c->create_only)
        return err_set(&c->err, ERR_EXISTS, "%s \"%s\" already exists", object->kind->plural,
                       object->name);
    if (version[0] != '\0' && strcmp(version, present->resource_version) != 0)
        return err_set(&c->err, ERR_CONFLICT,
                       "%s \"%s\" was changed meanwhile: get it again and repeat the change",
                       object->kind->plural, object->name);
    must_replace(&object->uid, str_of(present->uid));
    object->created_ms = present->created_ms;
    object->generation = present->generation + (crd_spec_equal(present, object) ? 0 : 1);
    json_decref(object->status);
    object->status = present->status != NULL ? json_deep_copy(present->status) : NULL;
    return 0;
}

static int put_status(struct change *c, const struct crd_object *present)
{
    if (present == NULL || strcmp(present->uid, c->wanted->uid) != 0)
        return err_set(&c->err, ERR_NOT_FOUND, "%s \"%s\" not found", c->wanted->kind->plural,
                       c->wanted->name);
    if (strcmp(present->resource_version, c->wanted->resource_version) != 0)
        return err_set(&c->err, ERR_CONFLICT, "%s \"%s\" was changed meanwhile",
                       c->wanted->kind->plural, c->wanted->name);
    c->result = copy_of(present);
    json_decref(c->result->status);
    c->result->status = json_incref(c->status);
    return 0;
}

/* Decides what the change comes to. 1: there is something to write. */
static int prepare(struct store *s, struct change *c)
{
    struct crd_object *present = map_get(&s->objects, str_of(c->key));
    int r = 0;

    switch (c->verb) {
    case VERB_APPLY:
        r = apply(s, c, present);
        if (r == 0 && present != NULL && crd_spec_equal(present, c->result) &&
            json_equal(present->labels, c->result->labels) &&
            json_equal(present->annotations, c->result->annotations)) {
            crd_object_unref(c->result);
            c->result = crd_object_ref(present);
            return 0; /* nothing changes */
        }
        break;
    case VERB_STATUS:
        r = put_status(c, present);
        break;
    case VERB_DELETE:
        if (present == NULL)
            return err_set(&c->err, ERR_NOT_FOUND, "%s not found", c->key);
        c->result = copy_of(present);
        break;
    }
    if (r < 0 || c->dry_run)
        return r;
    stamp(s, c->result);
    c->path = path_of(s, c->key);
    if (c->verb != VERB_DELETE) {
        json_auto_t *tree = must(crd_object_tree(c->result));
        char *text = must(json_dumps(tree, JSON_INDENT(2)));

        c->text = must_text(str_of(text));
        free(text); /* jansson's */
    }
    return 1;
}

static void write_in_pool(void *object)
{
    struct change *c = object;

    if (c->text != NULL)
        c->code = file_write_atomic(c->path, str_of(c->text), 0600, &c->err);
    else if (unlink(c->path) < 0 && errno != ENOENT)
        c->code = err_errno(&c->err, errno, "%s", c->path);
}

static void tell(struct store *s, enum platform_change what, struct crd_object *object)
{
    struct store_watcher *next;

    for (struct store_watcher *w = s->watchers; w != NULL; w = next) {
        next = w->next;
        w->fn(w->user, what, object);
    }
}

static void take_effect(struct store *s, struct change *c)
{
    void *old = NULL;

    if (c->verb == VERB_DELETE) {
        old = map_remove(&s->objects, str_of(c->key));
    } else {
        if (map_put(&s->objects, str_of(c->key), c->result, &old) < 0) {
            c->code = err_set(&c->err, ERR_LIMIT, "more than %d objects", STORE_OBJECTS_MAX);
            return;
        }
        crd_object_ref(c->result);
    }
    tell(s,
         c->verb == VERB_DELETE ? PLATFORM_DELETED
         : c->created           ? PLATFORM_ADDED
                                : PLATFORM_MODIFIED,
         c->result);
    crd_object_unref(old);
}

static void answer(struct change *c)
{
    struct store_answer answer = {
        .code = c->code,
        .object = c->code == 0 ? c->result : NULL,
        .created = c->created,
        .err = c->code < 0 ? &c->err : NULL,
    };

    if (c->done != NULL)
        c->done(c->user, &answer);
    change_free(c);
}

static void written(void *object)
{
    struct change *c = object;
    struct store *s = c->store;

    s->busy = false;
    if (c->code == 0)
        take_effect(s, c);
    answer(c);
    loop_defer(s->loop, &s->start);
}

static void run_next(void *object)
{
    struct store *s = object;
    struct change *c = s->first;
    int r;

    if (s->busy || c == NULL)
        return;
    s->first = c->next;
    if (s->first == NULL)
        s->last = NULL;
    s->waiting--;
    r = prepare(s, c);
    if (r == 1) {
        s->busy = true;
        if (loop_work(s->loop, write_in_pool, written, c) == 0)
            return;
        s->busy = false;
        r = err_set(&c->err, ERR_BUSY, "too much work waits for the disk");
    }
    c->code = r;
    answer(c);
    loop_defer(s->loop, &s->start);
}

/* --- the door --------------------------------------------------------------------------------- */

static void add(struct store *s, const struct change *change)
{
    struct change *c = must(mem_dup(change, sizeof(*change)));

    c->store = s;
    if (s->last != NULL)
        s->last->next = c;
    else
        s->first = c;
    s->last = c;
    s->waiting++;
    loop_defer(s->loop, &s->start);
}

void store_apply(struct store *s, const struct crd_object *object, bool create_only, bool dry_run,
                 store_done done, void *user)
{
    struct change c = {
        .verb = VERB_APPLY,
        .wanted = copy_of(object),
        .create_only = create_only,
        .dry_run = dry_run,
        .done = done,
        .user = user,
    };

    key_of(object, c.key);
    add(s, &c);
}

void store_put_status(struct store *s, const struct crd_object *object, json_t *status,
                      store_done done, void *user)
{
    struct change c = {
        .verb = VERB_STATUS,
        .wanted = copy_of(object),
        .status = json_incref(status),
        .done = done,
        .user = user,
    };

    key_of(object, c.key);
    add(s, &c);
}

void store_delete(struct store *s, const struct crd_kind *kind, struct str name_space,
                  struct str name, store_done done, void *user)
{
    struct change c = {.verb = VERB_DELETE, .done = done, .user = user};

    make_key(kind, name_space, name, c.key);
    add(s, &c);
}

struct crd_object *store_find(const struct store *s, const struct crd_kind *kind,
                              struct str name_space, struct str name)
{
    char key[KEY_MAX];

    make_key(kind, name_space, name, key);
    return map_get(&s->objects, str_of(key));
}

void store_each(const struct store *s, const struct crd_kind *kind, struct str name_space,
                void (*fn)(void *user, struct crd_object *object), void *user)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&s->objects, &at)) != NULL;) {
        struct crd_object *object = entry->value;

        if (object->kind == kind && (name_space.len == 0 || str_is(name_space, object->name_space)))
            fn(user, object);
    }
}

uint64_t store_version(const struct store *s)
{
    return s->version;
}

void store_watch(struct store *s, struct store_watcher *w)
{
    struct store_watcher **at = &s->watchers;

    while (*at != NULL)
        at = &(*at)->next;
    w->next = NULL;
    *at = w;
}

void store_unwatch(struct store *s, struct store_watcher *w)
{
    for (struct store_watcher **at = &s->watchers; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return;
        }
    }
}

void store_close(struct store *s)
{
    struct map_entry *entry;

    if (s == NULL)
        return;
    s->watchers = NULL;
    while (s->first != NULL) {
        struct change *c = s->first;

        s->first = c->next;
        c->code = err_set(&c->err, ERR_CANCELLED, "the operator ends: try again in a moment");
        answer(c);
    }
    while (s->busy)
        loop_turn(s->loop, 10);
    loop_defer_cancel(s->loop, &s->start);
    for (size_t at = 0; (entry = map_next(&s->objects, &at)) != NULL;)
        crd_object_unref(entry->value);
    map_fini(&s->objects);
    mem_free(s->folder);
    mem_free(s);
}
