/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events: see sse.h. Complete lines within the fed bytes are parsed in place; only a
 * line that is cut between two feeds is copied.
 */
#include "base/sse.h"

#include <string.h>

const struct sse_limits sse_limits_default = {
    .line_bytes = 1024 * 1024,
    .event_bytes = 4 * 1024 * 1024,
};

enum { BOM_BYTES = 3 };
static const unsigned char bom[BOM_BYTES] = {0xef, 0xbb, 0xbf};

void sse_init(struct sse_parser *p, const struct sse_limits *limits, sse_fn fn, void *object)
{
    memset(p, 0, sizeof(*p));
    p->fn = fn;
    p->object = object;
    p->limits = limits != NULL ? *limits : sse_limits_default;
    buf_init(&p->line, p->limits.line_bytes);
    buf_init(&p->data, p->limits.event_bytes);
    buf_init(&p->event, p->limits.event_bytes);
    buf_init(&p->other, p->limits.event_bytes);
}

void sse_fini(struct sse_parser *p)
{
    buf_fini(&p->line);
    buf_fini(&p->data);
    buf_fini(&p->event);
    buf_fini(&p->other);
}

static int fail(struct sse_parser *p, struct err *err, const char *what, size_t limit)
{
    p->failed = err_set(err, ERR_LIMIT, "event stream: %s is larger than %zu bytes", what, limit);
    return p->failed;
}

static int fail_memory(struct sse_parser *p, struct err *err)
{
    p->failed = err_no_memory(err);
    return p->failed;
}

static void reset_event(struct sse_parser *p)
{
    buf_clear(&p->data);
    buf_clear(&p->event);
    buf_clear(&p->other);
    p->field_count = 0;
    p->has_data = false;
    p->has_event = false;
}

static int dispatch(struct sse_parser *p, struct err *err)
{
    struct sse_event event = {.data = buf_str(&p->data),
                              .has_data = p->has_data,
                              .event = buf_str(&p->event),
                              .field_count = p->field_count};
    struct str other = buf_str(&p->other);
    int r;

    if (!p->has_data && !p->has_event && p->field_count == 0)
        return 0;
    for (size_t i = 0; i < p->field_count; i++) {
        size_t end = i + 1 < p->field_count ? p->field_starts[i + 1] : other.len;

        event.fields[i].name = str_slice(other, p->field_starts[i], p->field_colons[i]);
        event.fields[i].value = str_slice(other, p->field_colons[i], end);
    }
    p->event_count++;
    r = p->fn(p->object, &event);
    reset_event(p);
    if (r < 0)
        p->failed = err_set(err, (enum err_code) - r, "event stream: stopped by its reader");
    return r < 0 ? r : 0;
}

static int add_other(struct sse_parser *p, struct str name, struct str value, struct err *err)
{
    if (p->field_count == SSE_FIELDS_MAX) {
        p->failed = err_set(err, ERR_LIMIT, "event stream: more than %d fields in one event",
                            SSE_FIELDS_MAX);
        return p->failed;
    }
    p->field_starts[p->field_count] = p->other.len;
    p->field_colons[p->field_count] = p->other.len + name.len;
    if (buf_append_str(&p->other, name) < 0 || buf_append_str(&p->other, value) < 0)
        return fail_memory(p, err);
    p->field_count++;
    return 0;
}

static int add_field(struct sse_parser *p, struct str name, struct str value, struct err *err)
{
    size_t size = p->data.len + p->event.len + p->other.len + name.len + value.len + 1;
    int r = 0;

    if (size > p->limits.event_bytes)
        return fail(p, err, "an event", p->limits.event_bytes);
    if (str_is(name, "data")) {
        if (p->has_data)
            r = buf_append_char(&p->data, '\n');
        if (r == 0)
            r = buf_append_str(&p->data, value);
        p->has_data = true;
    } else if (str_is(name, "event")) {
        buf_clear(&p->event);
        r = buf_append_str(&p->event, value);
        p->has_event = true;
    } else {
        return add_other(p, name, value, err);
    }
    return r < 0 ? fail_memory(p, err) : 0;
}

