/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 server on a loop: keep-alive, chunked bodies, streamed answers with back-pressure,
 * limits on everything, graceful drain. Everything here is called on the loop's thread.
 *
 *     one connection:   idle -> head -> body -> handler owns the exchange -> idle ...
 *
 * The server reads a request whole, then calls the handler. From then on the exchange is the
 * handler's, until it calls http_respond, http_end or http_abort (exactly one of them; it may be
 * much later). If the client goes away first (its EOF counts, at any time), on_disconnect runs
 * once; the exchange stays valid, writes to it are discarded, and the handler must still end it.
 */
#ifndef SPATE_BASE_HTTP_SERVER_H
#define SPATE_BASE_HTTP_SERVER_H

#include "base/arena.h"
#include "base/http.h"
#include "base/loop.h"
#include "base/metrics.h"

struct http_server;
struct http_connection;

struct http_server_limits {
    size_t connections;         /* further ones get 503 and are closed */
    size_t target_bytes;        /* 414 */
    size_t header_bytes;        /* 431: start line and fields together */
    size_t header_count;        /* 431 */
    size_t body_bytes;          /* 413 */
    size_t arena_bytes;         /* ceiling of x->arena */
    size_t output_bytes;        /* unsent bytes of a streamed answer; over it: disconnected */
    uint64_t idle_timeout_ms;   /* between requests: closed quietly */
    uint64_t header_timeout_ms; /* first byte to end of head: 408 */
    uint64_t body_timeout_ms;   /* end of head to end of body: 408 */
    uint64_t write_stall_ms;    /* unsent output and no progress: disconnected */
};
extern const struct http_server_limits http_server_limits_default;

struct http_exchange {
    /* The request. Borrowed: valid until the exchange is ended. */
    struct str method; /* "GET" */
    struct str path;   /* decoded, begins with '/' */
    struct str query;  /* raw, without '?' */
    struct http_headers headers;
    struct str body;
    struct arena *arena; /* for the handler; reset after the end of the exchange */
    struct loop *loop;
    uint64_t received_ms; /* loop_now_ms when the first byte of the request arrived */

    /* The handler's. on_disconnect: at most once, never inside a call of this header. on_drain:
     * pending bytes fell to zero after a write; never inside http_write. NULL: not wanted. */
    void *user;
    void (*on_disconnect)(struct http_exchange *x);
    void (*on_drain)(struct http_exchange *x);

    bool disconnected; /* read-only */

    struct http_connection *connection; /* private */
};

typedef void (*http_handler)(struct http_exchange *x, void *user);

struct http_server_options {
    http_handler handler;
    void *user;
    const struct http_server_limits *limits; /* copied; NULL: the default */
    struct metrics *metrics;                 /* NULL: none; else the spate_http_server_* set */
};

int http_server_new(struct http_server **out, struct loop *loop,
                    const struct http_server_options *options, struct err *err);
/* "127.0.0.1:0", "[::1]:8000", "0.0.0.0:80", "localhost:8000"; may be called more than once.
 * Returns the bound port. */
int http_server_listen(struct http_server *s, const char *address, struct err *err);
/* Stops accepting, closes idle connections, answers running ones with "Connection: close". When the
 * last connection is gone, or after timeout_ms (then the rest is cut off), done(object) runs, once.
 * Not inside this call. */
void http_server_drain(struct http_server *s, uint64_t timeout_ms, loop_fn done, void *object);
/* Cuts everything off; exchanges of handlers are disconnected (on_disconnect runs later, on the
 * loop) and stay valid until they are ended. `s` is gone for the caller; its memory goes with its
 * last connection, so let the loop turn (loop_fini does). NULL is allowed. */
void http_server_close(struct http_server *s);
size_t http_server_connection_count(const struct http_server *s);
/* Exchanges that handlers own at the moment. */
size_t http_server_exchange_count(const struct http_server *s);

/* --- answering ------------------------------------------------------------------------------ */

/* Adds a header to the coming answer; before http_respond or http_begin. An invalid name or value
 * (CR, LF ...) is -ERR_INVALID and adds nothing. Not for Content-Length, Connection, Date,
 * Content-Type and Transfer-Encoding, which the server sets. */
int http_add_header(struct http_exchange *x, const char *name, struct str value);

/* The whole answer at once; the body is copied. content_type may be NULL. Ends the exchange. */
void http_respond(struct http_exchange *x, int status, const char *content_type, struct str body);

/* A streamed answer: begin, any number of writes, end. Each write is one chunk; writes of one turn
 * of the loop leave together. http_write copies; it returns 0, also after a disconnect (discarded),
 * or -ERR_LIMIT when output_bytes are unsent: the connection is then cut off as disconnected, and
 * the handler must still end the exchange. */
void http_begin(struct http_exchange *x, int status, const char *content_type);
int http_write(struct http_exchange *x, struct str bytes);
void http_end(struct http_exchange *x);
bool http_begun(const struct http_exchange *x);

/* Ends the exchange and closes the connection without a proper end of the answer, so that the
 * client sees a broken stream. What was written before is still sent. */
void http_abort(struct http_exchange *x);

/* Bytes of the answer not yet taken by the kernel. */
size_t http_pending(const struct http_exchange *x);

/* http_respond with the OpenAI error object: {"error":{"message","type","param","code"}}. type,
 * param and code may be NULL (null in JSON). */
void http_respond_error(struct http_exchange *x, int status, const char *type, const char *param,
                        const char *code, const char *message);

#endif
