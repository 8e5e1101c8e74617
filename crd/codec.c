/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between checked trees and C structs, by the places that the table names. Both directions walk the
 * rows below a path; the members of objects are places of the same struct, the elements of lists
 * are structs of their own.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/object.h"
#include "crd/tenant.h"

enum { PATH_MAX_BYTES = 128 };

struct decoder {
    const struct crd_kind *kind;
    struct arena *arena;
    struct err *err;
};

static int decode_members(const struct decoder *d, const char *path, const json_t *object,
                          char *base);

static int fault_type(const struct decoder *d, const struct crd_field *field, const json_t *value)
{
    return err_set(d->err, ERR_INVALID, "%s: unexpected %s; the object was not checked",
                   field->path, json_type_name(value));
}

static int enum_index(const struct crd_field *field, struct str text)
{
    for (int i = 0; field->values[i] != NULL; i++) {
        if (str_is(text, field->values[i]))
            return i;
    }
    return -1;
}

static int decode_text(const struct decoder *d, const struct crd_field *field, const json_t *value,
                       char *place)
{
    struct str text = json_str(value);
    struct str copy;
    int64_t number;
    int index;

    switch (field->type) {
    case CRD_ENUM:
        index = enum_index(field, text);
        if (index < 0)
            return fault_type(d, field, value);
        memcpy(place, &index, sizeof(index));
        return 0;
    case CRD_SHA256:
        return hex_parse(text, (uint8_t *)place, SHA256_BYTES) ? 0 : fault_type(d, field, value);
    case CRD_TIME:
        if (clock_parse_utc(text.ptr, text.len, &number) < 0)
            return fault_type(d, field, value);
        memcpy(place, &number, sizeof(number));
        return 0;
    case CRD_USD:
        if (!crd_usd_parse(text, &number))
            return fault_type(d, field, value);
        memcpy(place, &number, sizeof(number));
        return 0;
    default:
        copy = arena_str(d->arena, text);
        if (copy.ptr == NULL && text.len > 0)
            return err_no_memory(d->err);
        memcpy(place, &copy, sizeof(copy));
        return 0;
    }
}

static int decode_scalar(const struct decoder *d, const struct crd_field *field,
                         const json_t *value, char *place)
{
    int64_t number = json_integer_value(value);
    bool truth = json_is_true(value);

    if (field->type == CRD_INTEGER && json_is_integer(value))
        memcpy(place, &number, sizeof(number));
    else if (field->type == CRD_BOOLEAN && json_is_boolean(value))
        memcpy(place, &truth, sizeof(truth));
    else if (json_is_string(value))
        return decode_text(d, field, value, place);
    else
        return fault_type(d, field, value);
    return 0;
}

static int decode_list(const struct decoder *d, const struct crd_field *field, const json_t *list,
                       char *base)
{
    size_t size = json_array_size(list);
    int count = (int)size;
    char path[PATH_MAX_BYTES];
    const struct crd_field *row;
    char *elements;

    if (size == 0)
        return 0;
    if (!json_is_array(list) || size > field->max_length)
        return fault_type(d, field, list);
    snprintf(path, sizeof(path), "%s[]", field->path);
    row = crd_field_find(d->kind, str_of(path));
    elements = arena_array(d->arena, size, field->element_size);
    if (elements == NULL)
        return err_no_memory(d->err);
    for (size_t i = 0; i < size; i++) {
        const json_t *value = json_array_get(list, i);
        char *element = elements + i * field->element_size;
        int r = row->type == CRD_OBJECT ? decode_members(d, path, value, element)
                                        : decode_scalar(d, row, value, element + row->offset);

        if (r < 0)
            return r;
    }
    memcpy(base + field->offset, &elements, sizeof(elements));
    memcpy(base + field->count_offset, &count, sizeof(count));
    return 0;
}

static int decode_members(const struct decoder *d, const char *path, const json_t *object,
                          char *base)
{
    struct crd_members members = crd_members(d->kind, str_of(path));

    for (size_t i = 0; i < members.count; i++) {
        const struct crd_field *field = members.all[i].field;
        const json_t *value = json_object_get(object, members.all[i].name);
        int r = 0;

        if (value == NULL)
            continue;
        if (field->type == CRD_OBJECT)
            r = decode_members(d, field->path, value, base);
        else if (field->size > 0 && field->type == CRD_LIST)
            r = decode_list(d, field, value, base);
        else if (field->size > 0)
            r = decode_scalar(d, field, value, base + field->offset);
        if (r < 0)
            return r;
    }
    return 0;
}

int crd_decode(const struct crd_kind *kind, const char *root, const json_t *tree, void *out,
               struct arena *arena, struct err *err)
{
    struct decoder d = {kind, arena, err};

