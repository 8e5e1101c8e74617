/* SPDX-License-Identifier: Apache-2.0 */
/* The log: see log.h. A line is built on the stack, by pieces that go in whole or not at all, so
 * that a line that is cut at LOG_LINE_MAX still can be read as what it is. */
#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 4096 };

static const char *program_name = "spate";
static enum log_level threshold = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_TEXT;
static int log_fd = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"text", "json"};

/* After the first piece that did not fit nothing more is taken. */
struct line {
    char bytes[LOG_LINE_MAX];
    size_t len;
    bool full;
};

enum { LOG_LINE_TAIL = 8 }; /* room for the end of a line that was cut */

void log_setup(const char *program, enum log_level level, enum log_format format, int fd)
{
    program_name = program;
    threshold = level;
    line_format = format;
    log_fd = fd;
}

static int find_name(struct str text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (str_is(text, names[i]))
            return i;
    }
    return -1;
}

bool log_level_parse(struct str text, enum log_level *out)
{
    int at = find_name(text, level_names, 4);

    if (at >= 0)
        *out = (enum log_level)at;
    return at >= 0;
}

bool log_format_parse(struct str text, enum log_format *out)
{
    int at = find_name(text, format_names, 2);

    if (at >= 0)
        *out = (enum log_format)at;
    return at >= 0;
}

bool log_enabled(enum log_level level)
{
    return level >= threshold;
}

static void put(struct line *l, struct str s)
{
    if (s.len > LOG_LINE_MAX - LOG_LINE_TAIL - l->len)
        l->full = true;
    if (l->full || s.len == 0)
        return;
    memcpy(l->bytes + l->len, s.ptr, s.len);
    l->len += s.len;
}

/* Into the room that is kept. */
static void put_tail(struct line *l, const char *text)
{
    size_t len = strlen(text);

    memcpy(l->bytes + l->len, text, len);
    l->len += len;
}

static void put_text(struct line *l, const char *text)
{
    put(l, str_of(text));
}

/* JSON escapes serve both formats; invalid UTF-8 becomes U+FFFD. */
static void put_escaped(struct line *l, struct str s)
{
    while (s.len > 0 && !l->full) {
        uint32_t c = 0;
        int length = utf8_decode(s, &c);
        char escape[8];

        if (length <= 0) {
            put_text(l, "\xef\xbf\xbd");
            length = 1;
        } else if (c == '"' || c == '\\') {
            put_text(l, c == '"' ? "\\\"" : "\\\\");
        } else if (utf8_is_unseen(c)) {
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
            put_text(l, escape);
        } else {
            put(l, str_slice(s, 0, (size_t)length));
        }
        s = (struct str){s.ptr + length, s.len - (size_t)length};
    }
}

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c >= 0x7f)
            return true;
    }
    return s.len == 0;
}

static void put_quoted(struct line *l, struct str s)
{
    put_text(l, "\"");
    put_escaped(l, s);
    put_text(l, "\"");
}

/* A text that is cut ends with dots. */
static void put_field_text(struct line *l, struct str text)
{
    bool quoted = line_format == LOG_FORMAT_JSON || needs_quotes(text);

    if (quoted)
        put_text(l, "\"");
    if (l->full)
        return;
    put_escaped(l, text);
    if (quoted)
        put_text(l, "\"");
    if (l->full)
        put_tail(l, quoted ? "...\"" : "...");
}

static void put_value(struct line *l, const struct log_field *f)
{
    char number[40];

    switch (f->kind) {
    case LOG_FIELD_STR:
        put_field_text(l, f->text);
        return;
    case LOG_FIELD_I64:
        snprintf(number, sizeof(number), "%lld", (long long)f->integer);
        break;
    case LOG_FIELD_F64:
        if (isfinite(f->real))
            snprintf(number, sizeof(number), "%.6g", f->real);
        else
            snprintf(number, sizeof(number), "null");
        break;
    case LOG_FIELD_BOOL:
        snprintf(number, sizeof(number), "%s", f->integer ? "true" : "false");
        break;
    }
    put_text(l, number);
}

/* A field that does not fit is left out, but for a text, which is cut. */
static void put_field(struct line *l, const struct log_field *f)
{
    bool is_json = line_format == LOG_FORMAT_JSON;
    size_t before = l->len, named;

    if (l->full)
        return;
    put_text(l, is_json ? "," : " ");
    if (is_json)
        put_quoted(l, str_of(f->name));
    else
        put_text(l, f->name);
    put_text(l, is_json ? ":" : "=");
    named = l->len;
    if (!l->full)
        put_value(l, f);
    if (l->full && l->len == named)
        l->len = before;
}

static void put_json(struct line *l, const char *when, enum log_level level, const char *event)
{
    put_text(l, "{\"time\":\"");
    put_text(l, when);
    put_text(l, "\",\"level\":\"");
    put_text(l, level_names[level]);
    put_text(l, "\",\"program\":");
    put_quoted(l, str_of(program_name));
    put_text(l, ",\"event\":");
    put_quoted(l, str_of(event));
}

static void put_plain(struct line *l, const char *when, enum log_level level, const char *event)
{
    put_text(l, when);
    put_text(l, " ");
    put_text(l, level_names[level]);
    put_text(l, " ");
    put_text(l, program_name);
    put_text(l, ": ");
    put_escaped(l, str_of(event));
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               int field_count)
{
    struct line l;
    char when[CLOCK_TEXT_MAX];

    if (!log_enabled(level))
        return;
    l.len = 0;
    l.full = false;
    clock_format_utc(clock_wall_ms(clock_system()), when);
    if (line_format == LOG_FORMAT_JSON)
        put_json(&l, when, level, event);
    else
        put_plain(&l, when, level, event);
    for (int i = 0; i < field_count; i++)
        put_field(&l, &fields[i]);
    put_tail(&l, line_format == LOG_FORMAT_JSON ? "}\n" : "\n");
    if (write(log_fd, l.bytes, l.len) < 0)
        return; /* nowhere left to report it */
}
