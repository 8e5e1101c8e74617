/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of any kind: from a manifest, to a tree, shared by reference. */
#include "crd/object.h"

#include <assert.h>
#include <string.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crd/kinds.h"

struct crd_object *crd_object_ref(struct crd_object *object)
{
    object->references++;
    return object;
}

void crd_object_unref(struct crd_object *object)
{
    if (object == NULL)
        return;
    assert(object->references > 0);
    if (--object->references > 0)
        return;
    mem_free(object->name);
    mem_free(object->name_space);
    mem_free(object->uid);
    mem_free(object->resource_version);
    json_decref(object->labels);
    json_decref(object->annotations);
    json_decref(object->spec);
    json_decref(object->status);
    mem_free(object->spec_text);
    mem_free(object->status_text);
    mem_free(object);
}

void crd_object_unrefp(struct crd_object **object)
{
    crd_object_unref(*object);
    *object = NULL;
}

/* A copy of the member's text, "" when absent. */
static char *text_of(const json_t *object, const char *key)
{
    struct str text = json_str(json_object_get(object, key));

    return mem_strndup(text.ptr == NULL ? "" : text.ptr, text.len);
}

/* A new reference to a copy of the member, or to an empty object. */
static json_t *object_of(const json_t *parent, const char *key)
{
    json_t *value = json_object_get(parent, key);

    return value == NULL ? json_object() : json_deep_copy(value);
}

static int fill(struct crd_object *object, const json_t *tree, struct err *err)
{
    const json_t *metadata = json_object_get(tree, "metadata");
    const json_t *status = json_object_get(tree, "status");
    struct str created = json_str(json_object_get(metadata, "creationTimestamp"));

    object->name = text_of(metadata, "name");
    object->name_space = text_of(metadata, "namespace");
    object->uid = text_of(metadata, "uid");
    object->resource_version = text_of(metadata, "resourceVersion");
    object->generation = json_integer_value(json_object_get(metadata, "generation"));
    if (created.len > 0)
        clock_parse_utc(created.ptr, created.len, &object->created_ms);
    object->labels = object_of(metadata, "labels");
    object->annotations = object_of(metadata, "annotations");
    object->spec = object_of(tree, "spec");
    object->status = status == NULL ? NULL : json_deep_copy(status);
    if (object->name == NULL || object->name_space == NULL || object->uid == NULL ||
        object->resource_version == NULL || object->labels == NULL || object->annotations == NULL ||
        object->spec == NULL || (status != NULL && object->status == NULL))
        return err_no_memory(err);
    return 0;
}

/* The kind of the tree, or NULL with the one fault that there is to report. */
static const struct crd_kind *kind_of(const json_t *tree, struct buf *faults)
{
    const char *names[CRD_KIND_COUNT + 1] = {NULL};
    struct str name = json_str(json_object_get(tree, "kind"));
    const char *close;

    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        names[i] = crd_kinds[i]->kind;
        if (str_is(name, names[i]))
            return crd_kinds[i];
    }
    if (name.len == 0) {
        buf_printf(faults, "kind: is required; write " CRD_KIND_NAMES);
        return NULL;
    }
    close = name.len < CRD_NAME_MAX ? args_closest(name.ptr, names) : NULL;
    if (close != NULL)
        buf_printf(faults, "kind: no such kind; did you mean %s?", close);
    else
        buf_printf(faults, "kind: no such kind; write " CRD_KIND_NAMES);
    return NULL;
}

/* Namespaced kinds get one, cluster-scoped ones must not have any. */
static int settle_namespace(const struct crd_kind *kind, json_t *tree,
                            const char *default_namespace, struct buf *faults)
{
    json_t *metadata = json_object_get(tree, "metadata");
    const json_t *given = json_object_get(metadata, "namespace");

    if (!json_is_object(metadata))
        return 0; /* reported by the check */
    if (kind->namespaced && (given == NULL || json_is_null(given)))
        return json_object_set_new(
            metadata, "namespace",
            json_string(default_namespace == NULL ? CRD_NAMESPACE_DEFAULT : default_namespace));
    if (!kind->namespaced && given != NULL && !json_is_null(given)) {
        buf_printf(faults, "metadata.namespace: a %s has none; remove it", kind->kind);
        return 1;
    }
    return 0;
}

/* Checks a private copy of the tree; *kind and *copy are set when it is without fault. */
static int check_copy(const struct crd_kind **kind, json_t **copy, const json_t *tree,
                      const char *default_namespace, struct buf *faults)
{
    json_auto_t *own = json_deep_copy(tree);
    int count;

    if (own == NULL)
        return -ERR_NO_MEMORY;
    *kind = kind_of(own, faults);
    if (*kind == NULL)
        return -ERR_INVALID;
    count = settle_namespace(*kind, own, default_namespace, faults);
    if (count == 0)
        count = crd_check(*kind, own, faults);
    if (count < 0)
        return -ERR_NO_MEMORY;
    if (count > 0)
        return -ERR_INVALID;
    *copy = STEAL(own);
    return 0;
}

