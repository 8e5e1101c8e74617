/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the head of a GGUF file: see gguf_meta.h. A cursor walks the bytes; it refuses every read
 * that would pass the end, so no count or length from the file is believed before that.
 */
#include "engine/load/gguf_meta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    GGUF_HEADER_BYTES = 24,
    GGUF_ALIGNMENT_DEFAULT = 32,
    GGUF_KEY_BYTES_MIN = 8 + 4 + 1, /* key length, type, smallest value */
    GGUF_TENSOR_BYTES_MIN = 8 + 4 + 8 + 4 + 8,
};

static const struct {
    const char *name;
    size_t size; /* 0: strings and arrays, which bring their own lengths */
} gguf_types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},       [GGUF_I8] = {"i8", 1},     [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},     [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},     [GGUF_BOOL] = {"bool", 1}, [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8},   [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

struct cursor {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    struct err *err;
};

static uint64_t load_le(const uint8_t *p, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

/* What to do about a broken file is always the same. */
static int broken(const struct cursor *c, const char *what)
{
    return err_set(c->err, ERR_SYNTAX, "GGUF at byte %zu: %s; fetch the file again", c->at, what);
}

static int read_uint(struct cursor *c, size_t size, uint64_t *out)
{
    if (size > c->size - c->at)
        return broken(c, "the file ends within a number");
    *out = load_le(c->bytes + c->at, size);
    c->at += size;
    return 0;
}

static int read_str(struct cursor *c, struct str *out)
{
    uint64_t length;
    int r = read_uint(c, 8, &length);

    if (r < 0)
        return r;
    if (length > c->size - c->at)
        return broken(c, "a string is longer than the rest of the file");
    *out = (struct str){(const char *)c->bytes + c->at, (size_t)length};
    c->at += (size_t)length;
    return 0;
}

static int read_name(struct cursor *c, const char *what, struct str *out)
{
    int r = read_str(c, out);

    if (r < 0)
        return r;
    if (out->len == 0 || out->len > GGUF_NAME_BYTES_MAX || memchr(out->ptr, 0, out->len) != NULL)
        return err_set(c->err, ERR_SYNTAX,
                       "GGUF at byte %zu: a %s must have 1 to %d bytes and no NUL; fetch the file "
                       "again",
                       c->at, what, GGUF_NAME_BYTES_MAX);
    return 0;
}

/* Passes over the elements of `value`, whose type and count are set. */
static int read_elements(struct cursor *c, struct gguf_value *value)
{
    size_t start = c->at;
    size_t size = gguf_types[value->type].size;
    struct str ignored;
    int r;

    if (size > 0) {
        if (value->count > (c->size - c->at) / size)
            return broken(c, "an array is longer than the rest of the file");
        c->at += (size_t)value->count * size;
    } else {
        if (value->count > (c->size - c->at) / 8)
            return broken(c, "an array is longer than the rest of the file");
        for (uint64_t i = 0; i < value->count; i++) {
            r = read_str(c, &ignored);
            if (r < 0)
                return r;
        }
    }
    value->data = c->bytes + start;
    value->size = c->at - start;
    return 0;
}

static int read_type(struct cursor *c, enum gguf_type *out)
{
    uint64_t type = 0;
    int r = read_uint(c, 4, &type);

    if (r < 0)
        return r;
    if (type >= GGUF_TYPE_COUNT)
        return broken(c, "the type of a value is unknown");
    *out = (enum gguf_type)type;
    return 0;
}

static int read_value(struct cursor *c, struct gguf_value *value)
{
    int r = read_name(c, "key", &value->key);

    if (r >= 0)
        r = read_type(c, &value->type);
    if (r < 0)
        return r;
    value->count = 1;
    if (value->type == GGUF_ARRAY) {
        value->is_array = true;
        r = read_type(c, &value->type);
        if (r >= 0 && value->type == GGUF_ARRAY)
            r = broken(c, "arrays of arrays are not supported");
        if (r >= 0)
            r = read_uint(c, 8, &value->count);
        if (r < 0)
            return err_wrap(c->err, r, "key %.*s", STR_ARG(value->key));
    }
    r = read_elements(c, value);
    return r < 0 ? err_wrap(c->err, r, "key %.*s", STR_ARG(value->key)) : 0;
}

static int read_dims(struct cursor *c, struct gguf_tensor *tensor)
{
    uint64_t dim_count = 0;
    int r = read_uint(c, 4, &dim_count);

    if (r < 0)
        return r;
    if (dim_count < 1 || dim_count > GGUF_DIMS_MAX)
        return broken(c, "a tensor must have 1 to 4 dimensions");
    tensor->dim_count = (int)dim_count;
    tensor->elements = 1;
    for (int i = 0; i < GGUF_DIMS_MAX; i++) {
        tensor->dims[i] = 1;
        if (i >= tensor->dim_count)
            continue;
        r = read_uint(c, 8, &tensor->dims[i]);
        if (r < 0)
            return r;
        if (tensor->dims[i] == 0 ||
            __builtin_mul_overflow(tensor->elements, tensor->dims[i], &tensor->elements) ||
            tensor->elements > INT64_MAX)
            return broken(c, "a dimension is zero or the product of the dimensions overflows");
    }
    return 0;
}

static int read_tensor(struct cursor *c, struct gguf_tensor *tensor)
{
    uint64_t type = 0;
    int r = read_name(c, "tensor name", &tensor->name);

    if (r < 0)
        return r;
    r = read_dims(c, tensor);
    if (r >= 0)
        r = read_uint(c, 4, &type);
    if (r >= 0)
        r = read_uint(c, 8, &tensor->offset);
    if (r < 0)
        return err_wrap(c->err, r, "tensor %.*s", STR_ARG(tensor->name));
    tensor->type = (uint32_t)type;
    return 0;
}

/* Offsets in the file count from the aligned end of the head; here they become absolute. */
static int place_tensors(struct gguf_meta *meta, size_t head_end, size_t size, struct err *err)
{
    uint64_t padding = (meta->alignment - head_end % meta->alignment) % meta->alignment;

    meta->data_offset = head_end + padding;
    for (size_t i = 0; i < meta->tensor_count; i++) {
        struct gguf_tensor *tensor = &meta->tensors[i];

        if (tensor->offset % meta->alignment != 0 ||
            __builtin_add_overflow(tensor->offset, meta->data_offset, &tensor->offset) ||
            tensor->offset >= size)
            return err_set(err, ERR_SYNTAX,
                           "GGUF tensor %.*s: its offset is not aligned to %" PRIu32
                           " or lies beyond the end of the file; fetch the file again",
                           STR_ARG(tensor->name), meta->alignment);
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return str_compare(**(const struct str *const *)a, **(const struct str *const *)b);
}

/* Names must be distinct, or what is found would depend on who looks. `stride` is the distance of
 * the names in their array. */
static int check_distinct(const struct str *first, size_t count, size_t stride, const char *what,
                          struct err *err)
{
    CLEANUP(mem_freep) const struct str **names = NULL;

    if (count < 2)
        return 0;
    names = mem_array(count, sizeof(struct str *));
    if (names == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        names[i] = (const struct str *)(const void *)((const char *)first + i * stride);
    qsort(names, count, sizeof(struct str *), by_name);
    for (size_t i = 1; i < count; i++) {
        if (str_eq(*names[i - 1], *names[i]))
            return err_set(err, ERR_SYNTAX, "GGUF: %s %.*s appears twice; fetch the file again",
                           what, STR_ARG(*names[i]));
    }
    return 0;
}

static int read_header(struct cursor *c, uint64_t *tensor_count, uint64_t *key_count)
{
    uint64_t version = 0;

    if (c->size < GGUF_HEADER_BYTES || memcmp(c->bytes, "GGUF", 4) != 0)
        return broken(c, "this is not a GGUF file");
    c->at = 4;
    (void)read_uint(c, 4, &version); /* the size was checked */
    if (version != 2 && version != 3)
        return err_set(c->err, ERR_UNSUPPORTED,
                       "GGUF version %" PRIu64 " is not supported (2 and 3 are); convert the file "
                       "again",
                       version);
    (void)read_uint(c, 8, tensor_count);
    (void)read_uint(c, 8, key_count);
    if (*key_count > GGUF_KEYS_MAX || *key_count > c->size / GGUF_KEY_BYTES_MIN)
        return broken(c, "the number of keys is too large");
    if (*tensor_count > GGUF_TENSORS_MAX || *tensor_count > c->size / GGUF_TENSOR_BYTES_MIN)
        return broken(c, "the number of tensors is too large");
    return 0;
}

static int read_alignment(struct gguf_meta *meta, struct err *err)
{
    int64_t alignment = GGUF_ALIGNMENT_DEFAULT;
    int r = gguf_get_i64(meta, "general.alignment", false, 8, GGUF_ALIGNMENT_MAX, &alignment, err);

    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    if ((alignment & (alignment - 1)) != 0)
        return err_set(err, ERR_SYNTAX,
                       "GGUF: general.alignment is %" PRId64 "; it must be a power of two",
                       alignment);
    meta->alignment = (uint32_t)alignment;
    return 0;
}

static int read_all(struct gguf_meta *meta, struct cursor *c)
{
    uint64_t tensor_count = 0;
    uint64_t key_count = 0;
    int r = read_header(c, &tensor_count, &key_count);

    if (r < 0)
        return r;
    meta->values = mem_array((size_t)key_count + 1, sizeof(*meta->values));
    meta->tensors = mem_array((size_t)tensor_count + 1, sizeof(*meta->tensors));
    if (meta->values == NULL || meta->tensors == NULL)
        return err_no_memory(c->err);
    for (uint64_t i = 0; r >= 0 && i < key_count; i++)
        r = read_value(c, &meta->values[meta->value_count++]);
    for (uint64_t i = 0; r >= 0 && i < tensor_count; i++)
        r = read_tensor(c, &meta->tensors[meta->tensor_count++]);
    if (r >= 0)
        r = check_distinct(&meta->values[0].key, meta->value_count, sizeof(*meta->values), "key",
                           c->err);
    if (r >= 0)
        r = check_distinct(&meta->tensors[0].name, meta->tensor_count, sizeof(*meta->tensors),
                           "tensor", c->err);
    if (r >= 0)
        r = read_alignment(meta, c->err);
    return r < 0 ? r : place_tensors(meta, c->at, c->size, c->err);
}

int gguf_meta_read(struct gguf_meta **out, const uint8_t *bytes, size_t size, struct err *err)
{
    CLEANUP(gguf_meta_freep) struct gguf_meta *meta = mem_alloc(sizeof(*meta));
    struct cursor c = {.bytes = bytes, .size = size, .err = err};
    int r;

    if (meta == NULL)
        return err_no_memory(err);
    r = read_all(meta, &c);
    if (r < 0)
        return r;
    *out = STEAL(meta);
    return 0;
}

void gguf_meta_free(struct gguf_meta *meta)
{
    if (meta == NULL)
        return;
    mem_free(meta->values);
    mem_free(meta->tensors);
    mem_free(meta);
}

void gguf_meta_freep(struct gguf_meta **meta)
{
    gguf_meta_free(*meta);
}

const struct gguf_value *gguf_find(const struct gguf_meta *meta, const char *key)
{
    for (size_t i = 0; i < meta->value_count; i++) {
        if (str_is(meta->values[i].key, key))
            return &meta->values[i];
    }
    return NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf_meta *meta, struct str name)
{
    for (size_t i = 0; i < meta->tensor_count; i++) {
        if (str_eq(meta->tensors[i].name, name))
            return &meta->tensors[i];
    }
    return NULL;
}

/* The value, or NULL with the result of its absence in *r. */
static const struct gguf_value *find(const struct gguf_meta *meta, const char *key, bool required,
                                     int *r, struct err *err)
{
    const struct gguf_value *value = gguf_find(meta, key);

    if (value == NULL)
        *r = required ? err_set(err, ERR_INVALID, "GGUF key %s is missing", key) : -ERR_NOT_FOUND;
    return value;
}

static int wrong_type(const struct gguf_value *value, const char *wanted, struct err *err)
{
    return err_set(err, ERR_INVALID, "GGUF key %.*s must be %s, not %s%s", STR_ARG(value->key),
                   wanted, value->is_array ? "an array of " : "", gguf_types[value->type].name);
}

static bool is_integer(enum gguf_type type)
{
    return type != GGUF_F32 && type != GGUF_F64 && type != GGUF_BOOL && type != GGUF_STRING;
}

int64_t gguf_int_at(const struct gguf_value *value, uint64_t i)
{
    size_t size = gguf_types[value->type].size;
    uint64_t raw = load_le(value->data + i * size, size);

    switch (value->type) {
    case GGUF_I8:
        return (int8_t)raw;
    case GGUF_I16:
        return (int16_t)raw;
    case GGUF_I32:
        return (int32_t)raw;
    case GGUF_U64:
        return raw > INT64_MAX ? INT64_MAX : (int64_t)raw;
    default:
        return (int64_t)raw;
    }
}

int gguf_get_i64(const struct gguf_meta *meta, const char *key, bool required, int64_t min,
                 int64_t max, int64_t *out, struct err *err)
{
    int r = 0;
    const struct gguf_value *value = find(meta, key, required, &r, err);
    int64_t number;

    if (value == NULL)
        return r;
    if (value->is_array || !is_integer(value->type))
        return wrong_type(value, "an integer", err);
    number = gguf_int_at(value, 0);
    if (number < min || number > max)
        return err_set(err, ERR_INVALID,
                       "GGUF key %s is %" PRId64 "; it must be %" PRId64 " to %" PRId64, key,
                       number, min, max);
    *out = number;
    return 0;
}

int gguf_get_f64(const struct gguf_meta *meta, const char *key, bool required, double min,
                 double max, double *out, struct err *err)
{
    int r = 0;
    const struct gguf_value *value = find(meta, key, required, &r, err);
    double number;
    uint64_t bits;
    float single;

    if (value == NULL)
        return r;
    if (value->is_array || (value->type != GGUF_F32 && value->type != GGUF_F64))
        return wrong_type(value, "a real number", err);
    bits = load_le(value->data, value->size);
    if (value->type == GGUF_F64) {
        memcpy(&number, &bits, sizeof(number));
    } else {
        uint32_t bits32 = (uint32_t)bits;

        memcpy(&single, &bits32, sizeof(single));
        number = (double)single;
    }
    if (!(number >= min && number <= max)) /* also refuses NaN */
        return err_set(err, ERR_INVALID, "GGUF key %s is %g; it must be %g to %g", key, number, min,
                       max);
    *out = number;
    return 0;
}

int gguf_get_bool(const struct gguf_meta *meta, const char *key, bool required, bool *out,
                  struct err *err)
{
    int r = 0;
    const struct gguf_value *value = find(meta, key, required, &r, err);

    if (value == NULL)
        return r;
    if (value->is_array || value->type != GGUF_BOOL)
        return wrong_type(value, "a boolean", err);
    *out = value->data[0] != 0;
    return 0;
}

int gguf_get_str(const struct gguf_meta *meta, const char *key, bool required, struct str *out,
                 struct err *err)
{
    int r = 0;
    const struct gguf_value *value = find(meta, key, required, &r, err);
    size_t at = 0;

    if (value == NULL)
        return r;
    if (value->is_array || value->type != GGUF_STRING)
        return wrong_type(value, "a string", err);
    *out = gguf_next_string(value, &at);
    return 0;
}

int gguf_get_array(const struct gguf_meta *meta, const char *key, bool required,
                   enum gguf_type type, const struct gguf_value **out, struct err *err)
{
    int r = 0;
    const struct gguf_value *value = find(meta, key, required, &r, err);

    if (value == NULL)
        return r;
    if (!value->is_array || value->type != type)
        return err_set(err, ERR_INVALID, "GGUF key %s must be an array of %s, not %s%s", key,
                       gguf_types[type].name, value->is_array ? "an array of " : "",
                       gguf_types[value->type].name);
    *out = value;
    return 0;
}

struct str gguf_next_string(const struct gguf_value *value, size_t *at)
{
    size_t length = (size_t)load_le(value->data + *at, 8); /* was checked by read_elements */
    struct str text = {(const char *)value->data + *at + 8, length};

    *at += 8 + length;
    return text;
}
