/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: listening, accepting, draining, closing. See http_server.h. */
#include "base/http_server.h"

#include <assert.h>
#include <string.h>

#include "base/http_connection.h"
#include "base/mem.h"

const struct http_server_limits http_server_limits_default = {
    .connections = 10000,
    .target_bytes = 8 * 1024,
    .header_bytes = 64 * 1024,
    .header_count = 100,
    .body_bytes = 32 * 1024 * 1024,
    .arena_bytes = 64 * 1024 * 1024,
    .output_bytes = 4 * 1024 * 1024,
    .idle_timeout_ms = 75 * 1000,
    .header_timeout_ms = 10 * 1000,
    .body_timeout_ms = 60 * 1000,
    .write_stall_ms = 30 * 1000,
};

const struct metric_info http_server_metrics[HTTP_METRIC_COUNT] = {
    [HTTP_METRIC_CONNECTIONS] = {.name = "spate_http_server_connections",
                                 .type = METRIC_GAUGE,
                                 .help = "Open connections."},
    [HTTP_METRIC_REQUESTS] = {.name = "spate_http_server_requests_total",
                              .type = METRIC_COUNTER,
                              .help = "Answers begun, by class of status.",
                              .labels = {"code"}},
    [HTTP_METRIC_DISCONNECTS] = {.name = "spate_http_server_disconnects_total",
                                 .type = METRIC_COUNTER,
                                 .help = "Clients that left before their answer was complete."},
    [HTTP_METRIC_REFUSED] = {.name = "spate_http_server_refused_total",
                             .type = METRIC_COUNTER,
                             .help = "Connections and requests refused at a limit, by reason.",
                             .labels = {"reason"}},
};

void http_server_count(struct http_server *s, enum http_server_metric metric, const char *label)
{
    const char *values[METRIC_LABELS_MAX] = {label};

    if (s->metrics[metric] != NULL)
        metric_add(metric_series(s->metrics[metric], label == NULL ? NULL : values), 1);
}

static void show_connections(struct http_server *s)
{
    if (s->metrics[HTTP_METRIC_CONNECTIONS] != NULL)
        metric_set(metric_series(s->metrics[HTTP_METRIC_CONNECTIONS], NULL),
                   (double)s->connection_count);
}

size_t http_server_connection_count(const struct http_server *s)
{
    return s->connection_count;
}

size_t http_server_exchange_count(const struct http_server *s)
{
    return s->exchange_count;
}

/* --- life ----------------------------------------------------------------------------------- */

static void free_if_unused(struct http_server *s)
{
    if (!s->released || s->handles_open > 0 || s->connection_count > 0)
        return;
    loop_timer_stop(&s->drain_timer);
    loop_defer_cancel(s->loop, &s->drain_deferred);
    mem_free(s->read_buffer);
    mem_free(s);
}

static void drain_check(void *object)
{
    struct http_server *s = object;
    loop_fn done = s->drain_done;

    if (done == NULL || s->connection_count > 0)
        return;
    s->drain_done = NULL;
    loop_timer_stop(&s->drain_timer);
    done(s->drain_object);
}

static void break_all(struct http_server *s)
{
    struct http_connection *next;

    for (struct http_connection *c = s->connections; c != NULL; c = next) {
        next = c->next;
        http_connection_break(c);
    }
}

static void on_drain_timeout(void *object)
{
    break_all(object);
}

int http_server_new(struct http_server **out, struct loop *loop,
                    const struct http_server_options *options, struct err *err)
{
    CLEANUP(mem_freep) struct http_server *s = mem_alloc(sizeof(*s));
    CLEANUP(mem_freep) char *read_buffer = mem_alloc(HTTP_READ_BYTES);
    int r;

    if (s == NULL || read_buffer == NULL)
        return err_no_memory(err);
    s->loop = loop;
    s->options = *options;
    s->limits = options->limits != NULL ? *options->limits : http_server_limits_default;
    if (options->metrics != NULL) {
        r = metrics_declare(options->metrics, http_server_metrics, HTTP_METRIC_COUNT, s->metrics,
                            err);
        if (r < 0)
            return r;
    }
    loop_timer_init(&s->drain_timer, on_drain_timeout, s);
    loop_deferred_init(&s->drain_deferred, drain_check, s);
    s->read_buffer = STEAL(read_buffer);
    *out = STEAL(s);
    return 0;
}

