/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of lists: length, join, select, map and their kin. */
#include "base/mem.h"
#include "engine/text/template_calls.h"

int filter_length(struct run *run, const struct node *at, struct value subject,
                  const struct arguments *args, struct value *out)
{
    struct value_list *items;
    int64_t count = 0;
    int r;

    (void)args;
    if (subject.type == VALUE_DICT) {
        *out = value_int((int64_t)subject.dict->count);
        return 0;
    }
    if (subject.type == VALUE_TEXT) {
        for (size_t i = 0; i < subject.text.len; i++)
            count += ((unsigned char)subject.text.ptr[i] & 0xc0) != 0x80;
        *out = value_int(count);
        return run_charge(run, at, subject.text.len / 64);
    }
    r = run_iterate(run, at, subject, &items);
    if (r >= 0)
        *out = value_int((int64_t)items->count);
    return r;
}

int filter_join(struct run *run, const struct node *at, struct value subject,
                const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct value_list *items;
    struct str between;
    int r = call_text(run, at, args, 0, "d", STR(""), &between);

    if (argument_get(args, 1, "attribute") != NULL)
        return run_fault(run, at, ERR_UNSUPPORTED, "join by attribute is not supported");
    if (r >= 0)
        r = run_iterate(run, at, subject, &items);
    if (r < 0)
        return r;
    for (size_t i = 0; i < items->count; i++) {
        if (i > 0)
            buf_append_str(run->out, between);
        value_print(run->out, items->items[i]);
    }
    return run_capture(run, at, mark, out);
}

int filter_items(struct run *run, const struct node *at, struct value subject,
                 const struct arguments *args, struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);
    int r = 0;

    (void)args;
    if (list == NULL)
        return run_no_memory(run, at);
    if (subject.type != VALUE_DICT && subject.type != VALUE_UNDEFINED)
        return run_fault(run, at, ERR_INVALID, "items needs a mapping, not %s",
                         value_type_name(subject));
    for (size_t i = 0; r >= 0 && subject.type == VALUE_DICT && i < subject.dict->count; i++) {
        struct value_list *pair = value_list_new(&run->arena);
        struct value item;

        if (pair == NULL)
            return run_no_memory(run, at);
        r = call_append(run, at, pair, subject.dict->pairs[i].key);
        if (r >= 0)
            r = call_append(run, at, pair, subject.dict->pairs[i].value);
        item = value_of_list(pair);
        item.is_tuple = true;
        if (r >= 0)
            r = call_append(run, at, list, item);
    }
    *out = value_of_list(list);
    return r;
}

int filter_list(struct run *run, const struct node *at, struct value subject,
                const struct arguments *args, struct value *out)
{
    struct value_list *items;
    int r = run_iterate(run, at, subject, &items);

    (void)args;
    if (r >= 0)
        *out = value_of_list(items);
    return r;
}

static int end_of_list(struct run *run, const struct node *at, struct value subject, bool last,
                       struct value *out)
{
    struct value_list *items;
    int r = run_iterate(run, at, subject, &items);

    if (r < 0)
        return r;
    *out = value_undefined(last ? STR("last element") : STR("first element"));
    if (items->count > 0)
        *out = items->items[last ? items->count - 1 : 0];
    return 0;
}

int filter_first(struct run *run, const struct node *at, struct value subject,
                 const struct arguments *args, struct value *out)
{
    (void)args;
    return end_of_list(run, at, subject, false, out);
}

int filter_last(struct run *run, const struct node *at, struct value subject,
                const struct arguments *args, struct value *out)
{
    (void)args;
    return end_of_list(run, at, subject, true, out);
}

/* Arguments from `skip` on, for a test or filter that is named by an argument. */
static void rest_of_arguments(const struct arguments *args, int skip, struct arguments *out)
{
    out->count = 0;
    for (int i = skip; i < args->count; i++) {
        out->values[out->count] = args->values[i];
        out->keywords[out->count++] = args->keywords[i];
    }
}

/* map, select and their kin take what is false for nothing at all. */
static int iterate_if_any(struct run *run, const struct node *at, struct value v,
                          struct value_list **out)
{
    return run_iterate(run, at, value_true(v) ? v : value_undefined(STR("nothing")), out);
}

/* select, reject and their attr forms: attribute first, then the test with its arguments. */
static int choose(struct run *run, const struct node *at, struct value subject,
                  const struct arguments *args, bool by_attribute, bool wanted, struct value *out)
{
    struct value_list *kept = value_list_new(&run->arena);
    struct value_list *items;
    struct arguments rest;
    struct str attribute = STR("");
    struct str test;
    int skip = by_attribute ? 1 : 0;
    int r = iterate_if_any(run, at, subject, &items);

    if (kept == NULL)
        return run_no_memory(run, at);
    if (r >= 0 && by_attribute)
        r = call_text(run, at, args, 0, NULL, STR(""), &attribute);
    if (r >= 0)
        r = call_text(run, at, args, skip, NULL, STR("true value"), &test);
    for (size_t i = 0; r >= 0 && i < items->count; i++) {
        struct value v = items->items[i];
        bool result = false;

        r = run_charge(run, at, 1);
        if (r >= 0 && by_attribute)
            r = run_attribute(run, at, items->items[i], value_text(attribute), &v);
        rest_of_arguments(args, skip + 1, &rest);
        if (r >= 0 && str_is(test, "true value"))
            result = value_true(v);
        else if (r >= 0)
            r = run_test(run, at, test, v, &rest, &result);
        if (r >= 0 && result == wanted)
            r = call_append(run, at, kept, items->items[i]);
    }
    *out = value_of_list(kept);
    return r;
}

int filter_select(struct run *run, const struct node *at, struct value subject,
                  const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, false, true, out);
}

int filter_reject(struct run *run, const struct node *at, struct value subject,
                  const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, false, false, out);
}

int filter_selectattr(struct run *run, const struct node *at, struct value subject,
                      const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, true, true, out);
}

int filter_rejectattr(struct run *run, const struct node *at, struct value subject,
                      const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, true, false, out);
}

/* map(attribute="x") or map("filter", arguments ...) */
int filter_map(struct run *run, const struct node *at, struct value subject,
               const struct arguments *args, struct value *out)
{
    const struct value *attribute = argument_get(args, 99, "attribute");
    struct value_list *list = value_list_new(&run->arena);
    struct value_list *items;
    struct arguments rest;
    struct node named = *at;
    int r = iterate_if_any(run, at, subject, &items);

    if (list == NULL)
        return run_no_memory(run, at);
    if (r >= 0 && attribute == NULL)
        r = call_text(run, at, args, 0, NULL, STR(""), &named.text);
    if (r >= 0 && attribute == NULL && !template_knows_filter(named.text))
        return run_fault(run, at, ERR_UNSUPPORTED, "map by '%.*s' is not supported",
                         STR_ARG(str_slice(named.text, 0, 64)));
    rest_of_arguments(args, 1, &rest);
    for (size_t i = 0; r >= 0 && i < items->count; i++) {
        struct value v;

        if (attribute != NULL)
            r = run_attribute(run, at, items->items[i], *attribute, &v);
        else if (++run->depth > RUN_DEPTH_MAX) /* map("map", "map" ...) */
            return run_fault(run, at, ERR_LIMIT, "map nests deeper than %d", RUN_DEPTH_MAX);
        else
            r = run_filter(run, &named, items->items[i], &rest, &v);
        run->depth -= attribute == NULL;
        if (r >= 0)
            r = call_append(run, at, list, v);
    }
    *out = value_of_list(list);
    return r;
}
