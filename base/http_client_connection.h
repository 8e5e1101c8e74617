/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the HTTP client: calls, their connections, and the pool of them. http_client.c keeps
 * the pool and the calls, http_client_connection.c moves the bytes.
 *
 *     call --(start)--> connection --(end)--> idle in the pool --> next call ... --> closed
 *
 * A connection is freed when its handle is closed; the client after its last connection.
 */
#ifndef SPATE_BASE_HTTP_CLIENT_CONNECTION_H
#define SPATE_BASE_HTTP_CLIENT_CONNECTION_H

#include <netinet/in.h>

#include "base/http_client.h"
#include "base/http_parse.h"
#include "base/map.h"

enum {
    HTTP_CLIENT_READ_BYTES = 64 * 1024,
    HTTP_CLIENT_KEEP_BYTES = 64 * 1024, /* of a request buffer, with an idle connection */
};

enum http_client_phase {
    HTTP_CLIENT_CONNECTING,
    HTTP_CLIENT_WAITING, /* for the first byte */
    HTTP_CLIENT_RECEIVING,
    HTTP_CLIENT_IDLE, /* in the pool */
};

struct http_origin;

struct http_client_connection {
    struct http_client *client;
    struct http_origin *origin;
    struct http_client_connection *next, *back;           /* of the client */
    struct http_client_connection *idle_next, *idle_back; /* of the origin, newest first */
    uv_tcp_t tcp;
    uv_connect_t connect_uv;
    uv_write_t write_uv;
    struct loop_timer timer;
    struct http_parser parser;
    struct buf request;     /* kept until the first byte of the response, for a retry */
    struct http_call *call; /* NULL: idle, or closing */
    enum http_client_phase phase;
    uint64_t last_byte_ms;
    bool reused;
    bool once; /* not to be pooled */
    bool response_begun;
    bool write_running;
    bool reading;
    bool closing;
};

struct http_call {
    struct http_client *client;
    struct http_client_connection *connection; /* NULL: failed before there was one */
    struct http_call_options options;          /* its views are not kept */
    bool head_request;
    bool paused;
    bool ending;             /* on_done runs */
    enum http_result result; /* of a failure that is reported later */
    struct err err;
    struct loop_deferred report;
    struct http_call *next_failed;
};

struct http_origin {
    struct sockaddr_storage address;
    char text[HTTP_HOST_MAX + 16]; /* key of the map */
    struct http_client_connection *idle;
    size_t idle_count;
    size_t connection_count;
};

struct http_client {
    struct loop *loop;
    struct http_client_options options;
    struct map origins;
    struct http_client_connection *connections;
    size_t connection_count;
    size_t idle_count;
    struct http_call *failed; /* calls without a connection whose report is due */
    bool released;
    char *read_buffer;
};

/* http_client.c */
/* Ends a call: detaches it, runs on_done, frees it. err may be NULL for HTTP_DONE. */
void http_call_end(struct http_call *call, enum http_result result, const struct err *err);
/* The call of a connection that failed; moves it to a fresh connection if that is safe. */
void http_call_failed(struct http_client_connection *c, enum http_result result, bool unseen,
                      const struct err *err);
void http_client_connection_gone(struct http_client_connection *c);
void http_client_pool(struct http_client_connection *c);
void http_client_unpool(struct http_client_connection *c);

/* http_client_connection.c */
struct http_client_connection *
http_client_connection_new(struct http_client *client, struct http_origin *origin, struct err *err);
/* Connects, then sends. Takes the request's bytes. A failure is returned, not reported. */
int http_client_connection_open(struct http_client_connection *c, struct http_call *call,
                                struct buf *request, struct err *err);
/* Sends on a pooled connection. */
void http_client_connection_reuse(struct http_client_connection *c, struct http_call *call,
                                  struct buf *request);
void http_client_connection_close(struct http_client_connection *c);
void http_client_connection_set_reading(struct http_client_connection *c, bool on);

#endif
