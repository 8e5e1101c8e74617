/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a sharded checkpoint: see shard_index.h. */
#include "engine/load/shard_index.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/load/weights.h"

enum { INDEX_DEPTH_MAX = 8 };

static int check_shard_name(struct str name, struct err *err)
{
    if (name.len == 0 || name.len > SHARD_NAME_BYTES_MAX || name.ptr[0] == '.' ||
        str_find_char(name, '/') >= 0 || !str_ends(name, STR(".safetensors")))
        return err_set(err, ERR_INVALID,
                       "shard '%.*s' is no plain name that ends in .safetensors; fetch the index "
                       "again from its source",
                       STR_ARG(str_slice(name, 0, 64)));
    return 0;
}

/* The place of the shard's name in the list, which grows by it if it is new. */
static int shard_place(struct shard_index *index, struct str name, const char ***out,
                       struct err *err)
{
    const char **place = map_get(&index->shard_names, name);
    int r;

    if (place != NULL) {
        *out = place;
        return 0;
    }
    r = check_shard_name(name, err);
    if (r < 0)
        return r;
    if (index->shard_count == WEIGHTS_SHARDS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d shards", WEIGHTS_SHARDS_MAX);
    place = &index->shards[index->shard_count];
    if (map_put(&index->shard_names, name, place, NULL) < 0)
        return err_no_memory(err);
    index->shard_count++;
    *out = place;
    return 0;
}

static int read_weight_map(struct shard_index *index, json_t *weight_map, struct err *err)
{
    const char *tensor;
    json_t *shard;

    json_object_foreach (weight_map, tensor, shard) {
        const char **place = NULL;
        int r;

        if (!json_is_string(shard))
            return err_set(err, ERR_INVALID, "the shard of '%s' must be a string, not %s", tensor,
                           json_type_name(shard));
        r = shard_place(index, json_str(shard), &place, err);
        if (r < 0)
            return r;
        r = map_put(&index->shard_of, str_of(tensor), place, NULL);
        if (r == -ERR_LIMIT)
            return err_set(err, ERR_LIMIT, "more than %d tensors", WEIGHTS_TENSORS_MAX);
        if (r < 0)
            return err_no_memory(err);
    }
    if (index->shard_count == 0)
        return err_set(err, ERR_INVALID, "'weight_map' is empty; fetch the index again");
    return 0;
}

static void name_shards(struct shard_index *index)
{
    const struct map_entry *slot;

    for (size_t at = 0; (slot = map_next(&index->shard_names, &at)) != NULL;)
        *(const char **)slot->value = slot->key;
}

int shard_index_read(struct shard_index *out, struct str json, const char *what, struct err *err)
{
    const struct json_limits limits = {SHARD_INDEX_BYTES_MAX, INDEX_DEPTH_MAX};
    json_auto_t *root = NULL;
    json_t *weight_map = NULL;
    int r;

    map_init(&out->shard_names, WEIGHTS_SHARDS_MAX);
    map_init(&out->shard_of, WEIGHTS_TENSORS_MAX);
    out->shards = mem_array(WEIGHTS_SHARDS_MAX, sizeof(*out->shards));
    if (out->shards == NULL)
        return err_no_memory(err);
    r = json_read(&root, json, &limits, what, err);
    if (r < 0)
        return r;
    if (!json_is_object(root))
        return err_set(err, ERR_INVALID, "%s must hold an object, not %s", what,
                       json_type_name(root));
    r = json_get_object(root, "weight_map", true, &weight_map, err);
    if (r == 0)
        r = read_weight_map(out, weight_map, err);
    if (r < 0)
        return err_wrap(err, r, "%s", what);
    name_shards(out);
    return 0;
}

void shard_index_fini(struct shard_index *index)
{
    map_fini(&index->shard_names);
    map_fini(&index->shard_of);
    mem_free(index->shards);
    index->shards = NULL;
}
