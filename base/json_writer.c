/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON into a buffer: see json.h. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { JSON_WRITER_DEPTH_MAX = 32 };

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

/* Before each value or key: a comma where one is due. */
static void separate(struct json_writer *w)
{
    uint32_t bit = 1U << w->depth;

    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth > 0 && (w->has_member & bit) != 0)
        buf_append_char(w->out, ',');
    w->has_member |= bit;
}

void json_open(struct json_writer *w, char bracket)
{
    separate(w);
    buf_append_char(w->out, bracket);
    assert(w->depth < JSON_WRITER_DEPTH_MAX - 1);
    w->depth++;
    w->has_member &= ~(1U << w->depth);
}

void json_close(struct json_writer *w, char bracket)
{
    assert(w->depth > 0);
    w->depth--;
    buf_append_char(w->out, bracket);
}

void json_key(struct json_writer *w, const char *key)
{
    separate(w);
    json_escape(w->out, str_of(key));
    buf_append_char(w->out, ':');
    w->after_key = true;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f && c != '"' && c != '\\';
}

static void escape_one(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        buf_append_text(out, "\\\"");
        break;
    case '\\':
        buf_append_text(out, "\\\\");
        break;
    case '\n':
        buf_append_text(out, "\\n");
        break;
    case '\r':
        buf_append_text(out, "\\r");
        break;
    case '\t':
        buf_append_text(out, "\\t");
        break;
    default:
        buf_printf(out, "\\u%04x", c);
    }
}

int json_escape(struct buf *out, struct str s)
{
    size_t at = 0;

    buf_append_char(out, '"');
    while (at < s.len) {
        size_t plain = at;
        int length;

        while (plain < s.len && is_plain(s.ptr[plain]))
            plain++;
        buf_append(out, s.ptr + at, plain - at);
        at = plain;
        if (at == s.len)
            break;
        length = utf8_length(str_slice(s, at, s.len));
        if (length > 1) {
            buf_append(out, s.ptr + at, (size_t)length);
            at += (size_t)length;
            continue;
        }
        if (length == 1 && s.ptr[at] != '\0')
            escape_one(out, (unsigned char)s.ptr[at]);
        else
            buf_append_text(out, "\xef\xbf\xbd");
        at++;
    }
    return buf_append_char(out, '"');
}

void json_add_str(struct json_writer *w, struct str s)
{
    separate(w);
    json_escape(w->out, s);
}

void json_add_i64(struct json_writer *w, int64_t value)
{
    separate(w);
    buf_printf(w->out, "%" PRId64, value);
}

void json_add_u64(struct json_writer *w, uint64_t value)
{
    separate(w);
    buf_append_u64(w->out, value);
}

/* The fewest digits that read back to the same double; always with '.', whatever the locale. */
void json_add_f64(struct json_writer *w, double value)
{
    char text[40];

    separate(w);
    if (!isfinite(value)) {
        buf_append_text(w->out, "null");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        double back;

        snprintf(text, sizeof(text), "%.*g", digits, value);
        for (char *c = text; *c != '\0'; c++) {
            if (*c == ',')
                *c = '.';
        }
        if (str_to_f64(str_of(text), &back) && memcmp(&back, &value, sizeof(back)) == 0)
            break;
    }
    buf_append_text(w->out, text);
}

void json_add_bool(struct json_writer *w, bool value)
{
    separate(w);
    buf_append_text(w->out, value ? "true" : "false");
}

void json_add_null(struct json_writer *w)
{
    separate(w);
    buf_append_text(w->out, "null");
}

void json_add_raw(struct json_writer *w, struct str json)
{
    separate(w);
    buf_append_str(w->out, json);
}

void json_add_tree(struct json_writer *w, const json_t *tree)
{
    char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));

    separate(w);
    if (text == NULL)
        w->out->failed = true;
    else
        buf_append_text(w->out, text);
    free(text);
}

void json_put_str(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, key);
    json_add_str(w, value);
}

void json_put_text(struct json_writer *w, const char *key, const char *value)
{
    json_put_str(w, key, str_of(value));
}

void json_put_i64(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_add_i64(w, value);
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_add_u64(w, value);
}

void json_put_f64(struct json_writer *w, const char *key, double value)
{
    json_key(w, key);
    json_add_f64(w, value);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_add_bool(w, value);
}

void json_put_null(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_add_null(w);
}
