/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client: against our server in the same loop, and against a scripted peer that answers
 * raw bytes and breaks off where the case says.
 */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http_client.h"
#include "base/mem.h"

enum { BODY_MAX = 64 * 1024 * 1024, TURN_MS = 20, GIVE_UP_MS = 5000, RESET_DELAY_US = 30000 };

struct answer {
    struct buf body;
    int heads, datas, dones;
    int status;
    enum http_result result;
    char error[ERR_MESSAGE_MAX];
    bool reused;
};

static void on_head(struct http_call *call, void *user, int status,
                    const struct http_headers *headers)
{
    struct answer *a = user;

    (void)headers;
    a->reused = http_call_reused(call);
    a->heads++;
    a->status = status;
}

static void on_data(struct http_call *call, void *user, struct str bytes)
{
    struct answer *a = user;

    (void)call;
    a->datas++;
    assert_int_equal(buf_append_str(&a->body, bytes), 0);
}

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    struct answer *a = user;

    (void)call;
    a->dones++;
    a->result = result;
    snprintf(a->error, sizeof(a->error), "%s", err == NULL ? "" : err->message);
}

static void answer_init(struct answer *a)
{
    memset(a, 0, sizeof(*a));
    buf_init(&a->body, BODY_MAX);
}

static struct http_call_options options_to(const char *address, const char *target,
                                           struct answer *a)
{
    return (struct http_call_options){.address = str_of(address),
                                      .method = STR("POST"),
                                      .target = str_of(target),
                                      .body = STR("hello"),
                                      .connect_timeout_ms = 1000,
                                      .on_head = on_head,
                                      .on_data = on_data,
                                      .on_done = on_done,
                                      .user = a};
}

static void wait_done(struct loop *loop, const struct answer *a)
{
    int64_t give_up = now_ms() + GIVE_UP_MS;

    while (a->dones == 0 && now_ms() < give_up)
        loop_turn(loop, TURN_MS);
    assert_int_equal(a->dones, 1);
}

/* --- against our server --------------------------------------------------------------------- */

static void echo(struct http_exchange *x, void *user)
{
    (void)user;
    http_begin(x, 200, "text/plain");
    assert_int_equal(http_write(x, x->path), 0);
    assert_int_equal(http_write(x, x->body), 0);
    http_end(x);
}

static void reuses_connections(void **state)
{
    struct http_client *client;
    struct answer a;
    struct fixture f;
    struct loop loop;

    (void)state;
    fixture_start(&f, echo, NULL, NULL);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(http_client_new(&client, &loop, NULL, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        struct http_call_options o;

        answer_init(&a);
        o = options_to(f.address, "/p", &a);
        assert_int_equal(http_call_start(NULL, client, &o, NULL), 0);
        assert_int_equal(a.dones, 0); /* never inside the start */
        wait_done(&loop, &a);
        assert_int_equal(a.result, HTTP_DONE);
        assert_int_equal(a.status, 200);
        assert_true(str_is(buf_str(&a.body), "/phello"));
        assert_int_equal(a.reused, i > 0);
        assert_int_equal(http_client_idle_count(client), 1);
        buf_fini(&a.body);
    }
    http_client_close(client);
    loop_fini(&loop);
    fixture_stop(&f);
}

/* --- against more servers than there may be connections ------------------------------------- */

enum { SERVERS = 3, CONNECTIONS = 2, ROUNDS = 5 };

struct servers {
    struct fixture fixture;
    int ports[SERVERS];
};

static void listen_more(void *object)
{
    struct servers *s = object;

    for (int i = 0; i < SERVERS; i++) {
        s->ports[i] = http_server_listen(s->fixture.server, "127.0.0.1:0", NULL);
        assert_true(s->ports[i] > 0);
    }
}

/* An idle connection makes room for one to another server, and the client forgets that one. */
static void asks_many_servers_in_turn(void **state)
{
    const struct http_client_options few = {.connections = CONNECTIONS};
    struct http_client *client;
    struct servers s;
    struct loop loop;

    (void)state;
    fixture_start(&s.fixture, echo, NULL, NULL);
    fixture_call(&s.fixture, listen_more, &s);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(http_client_new(&client, &loop, &few, NULL), 0);
    for (int i = 0; i < ROUNDS * SERVERS; i++) {
        struct http_call_options o;
        char address[32];
        struct answer a;

        answer_init(&a);
        snprintf(address, sizeof(address), "127.0.0.1:%d", s.ports[i % SERVERS]);
        o = options_to(address, "/p", &a);
        assert_int_equal(http_call_start(NULL, client, &o, NULL), 0);
        wait_done(&loop, &a);
        assert_int_equal(a.result, HTTP_DONE);
        assert_true(http_client_idle_count(client) <= CONNECTIONS);
        buf_fini(&a.body);
    }
    http_client_close(client);
    loop_fini(&loop);
    fixture_stop(&s.fixture);
}

static void refuses_malformed_calls(void **state)
{
    struct http_header bad = {STR("a"), STR("b\r\nc: d")};
    struct http_client *client;
    struct http_call_options o;
    struct answer a;
    struct loop loop;

    (void)state;
    answer_init(&a);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(http_client_new(&client, &loop, NULL, NULL), 0);
    o = options_to("example.com:80", "/", &a);
    assert_int_equal(http_call_start(NULL, client, &o, NULL), -ERR_INVALID);
    o = options_to("127.0.0.1", "/", &a);
    assert_int_equal(http_call_start(NULL, client, &o, NULL), -ERR_INVALID);
    o = options_to("127.0.0.1:80", "/a b", &a);
    assert_int_equal(http_call_start(NULL, client, &o, NULL), -ERR_INVALID);
    o = options_to("127.0.0.1:80", "/", &a);
    o.headers = &bad;
    o.header_count = 1;
    assert_int_equal(http_call_start(NULL, client, &o, NULL), -ERR_INVALID);
    http_client_close(client);
    loop_fini(&loop);
    assert_int_equal(a.dones, 0);
}

/* --- against a script ----------------------------------------------------------------------- */

struct script {
    int listener;
    int port;
    pthread_t thread;
    const char *const *answers; /* one per connection; NULL ends it */
    bool silent;                /* keep the connection open after the answer */
    bool reset;                 /* close by RST */
    int hold_fd;
};

static void read_request(int fd)
{
    char bytes[4096];
    ssize_t count = recv(fd, bytes, sizeof(bytes), 0);

    (void)count;
}

static void close_by_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void *run_script(void *object)
{
    struct script *s = object;

    for (const char *const *answer = s->answers; *answer != NULL; answer++) {
        int fd = accept(s->listener, NULL, NULL);

        if (fd < 0)
            return NULL;
        read_request(fd);
        for (const char *at = *answer; *at != '\0'; at++) {
            (void)send(fd, at, 1, MSG_NOSIGNAL); /* split at every byte */
        }
        if (s->silent)
            s->hold_fd = fd;
        else {
            if (s->reset) {
                usleep(RESET_DELAY_US); /* a reset throws away what the peer has not read */
                close_by_reset(fd);
            }
            close(fd);
        }
    }
    return NULL;
}

static void script_start(struct script *s, const char *const *answers)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t length = sizeof(at);

    s->answers = answers;
    s->hold_fd = -1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &length), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, run_script, s), 0);
}

