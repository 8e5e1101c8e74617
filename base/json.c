/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON with limits: see json.h. */
#include "base/json.h"

#include <inttypes.h>

#include "base/mem.h"

const struct json_limits json_limits_default = {.max_bytes = 32U << 20, .max_depth = 64};

/* An allocation of jansson failed in this thread: it calls that a syntax error, or keeps silent. */
static _Thread_local bool memory_ran_out;

static void *allocate(size_t size)
{
    void *memory = mem_resize(NULL, size, 1);

    if (memory == NULL)
        memory_ran_out = true;
    return memory;
}

void json_begin(void)
{
    json_set_alloc_funcs(allocate, mem_free);
    json_object_seed(0);
}

/* jansson's own depth limit is fixed at compile time, so ours is checked before the parse. */
static int check_depth(struct str text, int max_depth)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth)
                return -ERR_LIMIT;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return 0;
}

int json_read(json_t **out, struct str text, const struct json_limits *limits, const char *what,
              struct err *err)
{
    json_error_t where;
    json_t *tree;

    if (text.len > limits->max_bytes)
        return err_set(err, ERR_LIMIT, "%s is %zu bytes; the limit is %zu", what, text.len,
                       limits->max_bytes);
    if (check_depth(text, limits->max_depth) < 0)
        return err_set(err, ERR_LIMIT, "%s nests deeper than %d levels", what, limits->max_depth);
    if (text.len == 0)
        return err_set(err, ERR_SYNTAX, "%s is empty where JSON is expected", what);
    memory_ran_out = false;
    tree = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (memory_ran_out || (tree == NULL && json_error_code(&where) == json_error_out_of_memory)) {
        json_decref(tree); /* may lack a part */
        return err_no_memory(err);
    }
    if (tree == NULL)
        return err_set(err, ERR_SYNTAX, "%s is not valid JSON: line %d column %d: %s", what,
                       where.line, where.column, where.text);
    *out = tree;
    return 0;
}

const char *json_type_name(const json_t *value)
{
    if (value == NULL)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "real";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        return "null";
    }
    return "nothing";
}

struct str json_str(const json_t *string)
{
    if (!json_is_string(string))
        return STR_NONE;
    return (struct str){json_string_value(string), json_string_length(string)};
}

/* The member, or NULL with the result of its absence in *r. */
static json_t *member(const json_t *object, const char *key, bool required, int *r, struct err *err)
{
    json_t *value = object == NULL ? NULL : json_object_get(object, key);

    if (value != NULL && !json_is_null(value))
        return value;
    *r = -ERR_NOT_FOUND;
    if (required)
        *r = err_set(err, ERR_INVALID, "'%s' is missing", key);
    return NULL;
}

static int wrong_type(const json_t *value, const char *key, const char *wanted, struct err *err)
{
    return err_set(err, ERR_INVALID, "'%s' must be %s, not %s", key, wanted, json_type_name(value));
}

int json_get_str(const json_t *object, const char *key, bool required, struct str *out,
                 struct err *err)
{
    int r = 0;
    const json_t *value = member(object, key, required, &r, err);

    if (value == NULL)
        return r;
    if (!json_is_string(value))
        return wrong_type(value, key, "a string", err);
    *out = json_str(value);
    return 0;
}

int json_get_i64(const json_t *object, const char *key, bool required, int64_t min, int64_t max,
                 int64_t *out, struct err *err)
{
    int r = 0;
    const json_t *value = member(object, key, required, &r, err);
    json_int_t integer;

    if (value == NULL)
        return r;
    if (!json_is_integer(value))
        return wrong_type(value, key, "an integer", err);
    integer = json_integer_value(value);
    if (integer < min || integer > max)
        return err_set(err, ERR_INVALID,
                       "'%s' is %" JSON_INTEGER_FORMAT "; it must be from %" PRId64 " to %" PRId64,
                       key, integer, min, max);
    *out = integer;
    return 0;
}

int json_get_f64(const json_t *object, const char *key, bool required, double min, double max,
                 double *out, struct err *err)
{
    int r = 0;
    const json_t *value = member(object, key, required, &r, err);
    double number;

    if (value == NULL)
        return r;
    if (!json_is_number(value))
        return wrong_type(value, key, "a number", err);
    number = json_number_value(value);
    if (!(number >= min && number <= max))
        return err_set(err, ERR_INVALID, "'%s' is %g; it must be from %g to %g", key, number, min,
                       max);
    *out = number;
    return 0;
}

int json_get_bool(const json_t *object, const char *key, bool required, bool *out, struct err *err)
{
    int r = 0;
    const json_t *value = member(object, key, required, &r, err);

    if (value == NULL)
        return r;
    if (!json_is_boolean(value))
        return wrong_type(value, key, "true or false", err);
    *out = json_is_true(value);
    return 0;
}

int json_get_object(const json_t *object, const char *key, bool required, json_t **out,
                    struct err *err)
{
    int r = 0;
    json_t *value = member(object, key, required, &r, err);

    if (value == NULL)
        return r;
    if (!json_is_object(value))
        return wrong_type(value, key, "an object", err);
    *out = value;
    return 0;
}

int json_get_array(const json_t *object, const char *key, bool required, json_t **out,
                   struct err *err)
{
    int r = 0;
    json_t *value = member(object, key, required, &r, err);

    if (value == NULL)
        return r;
    if (!json_is_array(value))
        return wrong_type(value, key, "an array", err);
    *out = value;
    return 0;
}
