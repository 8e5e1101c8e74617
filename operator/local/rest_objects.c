/* SPDX-License-Identifier: Apache-2.0 */
/* The objects: list, get, watch, create, apply, delete. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "operator/common/must.h"
#include "operator/local/rest.h"

static void write_object(struct json_writer *w, const struct crd_object *object)
{
    json_auto_t *tree = must(crd_object_tree(object));

    json_add_tree(w, tree);
}

static void send_object(struct http_exchange *x, int status, const struct crd_object *object)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct json_writer w;

    buf_init(&body, ENDPOINTS_ANSWER_MAX);
    json_writer_init(&w, &body);
    write_object(&w, object);
    endpoints_send(x, status, &body);
}

/* --- list ------------------------------------------------------------------------------------- */

static void add_item(void *user, struct crd_object *object)
{
    write_object(user, object);
}

static void list(struct rest *rest, struct http_exchange *x, const struct crd_kind *kind,
                 struct str name_space)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct json_writer w;
    char text[128];

    buf_init(&body, ENDPOINTS_ANSWER_MAX);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", CRD_API_VERSION);
    snprintf(text, sizeof(text), "%sList", kind->kind);
    json_put_text(&w, "kind", text);
    json_key(&w, "metadata");
    json_open(&w, '{');
    snprintf(text, sizeof(text), "%llu",
             (unsigned long long)store_version(local_store(rest->local)));
    json_put_text(&w, "resourceVersion", text);
    json_close(&w, '}');
    json_key(&w, "items");
    json_open(&w, '[');
    store_each(local_store(rest->local), kind, name_space, add_item, &w);
    json_close(&w, ']');
    json_close(&w, '}');
    endpoints_send(x, 200, &body);
}

/* --- watch ------------------------------------------------------------------------------------ */

struct watch {
    struct store_watcher watcher;
    struct store *store;
    struct http_exchange *x;
    const struct crd_kind *kind;
    char name_space[CRD_NAME_MAX + 1];
    char name[CRD_NAME_MAX + 1];
};

static const char *const change_names[] = {"ADDED", "MODIFIED", "DELETED"};

static bool is_wanted(const struct watch *watch, const struct crd_object *object)
{
    return object->kind == watch->kind &&
           (watch->name_space[0] == '\0' || strcmp(watch->name_space, object->name_space) == 0) &&
           (watch->name[0] == '\0' || strcmp(watch->name, object->name) == 0);
}

static void watch_event(void *user, enum platform_change change, struct crd_object *object)
{
    struct watch *watch = user;
    CLEANUP(buf_fini) struct buf line = {0};
    struct json_writer w;

    if (!is_wanted(watch, object))
        return;
    buf_init(&line, ENDPOINTS_ANSWER_MAX);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_text(&w, "type", change_names[change]);
    json_key(&w, "object");
    write_object(&w, object);
    json_close(&w, '}');
    buf_append_char(&line, '\n');
    http_write(watch->x, buf_str(&line)); /* over its limit: disconnected, and told so */
}

static void watch_first(void *user, struct crd_object *object)
{
    watch_event(user, PLATFORM_ADDED, object);
}

static void watch_left(struct http_exchange *x)
{
    struct watch *watch = x->user;

    store_unwatch(watch->store, &watch->watcher);
    http_end(x);
    mem_free(watch);
}

static void start_watch(struct rest *rest, struct http_exchange *x, const struct crd_kind *kind,
                        const struct rest_path *path)
{
    struct store *store = local_store(rest->local);
    struct str version;
    uint64_t number = 0;
    struct watch *watch;
    bool from_version = http_query_get(x->query, "resourceVersion", x->arena, &version) &&
                        version.len > 0 && !str_is(version, "0");

    if (from_version && (!str_to_u64(version, &number) || number != store_version(store))) {
        endpoints_refuse(x, 410, "Expired",
                         "changes since that resourceVersion are not kept: list again");
        return;
    }
    watch = must(mem_alloc(sizeof(*watch)));
    watch->watcher = (struct store_watcher){.fn = watch_event, .user = watch};
    watch->store = store;
    watch->x = x;
    watch->kind = kind;
    snprintf(watch->name_space, sizeof(watch->name_space), "%.*s", STR_ARG(path->name_space));
    snprintf(watch->name, sizeof(watch->name), "%.*s", STR_ARG(path->name));
    x->user = watch;
    x->on_disconnect = watch_left;
    http_begin(x, 200, "application/json");
    if (!from_version)
        store_each(store, kind, path->name_space, watch_first, watch);
    store_watch(store, &watch->watcher);
}

/* --- change ----------------------------------------------------------------------------------- */

static void changed(void *user, const struct store_answer *answer)
{
    struct http_exchange *x = user;

    if (answer->code < 0)
        endpoints_fail(x, answer->code, answer->err);
    else
        send_object(x, answer->created ? 201 : 200, answer->object);
}

/* All faults at once, one a line. */
static void refuse_object(struct http_exchange *x, int code, struct buf *faults,
                          const struct err *err)
{
    if (code == -ERR_INVALID && faults->len > 0)
        endpoints_refuse(x, 422, "Invalid", buf_cstr(faults));
    else
        endpoints_fail(x, code, err);
}

