/* SPDX-License-Identifier: Apache-2.0 */
/* The index of shards: no accepted name leads out of the folder. */
#include <stdlib.h>
#include <string.h>

#include "engine/load/shard_index.h"

#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shard_index index = {0};
    struct err err;

    if (shard_index_read(&index, (struct str){(const char *)data, size}, "input", &err) == 0) {
        for (int i = 0; i < index.shard_count; i++) {
            if (index.shards[i][0] == '.' || strchr(index.shards[i], '/') != NULL)
                abort();
        }
    }
    shard_index_fini(&index);
    return 0;
}
