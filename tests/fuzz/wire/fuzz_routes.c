/* SPDX-License-Identifier: Apache-2.0 */
/* Route snapshots and load reports: what is accepted is written and reads back as the same. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "wire/load.h"
#include "wire/routes.h"

enum { TEXT_BYTES = 1 << 24, ARENA_BYTES = 1 << 22 };

static void write_routes(struct buf *out, const struct routes *routes)
{
    struct json_writer w;

    buf_init(out, TEXT_BYTES);
    json_writer_init(&w, out);
    routes_write(&w, routes);
}

static void check_routes(const json_t *tree)
{
    json_auto_t *again_tree = NULL;
    struct routes *routes = NULL;
    struct routes *back = NULL;
    struct buf text;
    struct buf again;

    if (routes_read(&routes, tree, NULL) < 0)
        return;
    write_routes(&text, routes);
    if (text.failed ||
        json_read(&again_tree, buf_str(&text), &json_limits_default, "snapshot", NULL) < 0 ||
        routes_read(&back, again_tree, NULL) < 0 ||
        routes_version_compare(&routes->version, &back->version) != 0)
        abort();
    write_routes(&again, back);
    if (!str_eq(buf_str(&text), buf_str(&again)))
        abort();
    buf_fini(&text);
    buf_fini(&again);
    routes_free(routes);
    routes_free(back);
}

static void check_load(const json_t *tree)
{
    struct load_report report = {0};
    struct json_writer w;
    struct arena arena;
    struct buf text;

    arena_init(&arena, ARENA_BYTES);
    buf_init(&text, TEXT_BYTES);
    if (load_report_read(&report, tree, &arena, NULL) == 0) {
        json_auto_t *back = NULL;

        json_writer_init(&w, &text);
        load_report_write(&w, &report);
        if (text.failed ||
            json_read(&back, buf_str(&text), &json_limits_default, "report", NULL) < 0 ||
            load_report_read(&report, back, &arena, NULL) < 0)
            abort();
    }
    buf_fini(&text);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *tree = NULL;

    if (json_read(&tree, (struct str){(const char *)data, size}, &json_limits_default, "message",
                  NULL) < 0)
        return 0;
    check_routes(tree);
    check_load(tree);
    return 0;
}
