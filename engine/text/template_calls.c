/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What templates may call by name: filters, tests, methods and functions. Tables at the end list
 * them all; the parser refuses names that are not there. None reaches outside the rendering but
 * strftime_now, which reads the injected clock.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_run.h"
#include "engine/text/unicode.h"

typedef int (*filter_fn)(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out);

/* --- help ------------------------------------------------------------------------------------ */

/* The filter or method needs a text. */
static int need_text(struct run *run, const struct node *at, struct value v, struct str *out)
{
    int r = run_defined(run, at, v);

    if (r >= 0 && v.type != VALUE_TEXT)
        return run_fault(run, at, ERR_INVALID, "a string is needed, not %s", value_type_name(v));
    *out = v.text;
    return r;
}

/* The text argument, or `standard` where it is not given. */
static int text_argument(struct run *run, const struct node *at, const struct arguments *args,
                         int index, const char *keyword, struct str standard, struct str *out)
{
    const struct value *given = argument_get(args, index, keyword);

    *out = standard;
    if (given == NULL || given->type == VALUE_NONE)
        return 0;
    return need_text(run, at, *given, out);
}

static int integer_argument(struct run *run, const struct node *at, const struct arguments *args,
                            int index, const char *keyword, int64_t standard, int64_t *out)
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

/* Python's str.isspace: White_Space and the four separators of ASCII. */
static bool is_blank(uint32_t c)
{
    return (unicode_class(c) & UNICODE_SPACE) != 0 || (c >= 0x1c && c <= 0x1f);
}

/* In `chars`, or blank where that has no pointer. */
static bool is_stripped(struct str s, size_t from, size_t to, struct str chars)
{
    size_t next;

    if (chars.ptr == NULL)
        return is_blank(unicode_at(s.ptr, from, &next));
    return str_find(chars, str_slice(s, from, to)) >= 0;
}

static struct str strip(struct str s, struct str chars, bool left, bool right)
{
    size_t next;

    while (left && s.len > 0) {
        (void)unicode_at(s.ptr, 0, &next);
        if (!is_stripped(s, 0, next, chars))
            break;
        s = str_slice(s, next, s.len);
    }
    while (right && s.len > 0) {
        size_t at = s.len - 1;

        while (at > 0 && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
            at--;
        if (!is_stripped(s, at, s.len, chars))
            break;
        s = str_slice(s, 0, at);
    }
    return s;
}

enum letter_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL };

/* ASCII letters change; others stay as they are, which is all that the named templates need. */
static int change_case(struct run *run, const struct node *at, struct str s, enum letter_case how,
                       struct value *out)
{
    char *text = arena_alloc(&run->arena, s.len);
    bool first = true;

    if (text == NULL)
        return run_no_memory(run, at);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool upper = how == CASE_UPPER || (how != CASE_LOWER && first);
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if ((unsigned char)c >= 0x80)
            return run_fault(run, at, ERR_UNSUPPORTED,
                             "changing the case of letters beyond ASCII is not supported");
        text[i] = !letter ? c : (char)(upper ? c & ~32 : c | 32);
        first = how == CASE_TITLE ? !letter : false;
    }
    *out = value_text((struct str){text, s.len});
    return run_charge(run, at, s.len / 64);
}

static int append_item(struct run *run, const struct node *at, struct value_list *list,
                       struct value item)
{
    if (!value_list_add(&run->arena, list, item))
        return run_no_memory(run, at);
    return run_charge(run, at, 1);
}

/* --- filters --------------------------------------------------------------------------------- */

static int filter_trim(struct run *run, const struct node *at, struct value subject,
                       const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct str chars;
    int r = text_argument(run, at, args, 0, "chars", STR_NONE, &chars);

    if (r >= 0 && subject.type != VALUE_TEXT) {
        value_print(run->out, subject);
        r = run_capture(run, at, mark, &subject);
    }
    if (r < 0)
        return r;
    *out = value_text(strip(subject.text, chars, true, true));
    return run_charge(run, at, subject.text.len / 64);
}

