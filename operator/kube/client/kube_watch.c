/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch stream: see kube_watch.h. The API server ends each event with a line end, and a line
 * end inside JSON is always escaped, so lines are events, however the bytes are cut on the way.
 */
#include "operator/kube/client/kube_watch.h"

#include <string.h>

static const char *const type_names[KUBE_WATCH_COUNT] = {
    [KUBE_WATCH_ADDED] = "ADDED",     [KUBE_WATCH_MODIFIED] = "MODIFIED",
    [KUBE_WATCH_DELETED] = "DELETED", [KUBE_WATCH_BOOKMARK] = "BOOKMARK",
    [KUBE_WATCH_ERROR] = "ERROR",
};

const char *kube_watch_type_name(enum kube_watch_type type)
{
    return type_names[type];
}

void kube_watch_init(struct kube_watch *w, kube_watch_fn fn, void *user)
{
    *w = (struct kube_watch){.fn = fn, .user = user};
    buf_init(&w->line, KUBE_WATCH_LINE_MAX);
}

void kube_watch_fini(struct kube_watch *w)
{
    buf_fini(&w->line);
}

void kube_watch_reset(struct kube_watch *w)
{
    buf_clear(&w->line);
    w->failed = 0;
}

static int read_type(enum kube_watch_type *out, const json_t *tree, struct err *err)
{
    struct str text = STR_NONE;
    int r = json_get_str(tree, "type", true, &text, err);

    if (r < 0)
        return r;
    for (int i = 0; i < KUBE_WATCH_COUNT; i++) {
        if (str_is(text, type_names[i])) {
            *out = (enum kube_watch_type)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "an event of the unknown type '%.*s'", STR_ARG(text));
}

static int read_bookmark(struct kube_watch_event *event, const json_t *object, struct err *err)
{
    json_t *metadata = NULL;
    int r = json_get_object(object, "metadata", true, &metadata, err);

    if (r == 0)
        r = json_get_str(metadata, "resourceVersion", true, &event->meta.resource_version, err);
    if (r < 0)
        return err_wrap(err, r, "a bookmark");
    event->initial_end = str_is(kube_annotation(object, "k8s.io/initial-events-end"), "true");
    return 0;
}

static int read_event(struct kube_watch_event *event, const json_t *tree, struct err *err)
{
    json_t *object = NULL;
    int r = read_type(&event->type, tree, err);

    if (r == 0)
        r = json_get_object(tree, "object", true, &object, err);
    if (r < 0)
        return r;
    event->object = object;
    if (event->type == KUBE_WATCH_ERROR) {
        kube_status_of_tree(&event->status, 0, object);
        return 0;
    }
    if (event->type == KUBE_WATCH_BOOKMARK)
        return read_bookmark(event, object, err);
    (void)json_object_del(json_object_get(object, "metadata"), "managedFields");
    r = kube_meta_read(&event->meta, object, err);
    if (r == 0 && event->meta.resource_version.len == 0)
        r = err_set(err, ERR_INVALID, "an object without 'resourceVersion'");
    return r;
}

/* One whole line, without its end. */
static int take_line(struct kube_watch *w, struct str line, struct err *err)
{
    struct kube_watch_event event = {0};
    json_auto_t *tree = NULL;
    int r;

    line = str_trim(line);
    if (line.len == 0)
        return 0;
    r = kube_object_read(&tree, line, "a watch event", err);
    if (r == 0)
        r = read_event(&event, tree, err);
    if (r < 0)
        return r;
    w->events++;
    r = w->fn(w->user, &event);
    return r < 0 ? err_set(err, (enum err_code) - r, "watch stream: stopped by its reader") : 0;
}

static int keep_part(struct kube_watch *w, struct str part, struct err *err)
{
    int r = buf_append_str(&w->line, part);

    if (r == -ERR_LIMIT)
        return err_set(err, ERR_LIMIT, "watch stream: an event is larger than %d bytes",
                       KUBE_WATCH_LINE_MAX);
    return r < 0 ? err_no_memory(err) : 0;
}

static int end_line(struct kube_watch *w, struct str tail, struct err *err)
{
    int r;

    if (w->line.len == 0)
        return take_line(w, tail, err);
    r = keep_part(w, tail, err);
    if (r == 0)
        r = take_line(w, buf_str(&w->line), err);
    buf_clear(&w->line);
    return r;
}

int kube_watch_feed(struct kube_watch *w, struct str bytes, struct err *err)
{
    if (w->failed < 0)
        return err_set(err, (enum err_code) - w->failed, "watch stream: it has failed before");
    while (bytes.len > 0 && w->failed == 0) {
        const char *end = memchr(bytes.ptr, '\n', bytes.len);
        size_t length = end != NULL ? (size_t)(end - bytes.ptr) : bytes.len;
        struct str part = str_slice(bytes, 0, length);

        w->failed = end != NULL ? end_line(w, part, err) : keep_part(w, part, err);
        bytes = str_slice(bytes, end != NULL ? length + 1 : length, bytes.len);
    }
    return w->failed;
}

int kube_watch_end(struct kube_watch *w, struct err *err)
{
    struct err inner = {0};
    int r;

    if (w->failed < 0 || w->line.len == 0)
        return w->failed;
    r = take_line(w, buf_str(&w->line), &inner);
    buf_clear(&w->line);
    if (r == -ERR_SYNTAX) /* the stream was cut in the middle of an event, which will come again */
        return 0;
    w->failed = r;
    if (r < 0 && err != NULL)
        *err = inner;
    return r;
}
