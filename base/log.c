/* SPDX-License-Identifier: Apache-2.0 */
/* The log: see log.h. A line is built on the stack and cut at LOG_LINE_MAX. */
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

/* Room is kept for the end of the line, so that a cut line still is a whole one. */
struct line {
    char bytes[LOG_LINE_MAX];
    size_t len;
};

enum { LOG_LINE_TAIL = 8 };

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
    size_t room = LOG_LINE_MAX - LOG_LINE_TAIL - l->len;
    size_t part = s.len < room ? s.len : room;

    if (part > 0)
        memcpy(l->bytes + l->len, s.ptr, part);
    l->len += part;
}

static void put_text(struct line *l, const char *text)
{
    put(l, str_of(text));
}

/* JSON escapes serve both formats; invalid UTF-8 becomes U+FFFD. */
static void put_escaped(struct line *l, struct str s)
{
    while (s.len > 0) {
        int length = utf8_length(s);
        unsigned char c = (unsigned char)s.ptr[0];
        char escape[8];

        if (length <= 0) {
            put_text(l, "\xef\xbf\xbd");
            length = 1;
        } else if (c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
            snprintf(escape, sizeof(escape), "\\u%04x", c);
            put_text(l, c == '"' ? "\\\"" : c == '\\' ? "\\\\" : escape);
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

static void put_value(struct line *l, const struct log_field *f)
{
    char number[40];

    switch (f->kind) {
    case LOG_FIELD_STR:
        if (line_format == LOG_FORMAT_JSON || needs_quotes(f->text))
            put_quoted(l, f->text);
        else
            put(l, f->text);
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

static void put_json(struct line *l, const char *when, enum log_level level, const char *event,
                     const struct log_field *fields, int field_count)
{
    put_text(l, "{\"time\":\"");
    put_text(l, when);
    put_text(l, "\",\"level\":\"");
    put_text(l, level_names[level]);
    put_text(l, "\",\"program\":");
    put_quoted(l, str_of(program_name));
    put_text(l, ",\"event\":");
    put_quoted(l, str_of(event));
    for (int i = 0; i < field_count; i++) {
        put_text(l, ",");
        put_quoted(l, str_of(fields[i].name));
        put_text(l, ":");
        put_value(l, &fields[i]);
    }
    put_text(l, "}");
}

static void put_plain(struct line *l, const char *when, enum log_level level, const char *event,
                      const struct log_field *fields, int field_count)
{
    put_text(l, when);
    put_text(l, " ");
    put_text(l, level_names[level]);
    put_text(l, " ");
    put_text(l, program_name);
    put_text(l, ": ");
    put_escaped(l, str_of(event));
    for (int i = 0; i < field_count; i++) {
        put_text(l, " ");
        put_text(l, fields[i].name);
        put_text(l, "=");
        put_value(l, &fields[i]);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               int field_count)
{
    struct line l;
    char when[CLOCK_TEXT_MAX];

    if (!log_enabled(level))
        return;
    l.len = 0;
    clock_format_utc(clock_wall_ms(clock_system()), when);
    if (line_format == LOG_FORMAT_JSON)
        put_json(&l, when, level, event, fields, field_count);
    else
        put_plain(&l, when, level, event, fields, field_count);
    if (l.len >= LOG_LINE_MAX - LOG_LINE_TAIL) {
        memcpy(l.bytes + l.len, line_format == LOG_FORMAT_JSON ? "...\"}" : "...  ", 5);
        l.len += 5;
    }
    l.bytes[l.len++] = '\n';
    if (write(log_fd, l.bytes, l.len) < 0)
        return; /* nowhere left to report it */
}
