/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of texts and single values. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_calls.h"
#include "engine/text/unicode.h"

/* Python's str.isspace: White_Space and the four separators of ASCII. */
bool call_is_blank(uint32_t c)
{
    return (unicode_class(c) & UNICODE_SPACE) != 0 || (c >= 0x1c && c <= 0x1f);
}

/* In `chars`, or blank where that has no pointer. */
static bool is_stripped(struct str s, size_t from, size_t to, struct str chars)
{
    size_t next;

    if (chars.ptr == NULL)
        return call_is_blank(unicode_at(s.ptr, from, &next));
    return str_find(chars, str_slice(s, from, to)) >= 0;
}

struct str call_strip(struct str s, struct str chars, bool left, bool right)
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

int filter_trim(struct run *run, const struct node *at, struct value subject,
                const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct str chars;
    int r = call_text(run, at, args, 0, "chars", STR_NONE, &chars);

    if (r >= 0 && subject.type != VALUE_TEXT) {
        value_print(run->out, subject);
        r = run_capture(run, at, mark, &subject);
    }
    if (r < 0)
        return r;
    *out = value_text(call_strip(subject.text, chars, true, true));
    return run_charge(run, at, subject.text.len / 64);
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

int filter_upper(struct run *run, const struct node *at, struct value subject,
                 const struct arguments *args, struct value *out)
{
    struct str s;
    int r = call_need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_UPPER, out);
}

int filter_lower(struct run *run, const struct node *at, struct value subject,
                 const struct arguments *args, struct value *out)
{
    struct str s;
    int r = call_need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_LOWER, out);
}

int filter_title(struct run *run, const struct node *at, struct value subject,
                 const struct arguments *args, struct value *out)
{
    struct str s;
    int r = call_need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_TITLE, out);
}

int filter_capitalize(struct run *run, const struct node *at, struct value subject,
                      const struct arguments *args, struct value *out)
{
    struct str s;
    int r = call_need_text(run, at, subject, &s);

    (void)args;
    return r < 0 ? r : change_case(run, at, s, CASE_CAPITAL, out);
}

int filter_default(struct run *run, const struct node *at, struct value subject,
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

int filter_tojson(struct run *run, const struct node *at, struct value subject,
                  const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    const struct value *ascii = argument_get(args, 99, "ensure_ascii");
    int64_t indent = -1;
    int r = call_integer(run, at, args, 0, "indent", -1, &indent);

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

int filter_string(struct run *run, const struct node *at, struct value subject,
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

int filter_safe(struct run *run, const struct node *at, struct value subject,
                const struct arguments *args, struct value *out)
{
    (void)run;
    (void)at;
    (void)args;
    *out = subject;
    return 0;
}

int filter_int(struct run *run, const struct node *at, struct value subject,
               const struct arguments *args, struct value *out)
{
    int64_t number = 0;
    int r = call_integer(run, at, args, 0, "default", 0, &number);

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
