/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of objects: see kube_object.h. */
#include "operator/kube/client/kube_object.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static const struct json_limits object_limits = {
    .max_bytes = KUBE_OBJECT_BYTES_MAX,
    .max_depth = KUBE_OBJECT_DEPTH_MAX,
};

/* A member that may be missing: then *out stays as it is. */
static int read_text(const json_t *metadata, const char *key, struct str *out, struct err *err)
{
    int r = json_get_str(metadata, key, false, out, err);

    return r == -ERR_NOT_FOUND ? 0 : r;
}

static int read_texts(struct kube_meta *meta, const json_t *metadata, struct err *err)
{
    int r = json_get_str(metadata, "name", true, &meta->name, err);

    if (r == 0 && meta->name.len == 0)
        r = err_set(err, ERR_INVALID, "'name' is empty");
    if (r == 0)
        r = read_text(metadata, "namespace", &meta->name_space, err);
    if (r == 0)
        r = read_text(metadata, "uid", &meta->uid, err);
    if (r == 0)
        r = read_text(metadata, "resourceVersion", &meta->resource_version, err);
    return r;
}

static int read_rest(struct kube_meta *meta, const json_t *metadata, struct err *err)
{
    const json_t *deleted = json_object_get(metadata, "deletionTimestamp");
    struct str created = STR_NONE;
    int r = json_get_i64(metadata, "generation", false, 0, INT64_MAX, &meta->generation, err);

    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    r = read_text(metadata, "creationTimestamp", &created, err);
    if (r < 0)
        return r;
    if (created.len > 0 && clock_parse_utc(created.ptr, created.len, &meta->created_ms) < 0)
        return err_set(err, ERR_INVALID, "'creationTimestamp' is no time: %.*s", STR_ARG(created));
    meta->deleting = deleted != NULL && !json_is_null(deleted);
    return 0;
}

int kube_meta_read(struct kube_meta *out, const json_t *object, struct err *err)
{
    struct kube_meta meta = {0};
    json_t *metadata = NULL;
    int r;

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "an object is expected, not %s", json_type_name(object));
    r = json_get_object(object, "metadata", true, &metadata, err);
    if (r == 0)
        r = read_texts(&meta, metadata, err);
    if (r == 0)
        r = read_rest(&meta, metadata, err);
    if (r < 0)
        return err_wrap(err, r, "metadata");
    *out = meta;
    return 0;
}

/* --- objects ---------------------------------------------------------------------------------- */

/* The API server takes any character in a text, NUL too, and no reader of ours does. */
static const struct str nul_escape = STR("\\u0000");
static const struct str replacement_escape = STR("\\ufffd");

/* Whether the backslash at `at` begins an escape: it is not itself the second half of one. */
static bool begins_escape(struct str text, size_t at)
{
    size_t before = 0;

    while (before < at && text.ptr[at - 1 - before] == '\\')
        before++;
    return before % 2 == 0;
}

/* Each escaped NUL becomes an escaped U+FFFD, which is as long. */
static void replace_nuls(char *json, size_t length)
{
    struct str text = {json, length};
    size_t from = 0;
    int64_t found;

    while ((found = str_find(str_slice(text, from, length), nul_escape)) >= 0) {
        size_t at = from + (size_t)found;

        if (begins_escape(text, at))
            memcpy(json + at, replacement_escape.ptr, replacement_escape.len);
        from = at + nul_escape.len;
    }
}

static int read_without_nuls(json_t **out, struct str text, const char *what, struct err *err)
{
    CLEANUP(mem_freep) char *copy = NULL;

    if (text.len > KUBE_OBJECT_BYTES_MAX || str_find(text, nul_escape) < 0)
        return json_read(out, text, &object_limits, what, err);
    copy = mem_strndup(text.ptr, text.len);
    if (copy == NULL)
        return err_no_memory(err);
    replace_nuls(copy, text.len);
    return json_read(out, (struct str){copy, text.len}, &object_limits, what, err);
}

int kube_object_read(json_t **out, struct str text, const char *what, struct err *err)
{
    int r = read_without_nuls(out, text, what, err);

    if (r == 0)
        (void)json_object_del(json_object_get(*out, "metadata"), "managedFields");
    return r;
}

void kube_time_format(int64_t wall_ms, char out[KUBE_TIME_MAX])
{
    enum { SECONDS_LEN = 19 }; /* "2026-11-22T15:04:05" */
    char text[CLOCK_TEXT_MAX];

    clock_format_utc(wall_ms, text);
    snprintf(out, KUBE_TIME_MAX, "%.*s.%03d000Z", SECONDS_LEN, text,
             (int)((wall_ms % 1000 + 1000) % 1000));
}

struct str kube_annotation(const json_t *object, const char *name)
{
    const json_t *metadata = json_object_get(object, "metadata");

    return json_str(json_object_get(json_object_get(metadata, "annotations"), name));
}
