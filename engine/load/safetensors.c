/* SPDX-License-Identifier: Apache-2.0 */
/* The safetensors reader: see safetensors.h. */
#include "engine/load/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum { LENGTH_BYTES = 8, HEADER_DEPTH_MAX = 8 };

#define CURE "fetch the file again from its source"

static uint64_t read_u64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static int read_shape(struct tensor *t, const json_t *info, size_t *elements, struct err *err)
{
    json_t *shape = NULL;
    size_t product = 1;
    int r = json_get_array(info, "shape", true, &shape, err);

    if (r < 0)
        return r;
    if (json_array_size(shape) > TENSOR_DIMS_MAX)
        return err_set(err, ERR_INVALID, "'shape' has %zu dimensions; at most %d are supported",
                       json_array_size(shape), TENSOR_DIMS_MAX);
    t->dim_count = (int)json_array_size(shape);
    for (int i = 0; i < t->dim_count; i++) {
        const json_t *value = json_array_get(shape, (size_t)i);
        int64_t dim = json_is_integer(value) ? json_integer_value(value) : -1;

        if (dim < 0)
            return err_set(err, ERR_INVALID, "'shape' must hold integers from 0 on; " CURE);
        if (__builtin_mul_overflow(product, (size_t)dim, &product))
            return err_set(err, ERR_INVALID, "the product of 'shape' overflows; " CURE);
        t->shape[i] = dim;
    }
    *elements = product;
    return 0;
}

static int read_offsets(const json_t *info, size_t data_size, size_t *begin, size_t *end,
                        struct err *err)
{
    json_t *offsets = NULL;
    json_int_t from, to;
    int r = json_get_array(info, "data_offsets", true, &offsets, err);

    if (r < 0)
        return r;
    if (json_array_size(offsets) != 2 || !json_is_integer(json_array_get(offsets, 0)) ||
        !json_is_integer(json_array_get(offsets, 1)))
        return err_set(err, ERR_INVALID, "'data_offsets' must be two integers; " CURE);
    from = json_integer_value(json_array_get(offsets, 0));
    to = json_integer_value(json_array_get(offsets, 1));
    if (from < 0 || to < from || (uint64_t)to > data_size)
        return err_set(err, ERR_INVALID,
                       "'data_offsets' %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
                       " lie outside the %zu bytes of data; " CURE,
                       from, to, data_size);
    *begin = (size_t)from;
    *end = (size_t)to;
    return 0;
}

static int read_tensor(struct safetensors_entry *entry, const json_t *info, const uint8_t *data,
                       size_t data_size, struct err *err)
{
    struct tensor *t = &entry->tensor;
    struct str type = STR_NONE;
    size_t elements = 0, end = 0, bytes;
    int r;

    if (!json_is_object(info))
        return err_set(err, ERR_INVALID, "must be an object, not %s; " CURE, json_type_name(info));
    r = json_get_str(info, "dtype", true, &type, err);
    if (r < 0)
        return r;
    if (!tensor_type_parse(type, &t->type))
        return err_set(err, ERR_UNSUPPORTED, "dtype '%.*s' is not known; convert it to BF16",
                       STR_ARG(str_slice(type, 0, 32)));
    r = read_shape(t, info, &elements, err);
    if (r < 0)
        return r;
    r = read_offsets(info, data_size, &entry->begin, &end, err);
    if (r < 0)
        return r;
    if (__builtin_mul_overflow(elements, tensor_type_bytes(t->type), &bytes) ||
        bytes != end - entry->begin)
        return err_set(err, ERR_INVALID,
                       "shape and dtype do not give the %zu bytes of 'data_offsets'; " CURE,
                       end - entry->begin);
    t->data = data + entry->begin;
    t->size = bytes;
    return 0;
}

static int compare_begin(const void *left, const void *right)
{
    const struct safetensors_entry *a = left, *b = right;

    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->tensor.size != b->tensor.size) /* empty ones first */
        return a->tensor.size < b->tensor.size ? -1 : 1;
    return 0;
}

/* Sorted by place, each tensor must begin where the one before it ended. */
static int check_cover(const struct safetensors *s, size_t data_size, const char *what,
                       struct err *err)
{
    size_t at = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct safetensors_entry *entry = &s->entries[i];

        if (entry->begin != at)
            return err_set(err, ERR_INVALID,
                           "%s: tensor '%s' begins at byte %zu of the data where %zu is expected "
                           "(%s); " CURE,
                           what, entry->name, entry->begin, at,
                           entry->begin > at ? "a gap" : "an overlap");
        at += entry->tensor.size;
    }
    if (at != data_size)
        return err_set(err, ERR_INVALID, "%s: %zu bytes after the last tensor; " CURE, what,
                       data_size - at);
    return 0;
}

