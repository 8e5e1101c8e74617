/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives: whatever is accepted gives exactly as many bytes as it announced. */
#include <stdlib.h>

#include "cli/unzip.h"
#include "fuzz_target.h"

static int count(void *user, struct str bytes)
{
    enum { OUTPUT_MAX = 16 << 20 };
    uint64_t *total = user;

    *total += bytes.len;
    return *total > OUTPUT_MAX ? -ERR_LIMIT : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zip_entry entry;
    uint64_t total = 0;

    if (zip_find(&entry, (struct str){(const char *)data, size}, STR(".gguf"), NULL) < 0)
        return 0;
    if (zip_extract(&entry, count, &total, NULL) == 0 && total != entry.size)
        abort();
    return 0;
}