static void script_stop(struct script *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    if (s->hold_fd >= 0)
        close(s->hold_fd);
    close(s->listener);
}

/* One call against a scripted peer. */
static void call_script(struct script *s, struct answer *a, uint64_t first_byte_ms,
                        uint64_t idle_ms)
{
    struct http_client *client;
    struct http_call_options o;
    struct loop loop;
    char address[32];

    answer_init(a);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(http_client_new(&client, &loop, NULL, NULL), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d", s->port);
    o = options_to(address, "/", a);
    o.first_byte_timeout_ms = first_byte_ms;
    o.idle_timeout_ms = idle_ms;
    assert_int_equal(http_call_start(NULL, client, &o, NULL), 0);
    wait_done(&loop, a);
    http_client_close(client);
    loop_fini(&loop);
}

static void tells_the_ends_apart(void **state)
{
    static const struct {
        const char *answer;
        enum http_result result;
        const char *body;
        bool silent;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", HTTP_DONE, "hi", false},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", HTTP_DONE,
         "hi", false},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", HTTP_DONE, "until the end", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
         HTTP_DONE, "hi", false},
        {"HTTP/1.1 204 No Content\r\n\r\n", HTTP_DONE, "", true},
        {"", HTTP_CLOSED_BEFORE, "", false},
        {"HTTP/1.1 20", HTTP_CLOSED_MIDDLE, "", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", HTTP_CLOSED_MIDDLE, "hi", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", HTTP_CLOSED_MIDDLE,
         "hi", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
         HTTP_CLOSED_MIDDLE, "hi", false},
        {"SMTP ready\r\n", HTTP_BAD_RESPONSE, "", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi",
         HTTP_BAD_RESPONSE, "", false},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", HTTP_BAD_RESPONSE, "", false},
        {"", HTTP_FIRST_BYTE_TIMEOUT, "", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", HTTP_IDLE_TIMEOUT, "hi", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *answers[] = {cases[i].answer, NULL};
        struct script s = {.silent = cases[i].silent};
        struct answer a;

        script_start(&s, answers);
        call_script(&s, &a, 300, 300);
        if (a.result != cases[i].result)
            fail_msg("case %zu: %s: %s", i, http_result_name(a.result), a.error);
        assert_true(str_is(buf_str(&a.body), cases[i].body));
        buf_fini(&a.body);
        script_stop(&s);
    }
}

static void reports_a_refused_connection(void **state)
{
    struct script s = {0};
    const char *answers[] = {NULL};
    struct answer a;

    (void)state;
    script_start(&s, answers);
    script_stop(&s); /* nobody listens there now */
    call_script(&s, &a, 0, 0);
    assert_int_equal(a.result, HTTP_CONNECT_REFUSED);
    assert_non_null(strstr(a.error, "refused"));
    buf_fini(&a.body);
}

