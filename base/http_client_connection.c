/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of the HTTP client: see http_client_connection.h. */
#include "base/http_client_connection.h"

#include <string.h>

#include "base/mem.h"

static void on_timer(void *object);
static const struct http_parse_callbacks parse_callbacks;

/* --- life ----------------------------------------------------------------------------------- */

struct http_client_connection *
http_client_connection_new(struct http_client *client, struct http_origin *origin, struct err *err)
{
    const struct http_parse_limits limits = {.target_bytes = client->options.header_bytes,
                                             .header_bytes = client->options.header_bytes,
                                             .header_count = client->options.header_count};
    struct http_client_connection *c = mem_alloc(sizeof(*c));

    if (c == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    c->client = client;
    c->origin = origin;
    http_parser_init(&c->parser, HTTP_PARSE_RESPONSE, &limits, &parse_callbacks, c);
    buf_init(&c->request, SIZE_MAX / 2);
    loop_timer_init(&c->timer, on_timer, c);
    (void)uv_tcp_init(&client->loop->uv, &c->tcp);
    c->tcp.data = c;
    c->connect_uv.data = c;
    c->write_uv.data = c;
    c->next = client->connections;
    if (c->next != NULL)
        c->next->back = c;
    client->connections = c;
    client->connection_count++;
    origin->connection_count++;
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_client_connection *c = handle->data;

    http_parser_fini(&c->parser);
    buf_fini(&c->request);
    http_client_connection_gone(c);
    mem_free(c);
}

void http_client_connection_close(struct http_client_connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    c->reading = false;
    c->call = NULL;
    http_client_unpool(c);
    loop_timer_stop(&c->timer);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* No retry is possible any more: a large request is not kept with the connection. */
static void drop_request(struct http_client_connection *c)
{
    if (c->write_running)
        return;
    buf_clear(&c->request);
    if (c->request.cap > HTTP_CLIENT_KEEP_BYTES)
        buf_fini(&c->request);
}

/* --- time ----------------------------------------------------------------------------------- */

static void start_timer(struct http_client_connection *c, uint64_t timeout_ms)
{
    if (timeout_ms == 0)
        loop_timer_stop(&c->timer);
    else
        loop_timer_start(c->client->loop, &c->timer, timeout_ms);
}

static void fail(struct http_client_connection *c, enum http_result result, bool unseen,
                 const char *what)
{
    struct err err;
    bool timeout = result == HTTP_CONNECT_TIMEOUT || result == HTTP_FIRST_BYTE_TIMEOUT ||
                   result == HTTP_IDLE_TIMEOUT;

    (void)err_set(&err, timeout ? ERR_TIMEOUT : ERR_NETWORK, "%s: %s", c->origin->text, what);
    http_call_failed(c, result, unseen, &err);
}

/* The timer of silence is not moved at each read; it looks back when it fires. */
static void check_silence(struct http_client_connection *c)
{
    uint64_t limit = c->call->options.idle_timeout_ms;
    uint64_t silent = loop_now_ms(c->client->loop) - c->last_byte_ms;

    if (c->call->paused)
        start_timer(c, limit);
    else if (silent < limit)
        start_timer(c, limit - silent);
    else
        fail(c, HTTP_IDLE_TIMEOUT, false, "silent in the middle of the response");
}

static void on_timer(void *object)
{
    struct http_client_connection *c = object;

    switch (c->phase) {
    case HTTP_CLIENT_CONNECTING:
        fail(c, HTTP_CONNECT_TIMEOUT, false, "no connection in time");
        break;
    case HTTP_CLIENT_WAITING:
        fail(c, HTTP_FIRST_BYTE_TIMEOUT, false, "no response in time");
        break;
    case HTTP_CLIENT_RECEIVING:
        check_silence(c);
        break;
    case HTTP_CLIENT_IDLE:
        http_client_connection_close(c);
        break;
    }
}

/* --- the response --------------------------------------------------------------------------- */

static int on_head(void *object, const struct http_head *head)
{
    struct http_client_connection *c = object;
    struct http_call *call = c->call;

    if (call->options.on_head != NULL)
        call->options.on_head(call, call->options.user, head->status, &head->headers);
    return c->call == NULL ? -ERR_CANCELLED : 0;
}

static int on_body(void *object, struct str bytes)
{
    struct http_client_connection *c = object;
    struct http_call *call = c->call;

    if (call->options.on_data != NULL)
        call->options.on_data(call, call->options.user, bytes);
    return c->call == NULL ? -ERR_CANCELLED : 0;
}

static int on_end(void *object)
{
    (void)object;
    return 0;
}

static const struct http_parse_callbacks parse_callbacks = {on_head, on_body, on_end};

/* The response is whole. The connection goes back first, so that on_done may use it again. */
static void complete(struct http_client_connection *c, bool reusable)
{
    struct http_call *call = c->call;

    c->call = NULL;
    call->connection = NULL;
    if (reusable && !c->once && !c->write_running && http_parser_keep_alive(&c->parser))
        http_client_pool(c);
    else
        http_client_connection_close(c);
    http_call_end(call, HTTP_DONE, NULL);
}

static void take_bytes(struct http_client_connection *c, struct str bytes)
{
    struct err err;
    size_t used;
    int r;

    if (c->call == NULL) { /* nothing was asked: the peer is confused */
        http_client_connection_close(c);
        return;
    }
    if (!c->response_begun) {
        c->response_begun = true;
        c->phase = HTTP_CLIENT_RECEIVING;
        drop_request(c);
        start_timer(c, c->call->options.idle_timeout_ms);
    }
    c->last_byte_ms = loop_now_ms(c->client->loop);
    r = http_parser_feed(&c->parser, bytes, &used, &err);
    if (c->call == NULL)
        return; /* cancelled in a callback */
    if (r < 0) {
        (void)err_wrap(&err, r, "%s", c->origin->text);
        http_call_failed(c, HTTP_BAD_RESPONSE, false, &err);
    } else if (r == 1) {
        complete(c, used == bytes.len);
    }
}

static void take_end(struct http_client_connection *c, int status)
{
    bool reset = status != UV_EOF;
    int r;

    if (c->call == NULL) {
        http_client_connection_close(c);
        return;
    }
    if (!c->response_begun) {
        fail(c, HTTP_CLOSED_BEFORE, reset, "closed before the response");
        return;
    }
    r = reset ? -1 : http_parser_finish(&c->parser, NULL);
    if (c->call == NULL)
        return;
    if (r == 1)
        complete(c, false);
    else
        fail(c, HTTP_CLOSED_MIDDLE, false, "closed in the middle of the response");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct http_client_connection *c = handle->data;

    (void)suggested;
    *out = uv_buf_init(c->client->read_buffer, HTTP_CLIENT_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct http_client_connection *c = stream->data;
    struct loop *loop = c->client->loop;

    if (count == 0)
        return;
    loop_enter(loop);
    if (count < 0)
        take_end(c, (int)count);
    else
        take_bytes(c, (struct str){buffer->base, (size_t)count});
    loop_leave(loop);
}

void http_client_connection_set_reading(struct http_client_connection *c, bool on)
{
    if (c->closing || c->reading == on || c->phase == HTTP_CLIENT_CONNECTING)
        return;
    c->reading = on;
    c->last_byte_ms = loop_now_ms(c->client->loop);
    if (on)
        (void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    else
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
}

/* --- the request ---------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct http_client_connection *c = request->data;
    struct loop *loop = c->client->loop;

    c->write_running = false;
    if (c->closing)
        return;
    loop_enter(loop);
    if (status < 0 && c->call != NULL && !c->response_begun)
        fail(c, HTTP_CLOSED_BEFORE, true, "closed while the request was sent");
    else if (c->response_begun)
        drop_request(c);
    loop_leave(loop);
}

/* A failure here shows as one of the read too; it is reported from there. */
static void send_request(struct http_client_connection *c)
{
    uv_buf_t piece = uv_buf_init(c->request.ptr, (unsigned)c->request.len);
    int taken = uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);

    if (taken < 0)
        taken = 0; /* EAGAIN; or an error, which uv_write then reports through its callback */
    if ((size_t)taken == c->request.len)
        return;
    piece = uv_buf_init(c->request.ptr + taken, (unsigned)(c->request.len - (size_t)taken));
    c->write_running = uv_write(&c->write_uv, (uv_stream_t *)&c->tcp, &piece, 1, on_written) == 0;
}

static void begin_response(struct http_client_connection *c)
{
    c->phase = HTTP_CLIENT_WAITING;
    c->response_begun = false;
    http_parser_next(&c->parser, c->call->head_request);
    start_timer(c, c->call->options.first_byte_timeout_ms);
    send_request(c);
    http_client_connection_set_reading(c, !c->call->paused);
}

static void take_request(struct http_client_connection *c, struct http_call *call,
                         struct buf *request)
{
    struct buf empty = c->request;

    c->request = *request;
    *request = empty;
    buf_clear(request);
    c->call = call;
    call->connection = c;
}

void http_client_connection_reuse(struct http_client_connection *c, struct http_call *call,
                                  struct buf *request)
{
    c->reused = true;
    take_request(c, call, request);
    begin_response(c);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct http_client_connection *c = request->data;
    struct loop *loop = c->client->loop;

    if (c->closing)
        return;
    loop_enter(loop);
    if (status < 0) {
        fail(c, HTTP_CONNECT_REFUSED, false, uv_strerror(status));
    } else {
        (void)uv_tcp_nodelay(&c->tcp, 1);
        begin_response(c);
    }
    loop_leave(loop);
}

int http_client_connection_open(struct http_client_connection *c, struct http_call *call,
                                struct buf *request, struct err *err)
{
    int r = uv_tcp_connect(&c->connect_uv, &c->tcp, (const struct sockaddr *)&c->origin->address,
                           on_connect);

    if (r != 0)
        return err_set(err, ERR_NETWORK, "%s: %s", c->origin->text, uv_strerror(r));
    c->phase = HTTP_CLIENT_CONNECTING;
    take_request(c, call, request);
    start_timer(c, call->options.connect_timeout_ms);
    return 0;
}