static int filter_length(struct run *run, const struct node *at, struct value subject,
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

static int filter_join(struct run *run, const struct node *at, struct value subject,
                       const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct value_list *items;
    struct str between;
    int r = text_argument(run, at, args, 0, "d", STR(""), &between);

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

static int filter_upper(struct run *run, const struct node *at, struct value subject,
                        const struct arguments *args, struct value *out)
{
    struct str s;
    int r = need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_UPPER, out);
}

static int filter_lower(struct run *run, const struct node *at, struct value subject,
                        const struct arguments *args, struct value *out)
{
    struct str s;
    int r = need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_LOWER, out);
}

static int filter_title(struct run *run, const struct node *at, struct value subject,
                        const struct arguments *args, struct value *out)
{
    struct str s;
    int r = need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_TITLE, out);
}

static int filter_capitalize(struct run *run, const struct node *at, struct value subject,
                             const struct arguments *args, struct value *out)
{
    struct str s;
    int r = need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_CAPITAL, out);
}

static int filter_default(struct run *run, const struct node *at, struct value subject,
                          const struct arguments *args, struct value *out)
{
    const struct value *standard = argument_get(args, 0, "default_value");
    const struct value *falsy = argument_get(args, 1, "boolean");
    bool replace = subject.type == VALUE_UNDEFINED;

    (void)run;
    (void)at;
    if (falsy != NULL && value_true(*falsy))
        replace = !value_true(subject);
    *out = subject;
    if (replace)
        *out = standard == NULL ? value_text(STR("")) : *standard;
    return 0;
}

static int filter_tojson(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    const struct value *ascii = argument_get(args, 99, "ensure_ascii");
    int64_t indent = -1;
    int r = integer_argument(run, at, args, 0, "indent", -1, &indent);

    if (r < 0)
        return r;
    if (ascii != NULL && value_true(*ascii))
        return run_fault(run, at, ERR_UNSUPPORTED, "tojson with ensure_ascii is not supported");
    if (argument_get(args, 99, "sort_keys") != NULL || argument_get(args, 99, "separators") != NULL)
        return run_fault(run, at, ERR_UNSUPPORTED,
                         "tojson with sort_keys or separators is not supported");
    if (indent > 16)
        return run_fault(run, at, ERR_LIMIT, "tojson indents by more than 16");
    if (!value_to_json(run->out, subject, (int)indent) && !run->out->failed)
        return run_fault(run, at, ERR_INVALID, "%s cannot be written as JSON",
                         value_type_name(subject));
    return run_capture(run, at, mark, out);
}

static int filter_items(struct run *run, const struct node *at, struct value subject,
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
        r = append_item(run, at, pair, subject.dict->pairs[i].key);
        if (r >= 0)
            r = append_item(run, at, pair, subject.dict->pairs[i].value);
        item = value_of_list(pair);
        item.is_tuple = true;
        if (r >= 0)
            r = append_item(run, at, list, item);
    }
    *out = value_of_list(list);
    return r;
}

static int filter_list(struct run *run, const struct node *at, struct value subject,
                       const struct arguments *args, struct value *out)
{
    struct value_list *items;
    int r = run_iterate(run, at, subject, &items);

    (void)args;
    if (r >= 0)
        *out = value_of_list(items);
    return r;
}

static int filter_string(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;

    (void)args;
    *out = subject;
    if (subject.type == VALUE_TEXT)
        return 0;
    value_print(run->out, subject);
    return run_capture(run, at, mark, out);
}

static int filter_safe(struct run *run, const struct node *at, struct value subject,
                       const struct arguments *args, struct value *out)
{
    (void)run;
    (void)at;
    (void)args;
    *out = subject;
    return 0;
}

