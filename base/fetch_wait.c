/* SPDX-License-Identifier: Apache-2.0 */
/* One fetch on a loop of its own, blocking: see fetch.h. */
#include "base/fetch.h"

struct wait {
    struct loop *loop;
    struct buf *body;
    int status;
    int result;
    struct err err;
    const struct fetch_options *options;
};

static int wait_data(void *user, int status, struct str bytes)
{
    struct wait *w = user;

    return w->options->on_data(w->options->user, status, bytes);
}

static void wait_done(void *user, int status, struct str body, const struct err *err)
{
    struct wait *w = user;

    w->status = status;
    if (err != NULL) {
        w->err = *err;
        w->result = -(int)err->code;
    } else if (body.len > 0 && buf_append_str(w->body, body) < 0) {
        w->result = buf_check(w->body, "the answer", &w->err);
    }
    loop_quit(w->loop);
}

int fetch_wait(const struct fetch_options *options, struct buf *body, struct err *err)
{
    struct fetch_options own = *options;
    struct fetcher *fetcher = NULL;
    struct loop loop;
    struct wait w = {.loop = &loop, .body = body, .options = options};
    int r = loop_init(&loop, err);

    if (r < 0)
        return r;
    own.on_done = wait_done;
    own.on_data = options->on_data != NULL ? wait_data : NULL;
    own.user = &w;
    r = fetcher_new(&fetcher, &loop, err);
    if (r == 0)
        r = fetch_start(NULL, fetcher, &own, err);
    if (r == 0) {
        loop_run(&loop);
        r = w.result;
        if (r < 0 && err != NULL)
            *err = w.err;
    }
    fetcher_close(fetcher);
    loop_fini(&loop);
    return r < 0 ? r : w.status;
}
