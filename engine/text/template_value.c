/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the template interpreter: see template_value.h. */
#include "engine/text/template_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { DEPTH_MAX = 128 }; /* of values inside values, when printed or compared */

struct value value_none(void)
{
    return (struct value){.type = VALUE_NONE};
}

struct value value_bool(bool b)
{
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}

struct value value_int(int64_t i)
{
    return (struct value){.type = VALUE_INT, .integer = i};
}

struct value value_real(double d)
{
    return (struct value){.type = VALUE_REAL, .real = d};
}

struct value value_text(struct str s)
{
    return (struct value){.type = VALUE_TEXT, .text = s};
}

struct value value_undefined(struct str name)
{
    return (struct value){.type = VALUE_UNDEFINED, .text = name};
}

struct value_list *value_list_new(struct arena *a)
{
    return arena_alloc(a, sizeof(struct value_list));
}

struct value_dict *value_dict_new(struct arena *a)
{
    return arena_alloc(a, sizeof(struct value_dict));
}

struct value value_of_list(struct value_list *list)
{
    return (struct value){.type = VALUE_LIST, .list = list};
}

struct value value_of_dict(struct value_dict *dict)
{
    return (struct value){.type = VALUE_DICT, .dict = dict};
}

bool value_list_add(struct arena *a, struct value_list *list, struct value item)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 4 : 2 * list->cap;
        struct value *items = arena_array(a, cap, sizeof(*items));

        if (items == NULL)
            return false;
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    return true;
}

struct value *value_dict_get(const struct value_dict *d, struct value key, uint64_t *steps)
{
    for (size_t i = 0; i < d->count; i++) {
        ++*steps;
        if (value_equal(d->pairs[i].key, key, steps))
            return &d->pairs[i].value;
    }
    return NULL;
}

bool value_dict_put(struct arena *a, struct value_dict *d, struct value key, struct value v,
                    uint64_t *steps)
{
    struct value *old = value_dict_get(d, key, steps);

    if (old != NULL) {
        *old = v;
        return true;
    }
    if (d->count == d->cap) {
        size_t cap = d->cap == 0 ? 4 : 2 * d->cap;
        struct value_pair *pairs = arena_array(a, cap, sizeof(*pairs));

        if (pairs == NULL)
            return false;
        if (d->count > 0)
            memcpy(pairs, d->pairs, d->count * sizeof(*pairs));
        d->pairs = pairs;
        d->cap = cap;
    }
    d->pairs[d->count++] = (struct value_pair){key, v};
    return true;
}

bool value_true(struct value v)
{
    switch (v.type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return v.boolean;
    case VALUE_INT:
        return v.integer != 0;
    case VALUE_REAL:
        return v.real < 0 || v.real > 0;
    case VALUE_TEXT:
        return v.text.len > 0;
    case VALUE_LIST:
        return v.list->count > 0;
    case VALUE_DICT:
        return v.dict->count > 0;
    case VALUE_NAMESPACE:
    case VALUE_MACRO:
        return true;
    }
    return false;
}

static bool is_number(struct value v)
{
    return v.type == VALUE_BOOL || v.type == VALUE_INT || v.type == VALUE_REAL;
}

static double number_of(struct value v)
{
    if (v.type == VALUE_BOOL)
        return v.boolean ? 1 : 0;
    return v.type == VALUE_INT ? (double)v.integer : v.real;
}

static bool equal(struct value a, struct value b, uint64_t *steps, int depth);

static bool equal_lists(const struct value_list *a, const struct value_list *b, uint64_t *steps,
                        int depth)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!equal(a->items[i], b->items[i], steps, depth + 1))
            return false;
    }
    return true;
}

static bool equal_dicts(const struct value_dict *a, const struct value_dict *b, uint64_t *steps,
                        int depth)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct value *other = value_dict_get(b, a->pairs[i].key, steps);

        if (other == NULL || !equal(a->pairs[i].value, *other, steps, depth + 1))
            return false;
    }
    return true;
}

static bool equal(struct value a, struct value b, uint64_t *steps, int depth)
{
    ++*steps;
    if (depth > DEPTH_MAX)
        return false;
    if (is_number(a) && is_number(b)) {
        if (a.type == VALUE_INT && b.type == VALUE_INT)
            return a.integer == b.integer;
        return !(number_of(a) < number_of(b)) && !(number_of(a) > number_of(b));
    }
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return true;
    case VALUE_TEXT:
        *steps += a.text.len / 64;
        return str_eq(a.text, b.text);
    case VALUE_LIST:
        return equal_lists(a.list, b.list, steps, depth);
    case VALUE_DICT:
        return equal_dicts(a.dict, b.dict, steps, depth);
    case VALUE_NAMESPACE:
        return a.dict == b.dict;
    default:
        return a.macro == b.macro;
    }
}