static int filter_int(struct run *run, const struct node *at, struct value subject,
                      const struct arguments *args, struct value *out)
{
    int64_t number = 0;
    int r = integer_argument(run, at, args, 0, "default", 0, &number);

    if (subject.type == VALUE_TEXT)
        (void)str_to_i64(str_trim(subject.text), &number); /* else the default */
    else if (subject.type == VALUE_INT)
        number = subject.integer;
    else if (subject.type == VALUE_BOOL)
        number = subject.boolean;
    else if (subject.type == VALUE_REAL && subject.real > -9e18 && subject.real < 9e18)
        number = (int64_t)subject.real;
    *out = value_int(number);
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

static int filter_first(struct run *run, const struct node *at, struct value subject,
                        const struct arguments *args, struct value *out)
{
    (void)args;
    return end_of_list(run, at, subject, false, out);
}

static int filter_last(struct run *run, const struct node *at, struct value subject,
                       const struct arguments *args, struct value *out)
{
    (void)args;
    return end_of_list(run, at, subject, true, out);
}

static int method_replace(struct run *run, const struct node *at, struct value subject,
                          const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct str s;
    struct str from;
    struct str to;
    int64_t left = -1;
    int r = need_text(run, at, subject, &s);

    if (r >= 0)
        r = text_argument(run, at, args, 0, "s", STR(""), &from);
    if (r >= 0)
        r = text_argument(run, at, args, 1, "d", STR(""), &to);
    if (r >= 0)
        r = integer_argument(run, at, args, 2, "count", -1, &left);
    if (r < 0)
        return r;
    if (from.len == 0)
        return run_fault(run, at, ERR_UNSUPPORTED, "replacing the empty string is not supported");
    while (left != 0 && s.len > 0) {
        const char *found = memmem(s.ptr, s.len, from.ptr, from.len);
        size_t before;

        if (found == NULL)
            break;
        before = (size_t)(found - s.ptr);
        buf_append(run->out, s.ptr, before);
        buf_append_str(run->out, to);
        s = str_slice(s, before + from.len, s.len);
        left--;
    }
    buf_append_str(run->out, s);
    return run_capture(run, at, mark, out);
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
        r = text_argument(run, at, args, 0, NULL, STR(""), &attribute);
    if (r >= 0)
        r = text_argument(run, at, args, skip, NULL, STR("true value"), &test);
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
            r = append_item(run, at, kept, items->items[i]);
    }
    *out = value_of_list(kept);
    return r;
}

static int filter_select(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, false, true, out);
}

static int filter_reject(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, false, false, out);
}

static int filter_selectattr(struct run *run, const struct node *at, struct value subject,
                             const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, true, true, out);
}

static int filter_rejectattr(struct run *run, const struct node *at, struct value subject,
                             const struct arguments *args, struct value *out)
{
    return choose(run, at, subject, args, true, false, out);
}

/* map(attribute="x") or map("filter", arguments ...) */
static int filter_map(struct run *run, const struct node *at, struct value subject,
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
        r = text_argument(run, at, args, 0, NULL, STR(""), &named.text);
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
            r = append_item(run, at, list, v);
    }
    *out = value_of_list(list);
    return r;
}

/* --- tests ----------------------------------------------------------------------------------- */

enum test_name {
    TEST_DEFINED,
    TEST_UNDEFINED,
    TEST_NONE,
    TEST_STRING,
    TEST_NUMBER,
    TEST_INTEGER,
    TEST_FLOAT,
    TEST_BOOLEAN,
    TEST_MAPPING,
    TEST_ITERABLE,
    TEST_SEQUENCE,
    TEST_TRUE,
    TEST_FALSE,
    TEST_EQUAL,
    TEST_NOT_EQUAL,
    TEST_IN,
    TEST_ODD,
    TEST_EVEN,
};

