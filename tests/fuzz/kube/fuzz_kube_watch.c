/* SPDX-License-Identifier: Apache-2.0 */
/* Watch streams: the same events whole and cut into bytes. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "operator/kube/client/kube_watch.h"

enum { LOG_MAX = 64 << 20 };

static int log_event(void *user, const struct kube_watch_event *event)
{
    struct buf *log = user;

    if (event->type >= KUBE_WATCH_COUNT)
        abort();
    if (event->type == KUBE_WATCH_ERROR) {
        buf_printf(log, "%d %s;", event->status.http_status, event->status.message);
        return 0;
    }
    if (event->type != KUBE_WATCH_BOOKMARK &&
        (event->meta.name.len == 0 || event->meta.resource_version.len == 0))
        abort();
    buf_printf(log, "%s %.*s/%.*s@%.*s%d;", kube_watch_type_name(event->type),
               STR_ARG(event->meta.name_space), STR_ARG(event->meta.name),
               STR_ARG(event->meta.resource_version), event->initial_end);
    return 0;
}

static int parse(struct buf *log, const uint8_t *data, size_t size, size_t step)
{
    struct kube_watch w;
    int r = 0;

    buf_init(log, LOG_MAX);
    kube_watch_init(&w, log_event, log);
    for (size_t at = 0; at < size && r == 0; at += step) {
        size_t length = size - at < step ? size - at : step;
        char *piece = mem_dup(data + at, length);

        if (piece == NULL)
            abort();
        r = kube_watch_feed(&w, (struct str){piece, length}, NULL);
        mem_free(piece);
    }
    if (r == 0)
        r = kube_watch_end(&w, NULL);
    kube_watch_fini(&w);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole;
    struct buf cut;
    int whole_result = parse(&whole, data, size, size > 0 ? size : 1);
    int cut_result = parse(&cut, data, size, 1);

    if (whole_result != cut_result || !str_eq(buf_str(&whole), buf_str(&cut)))
        abort();
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
