/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client: calls and the pool of connections. See http_client.h. */
#include "base/http_client.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/http_client_connection.h"
#include "base/mem.h"

enum {
    DEFAULT_PER_ORIGIN = 64,
    DEFAULT_CONNECTIONS = 4096,
    DEFAULT_HEADER_BYTES = 64 * 1024,
    DEFAULT_HEADER_COUNT = 100,
    DEFAULT_POOL_IDLE_MS = 30000,
    DEFAULT_CONNECT_TIMEOUT_MS = 5000,
};

const char *http_result_name(enum http_result result)
{
    static const char *const names[] = {
        [HTTP_DONE] = "done",
        [HTTP_CONNECT_REFUSED] = "connect_refused",
        [HTTP_CONNECT_TIMEOUT] = "connect_timeout",
        [HTTP_CLOSED_BEFORE] = "closed_before",
        [HTTP_CLOSED_MIDDLE] = "closed_middle",
        [HTTP_FIRST_BYTE_TIMEOUT] = "first_byte_timeout",
        [HTTP_IDLE_TIMEOUT] = "idle_timeout",
        [HTTP_BAD_RESPONSE] = "bad_response",
        [HTTP_NO_MEMORY] = "no_memory",
    };

    return names[result];
}

/* --- the client ----------------------------------------------------------------------------- */

static void set_defaults(struct http_client_options *o)
{
    o->connections_per_origin =
        o->connections_per_origin ? o->connections_per_origin : DEFAULT_PER_ORIGIN;
    o->connections = o->connections ? o->connections : DEFAULT_CONNECTIONS;
    o->header_bytes = o->header_bytes ? o->header_bytes : DEFAULT_HEADER_BYTES;
    o->header_count = o->header_count ? o->header_count : DEFAULT_HEADER_COUNT;
    o->pool_idle_ms = o->pool_idle_ms ? o->pool_idle_ms : DEFAULT_POOL_IDLE_MS;
}

int http_client_new(struct http_client **out, struct loop *loop,
                    const struct http_client_options *options, struct err *err)
{
    CLEANUP(mem_freep) struct http_client *c = mem_alloc(sizeof(*c));
    CLEANUP(mem_freep) char *read_buffer = mem_alloc(HTTP_CLIENT_READ_BYTES);

    if (c == NULL || read_buffer == NULL)
        return err_no_memory(err);
    if (options != NULL)
        c->options = *options;
    set_defaults(&c->options);
    c->loop = loop;
    /* Each has a connection, one at least; as many again may be on their way out. */
    map_init(&c->origins, 2 * c->options.connections);
    c->read_buffer = STEAL(read_buffer);
    *out = STEAL(c);
    return 0;
}

static void free_if_unused(struct http_client *c)
{
    if (!c->released || c->connection_count > 0)
        return;
    map_fini(&c->origins);
    mem_free(c->read_buffer);
    mem_free(c);
}

static void free_call(struct http_call *call)
{
    loop_defer_cancel(call->client->loop, &call->report);
    mem_free(call);
}

void http_client_close(struct http_client *c)
{
    if (c == NULL)
        return;
    c->released = true;
    while (c->failed != NULL) {
        struct http_call *call = c->failed;

        c->failed = call->next_failed;
        free_call(call);
    }
    for (struct http_client_connection *k = c->connections; k != NULL; k = k->next) {
        if (k->call != NULL)
            free_call(k->call);
        k->call = NULL;
        http_client_connection_close(k);
    }
    free_if_unused(c);
}

void http_client_connection_gone(struct http_client_connection *c)
{
    struct http_client *client = c->client;
    struct http_origin *origin = c->origin;

    if (c->back != NULL)
        c->back->next = c->next;
    else
        client->connections = c->next;
    if (c->next != NULL)
        c->next->back = c->back;
    client->connection_count--;
    if (--origin->connection_count == 0) {
        (void)map_remove(&client->origins, str_of(origin->text));
        mem_free(origin);
    }
    free_if_unused(client);
}

size_t http_client_idle_count(const struct http_client *c)
{
    return c->idle_count;
}

/* --- the pool ------------------------------------------------------------------------------- */

void http_client_pool(struct http_client_connection *c)
{
    struct http_origin *origin = c->origin;

    if (c->client->released || origin->idle_count >= c->client->options.connections_per_origin) {
        http_client_connection_close(c);
        return;
    }
    c->phase = HTTP_CLIENT_IDLE;
    c->idle_back = NULL;
    c->idle_next = origin->idle;
    if (c->idle_next != NULL)
        c->idle_next->idle_back = c;
    origin->idle = c;
    origin->idle_count++;
    c->client->idle_count++;
    loop_timer_start(c->client->loop, &c->timer, c->client->options.pool_idle_ms);
    http_client_connection_set_reading(c, true); /* an EOF shows while it waits */
}