static int take_line(struct sse_parser *p, struct str line, struct err *err)
{
    struct str name;

    if (line.len == 0)
        return dispatch(p, err);
    if (line.ptr[0] == ':') {
        p->comment_count++;
        return 0;
    }
    name = str_cut(&line, ':');
    if (line.ptr == NULL)
        line = STR("");
    if (line.len > 0 && line.ptr[0] == ' ')
        line = str_slice(line, 1, line.len);
    return add_field(p, name, line, err);
}

/* A line ends here: with what is kept of it from the last feed. */
static int end_line(struct sse_parser *p, struct str tail, struct err *err)
{
    int r;

    if (p->line.len + tail.len > p->limits.line_bytes)
        return fail(p, err, "a line", p->limits.line_bytes);
    if (p->line.len == 0)
        return take_line(p, tail, err);
    if (buf_append_str(&p->line, tail) < 0)
        return fail_memory(p, err);
    r = take_line(p, buf_str(&p->line), err);
    buf_clear(&p->line);
    return r;
}

/* Skips a byte order mark, which may come in pieces; what only looked like one is line text. */
static int skip_bom(struct sse_parser *p, struct str *bytes, struct err *err)
{
    while (!p->after_start && bytes->len > 0) {
        if ((unsigned char)bytes->ptr[0] != bom[p->bom_seen]) {
            p->after_start = true;
            if (buf_append(&p->line, bom, p->bom_seen) < 0)
                return fail_memory(p, err);
            return 0;
        }
        *bytes = str_slice(*bytes, 1, bytes->len);
        p->bom_seen++;
        p->after_start = p->bom_seen == BOM_BYTES;
    }
    return 0;
}

static size_t line_length(struct str bytes)
{
    const char *lf = memchr(bytes.ptr, '\n', bytes.len);
    size_t limit = lf != NULL ? (size_t)(lf - bytes.ptr) : bytes.len;
    const char *cr = limit > 0 ? memchr(bytes.ptr, '\r', limit) : NULL;

    return cr != NULL ? (size_t)(cr - bytes.ptr) : limit;
}

int sse_feed(struct sse_parser *p, struct str bytes, struct err *err)
{
    int r = 0;

    if (p->failed != 0)
        return err_set(err, (enum err_code) - p->failed, "event stream: it has failed before");
    r = skip_bom(p, &bytes, err);
    while (r == 0 && bytes.len > 0) {
        size_t length;

        if (p->after_cr && bytes.ptr[0] == '\n') {
            p->after_cr = false;
            bytes = str_slice(bytes, 1, bytes.len);
            continue;
        }
        p->after_cr = false;
        length = line_length(bytes);
        if (length == bytes.len) {
            if (p->line.len + length > p->limits.line_bytes)
                return fail(p, err, "a line", p->limits.line_bytes);
            return buf_append_str(&p->line, bytes) < 0 ? fail_memory(p, err) : 0;
        }
        p->after_cr = bytes.ptr[length] == '\r';
        r = end_line(p, str_slice(bytes, 0, length), err);
        bytes = str_slice(bytes, length + 1, bytes.len);
    }
    return r;
}

struct str sse_event_field(const struct sse_event *event, const char *name)
{
    for (size_t i = 0; i < event->field_count; i++) {
        if (str_is(event->fields[i].name, name))
            return event->fields[i].value;
    }
    return STR_NONE;
}

int sse_append(struct buf *out, const char *event, struct str data)
{
    struct str rest = data.ptr == NULL ? STR("") : data;

    if (event != NULL)
        (void)buf_printf(out, "event: %s\n", event);
    while (rest.ptr != NULL) {
        struct str line = str_slice(rest, 0, line_length(rest));
        size_t used = line.len;

        (void)buf_append(out, "data: ", 6);
        (void)buf_append_str(out, line);
        (void)buf_append_char(out, '\n');
        if (used == rest.len)
            break;
        if (rest.ptr[used] == '\r' && used + 1 < rest.len && rest.ptr[used + 1] == '\n')
            used++;
        rest = str_slice(rest, used + 1, rest.len);
    }
    return buf_append_char(out, '\n');
}
