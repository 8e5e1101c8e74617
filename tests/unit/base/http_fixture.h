/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of HTTP over real sockets: a server on its own loop and thread, and blocking sockets
 * beside it. Everything fails the running test by itself.
 */
#ifndef SPATE_TESTS_HTTP_FIXTURE_H
#define SPATE_TESTS_HTTP_FIXTURE_H

#include "cmocka_plain.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/http_server.h"
#include "base/loop.h"
#include "base/metrics.h"

struct fixture {
    struct loop loop;
    struct http_server *server;
    struct metrics *metrics;
    pthread_t thread;
    int port;
    char address[32]; /* "127.0.0.1:<port>" */
};

/* limits may be NULL. The handler runs on the fixture's thread. */
void fixture_start(struct fixture *f, http_handler handler, void *user,
                   const struct http_server_limits *limits);
/* Closes the server, ends the loop and the thread. */
void fixture_stop(struct fixture *f);
/* Runs fn(object) on the loop's thread and waits for it. */
void fixture_call(struct fixture *f, loop_fn fn, void *object);

/* A connected socket whose reads give up after 5 s. */
int dial(int port);
void send_all(int fd, struct str bytes);
/* Reads until EOF, or until `enough` bytes are there; the result is NUL-terminated. */
const char *receive(int fd, struct buf *in, size_t enough);
/* Reads until the text is in the buffer. */
const char *receive_text(int fd, struct buf *in, const char *text);
/* send_all, then receive until EOF; for requests that close the connection. */
const char *ask(int port, const char *request, struct buf *in);
int64_t now_ms(void);

#endif
