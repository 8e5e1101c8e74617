/* SPDX-License-Identifier: Apache-2.0 */
/* model.safetensors.index.json: which shard holds which tensor. Shard names are plain file names:
 * none leads out of the folder. */
#ifndef SPATE_ENGINE_LOAD_SHARD_INDEX_H
#define SPATE_ENGINE_LOAD_SHARD_INDEX_H

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

#define SHARD_INDEX_NAME "model.safetensors.index.json"

enum { SHARD_INDEX_BYTES_MAX = 32 << 20, SHARD_NAME_BYTES_MAX = 128 };

struct shard_index {
    const char **shards; /* distinct names, owned by shard_names */
    int shard_count;
    struct map shard_names; /* name -> its place in `shards` */
    struct map shard_of;    /* tensor -> its shard's place in `shards` */
};

/* `out` must be zeroed and be released by shard_index_fini, also after a failure. */
int shard_index_read(struct shard_index *out, struct str json, const char *what, struct err *err);
void shard_index_fini(struct shard_index *index);

#endif
