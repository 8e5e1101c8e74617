/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl in the loop, against our server: methods, limits, redirects, tokens, cancelling. */
#include "http_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fetch.h"
#include "base/mem.h"

enum { BODY_MAX = 64 * 1024 * 1024, BIG = 3 * 1024 * 1024, DESCRIPTORS = 1024 };

static int echo_to(struct http_exchange *x)
{
    struct str token = http_bearer_token(&x->headers);
    struct str extra = http_header_get(&x->headers, "x-extra");
    char *text = arena_printf(x->arena, "%.*s %.*s [%.*s] [%.*s] %.*s", STR_ARG(x->method),
                              STR_ARG(x->path), STR_ARG(token), STR_ARG(extra), STR_ARG(x->body));

    http_respond(x, 200, "text/plain", str_of(text));
    return 0;
}

/* "unpacked " twenty times, by gzip. */
static const unsigned char packed[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0xcd, 0x2b, 0x48, 0x4c, 0xce,
    0x4e, 0x4d, 0x51, 0x28, 0x1d, 0x3a, 0x0c, 0x00, 0xc8, 0xe9, 0xa8, 0x16, 0xb4, 0x00, 0x00, 0x00};

static void serve_packed(struct http_exchange *x)
{
    struct str wanted = http_header_get(&x->headers, "accept-encoding");

    if (!str_is(wanted, "gzip")) {
        http_respond(x, 200, "text/plain", STR("plain"));
        return;
    }
    (void)http_add_header(x, "Content-Encoding", STR("gzip"));
    http_respond(x, 200, "text/plain", (struct str){(const char *)packed, sizeof(packed)});
}

static void serve(struct http_exchange *x, void *user)
{
    static char big[BIG];

    (void)user;
    if (str_is(x->path, "/big")) {
        http_respond(x, 200, "text/plain", (struct str){big, sizeof(big)});
    } else if (str_is(x->path, "/packed")) {
        serve_packed(x);
    } else if (str_is(x->path, "/agent")) {
        http_respond(x, 200, "text/plain", http_header_get(&x->headers, "user-agent"));
    } else if (str_is(x->path, "/later")) {
        (void)http_add_header(x, "Retry-After", STR("7"));
        http_respond(x, 429, NULL, STR("later"));
    } else if (str_is(x->path, "/moved")) {
        (void)http_add_header(x, "Location", STR("/target"));
        http_respond(x, 302, NULL, STR("moved"));
    } else if (str_is(x->path, "/away")) {
        (void)http_add_header(x, "Location", STR("file:///etc/passwd"));
        http_respond(x, 302, NULL, STR("away"));
    } else if (str_is(x->path, "/broken")) {
        http_begin(x, 200, "text/plain");
        (void)http_write(x, STR("half"));
        http_abort(x);
    } else if (str_is(x->path, "/missing")) {
        http_respond_error(x, 404, "not_found_error", NULL, "not_found", "nothing here");
    } else if (!str_is(x->path, "/silent")) {
        (void)echo_to(x);
    } /* else: no answer, until the server closes; then the exchange is ended there */
}

/* /silent keeps its exchange for ever, so the handler remembers it for the end of the test. */
struct silent {
    struct http_exchange *x;
};

static void serve_silent(struct http_exchange *x, void *user)
{
    struct silent *s = user;

    if (str_is(x->path, "/silent"))
        s->x = x;
    serve(x, NULL);
}

static void end_silent(void *object)
{
    struct silent *s = object;

    if (s->x != NULL)
        http_abort(s->x);
}

struct server {
    struct fixture f;
    struct silent silent;
    char url[64];
    bool looked; /* at the socket of the client */
};

static void start(struct server *s)
{
    s->silent.x = NULL;
    fixture_start(&s->f, serve_silent, &s->silent, NULL);
}

static void stop(struct server *s)
{
    fixture_call(&s->f, end_silent, &s->silent);
    fixture_stop(&s->f);
}

static const char *url(struct server *s, const char *path)
{
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d%s", s->f.port, path);
    return s->url;
}

