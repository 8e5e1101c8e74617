/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over real sockets: answers that take their time, clients that leave, drain. */
#include "http_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    INPUT_MAX = 256 * 1024 * 1024,
    HTTP_PILE = 200 * 1024, /* more than the server keeps of pipelined input */
};

/* A handler that keeps the exchange; the test's thread looks at it through fixture_call. */
struct kept {
    struct http_exchange *x;
    _Atomic int64_t disconnected_ms;
    atomic_int disconnects;
    int drains;
    atomic_int ready;
    size_t pending;
    struct str bytes; /* what `write_kept` writes */
    int written;      /* its result */
};

static void kept_disconnect(struct http_exchange *x)
{
    struct kept *k = x->user;

    k->disconnected_ms = now_ms();
    k->disconnects++;
}

static void kept_drain(struct http_exchange *x)
{
    struct kept *k = x->user;

    k->drains++;
}

static void keep(struct http_exchange *x, void *user)
{
    struct kept *k = user;

    x->user = k;
    x->on_disconnect = kept_disconnect;
    x->on_drain = kept_drain;
    k->x = x;
    http_begin(x, 200, "text/event-stream");
    atomic_store(&k->ready, 1);
}

static void write_kept(void *object)
{
    struct kept *k = object;

    k->written = http_write(k->x, k->bytes);
    k->pending = http_pending(k->x);
}

static void look_kept(void *object)
{
    struct kept *k = object;

    k->pending = http_pending(k->x);
}

static void end_kept(void *object)
{
    struct kept *k = object;

    http_end(k->x);
}

static void abort_kept(void *object)
{
    struct kept *k = object;

    http_abort(k->x);
}

static void wait_ready(struct kept *k)
{
    while (atomic_load(&k->ready) == 0)
        usleep(1000);
}

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static void streams_answers(void **state)
{
    CLEANUP(buf_fini) struct buf in = {0};
    struct kept k = {.bytes = STR("data: 1\n\n")};
    struct fixture f;
    int fd;

    (void)state;
    buf_init(&in, INPUT_MAX);
    fixture_start(&f, keep, &k, NULL);
    fd = dial(f.port);
    send_all(fd, STR(GET));
    receive_text(fd, &in, "\r\n\r\n");
    assert_non_null(strstr(in.ptr, "Transfer-Encoding: chunked\r\n"));
    for (int i = 0; i < 3; i++) {
        buf_clear(&in);
        fixture_call(&f, write_kept, &k);
        receive_text(fd, &in, "\n\n\r\n");
        assert_string_equal(in.ptr, "9\r\ndata: 1\n\n\r\n");
    }
    buf_clear(&in);
    fixture_call(&f, end_kept, &k);
    receive_text(fd, &in, "0\r\n\r\n");
    assert_int_equal(k.disconnects, 0);
    assert_true(k.drains >= 3);
    atomic_store(&k.ready, 0);
    send_all(fd, STR(GET)); /* the connection lives on */
    wait_ready(&k);
    fixture_call(&f, abort_kept, &k);
    buf_clear(&in);
    receive(fd, &in, SIZE_MAX);
    assert_null(strstr(in.ptr, "0\r\n\r\n")); /* visibly broken */
    close(fd);
    fixture_stop(&f);
}

/* How the peer goes: a proper close, a shutdown of its sending side, a reset; with and without a
 * pile of pipelined input in front of it. */
struct leaving {
    bool half, reset;
    size_t pile;
};