static const struct {
    const char *name;
    enum test_name test;
} tests[] = {
    {"defined", TEST_DEFINED},
    {"undefined", TEST_UNDEFINED},
    {"none", TEST_NONE},
    {"string", TEST_STRING},
    {"number", TEST_NUMBER},
    {"integer", TEST_INTEGER},
    {"float", TEST_FLOAT},
    {"boolean", TEST_BOOLEAN},
    {"mapping", TEST_MAPPING},
    {"iterable", TEST_ITERABLE},
    {"sequence", TEST_SEQUENCE},
    {"true", TEST_TRUE},
    {"false", TEST_FALSE},
    {"equalto", TEST_EQUAL},
    {"eq", TEST_EQUAL},
    {"==", TEST_EQUAL},
    {"ne", TEST_NOT_EQUAL},
    {"!=", TEST_NOT_EQUAL},
    {"in", TEST_IN},
    {"odd", TEST_ODD},
    {"even", TEST_EVEN},
};

static int test_by_type(struct run *run, const struct node *at, enum test_name test, struct value v,
                        bool *out)
{
    switch (test) {
    case TEST_DEFINED:
        *out = v.type != VALUE_UNDEFINED;
        return 0;
    case TEST_UNDEFINED:
        *out = v.type == VALUE_UNDEFINED;
        return 0;
    case TEST_NONE:
        *out = v.type == VALUE_NONE;
        return 0;
    case TEST_STRING:
        *out = v.type == VALUE_TEXT;
        return 0;
    case TEST_NUMBER: /* Python counts booleans among them */
        *out = v.type == VALUE_INT || v.type == VALUE_REAL || v.type == VALUE_BOOL;
        return 0;
    case TEST_INTEGER:
        *out = v.type == VALUE_INT;
        return 0;
    case TEST_FLOAT:
        *out = v.type == VALUE_REAL;
        return 0;
    case TEST_BOOLEAN:
        *out = v.type == VALUE_BOOL;
        return 0;
    case TEST_MAPPING:
        *out = v.type == VALUE_DICT;
        return 0;
    case TEST_ITERABLE:
    case TEST_SEQUENCE:
        *out = v.type == VALUE_LIST || v.type == VALUE_DICT || v.type == VALUE_TEXT ||
               v.type == VALUE_UNDEFINED;
        return 0;
    case TEST_TRUE:
        *out = v.type == VALUE_BOOL && v.boolean;
        return 0;
    case TEST_FALSE:
        *out = v.type == VALUE_BOOL && !v.boolean;
        return 0;
    case TEST_ODD:
    case TEST_EVEN:
        if (v.type != VALUE_INT)
            break;
        *out = (v.integer % 2 != 0) == (test == TEST_ODD);
        return 0;
    default:
        break;
    }
    return run_fault(run, at, ERR_INVALID, "odd and even need an integer, not %s",
                     value_type_name(v));
}

int run_test(struct run *run, const struct node *at, struct str name, struct value subject,
             const struct arguments *args, bool *out)
{
    const struct value *other = argument_get(args, 0, NULL);

    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        enum test_name test = tests[i].test;

        if (!str_is(name, tests[i].name))
            continue;
        if (test != TEST_EQUAL && test != TEST_NOT_EQUAL && test != TEST_IN)
            return test_by_type(run, at, test, subject, out);
        if (other == NULL)
            return run_fault(run, at, ERR_INVALID, "test '%.*s' needs an argument", STR_ARG(name));
        if (test == TEST_IN)
            return run_in(run, at, subject, *other, out);
        *out = value_equal(subject, *other, &run->steps) == (test == TEST_EQUAL);
        return run_charge(run, at, 0);
    }
    return run_fault(run, at, ERR_UNSUPPORTED, "test '%.*s' is not supported",
                     STR_ARG(str_slice(name, 0, 64)));
}

/* --- methods --------------------------------------------------------------------------------- */

