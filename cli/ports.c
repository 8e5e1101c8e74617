/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to listen on: see ports.h. */
#include "cli/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum { HOST_MAX = 64 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "127.0.0.1:80", "[::1]:80", "localhost:80" into its parts. */
static bool split(const char *text, char host[HOST_MAX], uint64_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t length;

    if (colon == NULL || !str_to_u64(str_of(colon + 1), port) || *port > UINT16_MAX)
        return false;
    length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= HOST_MAX)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    if (strcmp(host, "localhost") == 0)
        snprintf(host, HOST_MAX, "127.0.0.1");
    return true;
}

static bool parse(const char *text, union address *out, socklen_t *size)
{
    char host[HOST_MAX];
    uint64_t port;

    memset(out, 0, sizeof(*out));
    if (!split(text, host, &port))
        return false;
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        *size = sizeof(out->v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1)
        return false;
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons((uint16_t)port);
    *size = sizeof(out->v6);
    return true;
}

/* Binds for a moment; errno of the failure, or 0. */
static int try_bind(union address *address, socklen_t *size)
{
    CLEANUP(fd_closep) int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;

    if (fd < 0)
        return errno;
    /* As servers do: connections of an earlier one that linger are no hindrance. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, &address->any, *size) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, &address->any, size) < 0)
        return errno;
    return 0;
}

bool ports_is_free(const char *text)
{
    union address address;
    socklen_t size;

    return parse(text, &address, &size) && try_bind(&address, &size) == 0;
}

bool ports_is_loopback(const char *text)
{
    union address address;
    socklen_t size;

    if (!parse(text, &address, &size))
        return false;
    if (address.any.sa_family == AF_INET)
        return ntohl(address.v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
}

int ports_pick(const char *text, char out[PORTS_ADDRESS_MAX], struct err *err)
{
    union address address;
    socklen_t size;
    char host[INET6_ADDRSTRLEN];
    int failure;

    if (!parse(text, &address, &size))
        return err_set(err, ERR_INVALID, "\"%.60s\" is no address such as 127.0.0.1:8080", text);
    failure = try_bind(&address, &size);
    if (failure == EADDRINUSE)
        return err_set(err, ERR_BUSY, "the port is taken by another program; choose another one");
    if (failure != 0)
        return err_errno(err, failure, "the address cannot be used");
    if (address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
        snprintf(out, PORTS_ADDRESS_MAX, "%s:%u", host, ntohs(address.v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof(host));
        snprintf(out, PORTS_ADDRESS_MAX, "[%s]:%u", host, ntohs(address.v6.sin6_port));
    }
    return 0;
}