/* How long after the end of its peer the handler is told, in milliseconds. */
static int64_t notice_time(const struct leaving *how)
{
    static char pile[HTTP_PILE];
    CLEANUP(buf_fini) struct buf in = {0};
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    struct kept k = {.bytes = STR("x")};
    struct fixture f;
    int64_t closed_ms;
    int fd;

    buf_init(&in, INPUT_MAX);
    fixture_start(&f, keep, &k, NULL);
    fd = dial(f.port);
    send_all(fd, STR(GET));
    receive_text(fd, &in, "\r\n\r\n");
    memset(pile, 'x', sizeof(pile));
    send_all(fd, (struct str){pile, how->pile});
    usleep(20000);
    assert_int_equal(k.disconnects, 0);
    closed_ms = now_ms();
    if (how->reset)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    if (how->half)
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
    else
        close(fd);
    for (int turn = 0; turn < 1000 && k.disconnects == 0; turn++)
        usleep(1000);
    assert_int_equal(k.disconnects, 1);
    fixture_call(&f, write_kept, &k); /* discarded */
    assert_int_equal(k.written, 0);
    fixture_call(&f, end_kept, &k);
    assert_int_equal(k.disconnects, 1);
    if (how->half)
        close(fd);
    fixture_stop(&f);
    return k.disconnected_ms - closed_ms;
}