static int strip_by(struct run *run, const struct node *at, struct value subject,
                    const struct arguments *args, bool left, bool right, struct value *out)
{
    struct str chars;
    struct str s;
    int r = need_text(run, at, subject, &s);

    if (r >= 0)
        r = text_argument(run, at, args, 0, "chars", STR_NONE, &chars);
    if (r < 0)
        return r;
    *out = value_text(strip(s, chars, left, right));
    return run_charge(run, at, s.len / 64);
}

static int method_strip(struct run *run, const struct node *at, struct value subject,
                        const struct arguments *args, struct value *out)
{
    return strip_by(run, at, subject, args, true, true, out);
}

static int method_lstrip(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out)
{
    return strip_by(run, at, subject, args, true, false, out);
}

static int method_rstrip(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out)
{
    return strip_by(run, at, subject, args, false, true, out);
}

/* split() without a separator: by runs of blanks. */
static int split_by_blanks(struct run *run, const struct node *at, struct str s, int64_t left,
                           struct value_list *list)
{
    int r = 0;

    s = strip(s, STR_NONE, true, false);
    while (r >= 0 && s.len > 0) {
        size_t end = 0;
        size_t next;

        while (end < s.len && !is_blank(unicode_at(s.ptr, end, &next)))
            end = next;
        if (left == 0)
            end = strip(s, STR_NONE, false, true).len;
        r = append_item(run, at, list, value_text(str_slice(s, 0, end)));
        s = strip(str_slice(s, end, s.len), STR_NONE, true, false);
        left--;
    }
    return r;
}

static int split_by_text(struct run *run, const struct node *at, struct str s, struct str separator,
                         int64_t left, struct value_list *list)
{
    int r = 0;

    if (separator.len == 0)
        return run_fault(run, at, ERR_INVALID, "split needs a separator that is not empty");
    for (; r >= 0 && left != 0 && s.len > 0; left--) {
        const char *found = memmem(s.ptr, s.len, separator.ptr, separator.len);
        size_t before;

        if (found == NULL)
            break;
        before = (size_t)(found - s.ptr);
        r = append_item(run, at, list, value_text(str_slice(s, 0, before)));
        s = str_slice(s, before + separator.len, s.len);
    }
    return r < 0 ? r : append_item(run, at, list, value_text(s));
}

static int method_split(struct run *run, const struct node *at, struct value subject,
                        const struct arguments *args, struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);
    struct str separator;
    struct str s;
    int64_t left;
    int r = need_text(run, at, subject, &s);

    if (list == NULL)
        return run_no_memory(run, at);
    if (r >= 0)
        r = text_argument(run, at, args, 0, "sep", STR_NONE, &separator);
    if (r >= 0)
        r = integer_argument(run, at, args, 1, "maxsplit", -1, &left);
    if (r < 0)
        return r;
    r = separator.ptr == NULL ? split_by_blanks(run, at, s, left, list)
                              : split_by_text(run, at, s, separator, left, list);
    *out = value_of_list(list);
    return r < 0 ? r : run_charge(run, at, s.len / 64);
}

/* startswith and endswith take one text or a tuple of them. */
static int match_end(struct run *run, const struct node *at, struct value subject,
                     const struct arguments *args, bool start, struct value *out)
{
    const struct value *given = argument_get(args, 0, NULL);
    struct value_list single = {0};
    const struct value_list *list = &single;
    struct value one;
    bool found = false;
    struct str s;
    int r = need_text(run, at, subject, &s);

    if (r < 0)
        return r;
    if (given == NULL)
        return run_fault(run, at, ERR_INVALID, "startswith and endswith need a string");
    one = *given;
    single = (struct value_list){&one, 1, 1};
    if (one.type == VALUE_LIST)
        list = one.list;
    for (size_t i = 0; i < list->count; i++) {
        struct str part;

        r = need_text(run, at, list->items[i], &part);
        if (r < 0)
            return r;
        found = found || (start ? str_starts(s, part) : str_ends(s, part));
    }
    *out = value_bool(found);
    return run_charge(run, at, list->count);
}

