/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's log: the last lines, and what is added to it. Log files are small (PODS_LOG_BYTES_MAX).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "operator/common/must.h"
#include "operator/local/rest.h"

struct log_stream {
    struct http_exchange *x;
    struct loop_timer timer;
    int fd;
    off_t at; /* what was sent */
    bool follow;
    char bytes[REST_LOG_CHUNK];
};

static void stream_end(struct log_stream *s)
{
    loop_timer_stop(&s->timer);
    close(s->fd);
    http_end(s->x);
    mem_free(s);
}

/* One piece a turn, so that nothing waits for a long log. */
static void send_more(void *object)
{
    struct log_stream *s = object;
    struct stat info;
    ssize_t size;

    if (fstat(s->fd, &info) == 0 && info.st_size < s->at)
        s->at = 0; /* it was rotated */
    size = pread(s->fd, s->bytes, sizeof(s->bytes), s->at);
    if (size > 0) {
        s->at += size;
        http_write(s->x, (struct str){s->bytes, (size_t)size});
        loop_timer_start(s->x->loop, &s->timer, 0);
    } else if (s->follow && size == 0 && info.st_nlink > 0) {
        loop_timer_start(s->x->loop, &s->timer, REST_LOG_POLL_MS);
    } else {
        stream_end(s); /* the end, or the pod's folder is gone */
    }
}

static void stream_left(struct http_exchange *x)
{
    stream_end(x->user);
}

/* Where the last `lines` lines begin. */
static off_t tail_start(int fd, off_t size, uint64_t lines, char *bytes, size_t room)
{
    off_t end = size;
    bool first = true;

    while (end > 0) {
        off_t begin = end > (off_t)room ? end - (off_t)room : 0;
        ssize_t got = pread(fd, bytes, (size_t)(end - begin), begin);

        if (got <= 0)
            return begin;
        for (ssize_t i = got; i-- > 0;) {
            if (bytes[i] == '\n' && !first && lines-- <= 1)
                return begin + i + 1;
            first = false;
        }
        end = begin;
    }
    return 0;
}

void rest_log(struct rest *rest, struct http_exchange *x, const struct local_pod *pod)
{
    char path[PATH_MAX];
    struct log_stream *s;
    uint64_t lines = 0;
    struct str text;
    struct stat info;

    (void)rest;
    if (http_query_get(x->query, "tailLines", x->arena, &text) && !str_to_u64(text, &lines)) {
        endpoints_refuse(x, 400, "BadRequest", "tailLines must be a number");
        return;
    }
    snprintf(path, sizeof(path), "%s/agent.log", pod->folder);
    s = must(mem_alloc(sizeof(*s)));
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &info) < 0) {
        struct err err = {0};
        int r = err_errno(&err, errno, "%s: the pod has written nothing yet", path);

        if (s->fd >= 0)
            close(s->fd);
        mem_free(s);
        endpoints_fail(x, r, &err);
        return;
    }
    if (lines > 0)
        s->at = tail_start(s->fd, info.st_size, lines, s->bytes, sizeof(s->bytes));
    s->x = x;
    s->follow = endpoints_query_is(x, "follow", "true");
    x->user = s;
    x->on_disconnect = stream_left;
    loop_timer_init(&s->timer, send_more, s);
    http_begin(x, 200, "text/plain; charset=utf-8");
    send_more(s);
}
