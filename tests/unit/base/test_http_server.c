/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over real sockets: answers, limits, refusals, pipelining. */
#include "http_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { INPUT_MAX = 256 * 1024 * 1024 };

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

/* Answers with what it understood: "METHOD path?query body-length body". */
static void echo(struct http_exchange *x, void *user)
{
    char *text = arena_printf(x->arena, "%.*s %.*s?%.*s %zu %.*s", STR_ARG(x->method),
                              STR_ARG(x->path), STR_ARG(x->query), x->body.len, STR_ARG(x->body));

    (void)user;
    assert_int_equal(http_add_header(x, "x-request-id", STR("r-1")), 0);
    assert_int_equal(http_add_header(x, "x-bad", STR("a\r\nb: c")), -ERR_INVALID);
    http_respond(x, 200, "text/plain", str_of(text));
}

static void answers_requests(void **state)
{
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"GET /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "\r\n\r\nGET /a b?x=1 0 "},
        {"GET http://h/p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "\r\n\r\nGET /p? 0 "},
        {"GET / HTTP/1.0\r\n\r\n", "\r\n\r\nGET /? 0 "},
        {"POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
         "\r\n\r\nPOST /p? 5 hello"},
        {"POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
         "\r\n\r\nPOST /p? 5 hello"},
        {"POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n"
         "Content-Length: 2\r\n\r\nhi",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n",
         "\r\n\r\nGET /? 0 "},
        {"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "Content-Length: 10\r\n\r\n"},
    };
    CLEANUP(buf_fini) struct buf in = {0};
    struct fixture f;

    (void)state;
    buf_init(&in, INPUT_MAX);
    fixture_start(&f, echo, NULL, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *answer = ask(f.port, cases[i].request, &in);

        if (strstr(answer, cases[i].answer) == NULL)
            fail_msg("case %zu: %s", i, answer);
        assert_non_null(strstr(answer, "x-request-id: r-1\r\n"));
        assert_null(strstr(answer, "x-bad"));
    }
    assert_int_equal(strncmp(in.ptr + in.len - 4, "\r\n\r\n", 4), 0); /* HEAD: no body */
    fixture_stop(&f);
}

static void refuses_what_two_readers_could_read_differently(void **state)
{
#define HEAD "POST /v1 HTTP/1.1\r\nHost: h\r\n"
    static const struct {
        const char *request;
        size_t size; /* 0: strlen */
        int status;
    } cases[] = {
        {HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 0, 400},
        {HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length: 5, 5\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length: +5\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length: -5\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length: 0x5\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length: 5 5\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length: 99999999999999999999\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length:\r\n\r\nhello", 0, 400},
        {HEAD "Content-Length : 5\r\n\r\nhello", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding:\x0b"
              "chunked\r\n\r\n0\r\n\r\n",
         0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n", 0, 400},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\nX: trailer\r\n\r\n", 0, 400},
        {HEAD "X: a\r\n b\r\n\r\n", 0, 400},  /* obs-fold */
        {HEAD "X: a\r\n\tb\r\n\r\n", 0, 400}, /* obs-fold */
        {"POST /v1 HTTP/1.1\r\n Host: h\r\n\r\n", 0, 400},
        {"POST /v1 HTTP/1.1\nHost: h\n\n", 0, 400}, /* bare LF */
        {"POST /v1 HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 0, 400},
        {"POST /v1 HTTP/1.1\r\nHost: h\r\n\n", 0, 400},
        {"POST /v1 HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 0, 400}, /* bare CR */
        {HEAD "X\0Y: z\r\n\r\n", sizeof(HEAD "X\0Y: z\r\n\r\n") - 1, 400},
        {HEAD "X: y\0z\r\n\r\n", sizeof(HEAD "X: y\0z\r\n\r\n") - 1, 400},
        {HEAD "X(: y\r\n\r\n", 0, 400},
        {HEAD ": y\r\n\r\n", 0, 400},
        {HEAD "no colon\r\n\r\n", 0, 400},
        {HEAD "Host: again\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, 400},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 0, 505},
        {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 0, 505},
        {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 0, 505},
        {"GET / HTTPS/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET / x HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"get / HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /../x HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /a/./x HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /%2e%2e/x HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /a%252fb HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /a%5cb HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /a%f HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 0, 400},
        {"\x16\x03\x01\x02\x00\x01", 6, 400}, /* TLS to a plain port */
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 400},
    };
#undef HEAD
    CLEANUP(buf_fini) struct buf in = {0};
    struct fixture f;

    (void)state;
    buf_init(&in, INPUT_MAX);
    fixture_start(&f, echo, NULL, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t size = cases[i].size > 0 ? cases[i].size : strlen(cases[i].request);
        int fd = dial(f.port);
        char status[32];
        const char *answer;

        buf_clear(&in);
        send_all(fd, (struct str){cases[i].request, size});
        answer = receive(fd, &in, SIZE_MAX); /* until it is closed: never a second answer */
        snprintf(status, sizeof(status), "HTTP/1.1 %d ", cases[i].status);
        if (strncmp(answer, status, strlen(status)) != 0)
            fail_msg("case %zu: %s: %s", i, cases[i].request, answer);
        if (strstr(answer, "}HTTP/1.1 ") != NULL)
            fail_msg("case %zu: two answers: %s", i, answer);
        close(fd);
    }
    fixture_stop(&f);
}

/* --- limits --------------------------------------------------------------------------------- */

static void keeps_its_limits(void **state)
{
    static const struct http_server_limits limits = {
        .connections = 2,
        .target_bytes = 64,
        .header_bytes = 1024,
        .header_count = 5,
        .body_bytes = 100,
        .arena_bytes = 65536,
        .output_bytes = 65536,
        .idle_timeout_ms = 200,
        .header_timeout_ms = 200,
        .body_timeout_ms = 200,
        .write_stall_ms = 200,
    };
    static const struct {
        const char *start;
        const char *repeat;
        int times;
        const char *answer;
    } cases[] = {
        {"GET /", "a", 100, "HTTP/1.1 414 "},
        {"GET / HTTP/1.1\r\nHost: h\r\n", "a: b\r\n", 10, "HTTP/1.1 431 "},
        {"GET / HTTP/1.1\r\nHost: h\r\na: ", "xxxxxxxxxx", 200, "HTTP/1.1 431 "},
        {"GET / HTTP/1.1\r\nHost: h\r\na: ", "          ", 200, "HTTP/1.1 431 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", "", 0, "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 200,
         "HTTP/1.1 413 "},
        {"GET / HTTP/1.1\r\n", "", 0, "HTTP/1.1 408 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhel", "", 0, "HTTP/1.1 408 "},
        {"", "", 0, ""}, /* idle: closed quietly */
    };
    CLEANUP(buf_fini) struct buf in = {0};
    CLEANUP(buf_fini) struct buf request = {0};
    struct fixture f;

    (void)state;
    buf_init(&in, INPUT_MAX);
    buf_init(&request, INPUT_MAX);
    fixture_start(&f, echo, NULL, &limits);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *answer;

        buf_clear(&request);
        buf_append_text(&request, cases[i].start);
        for (int k = 0; k < cases[i].times; k++)
            buf_append_text(&request, cases[i].repeat);
        answer = ask(f.port, buf_cstr(&request), &in);
        if (strncmp(answer, cases[i].answer, strlen(cases[i].answer)) != 0)
            fail_msg("case %zu: %s", i, answer);
        if (cases[i].answer[0] == '\0')
            assert_int_equal(in.len, 0);
    }
    fixture_stop(&f);
}

static void refuses_surplus_connections(void **state)
{
    struct http_server_limits limits = http_server_limits_default;
    CLEANUP(buf_fini) struct buf in = {0};
    struct fixture f;
    int first;
    int second;

    (void)state;
    buf_init(&in, INPUT_MAX);
    limits.connections = 1;
    fixture_start(&f, echo, NULL, &limits);
    first = dial(f.port);
    send_all(first, STR(GET));
    receive_text(first, &in, "GET /? 0 ");
    second = dial(f.port);
    buf_clear(&in);
    assert_non_null(strstr(receive(second, &in, SIZE_MAX), "HTTP/1.1 503 "));
    close(first);
    close(second);
    fixture_stop(&f);
}

static void accepts_again_after_a_failing_allocation(void **state)
{
    CLEANUP(buf_fini) struct buf in = {0};
    struct fixture f;

    (void)state;
    buf_init(&in, INPUT_MAX);
    assert_non_null(buf_reserve(&in, 1 << 20)); /* so that only the server allocates */
    fixture_start(&f, echo, NULL, NULL);
    mem_fail_after(0); /* the connection itself */
    assert_non_null(strstr(ask(f.port, "GET / HTTP/1.0\r\n\r\n", &in), "GET /? 0 "));
    assert_true(mem_fail_seen());
    mem_fail_after(-1);
    fixture_stop(&f);
}

/* --- pipelining, split writes --------------------------------------------------------------- */

static void answers_a_thousand_pipelined_requests_in_order(void **state)
{
    CLEANUP(buf_fini) struct buf in = {0};
    CLEANUP(buf_fini) struct buf request = {0};
    struct fixture f;
    const char *at;
    int fd;

    (void)state;
    buf_init(&in, INPUT_MAX);
    buf_init(&request, INPUT_MAX);
    for (int i = 0; i < 1000; i++)
        buf_printf(&request, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", i);
    fixture_start(&f, echo, NULL, NULL);
    fd = dial(f.port);
    send_all(fd, buf_str(&request));
    receive_text(fd, &in, "POST /999? 3 abc");
    at = in.ptr;
    for (int i = 0; i < 1000; i++) {
        char expected[64];

        snprintf(expected, sizeof(expected), "POST /%d? 3 abc", i);
        at = strstr(at, expected);
        assert_non_null(at);
    }
    close(fd);
    fixture_stop(&f);
}

static void reads_a_request_byte_by_byte(void **state)
{
    static const char request[] =
        "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\n\r\n";
    CLEANUP(buf_fini) struct buf in = {0};
    struct fixture f;
    int one = 1;
    int fd;

    (void)state;
    buf_init(&in, INPUT_MAX);
    fixture_start(&f, echo, NULL, NULL);
    fd = dial(f.port);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        send_all(fd, (struct str){request + i, 1});
        usleep(200);
    }
    receive_text(fd, &in, "POST /p? 3 abc");
    close(fd);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_requests),
        cmocka_unit_test(refuses_what_two_readers_could_read_differently),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(refuses_surplus_connections),
        cmocka_unit_test(accepts_again_after_a_failing_allocation),
        cmocka_unit_test(answers_a_thousand_pipelined_requests_in_order),
        cmocka_unit_test(reads_a_request_byte_by_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