static int report_faults(const struct buf *lines, struct buf *faults, struct err *err)
{
    struct str rest = buf_str(lines);
    struct str first = str_cut(&rest, '\n');

    if (faults != NULL)
        buf_append_str(faults, buf_str(lines));
    return err_set(err, ERR_INVALID, "%.*s", STR_ARG(first));
}

int crd_object_read(struct crd_object **out, const json_t *tree, const char *default_namespace,
                    struct buf *faults, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = mem_alloc(sizeof(*object));
    CLEANUP(buf_fini) struct buf lines = {0};
    json_auto_t *copy = NULL;
    int r;

    buf_init(&lines, CRD_FAULT_BYTES_MAX);
    if (object == NULL)
        return err_no_memory(err);
    object->references = 1;
    r = check_copy(&object->kind, &copy, tree, default_namespace, &lines);
    if (r == -ERR_NO_MEMORY)
        return err_no_memory(err);
    if (r < 0)
        return report_faults(&lines, faults, err);
    r = fill(object, copy, err);
    if (r < 0)
        return r;
    *out = STEAL(object);
    return 0;
}

static int put_text(json_t *object, const char *key, const char *text)
{
    return text[0] == '\0' ? 0 : json_object_set_new(object, key, json_string(text));
}

static int put_map(json_t *object, const char *key, const json_t *map)
{
    return json_object_size(map) == 0 ? 0 : json_object_set_new(object, key, json_deep_copy(map));
}

static json_t *metadata_tree(const struct crd_object *object)
{
    json_auto_t *metadata = json_object();
    char created[CLOCK_TEXT_MAX] = "";

    if (object->created_ms != 0)
        clock_format_utc(object->created_ms, created);
    if (put_text(metadata, "name", object->name) < 0 ||
        put_text(metadata, "namespace", object->name_space) < 0 ||
        put_text(metadata, "uid", object->uid) < 0 ||
        put_text(metadata, "resourceVersion", object->resource_version) < 0 ||
        put_text(metadata, "creationTimestamp", created) < 0 ||
        put_map(metadata, "labels", object->labels) < 0 ||
        put_map(metadata, "annotations", object->annotations) < 0)
        return NULL;
    if (object->generation > 0 &&
        json_object_set_new(metadata, "generation", json_integer(object->generation)) < 0)
        return NULL;
    return STEAL(metadata);
}

json_t *crd_object_tree(const struct crd_object *object)
{
    json_auto_t *tree = json_object();

    assert(object->spec_text == NULL);

    if (put_text(tree, "apiVersion", CRD_API_VERSION) < 0 ||
        put_text(tree, "kind", object->kind->kind) < 0 ||
        json_object_set_new(tree, "metadata", metadata_tree(object)) < 0 ||
        json_object_set_new(tree, "spec", json_deep_copy(object->spec)) < 0)
        return NULL;
    if (object->status != NULL &&
        json_object_set_new(tree, "status", json_deep_copy(object->status)) < 0)
        return NULL;
    return STEAL(tree);
}

int crd_object_copy(struct crd_object **out, const struct crd_object *object, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *copy = mem_alloc(sizeof(*copy));

    assert(object->spec_text == NULL);
    if (copy == NULL)
        return err_no_memory(err);
    copy->kind = object->kind;
    copy->references = 1;
    copy->name = mem_strdup(object->name);
    copy->name_space = mem_strdup(object->name_space);
    copy->uid = mem_strdup(object->uid);
    copy->resource_version = mem_strdup(object->resource_version);
    copy->generation = object->generation;
    copy->created_ms = object->created_ms;
    copy->labels = json_deep_copy(object->labels);
    copy->annotations = json_deep_copy(object->annotations);
    copy->spec = json_deep_copy(object->spec);
    copy->status = object->status == NULL ? NULL : json_deep_copy(object->status);
    if (copy->name == NULL || copy->name_space == NULL || copy->uid == NULL ||
        copy->resource_version == NULL || copy->labels == NULL || copy->annotations == NULL ||
        copy->spec == NULL || (object->status != NULL && copy->status == NULL))
        return err_no_memory(err);
    *out = STEAL(copy);
    return 0;
}

bool crd_spec_equal(const struct crd_object *a, const struct crd_object *b)
{
    return json_equal(a->spec, b->spec) == 1;
}