bool value_equal(struct value a, struct value b, uint64_t *steps)
{
    return equal(a, b, steps, 0);
}

const char *value_type_name(struct value v)
{
    static const char *const names[] = {
        [VALUE_UNDEFINED] = "undefined",   [VALUE_NONE] = "none",
        [VALUE_BOOL] = "a boolean",        [VALUE_INT] = "a number",
        [VALUE_REAL] = "a number",         [VALUE_TEXT] = "a string",
        [VALUE_LIST] = "a list",           [VALUE_DICT] = "a mapping",
        [VALUE_NAMESPACE] = "a namespace", [VALUE_MACRO] = "a macro",
    };

    return names[v.type];
}

static bool list_from_json(struct arena *a, const json_t *json, struct value *out)
{
    struct value_list *list = value_list_new(a);
    size_t count = json_array_size(json);

    if (list == NULL)
        return false;
    list->items = arena_array(a, count == 0 ? 1 : count, sizeof(*list->items));
    if (list->items == NULL)
        return false;
    list->cap = count;
    for (size_t i = 0; i < count; i++) {
        if (!value_from_json(a, json_array_get(json, i), &list->items[i]))
            return false;
        list->count++;
    }
    *out = value_of_list(list);
    return true;
}

static bool dict_from_json(struct arena *a, const json_t *json, struct value *out)
{
    struct value_dict *dict = value_dict_new(a);
    size_t count = json_object_size(json);

    if (dict == NULL)
        return false;
    dict->pairs = arena_array(a, count == 0 ? 1 : count, sizeof(*dict->pairs));
    if (dict->pairs == NULL)
        return false;
    dict->cap = count;
    /* Iterating takes no write access, but jansson's type says so. */
    for (void *i = json_object_iter((json_t *)(uintptr_t)json); i != NULL;
         i = json_object_iter_next((json_t *)(uintptr_t)json, i)) {
        struct value_pair *pair = &dict->pairs[dict->count++];

        pair->key = value_text(str_of(json_object_iter_key(i)));
        if (!value_from_json(a, json_object_iter_value(i), &pair->value))
            return false;
    }
    *out = value_of_dict(dict);
    return true;
}

bool value_from_json(struct arena *a, const json_t *json, struct value *out)
{
    if (json == NULL) {
        *out = value_none();
        return true;
    }
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return dict_from_json(a, json, out);
    case JSON_ARRAY:
        return list_from_json(a, json, out);
    case JSON_STRING:
        *out = value_text(json_str(json));
        return true;
    case JSON_INTEGER:
        *out = value_int(json_integer_value(json));
        return true;
    case JSON_REAL:
        *out = value_real(json_real_value(json));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value_bool(json_is_true(json));
        return true;
    case JSON_NULL:
        break;
    }
    *out = value_none();
    return true;
}

/* As Python's repr: the fewest digits that read back, an exponent from 1e16 and below 1e-4. */
static void print_real(struct buf *out, double d)
{
    char digits[40];
    int precision = 1;
    int exponent;
    const char *e;

    if (!isfinite(d)) {
        buf_append_text(out, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    for (; precision < 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*e", precision - 1, d);
        if (!(strtod(digits, NULL) < d) && !(strtod(digits, NULL) > d))
            break;
    }
    snprintf(digits, sizeof(digits), "%.*e", precision - 1, d);
    e = strchr(digits, 'e');
    exponent = (int)strtol(e + 1, NULL, 10);
    if (exponent >= 16 || exponent < -4)
        buf_append_text(out, digits);
    else
        buf_printf(out, "%.*f", precision - 1 > exponent + 1 ? precision - 1 - exponent : 1, d);
}

static void repr_text(struct buf *out, struct str s)
{
    char quote = str_find_char(s, '\'') >= 0 && str_find_char(s, '"') < 0 ? '"' : '\'';

    buf_append_char(out, quote);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == quote || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_append_text(out, "\\n");
        else if (c == '\r')
            buf_append_text(out, "\\r");
        else if (c == '\t')
            buf_append_text(out, "\\t");
        else if ((unsigned char)c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)c);
        else
            buf_append_char(out, c);
    }
    buf_append_char(out, quote);
}

static void repr(struct buf *out, struct value v, int depth);

static void repr_list(struct buf *out, struct value v, int depth)
{
    buf_append_char(out, v.is_tuple ? '(' : '[');
    for (size_t i = 0; i < v.list->count; i++) {
        buf_append_text(out, i == 0 ? "" : ", ");
        repr(out, v.list->items[i], depth + 1);
    }
    if (v.is_tuple && v.list->count == 1)
        buf_append_char(out, ',');
    buf_append_char(out, v.is_tuple ? ')' : ']');
}

