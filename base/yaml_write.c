/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML writer: block style, two spaces a level, as kubectl prints. Texts of several lines
 * become literal blocks where that reads back the same; other texts that a reader would take for
 * something else are written as JSON strings, which YAML's double-quoted style includes.
 */
#include <string.h>

#include "base/json.h"
#include "base/yaml.h"
#include "base/yaml_scalar.h"

static int write_value(struct buf *out, const json_t *value, int depth, bool first_inline);

static bool is_plain_safe(struct str s)
{
    if (s.len == 0 || strchr("-?:,[]{}#&*!|>'\"%@`~<= \t", s.ptr[0]) != NULL ||
        s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == ':')
        return false;
    if (str_find(s, STR(": ")) >= 0 || str_find(s, STR(" #")) >= 0 || str_starts(s, STR("---")) ||
        str_starts(s, STR("...")))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c < 0x20 || c >= 0x7f)
            return false;
    }
    return yaml_scalar_is_string(s);
}

/* A literal block keeps its text exactly if no line is blank or begins with a space, all is plain
 * ASCII, and one line break ends it. */
static bool is_block_safe(struct str s)
{
    if (s.len < 2 || s.ptr[s.len - 1] != '\n' || s.ptr[0] == ' ' || s.ptr[0] == '\n')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if ((c < 0x20 && c != '\n') || c >= 0x7f)
            return false;
        if (c == '\n' && i + 1 < s.len && (s.ptr[i + 1] == '\n' || s.ptr[i + 1] == ' '))
            return false;
    }
    return true;
}

static void indent(struct buf *out, int depth)
{
    for (int i = 0; i < depth; i++)
        (void)buf_append(out, "  ", 2);
}

/* A character that JSON may carry raw but YAML's reader would refuse or fold. */
static bool needs_escape(uint32_t c)
{
    return c == 0x7f || (c >= 0x80 && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           c == 0xfffe || c == 0xffff;
}

static void write_quoted(struct buf *out, struct str s)
{
    (void)buf_append_char(out, '"');
    while (s.len > 0) {
        uint32_t c = 0;
        int length = utf8_decode(s, &c);

        if (length <= 0) { /* jansson only holds valid UTF-8 */
            out->failed = true;
            return;
        }
        if (c == '"' || c == '\\')
            (void)buf_printf(out, "\\%c", (char)c);
        else if (c == '\n')
            (void)buf_append(out, "\\n", 2);
        else if (c == '\t')
            (void)buf_append(out, "\\t", 2);
        else if (c < 0x20 || needs_escape(c))
            (void)buf_printf(out, "\\u%04x", (unsigned)c);
        else
            (void)buf_append(out, s.ptr, (size_t)length);
        s = str_slice(s, (size_t)length, s.len);
    }
    (void)buf_append_char(out, '"');
}

static void write_string(struct buf *out, struct str s)
{
    if (is_plain_safe(s))
        (void)buf_append_str(out, s);
    else
        write_quoted(out, s);
}

static void write_block(struct buf *out, struct str s, int depth)
{
    (void)buf_append(out, "|\n", 2);
    while (s.len > 0) {
        indent(out, depth);
        (void)buf_append_str(out, str_cut(&s, '\n'));
        (void)buf_append_char(out, '\n');
    }
}

static void write_real(struct buf *out, double value)
{
    size_t start = out->len;
    struct json_writer w;

    json_writer_init(&w, out);
    json_add_f64(&w, value);
    if (out->failed)
        return;
    for (size_t i = start; i < out->len; i++) {
        if (strchr(".eE", out->ptr[i]) != NULL)
            return;
    }
    (void)buf_append(out, ".0", 2); /* so that it stays a real */
}

/* Scalars and empty containers: what fits behind "key: " or "- ". */
static void write_inline(struct buf *out, const json_t *value, int depth)
{
    struct str text = json_str(value);

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        (void)buf_append(out, "{}", 2);
        break;
    case JSON_ARRAY:
        (void)buf_append(out, "[]", 2);
        break;
    case JSON_STRING:
        if (is_block_safe(text)) {
            write_block(out, text, depth);
            return;
        }
        write_string(out, text);
        break;
    case JSON_INTEGER:
        (void)buf_printf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        (void)buf_append_text(out, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        (void)buf_append_text(out, "null");
        break;
    }
    (void)buf_append_char(out, '\n');
}

static bool is_nested(const json_t *value)
{
    return json_object_size(value) > 0 || json_array_size(value) > 0;
}

static int write_mapping(struct buf *out, const json_t *object, int depth, bool first_inline)
{
    void *mutable = (void *)(uintptr_t)object; /* jansson's iterator takes no const */
    const char *key;
    json_t *value;

    json_object_foreach (mutable, key, value) {
        int r;

        if (strlen(key) > YAML_KEY_MAX)
            return -ERR_LIMIT;
        if (!first_inline)
            indent(out, depth);
        first_inline = false;
        write_string(out, str_of(key));
        (void)buf_append_char(out, ':');
        if (!is_nested(value)) {
            (void)buf_append_char(out, ' ');
            write_inline(out, value, depth + 1);
            continue;
        }
        (void)buf_append_char(out, '\n');
        /* A list is not indented further than its key, as kubectl has it. */
        r = write_value(out, value, json_is_array(value) ? depth : depth + 1, false);
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_sequence(struct buf *out, const json_t *array, int depth, bool first_inline)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        int r;

        if (!first_inline)
            indent(out, depth);
        first_inline = false;
        (void)buf_append(out, "- ", 2);
        if (!is_nested(item)) {
            write_inline(out, item, depth + 1);
            continue;
        }
        r = write_value(out, item, depth + 1, true);
        if (r < 0)
            return r;
    }
    return 0;
}

/* first_inline: the first line continues one that holds "- " already. */
static int write_value(struct buf *out, const json_t *value, int depth, bool first_inline)
{
    if (depth > YAML_DEPTH_MAX)
        return -ERR_LIMIT;
    if (json_object_size(value) > 0)
        return write_mapping(out, value, depth, first_inline);
    if (json_array_size(value) > 0)
        return write_sequence(out, value, depth, first_inline);
    write_inline(out, value, depth + 1);
    return 0;
}

int yaml_write(struct buf *out, const json_t *tree)
{
    int r = write_value(out, tree, 0, false);

    if (r == 0 && out->failed)
        r = -ERR_LIMIT;
    return r;
}
