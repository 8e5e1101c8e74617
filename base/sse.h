/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incremental parser of server-sent events (text/event-stream): bytes in, events out. Lines end
 * with CR, LF or CRLF. Fields "data" (joined by LF) and "event" make the event; the first field of
 * any other name is kept raw beside them (our stream extension has a field of its own). Limits on
 * line and event.
 */
#ifndef SPATE_BASE_SSE_H
#define SPATE_BASE_SSE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { SSE_FIELDS_MAX = 8 }; /* other fields kept per event; further ones are refused */

struct sse_field {
    struct str name;
    struct str value;
};

/* Borrowed for the callback. An event is dispatched at its blank line if it has any field. */
struct sse_event {
    struct str data;
    bool has_data;
    struct str event;                        /* "" when absent */
    struct sse_field fields[SSE_FIELDS_MAX]; /* every other field, in order */
    size_t field_count;
};

struct sse_limits {
    size_t line_bytes;
    size_t event_bytes; /* all fields of one event together */
};
extern const struct sse_limits sse_limits_default; /* 1 MiB and 4 MiB */

/* A negative result stops the parser for good and is returned by sse_feed. */
typedef int (*sse_fn)(void *object, const struct sse_event *event);

struct sse_parser {
    sse_fn fn;
    void *object;
    struct sse_limits limits;
    uint64_t comment_count; /* lines that began with ':' */
    uint64_t event_count;
    struct buf line; /* the unfinished line */
    struct buf data, event, other;
    size_t field_starts[SSE_FIELDS_MAX], field_colons[SSE_FIELDS_MAX];
    size_t field_count;
    bool has_data, has_event;
    bool after_cr, after_start;
    size_t bom_seen;
    int failed;
};

/* limits may be NULL: the default. Does not allocate. */
void sse_init(struct sse_parser *p, const struct sse_limits *limits, sse_fn fn, void *object);
void sse_fini(struct sse_parser *p);
/* 0; -ERR_LIMIT, -ERR_NO_MEMORY, or what fn returned: then the parser stays failed. */
int sse_feed(struct sse_parser *p, struct str bytes, struct err *err);
/* The value of the first other field of that name, or an empty view with ptr NULL. */
struct str sse_event_field(const struct sse_event *event, const char *name);

/* Appends "data: ...\n\n" (one data line per line of `data`), optionally after "event: ...\n"
 * (event NULL: without). */
int sse_append(struct buf *out, const char *event, struct str data);

#endif
