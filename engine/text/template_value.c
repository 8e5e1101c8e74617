/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the template interpreter: see template_value.h. */
#include "engine/text/template_value.h"

#include <string.h>

#include "base/json.h"

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
    if (depth > VALUE_DEPTH_MAX)
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