    return decode_members(&d, root, tree, out);
}

static int encode_members(const struct crd_kind *kind, const char *path, const char *base,
                          json_t *object);

static json_t *encode_time(int64_t ms)
{
    char text[CLOCK_TEXT_MAX];

    clock_format_utc(ms, text);
    return json_string(text);
}

static json_t *encode_usd(int64_t nano)
{
    char text[32];

    crd_usd_format(nano, text);
    return json_string(text);
}

/* NULL without memory. */
static json_t *encode_scalar(const struct crd_field *field, const char *place)
{
    char hex[SHA256_HEX_LEN + 1];
    struct str text;
    int64_t number;
    bool truth;
    int index;

    switch (field->type) {
    case CRD_INTEGER:
    case CRD_TIME:
    case CRD_USD:
        memcpy(&number, place, sizeof(number));
        if (field->type == CRD_TIME)
            return encode_time(number);
        return field->type == CRD_USD ? encode_usd(number) : json_integer(number);
    case CRD_BOOLEAN:
        memcpy(&truth, place, sizeof(truth));
        return json_boolean(truth);
    case CRD_ENUM:
        memcpy(&index, place, sizeof(index));
        return json_string(field->values[index]);
    case CRD_SHA256:
        hex_format((const uint8_t *)place, SHA256_BYTES, hex);
        return json_string(hex);
    default:
        memcpy(&text, place, sizeof(text));
        return json_stringn(text.ptr == NULL ? "" : text.ptr, text.len);
    }
}

/* Optional members that were not given are not written. */
static bool is_left_out(const struct crd_field *field, const char *place)
{
    struct str text;
    int64_t number;

    if (field->required)
        return false;
    if (field->type == CRD_STRING) {
        memcpy(&text, place, sizeof(text));
        return text.len == 0;
    }
    if (field->type == CRD_TIME) {
        memcpy(&number, place, sizeof(number));
        return number == 0;
    }
    return false;
}

static json_t *encode_element(const struct crd_kind *kind, const struct crd_field *row,
                              const char *element)
{
    json_t *object;

    if (row->type != CRD_OBJECT)
        return encode_scalar(row, element + row->offset);
    object = json_object();
    if (object != NULL && encode_members(kind, row->path, element, object) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static int encode_list(const struct crd_kind *kind, const struct crd_field *field, const char *base,
                       json_t *object, const char *name)
{
    json_auto_t *list = NULL;
    char path[PATH_MAX_BYTES];
    const struct crd_field *row;
    const char *elements;
    int count;

    memcpy(&elements, base + field->offset, sizeof(elements));
    memcpy(&count, base + field->count_offset, sizeof(count));
    if (count == 0)
        return 0;
    list = json_array();
    if (list == NULL)
        return -ERR_NO_MEMORY;
    snprintf(path, sizeof(path), "%s[]", field->path);
    row = crd_field_find(kind, str_of(path));
    for (int i = 0; i < count; i++) {
        const char *element = elements + (size_t)i * field->element_size;

        if (json_array_append_new(list, encode_element(kind, row, element)) < 0)
            return -ERR_NO_MEMORY;
    }
    return json_object_set(object, name, list) < 0 ? -ERR_NO_MEMORY : 0;
}

static int encode_object(const struct crd_kind *kind, const struct crd_field *field,
                         const char *base, json_t *object, const char *name)
{
    json_auto_t *below = json_object();

    if (below == NULL || encode_members(kind, field->path, base, below) < 0)
        return -ERR_NO_MEMORY;
    if (json_object_size(below) == 0)
        return 0;
    return json_object_set(object, name, below) < 0 ? -ERR_NO_MEMORY : 0;
}

static int encode_members(const struct crd_kind *kind, const char *path, const char *base,
                          json_t *object)
{
    struct crd_members members = crd_members(kind, str_of(path));

    for (size_t i = 0; i < members.count; i++) {
        const struct crd_field *field = members.all[i].field;
        const char *name = members.all[i].name;
        int r = 0;

        if (field->type == CRD_OBJECT)
            r = encode_object(kind, field, base, object, name);
        else if (field->size > 0 && field->type == CRD_LIST)
            r = encode_list(kind, field, base, object, name);
        else if (field->size > 0 && !is_left_out(field, base + field->offset))
            r = json_object_set_new(object, name, encode_scalar(field, base + field->offset));
        if (r < 0)
            return -ERR_NO_MEMORY;
    }
    return 0;
}

int crd_encode(const struct crd_kind *kind, const char *root, const void *in, json_t **out,
               struct err *err)
{
    json_t *tree = json_object();

    if (tree == NULL || encode_members(kind, root, in, tree) < 0) {
        json_decref(tree);
        return err_no_memory(err);
    }
    *out = tree;
    return 0;
}
