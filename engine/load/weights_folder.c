/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Hugging Face folder as a table of tensors: config.json, then model.safetensors, or the shards
 * that model.safetensors.index.json names.
 */
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/load/shard_index.h"
#include "engine/load/vocab_size.h"
#include "engine/load/weights_table.h"

/* Buffers that old checkpoints stored; the model computes them. */
#define COMPUTED_SUFFIX ".rotary_emb.inv_freq"

/* Reads a small file of the folder. -ERR_NOT_FOUND when there is none. */
static int read_file(const char *folder, const char *name, size_t max, struct buf *out,
                     struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, name);

    if (path == NULL)
        return err_no_memory(err);
    buf_init(out, max);
    return file_read(path, out, err);
}

static int read_config(struct weights *w, const char *folder, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(mem_freep) char *path = path_join(folder, "config.json");
    int r;

    buf_init(&text, 0);
    if (path == NULL)
        return err_no_memory(err);
    r = read_file(folder, "config.json", MODEL_CONFIG_BYTES_MAX, &text, err);
    if (r < 0)
        return err_wrap(err, r, "%s is no model folder", folder);
    r = model_config_read(&w->config, buf_str(&text), path, err);
    if (r < 0)
        return r;
    w->config_text = mem_dup(text.ptr, text.len);
    if (w->config_text == NULL)
        return err_no_memory(err);
    w->config_size = text.len;
    return 0;
}

static int read_vocab_size(struct weights *w, const char *folder, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "tokenizer.json");
    struct file_map map = {NULL, 0};
    int r;

    if (path == NULL)
        return err_no_memory(err);
    w->vocab_size = w->config.vocab_rows;
    if (!file_exists(path))
        return 0;
    r = file_map_open(&map, path, err);
    if (r < 0)
        return r;
    r = vocab_size_read((struct str){(const char *)map.ptr, map.size}, path, &w->vocab_size, err);
    file_map_close(&map);
    if (r < 0)
        return r;
    if (w->vocab_size > w->config.vocab_rows)
        return err_set(err, ERR_INVALID,
                       "%s has ids up to %d but the model only %d rows; use the tokenizer that "
                       "belongs to the model",
                       path, w->vocab_size - 1, w->config.vocab_rows);
    return 0;
}

static int open_shard(struct weights *w, const char *folder, const char *name, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, name);
    struct weights_file *file = &w->files[w->file_count];
    int r;

    if (path == NULL)
        return err_no_memory(err);
    r = weights_map_file(w, path, name, err);
    if (r < 0)
        return r;
    return safetensors_read(&file->safetensors, file->map.ptr, file->map.size, path, err);
}

static int open_files(struct weights *w, const char *folder, const struct shard_index *index,
                      struct err *err)
{
    int count = index == NULL ? 1 : index->shard_count;

    w->files = mem_array((size_t)count, sizeof(*w->files));
    if (w->files == NULL)
        return err_no_memory(err);
    for (int i = 0; i < count; i++) {
        const char *name = index == NULL ? "model.safetensors" : index->shards[i];
        int r = open_shard(w, folder, name, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int add_file_tensors(struct weights *w, const struct weights_file *file, struct err *err)
{
    for (size_t i = 0; i < file->safetensors->count; i++) {
        const struct safetensors_entry *from = &file->safetensors->entries[i];
        struct weights_entry entry = {.tensor = from->tensor};
        int r;

        if (str_ends(str_of(from->name), STR(COMPUTED_SUFFIX)))
            continue;
        r = weights_add(w, str_of(from->name), &entry, err);
        if (r < 0)
            return err_wrap(err, r, "%s", file->name);
    }
    return 0;
}

static int add_all_tensors(struct weights *w, struct err *err)
{
    size_t count = 0;

    for (int i = 0; i < w->file_count; i++)
        count += w->files[i].safetensors->count;
    w->entries = mem_array(count, sizeof(*w->entries));
    if (w->entries == NULL)
        return err_no_memory(err);
    for (int i = 0; i < w->file_count; i++) {
        int r = add_file_tensors(w, &w->files[i], err);

        if (r < 0)
            return r;
    }
    return 0;
}

/* Each tensor of the index must be in its shard, and no shard may hold others. */
static int check_index(const struct weights *w, const struct shard_index *index, struct err *err)
{
    const struct map_entry *slot;

    for (size_t at = 0; (slot = map_next(&index->shard_of, &at)) != NULL;) {
        const struct weights_file *file = &w->files[(const char **)slot->value - index->shards];
        struct str name = {slot->key, slot->key_len};

        if (safetensors_find(file->safetensors, name) == NULL)
            return err_set(err, ERR_INVALID,
                           "%s: tensor '%s' of the index is not in it; fetch the model again",
                           file->name, slot->key);
    }
    for (int i = 0; i < w->file_count; i++) {
        for (size_t k = 0; k < w->files[i].safetensors->count; k++) {
            const char *name = w->files[i].safetensors->entries[k].name;

            if (map_get(&index->shard_of, str_of(name)) != &index->shards[i])
                return err_set(err, ERR_INVALID,
                               "%s: tensor '%s' is not in the index; fetch the model again",
                               w->files[i].name, name);
        }
    }
    return 0;
}

static int open_sharded(struct weights *w, const char *folder, struct err *err)
{
    CLEANUP(shard_index_fini) struct shard_index index = {0};
    CLEANUP(buf_fini) struct buf text = {0};
    int r = read_file(folder, SHARD_INDEX_NAME, SHARD_INDEX_BYTES_MAX, &text, err);

    if (r == -ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND,
                       "%s has neither model.safetensors nor " SHARD_INDEX_NAME
                       "; fetch the model's weights",
                       folder);
    if (r < 0)
        return r;
    r = shard_index_read(&index, buf_str(&text), SHARD_INDEX_NAME, err);
    if (r < 0)
        return err_wrap(err, r, "%s", folder);
    r = open_files(w, folder, &index, err);
    if (r < 0)
        return r;
    r = check_index(w, &index, err);
    return r < 0 ? err_wrap(err, r, "%s", folder) : 0;
}

int weights_open_folder(struct weights *w, const char *folder, struct err *err)
{
    CLEANUP(mem_freep) char *single = path_join(folder, "model.safetensors");
    int r;

    if (single == NULL)
        return err_no_memory(err);
    r = read_config(w, folder, err);
    if (r < 0)
        return r;
    r = read_vocab_size(w, folder, err);
    if (r < 0)
        return r;
    if (file_exists(single))
        r = open_files(w, folder, NULL, err);
    else
        r = open_sharded(w, folder, err);
    if (r < 0)
        return r;
    r = add_all_tensors(w, err);
    return r < 0 ? err_wrap(err, r, "%s", folder) : 0;
}