static void fetches(void **state)
{
    struct http_header extra[] = {{STR("x-extra"), STR("e")}};
    CLEANUP(buf_fini) struct buf body = {0};
    struct server s;

    (void)state;
    buf_init(&body, BODY_MAX);
    start(&s);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/a%20b")}, &body, NULL),
                     200);
    assert_string_equal(buf_cstr(&body), "GET /a b [] [] ");
    buf_clear(&body);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/p"),
                                                        .body = STR("hello"),
                                                        .bearer_token = "secret",
                                                        .headers = extra,
                                                        .header_count = 1},
                                &body, NULL),
                     200);
    assert_string_equal(buf_cstr(&body), "POST /p [secret] [e] hello");
    buf_clear(&body);
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/d"), .method = "DELETE"}, &body, NULL),
        200);
    assert_string_equal(buf_cstr(&body), "DELETE /d [] [] ");
    buf_clear(&body);
    assert_int_equal(
        fetch_wait(
            &(struct fetch_options){.url = url(&s, "/p"), .method = "PATCH", .body = STR("x")},
            &body, NULL),
        200);
    assert_string_equal(buf_cstr(&body), "PATCH /p [] [] x");
    buf_clear(&body);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/missing")}, &body, NULL),
                     404);
    assert_non_null(strstr(buf_cstr(&body), "\"code\":\"not_found\""));
    buf_clear(&body);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/moved")}, &body, NULL),
                     302);
    buf_clear(&body);
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/moved"), .max_redirects = 3}, &body,
                   NULL),
        200);
    assert_string_equal(buf_cstr(&body), "GET /target [] [] ");
    buf_clear(&body);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/big")}, &body, NULL), 200);
    assert_int_equal(body.len, BIG);
    stop(&s);
}

static void names_itself_and_unpacks(void **state)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct server s;
    struct err err = {0};

    (void)state;
    buf_init(&body, BODY_MAX);
    start(&s);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/agent")}, &body, NULL),
                     200);
    assert_string_equal(buf_cstr(&body), "spate");
    buf_clear(&body);
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/agent"), .user_agent = "tester/1"},
                   &body, NULL),
        200);
    assert_string_equal(buf_cstr(&body), "tester/1");
    buf_clear(&body);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/packed")}, &body, NULL),
                     200);
    assert_string_equal(buf_cstr(&body), "plain");
    buf_clear(&body);
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/packed"), .compressed = true}, &body,
                   NULL),
        200);
    assert_int_equal(body.len, strlen("unpacked ") * 20);
    assert_int_equal(strncmp(buf_cstr(&body), "unpacked unpacked ", 18), 0);
    buf_clear(&body);
    /* The limit is on what comes out. */
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/packed"),
                                                        .compressed = true,
                                                        .max_bytes = 100},
                                &body, &err),
                     -ERR_LIMIT);
    stop(&s);
}

/* libcurl's end of the connection to that port; both ends are in this process. */
static int client_socket(int port)
{
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t size = sizeof(peer);

        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port)
            return fd;
    }
    fail_msg("no socket is connected to port %d", port);
    return -1;
}

static int setting(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static int look_at_socket(void *user, int status, struct str bytes)
{
    struct server *s = user;
    int fd = client_socket(s->f.port);

    (void)status;
    (void)bytes;
    assert_int_equal(setting(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_in_range(setting(fd, IPPROTO_TCP, TCP_KEEPIDLE), 1, 10);
    assert_in_range(setting(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1, 10);
    assert_int_equal(setting(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), FETCH_DEAD_PEER_MS);
    s->looked = true;
    return 0;
}

static void asks_whether_its_peer_is_there(void **state)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct server s;

    (void)state;
    buf_init(&body, BODY_MAX);
    start(&s);
    s.looked = false;
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/agent"),
                                                        .on_data = look_at_socket,
                                                        .user = &s},
                                &body, NULL),
                     200);
    assert_true(s.looked);
    stop(&s);
}

struct later {
    struct loop loop;
    struct fetch *fetch;
    bool done;
};

static void later_done(void *user, int status, struct str body, const struct err *err)
{
    struct later *l = user;

    (void)body;
    assert_null(err);
    assert_int_equal(status, 429);
    assert_true(str_is(fetch_header(l->fetch, "retry-after"), "7"));
    assert_null(fetch_header(l->fetch, "x-absent").ptr);
    l->done = true;
    loop_quit(&l->loop);
}