static int method_startswith(struct run *run, const struct node *at, struct value subject,
                             const struct arguments *args, struct value *out)
{
    return match_end(run, at, subject, args, true, out);
}

static int method_endswith(struct run *run, const struct node *at, struct value subject,
                           const struct arguments *args, struct value *out)
{
    return match_end(run, at, subject, args, false, out);
}

static int method_get(struct run *run, const struct node *at, struct value subject,
                      const struct arguments *args, struct value *out)
{
    const struct value *key = argument_get(args, 0, NULL);
    const struct value *standard = argument_get(args, 1, NULL);
    const struct value *found;

    if (subject.type != VALUE_DICT || key == NULL)
        return run_fault(run, at, ERR_INVALID, "get needs a mapping and a key, not %s",
                         value_type_name(subject));
    found = value_dict_get(subject.dict, *key, &run->steps);
    if (found == NULL)
        found = standard;
    *out = found == NULL ? value_none() : *found;
    return run_charge(run, at, 0);
}

static int method_keys(struct run *run, const struct node *at, struct value subject,
                       const struct arguments *args, struct value *out)
{
    (void)args;
    if (subject.type != VALUE_DICT)
        return run_fault(run, at, ERR_INVALID, "keys needs a mapping, not %s",
                         value_type_name(subject));
    return filter_list(run, at, subject, args, out);
}

static int method_values(struct run *run, const struct node *at, struct value subject,
                         const struct arguments *args, struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);
    int r = 0;

    (void)args;
    if (list == NULL)
        return run_no_memory(run, at);
    if (subject.type != VALUE_DICT)
        return run_fault(run, at, ERR_INVALID, "values needs a mapping, not %s",
                         value_type_name(subject));
    for (size_t i = 0; r >= 0 && i < subject.dict->count; i++)
        r = append_item(run, at, list, subject.dict->pairs[i].value);
    *out = value_of_list(list);
    return r;
}

/* --- functions ------------------------------------------------------------------------------- */

static int function_namespace(struct run *run, const struct node *at, struct value subject,
                              const struct arguments *args, struct value *out)
{
    struct value_dict *dict = value_dict_new(&run->arena);

    (void)subject;
    if (dict == NULL)
        return run_no_memory(run, at);
    for (int i = 0; i < args->count; i++) {
        if (args->keywords[i].ptr == NULL)
            return run_fault(run, at, ERR_UNSUPPORTED,
                             "namespace with arguments that have no name is not supported");
        if (!value_dict_put(&run->arena, dict, value_text(args->keywords[i]), args->values[i],
                            &run->steps))
            return run_no_memory(run, at);
    }
    *out = (struct value){.type = VALUE_NAMESPACE, .dict = dict};
    return 0;
}

static int function_raise(struct run *run, const struct node *at, struct value subject,
                          const struct arguments *args, struct value *out)
{
    struct str message;
    int r = text_argument(run, at, args, 0, NULL, STR("no reason given"), &message);

    (void)subject;
    (void)out;
    return r < 0 ? r
                 : run_fault(run, at, ERR_INVALID, "the template refuses the messages: %.*s",
                             STR_ARG(str_slice(message, 0, 256)));
}

static int function_range(struct run *run, const struct node *at, struct value subject,
                          const struct arguments *args, struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);
    int64_t start = 0;
    int64_t stop = 0;
    int64_t step = 1;
    int r = integer_argument(run, at, args, 0, NULL, 0, args->count > 1 ? &start : &stop);

    (void)subject;
    if (list == NULL)
        return run_no_memory(run, at);
    if (r >= 0 && args->count > 1)
        r = integer_argument(run, at, args, 1, NULL, 0, &stop);
    if (r >= 0)
        r = integer_argument(run, at, args, 2, NULL, 1, &step);
    if (r >= 0 && (step == 0 || step > INT32_MAX || step < -INT32_MAX || start > INT32_MAX ||
                   start < -INT32_MAX || stop > INT32_MAX || stop < -INT32_MAX))
        return run_fault(run, at, ERR_INVALID, "range needs numbers below 2^31 and a step");
    for (int64_t i = start; r >= 0 && (step > 0 ? i < stop : i > stop); i += step) {
        if (list->count == RUN_RANGE_MAX)
            return run_fault(run, at, ERR_LIMIT, "range has more than %d numbers", RUN_RANGE_MAX);
        r = append_item(run, at, list, value_int(i));
    }
    *out = value_of_list(list);
    return r;
}

