/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing half of a server connection, and its timer. All that one turn of the loop wrote is
 * offered to the kernel at once; only what it does not take becomes a uv_write, of which one runs
 * at a time. See http_connection.h.
 */
#include "base/http_connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

size_t http_connection_pending(const struct http_connection *c)
{
    if (c->closing)
        return 0;
    return c->out.len + uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

static uint64_t phase_timeout(const struct http_connection *c)
{
    const struct http_server_limits *limits = &c->server->limits;

    switch (c->phase) {
    case HTTP_PHASE_IDLE:
        return limits->idle_timeout_ms;
    case HTTP_PHASE_HEAD:
        return limits->header_timeout_ms;
    case HTTP_PHASE_BODY:
        return limits->body_timeout_ms;
    case HTTP_PHASE_RUN:
        return 0;
    case HTTP_PHASE_LINGER:
        return HTTP_LINGER_MS;
    }
    return 0;
}

static void start_timer(struct http_connection *c)
{
    uint64_t timeout = c->write_running ? c->server->limits.write_stall_ms : phase_timeout(c);

    if (timeout == 0 || c->closing)
        loop_timer_stop(&c->timer);
    else
        loop_timer_start(c->server->loop, &c->timer, timeout);
}

void http_connection_set_phase(struct http_connection *c, enum http_phase phase)
{
    c->phase = phase;
    if (!c->write_running)
        start_timer(c);
}

static void check_stall(struct http_connection *c)
{
    size_t left = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);

    if (left == c->stall_left) {
        http_server_count(c->server, HTTP_METRIC_REFUSED, "stalled");
        http_connection_break(c);
        return;
    }
    c->stall_left = left;
    start_timer(c);
}

/* Bytes that the kernel has taken and the peer's has not. */
static size_t unacknowledged(const struct http_connection *c)
{
    uv_os_fd_t fd;
    int left = 0;

    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) != 0 || ioctl(fd, SIOCOUTQ, &left) != 0)
        return 0;
    return (size_t)left;
}

/* The answer may still be on its way, and our end may take the network with it that it goes by: a
 * pod's. As long as it moves it is waited for. */
static void check_linger(struct http_connection *c)
{
    size_t left = unacknowledged(c);

    if (left == 0 || left >= c->stall_left) {
        http_connection_break(c);
        return;
    }
    c->stall_left = left;
    start_timer(c);
}

void http_connection_on_timer(void *object)
{
    struct http_connection *c = object;

    if (c->write_running) {
        check_stall(c);
    } else if (c->phase == HTTP_PHASE_HEAD || c->phase == HTTP_PHASE_BODY) {
        http_server_count(c->server, HTTP_METRIC_REFUSED, "timeout");
        http_answer_failure(c, 408, "the request did not arrive in time");
        http_connection_set_phase(c, HTTP_PHASE_IDLE);
    } else if (c->phase == HTTP_PHASE_LINGER) {
        check_linger(c);
    } else {
        http_connection_break(c);
    }
}

static void drained(struct http_connection *c)
{
    if (c->owned && c->begun && c->x.on_drain != NULL)
        c->x.on_drain(&c->x);
}

static void shrink(struct buf *b)
{
    buf_clear(b);
    if (b->cap > HTTP_KEEP_BYTES)
        buf_fini(b);
}

static void on_written(uv_write_t *request, int status)
{
    struct http_connection *c = request->data;
    struct loop *loop = c->server->loop;

    c->write_running = false;
    shrink(&c->flying);
    if (c->closing)
        return;
    loop_enter(loop);
    if (status < 0) {
        http_connection_break(c);
    } else {
        start_timer(c);
        if (c->out.len == 0)
            drained(c);
        if (!c->closing)
            http_connection_queue_turn(c); /* more to write, to process, or the close */
    }
    loop_leave(loop);
}

/* Hands the rest of `out` to libuv; `out` begins anew in the other buffer. */
static void start_write(struct http_connection *c, size_t from)
{
    struct buf rest = c->out;
    uv_buf_t piece;

    c->out = c->flying;
    c->flying = rest;
    piece = uv_buf_init(rest.ptr + from, (unsigned)(rest.len - from));
    if (uv_write(&c->write_uv, (uv_stream_t *)&c->tcp, &piece, 1, on_written) != 0) {
        http_connection_break(c);
        return;
    }
    c->write_running = true;
    c->stall_left = rest.len - from;
    start_timer(c);
}

void http_connection_flush(struct http_connection *c)
{
    uv_buf_t piece;
    int taken;

    if (c->closing || c->write_running || c->out.len == 0)
        return;
    piece = uv_buf_init(c->out.ptr, (unsigned)c->out.len);
    taken = uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);
    if (taken == UV_EAGAIN)
        taken = 0;
    if (taken < 0) {
        http_connection_break(c);
        return;
    }
    if ((size_t)taken < c->out.len) {
        start_write(c, (size_t)taken);
        return;
    }
    shrink(&c->out);
    drained(c);
}