void http_server_connection_gone(struct http_server *s, struct http_connection *c)
{
    (void)c;
    s->connection_count--;
    show_connections(s);
    if (s->drain_done != NULL && s->connection_count == 0)
        loop_defer(s->loop, &s->drain_deferred);
    free_if_unused(s);
}

/* --- listening ------------------------------------------------------------------------------ */

static void refuse(struct http_server *s, struct http_connection *c)
{
    static char answer[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                           "Retry-After: 1\r\nConnection: close\r\n\r\n";
    uv_buf_t piece = uv_buf_init(answer, sizeof(answer) - 1);

    http_server_count(s, HTTP_METRIC_REFUSED, "connections");
    (void)uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);
    http_connection_break(c);
}

static void accept_one(void *object)
{
    struct http_listener *listener = object;
    struct http_server *s = listener->server;
    struct http_connection *c = http_connection_new(s, NULL);

    if (c == NULL) { /* libuv does not offer it again, but waits until it is accepted */
        loop_timer_start(s->loop, &listener->retry, HTTP_ACCEPT_RETRY_MS);
        return;
    }
    show_connections(s);
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&c->tcp) != 0)
        http_connection_break(c);
    else if (s->connection_count > s->limits.connections)
        refuse(s, c);
    else
        http_connection_start(c);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct http_listener *listener = stream->data;
    struct loop *loop = listener->server->loop;

    loop_enter(loop);
    if (status == 0)
        accept_one(listener);
    loop_leave(loop);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_listener *listener = handle->data;
    struct http_server *s = listener->server;

    s->handles_open--;
    free_if_unused(s);
}

static void close_listener(struct http_listener *listener)
{
    if (!listener->open)
        return;
    listener->open = false;
    loop_timer_stop(&listener->retry);
    uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
}

static int socket_address(const char *text, struct sockaddr_storage *out, struct err *err)
{
    struct http_address address;
    const char *host;
    int r = http_address_parse(str_of(text), &address, err);

    if (r < 0)
        return r;
    host = strcmp(address.host, "localhost") == 0 ? "127.0.0.1" : address.host;
    if (uv_ip4_addr(host, address.port, (struct sockaddr_in *)out) == 0 ||
        uv_ip6_addr(host, address.port, (struct sockaddr_in6 *)out) == 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "listen address %s: the host must be a numeric address or localhost", text);
}

static int bound_port(struct http_listener *listener)
{
    struct sockaddr_storage bound;
    int length = sizeof(bound);

    if (uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&bound, &length) != 0)
        return 0;
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

int http_server_listen(struct http_server *s, const char *address, struct err *err)
{
    struct sockaddr_storage bind_to;
    struct http_listener *listener;
    int r = socket_address(address, &bind_to, err);

    if (r < 0)
        return r;
    if (s->listener_count >= HTTP_LISTENERS_MAX)
        return err_set(err, ERR_LIMIT, "a server listens on at most %d addresses",
                       HTTP_LISTENERS_MAX);
    listener = &s->listeners[s->listener_count];
    (void)uv_tcp_init(&s->loop->uv, &listener->tcp);
    listener->tcp.data = listener;
    loop_timer_init(&listener->retry, accept_one, listener);
    listener->server = s;
    listener->open = true;
    s->listener_count++;
    s->handles_open++;
    r = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&bind_to, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&listener->tcp, HTTP_BACKLOG, on_connection);
    if (r != 0) {
        close_listener(listener);
        return err_errno(err, -r, "listen on %s", address);
    }
    return bound_port(listener);
}

/* --- the end -------------------------------------------------------------------------------- */

void http_server_drain(struct http_server *s, uint64_t timeout_ms, loop_fn done, void *object)
{
    struct http_connection *next;

    assert(!s->draining);
    s->draining = true;
    s->drain_done = done;
    s->drain_object = object;
    for (int i = 0; i < s->listener_count; i++)
        close_listener(&s->listeners[i]);
    for (struct http_connection *c = s->connections; c != NULL; c = next) {
        next = c->next;
        if (http_connection_is_quiet(c))
            http_connection_break(c);
    }
    loop_timer_start(s->loop, &s->drain_timer, timeout_ms);
    loop_defer(s->loop, &s->drain_deferred);
}

void http_server_close(struct http_server *s)
{
    if (s == NULL)
        return;
    assert(!s->released);
    s->released = true;
    s->drain_done = NULL;
    loop_timer_stop(&s->drain_timer);
    for (int i = 0; i < s->listener_count; i++)
        close_listener(&s->listeners[i]);
    break_all(s);
    free_if_unused(s);
}
