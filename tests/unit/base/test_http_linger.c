/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over real sockets: the close behind a client's last answer. */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    ANSWER = 100 * 1000,
    SEGMENT = 536, /* small, and so is the buffer: most of the answer stays with the server */
    BUFFER = 4096,
    READ = 1000,
    READS = 80,      /* not all of the answer */
    PAUSE_US = 40000 /* after each: 3.2 s in all, which is longer than HTTP_LINGER_MS */
};

static void answer_at_length(struct http_exchange *x, void *user)
{
    static char answer[ANSWER];

    (void)user;
    http_respond(x, 200, NULL, (struct str){answer, ANSWER});
}

static int dial_slowly(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int segment = SEGMENT;
    const int buffer = BUFFER;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

struct drain {
    struct fixture *f;
    atomic_int done;
};

static void note_drained(void *object)
{
    atomic_store((atomic_int *)object, 1);
}

static void start_drain(void *object)
{
    struct drain *d = object;

    http_server_drain(d->f->server, 60000, note_drained, &d->done);
}

static void a_drain_waits_for_what_the_kernel_sends(void **state)
{
    CLEANUP(buf_fini) struct buf in = {0};
    struct fixture f;
    struct drain d = {.f = &f};
    char part[READ];
    size_t got = 0;
    int fd;

    (void)state;
    buf_init(&in, 2 * (size_t)ANSWER);
    fixture_start(&f, answer_at_length, NULL, NULL);
    fd = dial_slowly(f.port);
    send_all(fd, STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    for (int i = 0; i < READS; i++) {
        ssize_t count = recv(fd, part, sizeof(part), 0);

        assert_true(count > 0);
        got += (size_t)count;
        if (i == 0)
            fixture_call(&f, start_drain, &d);
        usleep(PAUSE_US);
    }
    assert_int_equal(atomic_load(&d.done), 0);
    receive(fd, &in, SIZE_MAX);
    assert_true(got + in.len > ANSWER);
    close(fd);
    for (int turn = 0; turn < 400 && atomic_load(&d.done) == 0; turn++)
        usleep(5000);
    assert_int_equal(atomic_load(&d.done), 1);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drain_waits_for_what_the_kernel_sends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