/* Two calls on one client: the first leaves a pooled connection, which its peer then closes. */
static void stale(bool reset, bool noticed, enum http_result expected)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1.",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n2.", NULL};
    struct script s = {.reset = reset};
    struct http_client *client;
    struct loop loop;
    char address[32];

    script_start(&s, answers);
    snprintf(address, sizeof(address), "127.0.0.1:%d", s.port);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(http_client_new(&client, &loop, NULL, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct http_call_options o;
        struct answer a;

        answer_init(&a);
        o = options_to(address, "/", &a);
        assert_int_equal(http_call_start(NULL, client, &o, NULL), 0);
        wait_done(&loop, &a);
        assert_int_equal(a.result, i == 0 ? HTTP_DONE : expected);
        if (a.result == HTTP_DONE)
            assert_int_equal(a.body.ptr[0], i == 0 ? '1' : '2');
        assert_false(a.reused);
        buf_fini(&a.body);
        usleep(2 * RESET_DELAY_US); /* the peer closes */
        for (int turn = 0; noticed && turn < 5; turn++)
            loop_turn(&loop, 1);
    }
    http_client_close(client);
    loop_fini(&loop);
    if (expected != HTTP_DONE)
        (void)dial(s.port); /* lets the script end */
    script_stop(&s);
}

static void survives_stale_connections(void **state)
{
    (void)state;
    stale(false, true, HTTP_DONE); /* the EOF was seen while it was idle */
    stale(true, true, HTTP_DONE);
    stale(true, false, HTTP_DONE); /* reset: cannot have been seen */
}

/* --- pause and cancel ----------------------------------------------------------------------- */

static void send_much(struct http_exchange *x, void *user)
{
    static char block[1 << 20];

    (void)user;
    http_begin(x, 200, "text/plain");
    for (int i = 0; i < 3; i++)
        (void)http_write(x, (struct str){block, sizeof(block)});
    http_end(x);
}

static void pauses_and_resumes(void **state)
{
    struct http_client *client;
    struct http_call_options o;
    struct http_call *call;
    struct answer a;
    struct fixture f;
    struct loop loop;
    size_t paused_at;

    (void)state;
    fixture_start(&f, send_much, NULL, NULL);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(http_client_new(&client, &loop, NULL, NULL), 0);
    answer_init(&a);
    o = options_to(f.address, "/", &a);
    o.idle_timeout_ms = 100; /* does not count while paused */
    assert_int_equal(http_call_start(&call, client, &o, NULL), 0);
    while (a.body.len == 0)
        loop_turn(&loop, TURN_MS);
    http_call_pause(call);
    loop_turn(&loop, 1);
    paused_at = a.body.len;
    for (int i = 0; i < 10; i++)
        loop_turn(&loop, TURN_MS);
    assert_int_equal(a.body.len, paused_at);
    assert_int_equal(a.dones, 0);
    http_call_resume(call);
    wait_done(&loop, &a);
    assert_int_equal(a.result, HTTP_DONE);
    assert_int_equal(a.body.len, 3 << 20);
    buf_fini(&a.body);
    http_client_close(client);
    loop_fini(&loop);
    fixture_stop(&f);
}

static void cancel_in_data(struct http_call *call, void *user, struct str bytes)
{
    struct answer *a = user;

    (void)bytes;
    a->datas++;
    http_call_cancel(call);
}

static void cancels_anywhere(void **state)
{
    struct http_client *client;
    struct http_call_options o;
    struct http_call *call;
    struct answer a;
    struct fixture f;
    struct loop loop;

    (void)state;
    fixture_start(&f, send_much, NULL, NULL);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(http_client_new(&client, &loop, NULL, NULL), 0);
    answer_init(&a);
    o = options_to(f.address, "/", &a);
    assert_int_equal(http_call_start(&call, client, &o, NULL), 0);
    http_call_cancel(call); /* before the connection */
    assert_int_equal(http_call_start(&call, client, &o, NULL), 0);
    loop_turn(&loop, TURN_MS);
    http_call_cancel(call); /* after it */
    o.on_data = cancel_in_data;
    assert_int_equal(http_call_start(&call, client, &o, NULL), 0);
    for (int64_t end = now_ms() + GIVE_UP_MS; a.datas == 0 && now_ms() < end;)
        loop_turn(&loop, TURN_MS);
    loop_turn(&loop, TURN_MS);
    assert_int_equal(a.datas, 1);
    assert_int_equal(a.dones, 0);
    assert_int_equal(http_client_idle_count(client), 0);
    assert_int_equal(http_call_start(&call, client, &o, NULL), 0);
    http_client_close(client); /* with a call in flight */
    loop_fini(&loop);
    assert_int_equal(a.dones, 0);
    buf_fini(&a.body);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reuses_connections),
        cmocka_unit_test(asks_many_servers_in_turn),
        cmocka_unit_test(refuses_malformed_calls),
        cmocka_unit_test(tells_the_ends_apart),
        cmocka_unit_test(reports_a_refused_connection),
        cmocka_unit_test(survives_stale_connections),
        cmocka_unit_test(pauses_and_resumes),
        cmocka_unit_test(cancels_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
