/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the template interpreter as text, in Python's manner and as JSON: see template_value.h.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "engine/text/template_value.h"

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
    if (depth > VALUE_DEPTH_MAX) {
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
    if (depth > VALUE_DEPTH_MAX || out->failed)
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
