/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What templates may call by name, but for the tests: tables that list it all; the parser refuses
 * names that are not there. None reaches outside the rendering but strftime_now, which reads the
 * injected clock.
 */
#include "engine/text/template_calls.h"
#include "base/mem.h"
#include "engine/text/unicode.h"

/* The filter or method needs a text. */
int call_need_text(struct run *run, const struct node *at, struct value v, struct str *out)
{
    int r = run_defined(run, at, v);

    if (r >= 0 && v.type != VALUE_TEXT)
        return run_fault(run, at, ERR_INVALID, "a string is needed, not %s", value_type_name(v));
    *out = v.text;
    return r;
}

/* The text argument, or `standard` where it is not given. */
int call_text(struct run *run, const struct node *at, const struct arguments *args, int index,
              const char *keyword, struct str standard, struct str *out)
{
    const struct value *given = argument_get(args, index, keyword);

    *out = standard;
    if (given == NULL || given->type == VALUE_NONE)
        return 0;
    return call_need_text(run, at, *given, out);
}

int call_integer(struct run *run, const struct node *at, const struct arguments *args, int index,
                 const char *keyword, int64_t standard, int64_t *out)
{
    const struct value *given = argument_get(args, index, keyword);

    *out = standard;
    if (given == NULL || given->type == VALUE_NONE)
        return 0;
    if (given->type != VALUE_INT)
        return run_fault(run, at, ERR_INVALID, "an integer is needed, not %s",
                         value_type_name(*given));
    *out = given->integer;
    return 0;
}

int run_iterate(struct run *run, const struct node *at, struct value v, struct value_list **out)
{
    struct value_list *list;

    if (v.type == VALUE_LIST) {
        *out = v.list;
        return 0;
    }
    if (v.type != VALUE_UNDEFINED && v.type != VALUE_DICT && v.type != VALUE_TEXT)
        return run_fault(run, at, ERR_INVALID, "%s cannot be gone through", value_type_name(v));
    list = value_list_new(&run->arena);
    if (list == NULL)
        return run_no_memory(run, at);
    for (size_t i = 0; v.type == VALUE_DICT && i < v.dict->count; i++) {
        if (!value_list_add(&run->arena, list, v.dict->pairs[i].key))
            return run_no_memory(run, at);
    }
    for (size_t i = 0, end; v.type == VALUE_TEXT && i < v.text.len; i = end) {
        (void)unicode_at(v.text.ptr, i, &end);
        if (!value_list_add(&run->arena, list, value_text(str_slice(v.text, i, end))))
            return run_no_memory(run, at);
    }
    *out = list;
    return run_charge(run, at, list->count);
}

int call_append(struct run *run, const struct node *at, struct value_list *list, struct value item)
{
    if (!value_list_add(&run->arena, list, item))
        return run_no_memory(run, at);
    return run_charge(run, at, 1);
}

struct named {
    const char *name;
    call_fn *function;
};

static const struct named filters[] = {
    {"trim", filter_trim},
    {"length", filter_length},
    {"count", filter_length},
    {"join", filter_join},
    {"upper", filter_upper},
    {"lower", filter_lower},
    {"title", filter_title},
    {"capitalize", filter_capitalize},
    {"default", filter_default},
    {"d", filter_default},
    {"tojson", filter_tojson},
    {"items", filter_items},
    {"list", filter_list},
    {"string", filter_string},
    {"safe", filter_safe},
    {"int", filter_int},
    {"first", filter_first},
    {"last", filter_last},
    {"replace", method_replace},
    {"select", filter_select},
    {"reject", filter_reject},
    {"selectattr", filter_selectattr},
    {"rejectattr", filter_rejectattr},
    {"map", filter_map},
};

static const struct named methods[] = {
    {"strip", method_strip},           {"lstrip", method_lstrip},
    {"rstrip", method_rstrip},         {"split", method_split},
    {"startswith", method_startswith}, {"endswith", method_endswith},
    {"replace", method_replace},       {"upper", filter_upper},
    {"lower", filter_lower},           {"title", filter_title},
    {"capitalize", filter_capitalize}, {"get", method_get},
    {"items", filter_items},           {"keys", method_keys},
    {"values", method_values},
};

static const struct named functions[] = {
    {"namespace", function_namespace},
    {"raise_exception", function_raise},
    {"range", function_range},
    {"strftime_now", function_strftime_now},
};

static const struct named *find_named(const struct named *table, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_is(name, table[i].name))
            return &table[i];
    }
    return NULL;
}

bool template_knows_filter(struct str name)
{
    return find_named(filters, ARRAY_COUNT(filters), name) != NULL;
}

bool template_knows_method(struct str name)
{
    return find_named(methods, ARRAY_COUNT(methods), name) != NULL;
}

bool template_knows_function(struct str name)
{
    return find_named(functions, ARRAY_COUNT(functions), name) != NULL;
}

int run_filter(struct run *run, const struct node *at, struct value subject,
               const struct arguments *args, struct value *out)
{
    const struct named *filter = find_named(filters, ARRAY_COUNT(filters), at->text);
    int r = run_charge(run, at, 1);

    return r < 0 ? r : filter->function(run, at, subject, args, out);
}

int run_method(struct run *run, const struct node *at, struct str name, struct value subject,
               const struct arguments *args, struct value *out)
{
    return find_named(methods, ARRAY_COUNT(methods), name)->function(run, at, subject, args, out);
}

int run_function(struct run *run, const struct node *at, struct str name,
                 const struct arguments *args, struct value *out)
{
    return find_named(functions, ARRAY_COUNT(functions), name)
        ->function(run, at, value_none(), args, out);
}
