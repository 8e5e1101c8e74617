/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of texts and dicts. */
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_calls.h"
#include "engine/text/unicode.h"

static int strip_by(struct run *run, const struct node *at, struct value subject,
                    const struct arguments *args, bool left, bool right, struct value *out)
{
    struct str chars;
    struct str s;
    int r = call_need_text(run, at, subject, &s);

    if (r >= 0)
        r = call_text(run, at, args, 0, "chars", STR_NONE, &chars);
    if (r < 0)
        return r;
    *out = value_text(call_strip(s, chars, left, right));
    return run_charge(run, at, s.len / 64);
}

int method_strip(struct run *run, const struct node *at, struct value subject,
                 const struct arguments *args, struct value *out)
{
    return strip_by(run, at, subject, args, true, true, out);
}

int method_lstrip(struct run *run, const struct node *at, struct value subject,
                  const struct arguments *args, struct value *out)
{
    return strip_by(run, at, subject, args, true, false, out);
}

int method_rstrip(struct run *run, const struct node *at, struct value subject,
                  const struct arguments *args, struct value *out)
{
    return strip_by(run, at, subject, args, false, true, out);
}

/* split() without a separator: by runs of blanks. */
static int split_by_blanks(struct run *run, const struct node *at, struct str s, int64_t left,
                           struct value_list *list)
{
    int r = 0;

    s = call_strip(s, STR_NONE, true, false);
    while (r >= 0 && s.len > 0) {
        size_t end = 0;
        size_t next;

        while (end < s.len && !call_is_blank(unicode_at(s.ptr, end, &next)))
            end = next;
        if (left == 0)
            end = call_strip(s, STR_NONE, false, true).len;
        r = call_append(run, at, list, value_text(str_slice(s, 0, end)));
        s = call_strip(str_slice(s, end, s.len), STR_NONE, true, false);
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
        r = call_append(run, at, list, value_text(str_slice(s, 0, before)));
        s = str_slice(s, before + separator.len, s.len);
    }
    return r < 0 ? r : call_append(run, at, list, value_text(s));
}

int method_split(struct run *run, const struct node *at, struct value subject,
                 const struct arguments *args, struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);
    struct str separator;
    struct str s;
    int64_t left;
    int r = call_need_text(run, at, subject, &s);

    if (list == NULL)
        return run_no_memory(run, at);
    if (r >= 0)
        r = call_text(run, at, args, 0, "sep", STR_NONE, &separator);
    if (r >= 0)
        r = call_integer(run, at, args, 1, "maxsplit", -1, &left);
    if (r < 0)
        return r;
    r = separator.ptr == NULL ? split_by_blanks(run, at, s, left, list)
                              : split_by_text(run, at, s, separator, left, list);
    *out = value_of_list(list);
    return r < 0 ? r : run_charge(run, at, s.len / 64);
}

int method_replace(struct run *run, const struct node *at, struct value subject,
                   const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct str s;
    struct str from;
    struct str to;
    int64_t left = -1;
    int r = call_need_text(run, at, subject, &s);

    if (r >= 0)
        r = call_text(run, at, args, 0, "s", STR(""), &from);
    if (r >= 0)
        r = call_text(run, at, args, 1, "d", STR(""), &to);
    if (r >= 0)
        r = call_integer(run, at, args, 2, "count", -1, &left);
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
    int r = call_need_text(run, at, subject, &s);

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

        r = call_need_text(run, at, list->items[i], &part);
        if (r < 0)
            return r;
        found = found || (start ? str_starts(s, part) : str_ends(s, part));
    }
    *out = value_bool(found);
    return run_charge(run, at, list->count);
}

int method_startswith(struct run *run, const struct node *at, struct value subject,
                      const struct arguments *args, struct value *out)
{
    return match_end(run, at, subject, args, true, out);
}

int method_endswith(struct run *run, const struct node *at, struct value subject,
                    const struct arguments *args, struct value *out)
{
    return match_end(run, at, subject, args, false, out);
}

int method_get(struct run *run, const struct node *at, struct value subject,
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

int method_keys(struct run *run, const struct node *at, struct value subject,
                const struct arguments *args, struct value *out)
{
    (void)args;
    if (subject.type != VALUE_DICT)
        return run_fault(run, at, ERR_INVALID, "keys needs a mapping, not %s",
                         value_type_name(subject));
    return filter_list(run, at, subject, args, out);
}

int method_values(struct run *run, const struct node *at, struct value subject,
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
        r = call_append(run, at, list, subject.dict->pairs[i].value);
    *out = value_of_list(list);
    return r;
}