struct moment {
    int64_t year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int weekday; /* 0: Sunday */
    int yearday; /* from 1 */
};

static struct moment moment_of(int64_t wall_ms)
{
    const int64_t day_ms = 86400000;
    int64_t days = wall_ms / day_ms - (wall_ms % day_ms < 0);
    int seconds = (int)((wall_ms - days * day_ms) / 1000);
    struct moment m = {.hour = seconds / 3600,
                       .minute = seconds / 60 % 60,
                       .second = seconds % 60,
                       .weekday = (int)((days % 7 + 11) % 7)}; /* day 0 was a Thursday */

    clock_civil_from_days(days, &m.year, &m.month, &m.day);
    m.yearday = (int)(days - clock_days_from_civil(m.year, 1, 1)) + 1;
    return m;
}

/* One directive; false if it is unknown. */
static bool format_moment(struct buf *out, const struct moment *m, char directive)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

    switch (directive) {
    case 'Y':
        buf_printf(out, "%" PRId64, m->year);
        return true;
    case 'y':
        buf_printf(out, "%02d", (int)(m->year % 100));
        return true;
    case 'm':
        buf_printf(out, "%02d", m->month);
        return true;
    case 'B':
        buf_append_text(out, months[m->month - 1]);
        return true;
    case 'b':
        buf_printf(out, "%.3s", months[m->month - 1]);
        return true;
    case 'd':
        buf_printf(out, "%02d", m->day);
        return true;
    case 'j':
        buf_printf(out, "%03d", m->yearday);
        return true;
    case 'A':
        buf_append_text(out, days[m->weekday]);
        return true;
    case 'a':
        buf_printf(out, "%.3s", days[m->weekday]);
        return true;
    case 'H':
        buf_printf(out, "%02d", m->hour);
        return true;
    case 'I':
        buf_printf(out, "%02d", (m->hour + 11) % 12 + 1);
        return true;
    case 'p':
        buf_append_text(out, m->hour < 12 ? "AM" : "PM");
        return true;
    case 'M':
        buf_printf(out, "%02d", m->minute);
        return true;
    case 'S':
        buf_printf(out, "%02d", m->second);
        return true;
    case '%':
        buf_append_char(out, '%');
        return true;
    default:
        return false;
    }
}

static int function_strftime_now(struct run *run, const struct node *at, struct value subject,
                                 const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct moment now = moment_of(clock_wall_ms(run->clock));
    struct str format;
    int r = text_argument(run, at, args, 0, "format", STR(""), &format);

    (void)subject;
    if (r < 0)
        return r;
    for (size_t i = 0; i < format.len; i++) {
        if (format.ptr[i] != '%')
            buf_append_char(run->out, format.ptr[i]);
        else if (++i == format.len || !format_moment(run->out, &now, format.ptr[i]))
            return run_fault(run, at, ERR_UNSUPPORTED,
                             "strftime_now: a directive of '%.*s' is not supported",
                             STR_ARG(str_slice(format, 0, 64)));
    }
    return run_capture(run, at, mark, out);
}

/* --- tables ---------------------------------------------------------------------------------- */

struct named {
    const char *name;
    filter_fn function;
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

bool template_knows_test(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        if (str_is(name, tests[i].name))
            return true;
    }
    return false;
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