void http_client_unpool(struct http_client_connection *c)
{
    if (c->phase != HTTP_CLIENT_IDLE)
        return;
    if (c->idle_back != NULL)
        c->idle_back->idle_next = c->idle_next;
    else
        c->origin->idle = c->idle_next;
    if (c->idle_next != NULL)
        c->idle_next->idle_back = c->idle_back;
    c->origin->idle_count--;
    c->client->idle_count--;
    c->phase = HTTP_CLIENT_WAITING;
}

void http_client_forget(struct http_client *c, struct str address)
{
    const struct http_origin *origin = map_get(&c->origins, address);

    if (origin == NULL)
        return;
    for (struct http_client_connection *k = c->connections; k != NULL; k = k->next) {
        if (k->origin != origin)
            continue;
        k->once = true;
        if (k->phase == HTTP_CLIENT_IDLE)
            http_client_connection_close(k);
    }
}

static int resolve(struct str text, struct sockaddr_storage *out, struct err *err)
{
    struct http_address address;
    const char *host;
    int r = http_address_parse(text, &address, err);

    if (r < 0)
        return r;
    host = strcmp(address.host, "localhost") == 0 ? "127.0.0.1" : address.host;
    if (uv_ip4_addr(host, address.port, (struct sockaddr_in *)out) == 0 ||
        uv_ip6_addr(host, address.port, (struct sockaddr_in6 *)out) == 0)
        return 0;
    return err_set(err, ERR_INVALID, "address %.*s: the host must be numeric or localhost",
                   STR_ARG(text));
}

static int origin_get(struct http_origin **out, struct http_client *c, struct str address,
                      struct err *err)
{
    CLEANUP(mem_freep) struct http_origin *fresh = NULL;
    struct http_origin *origin = map_get(&c->origins, address);
    int r;

    if (origin != NULL) {
        *out = origin;
        return 0;
    }
    fresh = mem_alloc(sizeof(*fresh));
    if (fresh == NULL)
        return err_no_memory(err);
    r = resolve(address, &fresh->address, err);
    if (r < 0)
        return r;
    (void)snprintf(fresh->text, sizeof(fresh->text), "%.*s", STR_ARG(address));
    r = map_put(&c->origins, address, fresh, NULL);
    if (r < 0)
        return err_set(err, (enum err_code) - r, "too many different servers at once");
    *out = STEAL(fresh);
    return 0;
}

/* An origin lives through its connections; one that got none is dropped. */
static void origin_put(struct http_client *c, struct http_origin *origin)
{
    if (origin->connection_count > 0)
        return;
    (void)map_remove(&c->origins, str_of(origin->text));
    mem_free(origin);
}

static int make_room(struct http_client *c, struct err *err)
{
    if (c->connection_count < c->options.connections)
        return 0;
    for (struct http_client_connection *k = c->connections; k != NULL; k = k->next) {
        if (k->phase == HTTP_CLIENT_IDLE && !k->closing) {
            http_client_connection_close(k);
            return 0;
        }
    }
    return err_set(err, ERR_BUSY, "all %zu connections are in use", c->options.connections);
}

/* --- calls ---------------------------------------------------------------------------------- */

void http_call_end(struct http_call *call, enum http_result result, const struct err *err)
{
    call->ending = true;
    loop_defer_cancel(call->client->loop, &call->report);
    if (call->options.on_done != NULL)
        call->options.on_done(call, call->options.user, result, err);
    mem_free(call); /* the client itself may be gone by now */
}

/* Takes a call whose report is due off the list, if it is there. */
static void unlist_failed(struct http_call *call)
{
    for (struct http_call **at = &call->client->failed; *at != NULL; at = &(*at)->next_failed) {
        if (*at == call) {
            *at = call->next_failed;
            return;
        }
    }
}

static void report_failure(void *object)
{
    struct http_call *call = object;

    unlist_failed(call);
    http_call_end(call, call->result, &call->err);
}

/* Reports at the end of the turn: the call has no connection any more. */
static void fail_later(struct http_call *call, enum http_result result, const struct err *err)
{
    call->result = result;
    call->err = *err;
    call->next_failed = call->client->failed;
    call->client->failed = call;
    loop_defer(call->client->loop, &call->report);
}

static void connect_call(struct http_call *call, struct http_origin *origin, struct buf *request)
{
    struct http_client *client = call->client;
    struct http_client_connection *c;
    struct err err;

    c = http_client_connection_new(client, origin, &err);
    if (c == NULL) {
        origin_put(client, origin);
        fail_later(call, HTTP_NO_MEMORY, &err);
        return;
    }
    if (http_client_connection_open(c, call, request, &err) < 0) {
        http_client_connection_close(c);
        fail_later(call, HTTP_CONNECT_REFUSED, &err);
    }
}

/* Moves the call to a fresh connection: its old one was reset, so that its server has closed it
 * before it could see the request. */
