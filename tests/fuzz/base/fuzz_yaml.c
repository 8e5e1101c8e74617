/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: what the reader accepts, the writer writes so that it reads back equal. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/yaml.h"
#include "fuzz_target.h"

enum { WRITTEN_MAX = 64 * 1024 * 1024 };

static void check_document(const json_t *tree)
{
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *back = NULL;
    const json_t *again;

    buf_init(&text, WRITTEN_MAX);
    if (yaml_write(&text, tree) < 0 || text.len > YAML_BYTES_MAX)
        return; /* a key too long to be written */
    if (yaml_read(&back, buf_str(&text), "written", NULL) < 0)
        abort();
    again = json_array_get(back, 0);
    if (json_array_size(back) > 1 || again == NULL || !json_equal(again, tree))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *documents = NULL;
    struct err err;

    if (yaml_read(&documents, (struct str){(const char *)data, size}, "input", &err) < 0)
        return 0;
    for (size_t i = 0; i < json_array_size(documents); i++)
        check_document(json_array_get(documents, i));
    return 0;
}
