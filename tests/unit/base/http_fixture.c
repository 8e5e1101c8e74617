/* SPDX-License-Identifier: Apache-2.0 */
/* See http_fixture.h. */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

enum { RECEIVE_TIMEOUT_S = 5 };

struct call {
    loop_fn fn;
    void *object;
    pthread_mutex_t lock;
    pthread_cond_t done_changed;
    bool done;
};

static void *run_loop(void *object)
{
    struct fixture *f = object;

    loop_run(&f->loop);
    return NULL;
}

void fixture_start(struct fixture *f, http_handler handler, void *user,
                   const struct http_server_limits *limits)
{
    struct http_server_options options = {.handler = handler, .user = user, .limits = limits};
    struct err err = {0};

    memset(f, 0, sizeof(*f));
    assert_int_equal(loop_init(&f->loop, &err), 0);
    assert_int_equal(metrics_new(&f->metrics, &err), 0);
    options.metrics = f->metrics;
    assert_int_equal(http_server_new(&f->server, &f->loop, &options, &err), 0);
    f->port = http_server_listen(f->server, "127.0.0.1:0", &err);
    if (f->port <= 0)
        fail_msg("%s", err_message(&err));
    snprintf(f->address, sizeof(f->address), "127.0.0.1:%d", f->port);
    assert_int_equal(pthread_create(&f->thread, NULL, run_loop, f), 0);
}

static void run_call(void *object)
{
    struct call *c = object;

    c->fn(c->object);
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->done_changed);
    pthread_mutex_unlock(&c->lock);
}

void fixture_call(struct fixture *f, loop_fn fn, void *object)
{
    struct call c = {fn, object, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

    assert_int_equal(loop_post(&f->loop, run_call, &c), 0);
    pthread_mutex_lock(&c.lock);
    while (!c.done)
        pthread_cond_wait(&c.done_changed, &c.lock);
    pthread_mutex_unlock(&c.lock);
}

static void close_server(void *object)
{
    struct fixture *f = object;

    http_server_close(f->server);
    f->server = NULL;
    loop_quit(&f->loop);
}

void fixture_stop(struct fixture *f)
{
    fixture_call(f, close_server, f);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    loop_fini(&f->loop);
    metrics_free(f->metrics);
}

int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval timeout = {.tv_sec = RECEIVE_TIMEOUT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

void send_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t count = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

        if (count < 0 && (errno == EPIPE || errno == ECONNRESET))
            return; /* the server closed first; what it said is still read */
        assert_true(count > 0);
        bytes = str_slice(bytes, (size_t)count, bytes.len);
    }
}

/* One read; 0 at the end of the connection. */
static size_t receive_some(int fd, struct buf *in)
{
    char *space = buf_reserve(in, 65536);
    ssize_t count;

    assert_non_null(space);
    count = recv(fd, space, 65536, 0);
    if (count < 0 && errno == ECONNRESET)
        return 0;
    if (count < 0)
        fail_msg("receive: %s; so far: %s", strerror(errno), buf_cstr(in));
    in->len += (size_t)count;
    return (size_t)count;
}

const char *receive(int fd, struct buf *in, size_t enough)
{
    while (in->len < enough && receive_some(fd, in) > 0) {
    }
    return buf_cstr(in);
}

const char *receive_text(int fd, struct buf *in, const char *text)
{
    while (strstr(buf_cstr(in), text) == NULL) {
        if (receive_some(fd, in) == 0)
            fail_msg("the connection ended before \"%s\"; it said: %s", text, buf_cstr(in));
    }
    return buf_cstr(in);
}

const char *ask(int port, const char *request, struct buf *in)
{
    int fd = dial(port);

    buf_clear(in);
    send_all(fd, str_of(request));
    receive(fd, in, SIZE_MAX);
    close(fd);
    return buf_cstr(in);
}

int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}