static void shows_headers(void **state)
{
    struct fetch_options o = {.on_done = later_done};
    struct fetcher *fetcher = NULL;
    struct server s;
    struct later l = {0};

    (void)state;
    start(&s);
    assert_int_equal(loop_init(&l.loop, NULL), 0);
    assert_int_equal(fetcher_new(&fetcher, &l.loop, NULL), 0);
    o.url = url(&s, "/later");
    o.user = &l;
    assert_int_equal(fetch_start(&l.fetch, fetcher, &o, NULL), 0);
    loop_run(&l.loop);
    assert_true(l.done);
    fetcher_close(fetcher);
    loop_fini(&l.loop);
    stop(&s);
}

static int stop_reading(void *user, int status, struct str bytes)
{
    (void)user;
    (void)bytes;
    assert_int_equal(status, 200);
    return -ERR_CANCELLED;
}

static void reports_failures(void **state)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct server s;
    struct err err = {0};
    char gone[64];

    (void)state;
    buf_init(&body, BODY_MAX);
    start(&s);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = "file:///etc/passwd"}, &body, &err),
                     -ERR_INVALID);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = "ftp://h/x"}, &body, &err),
                     -ERR_INVALID);
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/away"), .max_redirects = 1}, &body,
                   &err),
        -ERR_INVALID);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = url(&s, "/broken")}, &body, &err),
                     -ERR_NETWORK);
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/big"), .max_bytes = 1000}, &body, &err),
        -ERR_LIMIT);
    assert_non_null(strstr(err.message, "larger than 1000 bytes"));
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/big"), .on_data = stop_reading}, &body,
                   &err),
        -ERR_CANCELLED);
    assert_int_equal(
        fetch_wait(&(struct fetch_options){.url = url(&s, "/silent"), .timeout_ms = 200}, &body,
                   &err),
        -ERR_TIMEOUT);
    assert_int_equal(body.len, 0);
    snprintf(gone, sizeof(gone), "http://127.0.0.1:%d/", s.f.port);
    stop(&s);
    assert_int_equal(fetch_wait(&(struct fetch_options){.url = gone}, &body, &err), -ERR_NETWORK);
}

struct many {
    struct fetcher *fetcher;
    struct loop *loop;
    const char *url;
    struct fetch *victim;
    int started, done, victim_done;
};

static void many_done(void *user, int status, struct str body, const struct err *err);

static void many_start(struct many *m)
{
    struct fetch_options o = {.url = m->url, .on_done = many_done, .user = m};

    m->started++;
    assert_int_equal(fetch_start(NULL, m->fetcher, &o, NULL), 0);
}

static void many_done(void *user, int status, struct str body, const struct err *err)
{
    struct many *m = user;

    assert_null(err);
    assert_int_equal(status, 200);
    assert_true(body.len > 0);
    m->done++;
    fetch_cancel(m->victim); /* from within a callback */
    m->victim = NULL;
    if (m->started < 100)
        many_start(m);
    if (m->done == 100) {
        fetcher_close(m->fetcher); /* too */
        loop_quit(m->loop);
    }
}

static void victim_done(void *user, int status, struct str body, const struct err *err)
{
    struct many *m = user;

    (void)status;
    (void)body;
    (void)err;
    m->victim_done++;
}

static void runs_many_at_once(void **state)
{
    struct server s;
    struct loop loop;
    struct many m = {.loop = &loop};
    struct fetch_options victim = {.on_done = victim_done, .user = &m};
    char silent[64];

    (void)state;
    start(&s);
    snprintf(silent, sizeof(silent), "http://127.0.0.1:%d/silent", s.f.port);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(fetcher_new(&m.fetcher, &loop, NULL), 0);
    victim.url = silent;
    assert_int_equal(fetch_start(&m.victim, m.fetcher, &victim, NULL), 0);
    m.url = url(&s, "/x");
    for (int i = 0; i < 10; i++)
        many_start(&m);
    assert_int_equal(m.done, 0);
    loop_run(&loop);
    loop_fini(&loop);
    assert_int_equal(m.done, 100);
    assert_int_equal(m.victim_done, 0);
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetches),           cmocka_unit_test(names_itself_and_unpacks),
        cmocka_unit_test(shows_headers),     cmocka_unit_test(reports_failures),
        cmocka_unit_test(runs_many_at_once), cmocka_unit_test(asks_whether_its_peer_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