static bool matches_path(struct http_exchange *x, const struct crd_object *object,
                         const struct crd_kind *kind, const struct rest_path *path)
{
    const char *wrong = NULL;

    if (object->kind != kind)
        wrong = "kind: it is not the kind of the path";
    else if (kind->namespaced && !str_is(path->name_space, object->name_space))
        wrong = "metadata.namespace: it is not the namespace of the path";
    else if (path->name.len > 0 && !str_is(path->name, object->name))
        wrong = "metadata.name: it is not the name of the path";
    if (wrong != NULL)
        endpoints_refuse(x, 400, "BadRequest", wrong);
    return wrong == NULL;
}

/*
 * A manifest of a Tenant rarely has keys: they are made by `spate tenant key create`. As with
 * server-side apply in Kubernetes, a field that the manifest does not mention is not its own, so
 * the keys that are there stay. An empty list revokes them all.
 */
static void keep_keys(struct rest *rest, const struct crd_kind *kind, const struct rest_path *path,
                      const json_t *tree)
{
    json_t *spec = json_object_get(tree, "spec");
    const struct crd_object *known;
    json_t *keys;

    if (kind != crd_kinds[CRD_TENANT] || !json_is_object(spec) ||
        json_object_get(spec, "keys") != NULL)
        return;
    known = store_find(local_store(rest->local), kind, path->name_space, path->name);
    keys = known == NULL ? NULL : json_object_get(known->spec, "keys");
    if (keys != NULL)
        json_object_set_new(spec, "keys", json_deep_copy(keys));
}

static void change(struct rest *rest, struct http_exchange *x, const struct crd_kind *kind,
                   const struct rest_path *path, bool create_only)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(buf_fini) struct buf faults = {0};
    const char *name_space =
        kind->namespaced ? must(arena_strdup(x->arena, path->name_space)) : NULL;
    json_auto_t *tree = NULL;
    struct err err = {0};
    int r;

    buf_init(&faults, CRD_FAULT_BYTES_MAX);
    r = json_read(&tree, x->body, &json_limits_default, "request body", &err);
    if (r == 0) {
        keep_keys(rest, kind, path, tree);
        r = crd_object_read(&object, tree, name_space, &faults, &err);
    }
    if (r < 0)
        refuse_object(x, r, &faults, &err);
    else if (matches_path(x, object, kind, path))
        store_apply(local_store(rest->local), object, create_only,
                    endpoints_query_is(x, "dryRun", "All"), changed, x);
}

/* --- the door --------------------------------------------------------------------------------- */

static void answer_read(struct rest *rest, struct http_exchange *x, const struct crd_kind *kind,
                        const struct rest_path *path)
{
    struct crd_object *object;
    char message[2 * CRD_NAME_MAX + 64];

    if (endpoints_query_is(x, "watch", "true") || endpoints_query_is(x, "watch", "1")) {
        start_watch(rest, x, kind, path);
        return;
    }
    if (path->name.len == 0) {
        list(rest, x, kind, path->name_space);
        return;
    }
    object = store_find(local_store(rest->local), kind, path->name_space, path->name);
    if (object != NULL) {
        send_object(x, 200, object);
        return;
    }
    snprintf(message, sizeof(message), "%s \"%.*s\" not found", kind->plural, STR_ARG(path->name));
    endpoints_refuse(x, 404, "NotFound", message);
}

static bool is_apply(const struct http_exchange *x)
{
    return str_starts(http_header_get(&x->headers, "content-type"),
                      STR("application/apply-patch+json"));
}

void rest_objects(struct rest *rest, struct http_exchange *x, struct str tail)
{
    const struct crd_kind *kind;
    struct rest_path path;

    if (!rest_path_parse(tail, &path) || path.sub.len > 0 ||
        (kind = crd_kind_find(path.resource)) == NULL || !str_is(path.resource, kind->plural) ||
        kind->namespaced < (path.name_space.len > 0) ||
        (kind->namespaced && path.name.len > 0 && path.name_space.len == 0)) {
        endpoints_refuse(x, 404, "NotFound", "no such resource");
    } else if (str_is(x->method, "GET")) {
        answer_read(rest, x, kind, &path);
    } else if (kind->namespaced && path.name_space.len == 0) {
        endpoints_refuse(x, 405, "MethodNotAllowed", "name a namespace in the path");
    } else if (str_is(x->method, "POST") && path.name.len == 0) {
        change(rest, x, kind, &path, true);
    } else if (str_is(x->method, "PATCH") && path.name.len > 0 && is_apply(x)) {
        change(rest, x, kind, &path, false);
    } else if (str_is(x->method, "PATCH") && path.name.len > 0) {
        endpoints_refuse(x, 415, "UnsupportedMediaType",
                         "PATCH takes application/apply-patch+json: the whole intended object");
    } else if (str_is(x->method, "DELETE") && path.name.len > 0) {
        store_delete(local_store(rest->local), kind, path.name_space, path.name, changed, x);
    } else {
        endpoints_refuse(x, 405, "MethodNotAllowed", "this path does not take that method");
    }
}
