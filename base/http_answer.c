/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the HTTP server: heads, whole bodies, streams. See http_server.h. */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/http_connection.h"
#include "base/json.h"
#include "base/mem.h"

enum { ERROR_BODY_MAX = 64 * 1024, MS_PER_S = 1000, S_PER_DAY = 86400 };

/* "Sun, 22 Nov 2026 15:04:05 GMT", made once a second. */
static const char *date_text(struct http_server *s)
{
    static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t now_s = clock_wall_ms(clock_system()) / MS_PER_S;
    int64_t day = now_s / S_PER_DAY;
    int second = (int)(now_s % S_PER_DAY);
    int64_t year;
    int month;
    int day_of_month;

    if (s->date_s == now_s)
        return s->date_text;
    clock_civil_from_days(day, &year, &month, &day_of_month);
    (void)snprintf(s->date_text, sizeof(s->date_text), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                   days[day % 7], day_of_month, months[month - 1], (int)(year % 10000),
                   second / 3600, second / 60 % 60, second % 60);
    s->date_s = now_s;
    return s->date_text;
}

static bool status_has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static void count_answer(struct http_server *s, int status)
{
    static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    size_t class = status >= 100 && status < 600 ? (size_t)status / 100 : 0;

    http_server_count(s, HTTP_METRIC_REQUESTS, classes[class]);
}

static void append_field(struct buf *out, const char *name, const char *value)
{
    (void)buf_append_text(out, name);
    (void)buf_append(out, ": ", 2);
    (void)buf_append_text(out, value);
    (void)buf_append(out, "\r\n", 2);
}

/* Appends the head up to its framing, which the caller adds with the final empty line. */
static void append_head(struct http_connection *c, int status, const char *content_type)
{
    struct buf *out = &c->out;

    count_answer(c->server, status);
    c->begun = true;
    c->no_body = status_has_no_body(status);
    (void)buf_append(out, "HTTP/1.1 ", 9);
    (void)buf_append_u64(out, (unsigned long long)status);
    (void)buf_append_char(out, ' ');
    (void)buf_append_text(out, http_status_text(status));
    (void)buf_append(out, "\r\n", 2);
    append_field(out, "Date", date_text(c->server));
    if (content_type != NULL && !c->no_body)
        append_field(out, "Content-Type", content_type);
    (void)buf_append_str(out, buf_str(&c->fields));
    if (!c->keep_alive || c->server->draining)
        append_field(out, "Connection", "close");
    else if (c->parser.head.version_minor == 0)
        append_field(out, "Connection", "keep-alive");
}

static void append_whole(struct http_connection *c, int status, const char *content_type,
                         struct str body)
{
    append_head(c, status, content_type);
    if (!c->no_body) {
        (void)buf_append_text(&c->out, "Content-Length: ");
        (void)buf_append_u64(&c->out, body.len);
        (void)buf_append(&c->out, "\r\n", 2);
    }
    (void)buf_append(&c->out, "\r\n", 2);
    if (!c->no_body && !c->head_only)
        (void)buf_append_str(&c->out, body);
}

/* An answer that found no memory can not be repaired: the connection goes. */
static void check_memory(struct http_connection *c)
{
    if (!c->closing && (c->out.failed || c->fields.failed))
        http_connection_break(c);
}

int http_add_header(struct http_exchange *x, const char *name, struct str value)
{
    struct http_connection *c = x->connection;

    assert(c->owned && !c->begun);
    if (!http_header_name_valid(str_of(name)) || !http_header_value_valid(value))
        return -ERR_INVALID;
    (void)buf_append_text(&c->fields, name);
    (void)buf_append(&c->fields, ": ", 2);
    (void)buf_append_str(&c->fields, value);
    return buf_append(&c->fields, "\r\n", 2);
}

void http_respond(struct http_exchange *x, int status, const char *content_type, struct str body)
{
    struct http_connection *c = x->connection;

    assert(c->owned && !c->begun);
    if (!x->disconnected) {
        append_whole(c, status, content_type, body);
        check_memory(c);
    }
    http_connection_finish(c);
}