static int read_entries(struct safetensors *s, json_t *header, const uint8_t *data,
                        size_t data_size, const char *what, struct err *err)
{
    const char *name;
    json_t *info;

    json_object_foreach (header, name, info) {
        struct safetensors_entry *entry = &s->entries[s->count];
        int r;

        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (strlen(name) > SAFETENSORS_NAME_BYTES_MAX || name[0] == '\0')
            return err_set(err, ERR_LIMIT, "%s: a tensor's name has %zu bytes, not 1 to %d", what,
                           strlen(name), SAFETENSORS_NAME_BYTES_MAX);
        entry->name = name;
        r = read_tensor(entry, info, data, data_size, err);
        if (r < 0)
            return err_wrap(err, r, "%s: tensor '%s'", what, name);
        s->count++;
    }
    qsort(s->entries, s->count, sizeof(*s->entries), compare_begin);
    return check_cover(s, data_size, what, err);
}

/* The names move from the JSON tree, which will be freed, into the map. */
static int index_names(struct safetensors *s, struct err *err)
{
    struct map_entry *slot;

    for (size_t i = 0; i < s->count; i++) {
        int r = map_put(&s->by_name, str_of(s->entries[i].name), &s->entries[i], NULL);

        if (r < 0)
            return err_no_memory(err);
    }
    for (size_t at = 0; (slot = map_next(&s->by_name, &at)) != NULL;)
        ((struct safetensors_entry *)slot->value)->name = slot->key;
    return 0;
}

static int read_header(json_t **out, const uint8_t *bytes, size_t size, size_t *header_size,
                       const char *what, struct err *err)
{
    const struct json_limits limits = {SAFETENSORS_HEADER_BYTES_MAX, HEADER_DEPTH_MAX};
    json_auto_t *header = NULL;
    uint64_t length;
    int r;

    if (size < LENGTH_BYTES)
        return err_set(err, ERR_INVALID, "%s: %zu bytes are too few for safetensors; " CURE, what,
                       size);
    length = read_u64(bytes);
    if (length > size - LENGTH_BYTES)
        return err_set(err, ERR_INVALID,
                       "%s: the header of %" PRIu64 " bytes does not fit the file of %zu; " CURE,
                       what, length, size);
    if (length > SAFETENSORS_HEADER_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "%s: the header has %" PRIu64 " bytes; the limit is %d",
                       what, length, SAFETENSORS_HEADER_BYTES_MAX);
    r = json_read(&header, (struct str){(const char *)bytes + LENGTH_BYTES, (size_t)length},
                  &limits, what, err);
    if (r < 0)
        return r;
    if (!json_is_object(header))
        return err_set(err, ERR_INVALID, "%s: the header must be an object, not %s; " CURE, what,
                       json_type_name(header));
    if (json_object_size(header) > SAFETENSORS_TENSORS_MAX)
        return err_set(err, ERR_LIMIT, "%s: %zu tensors; the limit is %d", what,
                       json_object_size(header), SAFETENSORS_TENSORS_MAX);
    *header_size = LENGTH_BYTES + (size_t)length;
    *out = STEAL(header);
    return 0;
}

int safetensors_read(struct safetensors **out, const uint8_t *bytes, size_t size, const char *what,
                     struct err *err)
{
    CLEANUP(safetensors_freep) struct safetensors *s = NULL;
    json_auto_t *header = NULL;
    size_t header_size = 0;
    int r = read_header(&header, bytes, size, &header_size, what, err);

    if (r < 0)
        return r;
    s = mem_alloc(sizeof(*s));
    if (s == NULL)
        return err_no_memory(err);
    map_init(&s->by_name, SAFETENSORS_TENSORS_MAX);
    s->entries = mem_array(json_object_size(header), sizeof(*s->entries));
    if (s->entries == NULL)
        return err_no_memory(err);
    r = read_entries(s, header, bytes + header_size, size - header_size, what, err);
    if (r < 0)
        return r;
    r = index_names(s, err);
    if (r < 0)
        return r;
    *out = STEAL(s);
    return 0;
}

void safetensors_free(struct safetensors *s)
{
    if (s == NULL)
        return;
    map_fini(&s->by_name);
    mem_free(s->entries);
    mem_free(s);
}

void safetensors_freep(struct safetensors **s)
{
    safetensors_free(*s);
}

const struct tensor *safetensors_find(const struct safetensors *s, struct str name)
{
    const struct safetensors_entry *entry = map_get(&s->by_name, name);

    return entry == NULL ? NULL : &entry->tensor;
}
