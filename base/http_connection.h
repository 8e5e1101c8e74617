/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the HTTP server: one connection and the server behind it. http_server.c accepts and
 * drains, http_connection.c reads requests, http_answer.c writes answers.
 *
 *     socket -> read buffer of the server -> parser -> exchange -> handler
 *     handler -> out -> (end of the turn) kernel, and what it does not take: flying -> uv_write
 *
 * A connection is freed when its handle is closed and no handler owns its exchange.
 */
#ifndef SPATE_BASE_HTTP_CONNECTION_H
#define SPATE_BASE_HTTP_CONNECTION_H

#include "base/http_parse.h"
#include "base/http_server.h"

enum {
    HTTP_READ_BYTES = 64 * 1024,     /* one read */
    HTTP_INPUT_BYTES = 128 * 1024,   /* kept of requests that wait behind the running one */
    HTTP_KEEP_BYTES = 64 * 1024,     /* a larger buffer is freed when its request is over */
    HTTP_PIPELINE_BYTES = 64 * 1024, /* with more output unsent, the next request waits */
    HTTP_LINGER_MS = 2000, /* to let the peer read the answer before the close; again if it does */
    HTTP_ACCEPT_RETRY_MS = 100,
    HTTP_LISTENERS_MAX = 8,
    HTTP_BACKLOG = 1024,
};

enum http_phase {
    HTTP_PHASE_IDLE, /* before the first byte of a request */
    HTTP_PHASE_HEAD,
    HTTP_PHASE_BODY,
    HTTP_PHASE_RUN,    /* the handler owns the exchange */
    HTTP_PHASE_LINGER, /* our side is shut down; input is thrown away */
};

enum http_server_metric {
    HTTP_METRIC_CONNECTIONS,
    HTTP_METRIC_REQUESTS,
    HTTP_METRIC_DISCONNECTS,
    HTTP_METRIC_REFUSED,
    HTTP_METRIC_COUNT,
};
extern const struct metric_info http_server_metrics[HTTP_METRIC_COUNT];

struct http_connection {
    struct http_server *server;
    struct http_connection *next, *back;
    uv_tcp_t tcp;
    uv_write_t write_uv;
    uv_shutdown_t shutdown_uv;
    struct loop_timer timer; /* of the phase, or of a write that runs */
    struct loop_deferred turn;

    enum http_phase phase;
    struct http_parser parser;
    struct buf input;
    struct buf body;
    struct arena arena;
    struct http_exchange x;

    struct buf fields;      /* added by http_add_header */
    struct buf out, flying; /* to be written; being written by write_uv */
    size_t stall_left;      /* unsent bytes when the stall timer was started */

    bool processing; /* requests are being fed; ends of exchanges go on in that loop */
    bool owned;      /* by the handler */
    bool notify;     /* on_disconnect has to be called */
    bool head_only;  /* the request is a HEAD */
    bool begun;      /* the answer's head is in `out` */
    bool chunked;
    bool no_body;     /* the answer's status has none */
    bool keep_alive;  /* the client would like to */
    bool close_after; /* close when `out` is empty */
    bool reset_after; /* ... by a reset, so that it can not be taken for a proper end */
    bool write_running;
    bool closing, closed; /* uv_close called, its callback came */
};

struct http_listener {
    uv_tcp_t tcp;
    struct http_server *server;
    struct loop_timer retry; /* of an accept that found no memory */
    bool open;
};

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct http_server_limits limits;
    struct http_listener listeners[HTTP_LISTENERS_MAX];
    int listener_count;
    int handles_open; /* listeners not yet closed */
    struct http_connection *connections;
    size_t connection_count;
    size_t exchange_count;
    bool draining;
    bool released; /* http_server_close was called */
    loop_fn drain_done;
    void *drain_object;
    struct loop_timer drain_timer;
    struct loop_deferred drain_deferred;
    char *read_buffer;
    int64_t date_s; /* the second that date_text shows */
    char date_text[32];
    struct metric *metrics[HTTP_METRIC_COUNT];
};

/* http_connection.c */
struct http_connection *http_connection_new(struct http_server *s, struct err *err);
void http_connection_start(struct http_connection *c);
/* The peer is gone, or is treated so. */
void http_connection_break(struct http_connection *c);
/* Frees it if nothing needs it any more. */
void http_connection_release(struct http_connection *c);
/* The exchange is over: its answer is complete in `out`. */
void http_connection_finish(struct http_connection *c);
void http_connection_queue_turn(struct http_connection *c);
/* Idle and nothing pending: may be closed without loss. */
bool http_connection_is_quiet(const struct http_connection *c);

/* http_connection_out.c */
void http_connection_flush(struct http_connection *c);
size_t http_connection_pending(const struct http_connection *c);
void http_connection_on_timer(void *object);
void http_connection_set_phase(struct http_connection *c, enum http_phase phase);

/* http_answer.c */
void http_answer_failure(struct http_connection *c, int status, const char *message);

/* http_server.c */
void http_server_connection_gone(struct http_server *s, struct http_connection *c);
void http_server_count(struct http_server *s, enum http_server_metric metric, const char *label);

#endif
