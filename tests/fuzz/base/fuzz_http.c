/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same bytes, fed whole and in small pieces, must give the same messages: framing that depends
 * on how packets are cut is how requests are smuggled. The limits must hold.
 */
#include "fuzz_http.h"

#include <stdlib.h>

#include "base/mem.h"

enum { LOG_MAX = 64 * 1024 * 1024, MESSAGES_MAX = 100 };

static const struct http_parse_limits limits = {
    .target_bytes = 200, .header_bytes = 1000, .header_count = 10, .body_bytes = 5000};

struct run {
    struct buf log;
    struct arena arena;
    enum http_parse_kind kind;
    uint64_t body;
};

static int on_head(void *object, const struct http_head *head)
{
    struct run *r = object;
    struct str path;
    struct str query;
    struct str value;

    r->body = 0;
    if (head->headers.count > limits.header_count || head->target.len > limits.target_bytes)
        abort();
    buf_printf(&r->log, "H%.*s %.*s %d %d;", STR_ARG(head->method), STR_ARG(head->target),
               head->status, head->has_body);
    for (size_t i = 0; i < head->headers.count; i++)
        buf_printf(&r->log, "%.*s=%.*s;", STR_ARG(head->headers.items[i].name),
                   STR_ARG(head->headers.items[i].value));
    (void)http_bearer_token(&head->headers);
    (void)http_header_has_token(&head->headers, "connection", "close");
    if (r->kind == HTTP_PARSE_REQUEST &&
        http_target_parse(head->target, &r->arena, &path, &query, NULL) == 0) {
        if (path.len == 0 || path.ptr[0] != '/' || str_find(path, STR("/../")) >= 0)
            abort();
        (void)http_query_get(query, "a", &r->arena, &value);
    }
    return 0;
}

static int on_body(void *object, struct str bytes)
{
    struct run *r = object;

    r->body += bytes.len;
    if (r->body > limits.body_bytes)
        abort();
    buf_append_str(&r->log, bytes);
    return 0;
}

static int on_end(void *object)
{
    struct run *r = object;

    buf_append_text(&r->log, "|E\n");
    return 0;
}

static const struct http_parse_callbacks callbacks = {on_head, on_body, on_end};

/* Feeds pieces of `step` bytes; each is a heap copy of its own, so that reads beyond it show. */
static void parse(struct run *r, const uint8_t *data, size_t size, size_t step)
{
    struct http_parser p;
    size_t at = 0;
    int messages = 0;
    int result = 0;

    buf_init(&r->log, LOG_MAX);
    arena_init(&r->arena, LOG_MAX);
    http_parser_init(&p, r->kind, &limits, &callbacks, r);
    while (at < size && result >= 0 && messages < MESSAGES_MAX) {
        size_t length = size - at < step ? size - at : step;
        char *piece = mem_dup(data + at, length);
        size_t used = 0;

        if (piece == NULL)
            abort();
        result = http_parser_feed(&p, (struct str){piece, length}, &used, NULL);
        mem_free(piece);
        if (result >= 0 && (used > length || (result == 0 && used < length)))
            abort();
        if (result < 0 && p.status < 400)
            abort();
        at += used;
        if (result != 1)
            continue;
        messages++;
        if (!http_parser_keep_alive(&p))
            break;
        http_parser_next(&p, false);
    }
    if (result == 0 && http_parser_begun(&p) && http_parser_finish(&p, NULL) < 0)
        result = -1;
    buf_printf(&r->log, "R%d", result < 0);
    http_parser_fini(&p);
    arena_fini(&r->arena);
}

void fuzz_http(enum http_parse_kind kind, const uint8_t *data, size_t size)
{
    struct run whole = {.kind = kind};
    struct run cut = {.kind = kind};

    parse(&whole, data, size, size > 0 ? size : 1);
    parse(&cut, data, size, 3);
    /* A limit may strike at another byte when a head is cut, but accepted messages are the same up
     * to the first failure. */
    if (!str_eq(buf_str(&whole.log), buf_str(&cut.log)) &&
        !str_ends(buf_str(&whole.log), STR("R1")) && !str_ends(buf_str(&cut.log), STR("R1")))
        abort();
    buf_fini(&whole.log);
    buf_fini(&cut.log);
}