static void repr_dict(struct buf *out, struct value v, int depth)
{
    buf_append_char(out, '{');
    for (size_t i = 0; i < v.dict->count; i++) {
        buf_append_text(out, i == 0 ? "" : ", ");
        repr(out, v.dict->pairs[i].key, depth + 1);
        buf_append_text(out, ": ");
        repr(out, v.dict->pairs[i].value, depth + 1);
    }
    buf_append_char(out, '}');
}

static void repr(struct buf *out, struct value v, int depth)
{
    if (out->failed)
        return;
    if (depth > DEPTH_MAX) {
        buf_append_text(out, "...");
        return;
    }
    switch (v.type) {
    case VALUE_UNDEFINED:
        buf_append_text(out, "Undefined");
        break;
    case VALUE_NONE:
        buf_append_text(out, "None");
        break;
    case VALUE_BOOL:
        buf_append_text(out, v.boolean ? "True" : "False");
        break;
    case VALUE_INT:
        buf_printf(out, "%" PRId64, v.integer);
        break;
    case VALUE_REAL:
        print_real(out, v.real);
        break;
    case VALUE_TEXT:
        repr_text(out, v.text);
        break;
    case VALUE_LIST:
        repr_list(out, v, depth);
        break;
    case VALUE_DICT:
        repr_dict(out, v, depth);
        break;
    case VALUE_NAMESPACE:
        buf_append_text(out, "<Namespace>");
        break;
    case VALUE_MACRO:
        buf_append_text(out, "<Macro>");
        break;
    }
}

void value_repr(struct buf *out, struct value v)
{
    repr(out, v, 0);
}

void value_print(struct buf *out, struct value v)
{
    if (v.type == VALUE_TEXT)
        buf_append_str(out, v.text);
    else if (v.type != VALUE_UNDEFINED)
        repr(out, v, 0);
}

/* Python escapes less than our own writer does: only what JSON demands. */
static void json_text(struct buf *out, struct str s)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        static const char escaped[] = "\"\\\n\r\t\b\f";
        static const char letters[] = "\"\\nrtbf";
        char c = s.ptr[i];
        const char *at = c == '\0' ? NULL : strchr(escaped, c);

        if (at != NULL)
            buf_printf(out, "\\%c", letters[at - escaped]);
        else if ((unsigned char)c < 0x20)
            buf_printf(out, "\\u%04x", (unsigned)(unsigned char)c);
        else
            buf_append_char(out, c);
    }
    buf_append_char(out, '"');
}

static bool to_json(struct buf *out, struct value v, int indent, int depth);

static void json_break(struct buf *out, int indent, int depth)
{
    if (indent < 0)
        return;
    buf_append_char(out, '\n');
    for (int i = 0; i < indent * depth; i++)
        buf_append_char(out, ' ');
}

static void json_comma(struct buf *out, size_t index, int indent)
{
    if (index > 0)
        buf_append_text(out, indent < 0 ? ", " : ",");
}

static bool json_list(struct buf *out, const struct value_list *list, int indent, int depth)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        json_comma(out, i, indent);
        json_break(out, indent, depth + 1);
        if (!to_json(out, list->items[i], indent, depth + 1))
            return false;
    }
    if (list->count > 0)
        json_break(out, indent, depth);
    buf_append_char(out, ']');
    return true;
}

static bool json_dict(struct buf *out, const struct value_dict *dict, int indent, int depth)
{
    buf_append_char(out, '{');
    for (size_t i = 0; i < dict->count; i++) {
        if (dict->pairs[i].key.type != VALUE_TEXT)
            return false;
        json_comma(out, i, indent);
        json_break(out, indent, depth + 1);
        json_text(out, dict->pairs[i].key.text);
        buf_append_text(out, ": ");
        if (!to_json(out, dict->pairs[i].value, indent, depth + 1))
            return false;
    }
    if (dict->count > 0)
        json_break(out, indent, depth);
    buf_append_char(out, '}');
    return true;
}

static bool to_json(struct buf *out, struct value v, int indent, int depth)
{
    if (depth > DEPTH_MAX || out->failed)
        return false;
    switch (v.type) {
    case VALUE_NONE:
        buf_append_text(out, "null");
        return true;
    case VALUE_BOOL:
        buf_append_text(out, v.boolean ? "true" : "false");
        return true;
    case VALUE_INT:
    case VALUE_REAL:
        repr(out, v, depth);
        return true;
    case VALUE_TEXT:
        json_text(out, v.text);
        return true;
    case VALUE_LIST:
        return json_list(out, v.list, indent, depth);
    case VALUE_DICT:
        return json_dict(out, v.dict, indent, depth);
    default:
        return false;
    }
}

bool value_to_json(struct buf *out, struct value v, int indent)
{
    return to_json(out, v, indent, 0);
}