void http_begin(struct http_exchange *x, int status, const char *content_type)
{
    struct http_connection *c = x->connection;

    assert(c->owned && !c->begun);
    if (x->disconnected) {
        c->begun = true;
        return;
    }
    c->chunked = c->parser.head.version_minor == 1 && !status_has_no_body(status);
    if (!c->chunked && !status_has_no_body(status))
        c->keep_alive = false; /* HTTP/1.0: the end of the connection is the end of the body */
    append_head(c, status, content_type);
    if (c->chunked)
        append_field(&c->out, "Transfer-Encoding", "chunked");
    (void)buf_append(&c->out, "\r\n", 2);
    check_memory(c);
    http_connection_queue_turn(c);
}

bool http_begun(const struct http_exchange *x)
{
    return x->connection->begun;
}

static void append_chunk_size(struct buf *out, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * sizeof(size) + 2];
    size_t at = sizeof(text);

    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = digits[size & 15];
        size >>= 4;
    } while (size > 0);
    (void)buf_append(out, text + at, sizeof(text) - at);
}

int http_write(struct http_exchange *x, struct str bytes)
{
    struct http_connection *c = x->connection;

    assert(c->owned && c->begun);
    if (x->disconnected || c->head_only || c->no_body || bytes.len == 0)
        return 0;
    if (http_connection_pending(c) + bytes.len > c->server->limits.output_bytes) {
        http_server_count(c->server, HTTP_METRIC_REFUSED, "slow");
        http_connection_break(c);
        return -ERR_LIMIT;
    }
    if (c->chunked)
        append_chunk_size(&c->out, bytes.len);
    (void)buf_append_str(&c->out, bytes);
    if (c->chunked)
        (void)buf_append(&c->out, "\r\n", 2);
    check_memory(c);
    http_connection_queue_turn(c);
    return 0;
}

void http_end(struct http_exchange *x)
{
    struct http_connection *c = x->connection;

    assert(c->owned && c->begun);
    if (!x->disconnected && c->chunked && !c->head_only) {
        (void)buf_append(&c->out, "0\r\n\r\n", 5);
        check_memory(c);
    }
    http_connection_finish(c);
}

void http_abort(struct http_exchange *x)
{
    struct http_connection *c = x->connection;

    assert(c->owned);
    c->close_after = true;
    c->reset_after = c->begun && !c->chunked;
    http_connection_finish(c);
}

size_t http_pending(const struct http_exchange *x)
{
    return http_connection_pending(x->connection);
}

/* --- errors --------------------------------------------------------------------------------- */

static void put_text_or_null(struct json_writer *w, const char *key, const char *text)
{
    if (text == NULL)
        json_put_null(w, key);
    else
        json_put_text(w, key, text);
}

static void write_error(struct buf *out, const char *type, const char *param, const char *code,
                        const char *message)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_key(&w, "error");
    json_open(&w, '{');
    json_put_text(&w, "message", message);
    put_text_or_null(&w, "type", type);
    put_text_or_null(&w, "param", param);
    put_text_or_null(&w, "code", code);
    json_close(&w, '}');
    json_close(&w, '}');
}

void http_respond_error(struct http_exchange *x, int status, const char *type, const char *param,
                        const char *code, const char *message)
{
    CLEANUP(buf_fini) struct buf body = {0};

    buf_init(&body, ERROR_BODY_MAX);
    write_error(&body, type, param, code, message);
    http_respond(x, status, "application/json", buf_str(&body));
}

/* A request that no handler sees: answered and closed. */
void http_answer_failure(struct http_connection *c, int status, const char *message)
{
    CLEANUP(buf_fini) struct buf body = {0};

    buf_init(&body, ERROR_BODY_MAX);
    write_error(&body, status >= 500 ? "server_error" : "invalid_request_error", NULL,
                "invalid_http", message);
    buf_clear(&c->fields);
    c->keep_alive = false;
    c->close_after = true;
    c->head_only = false;
    append_whole(c, status, "application/json", buf_str(&body));
    check_memory(c);
    http_connection_queue_turn(c);
}
