/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what the reader accepts, the writer writes so that it reads back equal. */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "fuzz_target.h"

enum { WRITTEN_MAX = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_limits limits = {.max_bytes = 1 << 20, .max_depth = 24};
    json_auto_t *tree = NULL;
    json_auto_t *again = NULL;
    CLEANUP(buf_fini) struct buf written = {0};
    struct json_writer w;
    struct err err;

    if (json_read(&tree, (struct str){(const char *)data, size}, &limits, "input", &err) < 0)
        return 0;
    buf_init(&written, WRITTEN_MAX);
    json_writer_init(&w, &written);
    json_add_tree(&w, tree);
    if (written.failed)
        abort();
    if (json_read(&again, buf_str(&written), &json_limits_default, "written", &err) < 0)
        abort();
    if (!json_equal(tree, again))
        abort();
    return 0;
}
