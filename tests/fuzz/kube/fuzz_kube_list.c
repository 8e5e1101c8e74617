/* SPDX-License-Identifier: Apache-2.0 */
/* List pages: the same items whole and cut; and as many as a parser of the whole tree finds. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "operator/kube/client/kube_list.h"

enum { LOG_MAX = 64 << 20 };

static int log_item(void *user, const json_t *object, const struct kube_meta *meta)
{
    struct buf *log = user;

    if (meta->name.len == 0 ||
        json_object_get(json_object_get(object, "metadata"), "managedFields") != NULL)
        abort();
    buf_printf(log, "%.*s/%.*s@%.*s;", STR_ARG(meta->name_space), STR_ARG(meta->name),
               STR_ARG(meta->resource_version));
    return 0;
}

static int parse(struct buf *log, const uint8_t *data, size_t size, size_t step, uint64_t *items)
{
    struct kube_list l;
    int r = 0;

    buf_init(log, LOG_MAX);
    kube_list_init(&l, log_item, log);
    for (size_t at = 0; at < size && r == 0; at += step) {
        size_t length = size - at < step ? size - at : step;
        char *piece = mem_dup(data + at, length); /* so that reading beyond it is seen */

        if (piece == NULL)
            abort();
        r = kube_list_feed(&l, (struct str){piece, length}, NULL);
        mem_free(piece);
    }
    if (r == 0)
        r = kube_list_end(&l, NULL);
    if (r == 0)
        buf_printf(log, "%s %s", l.resource_version, l.continue_token);
    *items = l.items;
    kube_list_fini(&l);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_limits limits = {LOG_MAX, KUBE_OBJECT_DEPTH_MAX};
    json_auto_t *tree = NULL;
    struct buf whole;
    struct buf cut;
    uint64_t items = 0;
    uint64_t cut_items = 0;
    int whole_result = parse(&whole, data, size, size > 0 ? size : 1, &items);
    int cut_result = parse(&cut, data, size, 1, &cut_items);

    if (whole_result != cut_result || !str_eq(buf_str(&whole), buf_str(&cut)))
        abort();
    if (whole_result == 0 &&
        json_read(&tree, (struct str){(const char *)data, size}, &limits, "input", NULL) == 0 &&
        json_array_size(json_object_get(tree, "items")) != items)
        abort();
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
