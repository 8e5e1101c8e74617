/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking request of process.h: plain sockets, so that nothing of ours is in the way. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/bench/common/bench.h"
#include "tests/bench/common/process.h"

enum { ANSWER_MAX = 1 << 20, READ_BYTES = 16384 };

/* "127.0.0.1:8000" */
static int connect_to(const char *address, struct err *err)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const char *colon = strrchr(address, ':');
    char host[64];
    uint64_t port = 0;
    int connected;
    int yes = 1;

    if (fd < 0 || colon == NULL)
        return err_set(err, ERR_INVALID, "'%s' is no address that can be connected to", address);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    if (!str_to_u64(str_of(colon + 1), &port) || port > UINT16_MAX)
        return err_set(err, ERR_INVALID, "'%s' has no port", address);
    to.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        return err_set(err, ERR_INVALID, "'%s' is no IPv4 address", host);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        return err_errno(err, errno, "can't connect to %s", address);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    connected = fd;
    fd = -1; /* the caller's now */
    return connected;
}

static int send_all(int fd, struct str bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

        if (sent < 0)
            return err_set(err, ERR_NETWORK, "sending failed: %s", strerror(errno));
        bytes = str_slice(bytes, (size_t)sent, bytes.len);
    }
    return 0;
}

static int send_request(int fd, const char *path, const char *key, struct str body, struct err *err)
{
    struct buf head;
    int r;

    buf_init(&head, 8192);
    buf_printf(&head, "POST %s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n",
               path);
    if (key != NULL)
        buf_printf(&head, "authorization: Bearer %s\r\n", key);
    buf_printf(&head, "content-length: %zu\r\n\r\n", body.len);
    r = send_all(fd, buf_str(&head), err);
    buf_fini(&head);
    return r < 0 ? r : send_all(fd, body, err);
}

/* True when the head is there and either says an error or an event with data has begun. */
static bool has_first_event(struct str answer, int *status)
{
    int64_t end = str_find(answer, STR("\r\n\r\n"));
    size_t at = strlen("HTTP/1.1 ");
    uint64_t number = 0;

    if (end < 0 || answer.len < 12)
        return false;
    (void)str_to_u64(str_slice(answer, at, at + 3), &number);
    *status = (int)number;
    return *status != 200 ||
           str_find(str_slice(answer, (size_t)end, answer.len), STR("\ndata: ")) >= 0;
}

static int read_first(int fd, double end_ms, int *status, struct err *err)
{
    struct buf answer;
    int r = 0;

    buf_init(&answer, ANSWER_MAX);
    while (r == 0 && !has_first_event(buf_str(&answer), status)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        double left = end_ms - bench_now_ms();
        char *room = buf_reserve(&answer, READ_BYTES);
        ssize_t got;

        if (room == NULL || left <= 0 || poll(&ready, 1, (int)left + 1) <= 0) {
            r = err_set(err, ERR_TIMEOUT, "no token came in time");
            break;
        }
        got = recv(fd, room, READ_BYTES, 0);
        if (got <= 0)
            r = err_set(err, ERR_NETWORK, "the connection closed before a token came");
        else
            answer.len += (size_t)got;
    }
    buf_fini(&answer);
    return r;
}

int bench_first_event(const char *address, const char *path, const char *key, struct str body,
                      int timeout_ms, int *status, struct err *err)
{
    double end = bench_now_ms() + timeout_ms;
    CLEANUP(fd_closep) int fd = connect_to(address, err);
    int r;

    if (fd < 0)
        return fd;
    r = send_request(fd, path, key, body, err);
    return r < 0 ? r : read_first(fd, end, status, err);
}
