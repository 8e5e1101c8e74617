/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooled, pausable HTTP/1.1 client on a loop, for our own programs (gateway to agent): plain TCP,
 * numeric addresses and "localhost" (names, TLS and proxies: fetch.h). Connections are kept per
 * origin, bounded, and watched while idle. Everything is called on the loop's thread.
 */
#ifndef SPATE_BASE_HTTP_CLIENT_H
#define SPATE_BASE_HTTP_CLIENT_H

#include "base/http.h"
#include "base/loop.h"

struct http_client;
struct http_call;

/* How a call ended. The text of each is in the err that comes with it. */
enum http_result {
    HTTP_DONE,            /* the whole response arrived */
    HTTP_CONNECT_REFUSED, /* no connection: refused, unreachable, no descriptor */
    HTTP_CONNECT_TIMEOUT,
    HTTP_CLOSED_BEFORE, /* closed before the first byte of the response; maybe it was seen */
    HTTP_CLOSED_MIDDLE, /* closed after the first byte, before the proper end */
    HTTP_FIRST_BYTE_TIMEOUT,
    HTTP_IDLE_TIMEOUT, /* silence between two bytes of the response */
    HTTP_BAD_RESPONSE, /* not HTTP, or over a limit */
    HTTP_NO_MEMORY,
};
const char *http_result_name(enum http_result result); /* "connect_refused" ... for logs */

struct http_client_options {
    size_t connections_per_origin; /* idle ones kept; 0: 64 */
    size_t connections;            /* all, busy ones too; over it -ERR_BUSY; 0: 4096 */
    size_t header_bytes;           /* of a response head; 0: 64 KiB */
    size_t header_count;           /* 0: 100 */
    uint64_t pool_idle_ms;         /* an idle connection is closed after this; 0: 30 s */
};

struct http_call_options {
    struct str address;                /* "127.0.0.1:8001", "[::1]:8001" */
    struct str method;                 /* "POST" */
    struct str target;                 /* path and query, escaped already */
    const struct http_header *headers; /* Host, Content-Length, Connection are set by the client */
    size_t header_count;
    struct str body; /* copied */

    uint64_t connect_timeout_ms;    /* 0: 5 s */
    uint64_t first_byte_timeout_ms; /* from the request's sending; 0: none */
    uint64_t idle_timeout_ms;       /* between bytes of the response; not while paused; 0: none */

    /* In this order, never inside http_call_start: on_head once (not for 1xx), on_data any number
     * of times, on_done exactly once, last, unless the call was cancelled. Views are borrowed for
     * the callback. err is NULL for HTTP_DONE. Any callback may cancel or pause this call and start
     * others. After on_done returned, the call is freed. NULL: that is not listened to. */
    void (*on_head)(struct http_call *call, void *user, int status,
                    const struct http_headers *headers);
    void (*on_data)(struct http_call *call, void *user, struct str bytes);
    void (*on_done)(struct http_call *call, void *user, enum http_result result,
                    const struct err *err);
    void *user;
};

/* options may be NULL; zero members take their defaults. */
int http_client_new(struct http_client **out, struct loop *loop,
                    const struct http_client_options *options, struct err *err);
/* Cancels every call (no callbacks run), closes all connections; let the loop turn afterwards. */
void http_client_close(struct http_client *c);

/*
 * Starts a request, on a pooled connection if there is one. A pooled connection may have gone
 * stale: the call moves to a fresh one if it was reset, or the write failed, before any byte of the
 * response; a proper EOF at that point is reported (HTTP_CLOSED_BEFORE), as the server may have
 * seen the request. On failure (-ERR_INVALID, -ERR_BUSY, -ERR_NO_MEMORY) no callback runs.
 */
int http_call_start(struct http_call **out, struct http_client *c,
                    const struct http_call_options *options, struct err *err);

/* Stops reading, so that TCP slows the server down. What was read already (at most one buffer of
 * 64 KiB) may still arrive in on_data. */
void http_call_pause(struct http_call *call);
void http_call_resume(struct http_call *call);

/* Ends the call at once and closes its connection; no callback runs any more, the call is gone.
 * NULL is allowed. */
void http_call_cancel(struct http_call *call);

/* Whether the call runs on a connection that served another one before. */
bool http_call_reused(const struct http_call *call);

size_t http_client_idle_count(const struct http_client *c);
/* Closes the idle connections to that origin: it is going away. */
void http_client_forget(struct http_client *c, struct str address);

#endif