/* The best of some tries: a busy machine may stop this process for longer than that. */
static void notices_the_end_within_100_ms(void **state)
{
    static const struct leaving cases[] = {
        {false, false, 0},         {true, false, 0},    {false, true, 0},
        {false, false, HTTP_PILE}, {true, false, 1000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t best_ms = notice_time(&cases[i]);

        for (int again = 0; again < 5 && best_ms > 100; again++)
            best_ms = notice_time(&cases[i]);
        if (best_ms > 100)
            fail_msg("case %zu: %d ms", i, (int)best_ms);
    }
}

static void cuts_off_clients_that_do_not_read(void **state)
{
    static char block[1 << 20];
    struct http_server_limits limits = http_server_limits_default;
    CLEANUP(buf_fini) struct buf in = {0};
    struct kept k = {.bytes = {block, sizeof(block)}};
    struct fixture f;
    int fd;

    (void)state;
    buf_init(&in, INPUT_MAX);
    limits.write_stall_ms = 200;
    limits.output_bytes = 64 << 20;
    fixture_start(&f, keep, &k, &limits);
    fd = dial(f.port);
    send_all(fd, STR(GET));
    wait_ready(&k);
    for (int i = 0; i < 20; i++)
        fixture_call(&f, write_kept, &k);
    assert_true(k.pending > 0 || k.disconnects > 0); /* slow machines: cut off already */
    for (int turn = 0; turn < 400 && k.disconnects == 0; turn++) {
        usleep(5000);
        fixture_call(&f, look_kept, &k);
    }
    assert_int_equal(k.disconnects, 1);
    fixture_call(&f, end_kept, &k);
    close(fd);
    fixture_stop(&f);
}

static void bounds_what_waits_for_a_client(void **state)
{
    static char block[1 << 20];
    struct http_server_limits limits = http_server_limits_default;
    struct kept k = {.bytes = {block, sizeof(block)}};
    struct fixture f;
    int fd;

    (void)state;
    limits.output_bytes = 2 << 20;
    fixture_start(&f, keep, &k, &limits);
    fd = dial(f.port);
    send_all(fd, STR(GET));
    wait_ready(&k);
    for (int i = 0; i < 40 && k.written == 0; i++)
        fixture_call(&f, write_kept, &k);
    assert_int_equal(k.written, -ERR_LIMIT);
    fixture_call(&f, look_kept, &k);
    assert_int_equal(k.disconnects, 1);
    fixture_call(&f, write_kept, &k);
    assert_int_equal(k.written, 0); /* discarded */
    fixture_call(&f, end_kept, &k);
    close(fd);
    fixture_stop(&f);
}

/* --- drain ---------------------------------------------------------------------------------- */

static void note_drained(void *object)
{
    atomic_store((atomic_int *)object, 1);
}

struct drain {
    struct fixture *f;
    atomic_int done;
    uint64_t timeout_ms;
};

static void start_drain(void *object)
{
    struct drain *d = object;

    http_server_drain(d->f->server, d->timeout_ms, note_drained, &d->done);
}

static void drains(void **state)
{
    CLEANUP(buf_fini) struct buf in = {0};
    struct kept k = {.bytes = STR("x")};
    struct drain d = {.timeout_ms = 5000};
    struct fixture f;
    int idle;
    int fd;

    (void)state;
    buf_init(&in, INPUT_MAX);
    fixture_start(&f, keep, &k, NULL);
    d.f = &f;
    idle = dial(f.port);
    fd = dial(f.port);
    send_all(fd, STR(GET));
    wait_ready(&k);
    usleep(20000);
    fixture_call(&f, start_drain, &d);
    assert_int_equal(receive(idle, &in, SIZE_MAX)[0], 0); /* closed at once */
    assert_int_equal(atomic_load(&d.done), 0);
    fixture_call(&f, end_kept, &k);
    receive(fd, &in, SIZE_MAX); /* whole, then closed */
    assert_non_null(strstr(in.ptr, "0\r\n\r\n"));
    close(fd);
    for (int turn = 0; turn < 400 && atomic_load(&d.done) == 0; turn++)
        usleep(5000);
    assert_int_equal(atomic_load(&d.done), 1);
    close(idle);
    fixture_stop(&f);
}

/* An answer that has ended, of which the client has read nothing yet. */
static void drains_what_is_still_on_its_way(void **state)
{
    enum { ANSWER = 12 << 20 }; /* more than the kernel takes */
    struct http_server_limits limits = http_server_limits_default;
    CLEANUP(mem_freep) char *answer = mem_alloc(ANSWER);
    CLEANUP(buf_fini) struct buf in = {0};
    struct kept k = {.bytes = {answer, ANSWER}};
    struct drain d = {.timeout_ms = 60000};
    struct fixture f;
    int fd;

    (void)state;
    memset(answer, 'x', ANSWER);
    buf_init(&in, INPUT_MAX);
    limits.output_bytes = 2 * (size_t)ANSWER;
    fixture_start(&f, keep, &k, &limits);
    d.f = &f;
    fd = dial(f.port);
    send_all(fd, STR(GET));
    wait_ready(&k);
    fixture_call(&f, write_kept, &k);
    fixture_call(&f, end_kept, &k);
    fixture_call(&f, start_drain, &d);
    assert_int_equal(atomic_load(&d.done), 0);
    receive(fd, &in, SIZE_MAX); /* whole, then closed */
    assert_true(in.len > ANSWER);
    assert_true(str_ends(buf_str(&in), STR("0\r\n\r\n")));
    close(fd);
    for (int turn = 0; turn < 400 && atomic_load(&d.done) == 0; turn++)
        usleep(5000);
    assert_int_equal(atomic_load(&d.done), 1);
    fixture_stop(&f);
}

static void cuts_off_what_a_drain_can_not_finish(void **state)
{
    CLEANUP(buf_fini) struct buf in = {0};
    struct kept k = {.bytes = STR("x")};
    struct drain d = {.timeout_ms = 100};
    struct fixture f;
    int fd;

    (void)state;
    buf_init(&in, INPUT_MAX);
    fixture_start(&f, keep, &k, NULL);
    d.f = &f;
    fd = dial(f.port);
    send_all(fd, STR(GET));
    wait_ready(&k);
    fixture_call(&f, start_drain, &d);
    receive(fd, &in, SIZE_MAX);
    fixture_call(&f, look_kept, &k);
    assert_int_equal(k.disconnects, 1);
    fixture_call(&f, end_kept, &k);
    for (int turn = 0; turn < 400 && atomic_load(&d.done) == 0; turn++)
        usleep(5000);
    assert_int_equal(atomic_load(&d.done), 1);
    close(fd);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_answers),
        cmocka_unit_test(notices_the_end_within_100_ms),
        cmocka_unit_test(cuts_off_clients_that_do_not_read),
        cmocka_unit_test(bounds_what_waits_for_a_client),
        cmocka_unit_test(drains),
        cmocka_unit_test(drains_what_is_still_on_its_way),
        cmocka_unit_test(cuts_off_what_a_drain_can_not_finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
