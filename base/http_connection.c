/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading half of a server connection: bytes to requests, requests to the handler, and the end
 * of the peer at any time. See http_connection.h.
 */
#include "base/http_connection.h"

#include "base/mem.h"
#include <assert.h>

static void on_turn(void *object);
static const struct http_parse_callbacks parse_callbacks;

/* --- life ----------------------------------------------------------------------------------- */

static void free_buffers(struct http_connection *c)
{
    http_parser_fini(&c->parser);
    arena_fini(&c->arena);
    buf_fini(&c->input);
    buf_fini(&c->body);
    buf_fini(&c->fields);
    buf_fini(&c->out);
    buf_fini(&c->flying);
}

struct http_connection *http_connection_new(struct http_server *s, struct err *err)
{
    const struct http_server_limits *limits = &s->limits;
    struct http_parse_limits parse = {limits->target_bytes, limits->header_bytes,
                                      limits->header_count, limits->body_bytes};
    struct http_connection *c = mem_alloc(sizeof(*c));

    if (c == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    c->server = s;
    http_parser_init(&c->parser, HTTP_PARSE_REQUEST, &parse, &parse_callbacks, c);
    buf_init(&c->input, HTTP_INPUT_BYTES);
    buf_init(&c->body, limits->body_bytes);
    buf_init(&c->fields, limits->header_bytes);
    buf_init(&c->out, SIZE_MAX / 2);
    buf_init(&c->flying, SIZE_MAX / 2);
    arena_init(&c->arena, limits->arena_bytes);
    loop_timer_init(&c->timer, http_connection_on_timer, c);
    loop_deferred_init(&c->turn, on_turn, c);
    (void)uv_tcp_init(&s->loop->uv, &c->tcp);
    c->tcp.data = c;
    c->write_uv.data = c;
    c->shutdown_uv.data = c;
    c->next = s->connections;
    if (c->next != NULL)
        c->next->back = c;
    s->connections = c;
    s->connection_count++;
    return c;
}

void http_connection_release(struct http_connection *c)
{
    struct http_server *s = c->server;

    if (!c->closed || c->owned || c->processing)
        return;
    loop_defer_cancel(s->loop, &c->turn);
    if (c->back != NULL)
        c->back->next = c->next;
    else
        s->connections = c->next;
    if (c->next != NULL)
        c->next->back = c->back;
    free_buffers(c);
    http_server_connection_gone(s, c);
    mem_free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_connection *c = handle->data;

    c->closed = true;
    http_connection_release(c);
}

static void close_handle(struct http_connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    loop_timer_stop(&c->timer);
    buf_fini(&c->out);
    buf_fini(&c->input);
    if (c->reset_after && uv_tcp_close_reset(&c->tcp, on_closed) == 0)
        return;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void http_connection_break(struct http_connection *c)
{
    if (c->owned && !c->x.disconnected) {
        c->x.disconnected = true;
        c->notify = true;
        http_server_count(c->server, HTTP_METRIC_DISCONNECTS, NULL);
        http_connection_queue_turn(c);
    }
    close_handle(c);
}

void http_connection_queue_turn(struct http_connection *c)
{
    loop_defer(c->server->loop, &c->turn);
}

bool http_connection_is_quiet(const struct http_connection *c)
{
    return c->phase == HTTP_PHASE_IDLE && !c->owned && c->input.len == 0 &&
           http_connection_pending(c) == 0;
}

/* --- requests ------------------------------------------------------------------------------- */

static void reset_request(struct http_connection *c)
{
    arena_reset(&c->arena);
    buf_clear(&c->body);
    if (c->body.cap > HTTP_KEEP_BYTES)
        buf_fini(&c->body);
    buf_clear(&c->fields);
}

static int on_head(void *object, const struct http_head *head)
{
    struct http_connection *c = object;
    struct str path;
    struct str query;
    struct err err;
    int r;

    reset_request(c);
    r = http_target_parse(head->target, &c->arena, &path, &query, &err);
    if (r < 0)
        return http_parser_refuse(&c->parser, 400, &err);
    c->x = (struct http_exchange){
        .method = head->method,
        .path = path,
        .query = query,
        .headers = head->headers,
        .arena = &c->arena,
        .loop = c->server->loop,
        .received_ms = c->x.received_ms,
        .connection = c,
    };
    c->head_only = str_is(head->method, "HEAD");
    if (head->has_body && head->version_minor == 1 &&
        http_header_has_token(&head->headers, "expect", "100-continue")) {
        (void)buf_append_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        http_connection_queue_turn(c);
    }
    return 0;
}

static int on_body(void *object, struct str bytes)
{
    struct http_connection *c = object;

    return buf_append_str(&c->body, bytes);
}

static int on_end(void *object)
{
    (void)object;
    return 0;
}

static const struct http_parse_callbacks parse_callbacks = {on_head, on_body, on_end};

static void dispatch(struct http_connection *c)
{
    struct http_server *s = c->server;

    http_connection_set_phase(c, HTTP_PHASE_RUN);
    c->x.body = buf_str(&c->body);
    c->keep_alive = http_parser_keep_alive(&c->parser);
    c->begun = false;
    c->chunked = false;
    c->no_body = false;
    c->owned = true;
    s->exchange_count++;
    s->options.handler(&c->x, s->options.user);
}

void http_connection_finish(struct http_connection *c)
{
    assert(c->owned);
    c->owned = false;
    c->notify = false;
    c->server->exchange_count--;
    if (!c->keep_alive || c->server->draining)
        c->close_after = true;
    http_parser_next(&c->parser, false);
    c->x.received_ms = 0;
    if (c->closing) {
        http_connection_release(c);
        return;
    }
    http_connection_set_phase(c, HTTP_PHASE_IDLE);
    http_connection_queue_turn(c);
}

static bool may_process(const struct http_connection *c)
{
    return !c->owned && !c->closing && !c->close_after && c->phase != HTTP_PHASE_LINGER &&
           http_connection_pending(c) < HTTP_PIPELINE_BYTES;
}

/* The phase after a part of a request arrived. */
static void update_phase(struct http_connection *c)
{
    enum http_phase phase = HTTP_PHASE_IDLE;

    if (c->owned || c->closing || c->close_after)
        return;
    if (c->parser.head_done)
        phase = HTTP_PHASE_BODY;
    else if (http_parser_begun(&c->parser))
        phase = HTTP_PHASE_HEAD;
    if (phase != c->phase)
        http_connection_set_phase(c, phase);
}

/* Feeds requests to the handler, one after the other, and returns how much was used. */
static size_t process(struct http_connection *c, struct str bytes)
{
    size_t used = 0;

    c->processing = true;
    while (used < bytes.len && may_process(c)) {
        struct err err;
        size_t part;
        int r;

        if (c->x.received_ms == 0)
            c->x.received_ms = loop_now_ms(c->server->loop);
        r = http_parser_feed(&c->parser, str_slice(bytes, used, bytes.len), &part, &err);
        used += part;
        if (r < 0) {
            http_server_count(c->server, HTTP_METRIC_REFUSED, "request");
            http_answer_failure(c, c->parser.status, err_message(&err));
            used = bytes.len;
        } else if (r == 1) {
            dispatch(c);
        }
    }
    c->processing = false;
    update_phase(c);
    return used;
}

/* --- the socket ----------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct http_connection *c = handle->data;

    (void)suggested;
    *out = uv_buf_init(c->server->read_buffer, HTTP_READ_BYTES);
}

/* Keeps what came while a request runs. Reading goes on in any case, because only reading shows the
 * peer's end; so what is too much to keep is thrown away, and with it the connection after the
 * running answer (no client that waits for its answers meets this). */
static void keep_input(struct http_connection *c, struct str bytes)
{
    if (c->closing || c->close_after)
        return;
    if (buf_append_str(&c->input, bytes) == 0)
        return;
    http_server_count(c->server, HTTP_METRIC_REFUSED, "pipelined");
    buf_fini(&c->input);
    c->keep_alive = false;
    c->close_after = true;
}

static void take_input(struct http_connection *c, struct str bytes)
{
    size_t used = 0;

    if (c->phase == HTTP_PHASE_LINGER)
        return;
    if (c->input.len == 0)
        used = process(c, bytes);
    if (used < bytes.len)
        keep_input(c, str_slice(bytes, used, bytes.len));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct http_connection *c = stream->data;
    struct loop *loop = c->server->loop;

    if (count == 0)
        return;
    loop_enter(loop);
    if (count < 0)
        http_connection_break(c);
    else
        take_input(c, (struct str){buffer->base, (size_t)count});
    loop_leave(loop);
}

void http_connection_start(struct http_connection *c)
{
    (void)uv_tcp_nodelay(&c->tcp, 1);
    http_connection_set_phase(c, HTTP_PHASE_IDLE);
    if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        http_connection_break(c);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status; /* a failure shows as EOF or error on reading */
}

/* Closing at once could reset the connection while the peer still sends, and the answer that it has
 * not read would be lost. So only our side is shut, and the peer gets a little time. */
static void linger(struct http_connection *c)
{
    buf_fini(&c->input);
    if (uv_shutdown(&c->shutdown_uv, (uv_stream_t *)&c->tcp, on_shutdown) != 0) {
        http_connection_break(c);
        return;
    }
    c->stall_left = SIZE_MAX;
    http_connection_set_phase(c, HTTP_PHASE_LINGER);
}

/* A drain may find an answer that has ended and is still on its way: it was not known then that its
 * connection is to be closed behind it. */
static void close_if_done(struct http_connection *c)
{
    bool last = c->close_after || (c->server->draining && http_connection_is_quiet(c));

    if (!last || c->owned || c->phase == HTTP_PHASE_LINGER || http_connection_pending(c) > 0)
        return;
    if (c->reset_after)
        http_connection_break(c);
    else
        linger(c);
}

/* --- the end of a turn ---------------------------------------------------------------------- */

static void process_kept(struct http_connection *c)
{
    size_t used;

    if (c->input.len == 0 || !may_process(c))
        return;
    used = process(c, buf_str(&c->input));
    if (!c->closing)
        buf_consume(&c->input, used);
}

static void on_turn(void *object)
{
    struct http_connection *c = object;

    if (c->notify) {
        c->notify = false;
        if (c->x.on_disconnect != NULL)
            c->x.on_disconnect(&c->x); /* may end the exchange and free the connection */
        return;
    }
    if (c->closing) {
        http_connection_release(c);
        return;
    }
    if (!c->owned && c->phase == HTTP_PHASE_IDLE && !http_parser_begun(&c->parser))
        reset_request(c);
    c->processing = true; /* so that it is not freed under our hands */
    http_connection_flush(c);
    c->processing = false;
    if (!c->closing)
        process_kept(c);
    if (!c->closing)
        close_if_done(c);
    http_connection_release(c);
}