static bool retry(struct http_client_connection *c, struct http_call *call)
{
    CLEANUP(buf_fini) struct buf request = {0};

    buf_init(&request, SIZE_MAX / 2);
    if (buf_append_str(&request, buf_str(&c->request)) < 0)
        return false;
    connect_call(call, c->origin, &request);
    return true;
}

void http_call_failed(struct http_client_connection *c, enum http_result result, bool unseen,
                      const struct err *err)
{
    struct http_call *call = c->call;

    if (call == NULL) {
        http_client_connection_close(c);
        return;
    }
    call->connection = NULL;
    c->call = NULL;
    if (unseen && c->reused && !c->client->released && retry(c, call)) {
        http_client_connection_close(c);
        return;
    }
    http_client_connection_close(c);
    http_call_end(call, result, err);
}

static bool target_valid(struct str target)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];

        if (c <= 0x20 || c >= 0x7f)
            return false;
    }
    return target.len > 0 && target.ptr[0] == '/';
}

static int write_request(struct buf *out, const struct http_call_options *o, struct err *err)
{
    if (!http_header_name_valid(o->method))
        return err_set(err, ERR_INVALID, "the method is malformed");
    if (!target_valid(o->target))
        return err_set(err, ERR_INVALID, "the target %.*s is malformed", STR_ARG(o->target));
    (void)buf_append_str(out, o->method);
    (void)buf_append_char(out, ' ');
    (void)buf_append_str(out, o->target);
    (void)buf_append_text(out, " HTTP/1.1\r\nHost: ");
    (void)buf_append_str(out, o->address);
    (void)buf_append_text(out, "\r\n");
    if (o->body.len > 0 || !str_is(o->method, "GET"))
        (void)buf_printf(out, "Content-Length: %zu\r\n", o->body.len);
    for (size_t i = 0; i < o->header_count; i++) {
        const struct http_header *h = &o->headers[i];

        if (!http_header_name_valid(h->name) || !http_header_value_valid(h->value))
            return err_set(err, ERR_INVALID, "header %.*s is malformed", STR_ARG(h->name));
        (void)buf_append_str(out, h->name);
        (void)buf_append(out, ": ", 2);
        (void)buf_append_str(out, h->value);
        (void)buf_append(out, "\r\n", 2);
    }
    (void)buf_append(out, "\r\n", 2);
    (void)buf_append_str(out, o->body);
    return out->failed ? err_no_memory(err) : 0;
}

static struct http_call *call_new(struct http_client *c, const struct http_call_options *o)
{
    struct http_call *call = mem_alloc(sizeof(*call));

    if (call == NULL)
        return NULL;
    call->client = c;
    call->options = *o;
    call->head_request = str_is(o->method, "HEAD");
    call->options.method = STR_NONE;
    call->options.target = STR_NONE;
    call->options.address = STR_NONE;
    call->options.body = STR_NONE;
    call->options.headers = NULL;
    if (call->options.connect_timeout_ms == 0)
        call->options.connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
    loop_deferred_init(&call->report, report_failure, call);
    return call;
}

int http_call_start(struct http_call **out, struct http_client *c,
                    const struct http_call_options *options, struct err *err)
{
    CLEANUP(buf_fini) struct buf request = {0};
    struct http_client_connection *pooled;
    struct http_origin *origin = NULL;
    struct http_call *call;
    int r;

    buf_init(&request, SIZE_MAX / 2);
    r = write_request(&request, options, err);
    if (r == 0)
        r = origin_get(&origin, c, options->address, err);
    if (r < 0)
        return r;
    pooled = origin->idle;
    r = pooled == NULL ? make_room(c, err) : 0;
    call = r == 0 ? call_new(c, options) : NULL;
    if (call == NULL) {
        origin_put(c, origin);
        return r < 0 ? r : err_no_memory(err);
    }
    if (pooled != NULL) {
        http_client_unpool(pooled);
        http_client_connection_reuse(pooled, call, &request);
    } else {
        connect_call(call, origin, &request);
    }
    if (out != NULL)
        *out = call;
    return 0;
}

void http_call_pause(struct http_call *call)
{
    call->paused = true;
    if (call->connection != NULL)
        http_client_connection_set_reading(call->connection, false);
}

void http_call_resume(struct http_call *call)
{
    call->paused = false;
    if (call->connection != NULL)
        http_client_connection_set_reading(call->connection, true);
}

void http_call_cancel(struct http_call *call)
{
    struct http_client_connection *c;

    if (call == NULL || call->ending)
        return;
    c = call->connection;
    if (c != NULL) {
        c->call = NULL;
        http_client_connection_close(c);
    }
    unlist_failed(call);
    free_call(call);
}

bool http_call_reused(const struct http_call *call)
{
    return call->connection != NULL && call->connection->reused;
}
