/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model's files and handing out its tensors: see weights.h. */
#include "engine/load/weights.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "engine/load/dequant.h"
#include "engine/load/weights_table.h"

enum { SHAPE_TEXT_BYTES = 96 };

int weights_open(struct weights **out, const char *path, struct err *err)
{
    CLEANUP(weights_closep) struct weights *w = mem_alloc(sizeof(*w));
    struct stat info;
    int r;

    if (w == NULL)
        return err_no_memory(err);
    map_init(&w->by_name, WEIGHTS_TENSORS_MAX);
    if (stat(path, &info) < 0)
        return err_set(err, ERR_NOT_FOUND,
                       "model %s does not exist; give a Hugging Face folder or a .gguf file", path);
    if (S_ISDIR(info.st_mode))
        r = weights_open_folder(w, path, err);
    else
        r = weights_open_gguf(w, path, err);
    if (r < 0)
        return r;
    *out = STEAL(w);
    return 0;
}

void weights_close(struct weights *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->entry_count; i++)
        mem_free(w->entries[i].owned);
    for (int i = 0; i < w->file_count; i++) {
        safetensors_free(w->files[i].safetensors);
        if (!w->files[i].is_borrowed)
            file_map_close(&w->files[i].map);
        mem_free(w->files[i].name);
    }
    gguf_meta_free(w->gguf);
    map_fini(&w->by_name);
    mem_free(w->entries);
    mem_free(w->files);
    mem_free(w->config_text);
    mem_free(w);
}

void weights_closep(struct weights **w)
{
    weights_close(*w);
}

const struct model_config *weights_config(const struct weights *w)
{
    return &w->config;
}

int weights_vocab_size(const struct weights *w)
{
    return w->vocab_size;
}

uint64_t weights_resident_bytes(const struct weights *w)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < w->entry_count; i++)
        bytes += w->entries[i].tensor.size;
    return bytes;
}

int weights_map_file(struct weights *w, const char *path, const char *name, struct err *err)
{
    struct weights_file *file = &w->files[w->file_count];
    int r;

    file->name = mem_strdup(name);
    if (file->name == NULL)
        return err_no_memory(err);
    w->file_count++;
    r = file_map_open(&file->map, path, err);
    return r < 0 ? r : 0;
}

int weights_add(struct weights *w, struct str name, const struct weights_entry *entry,
                struct err *err)
{
    struct weights_entry *place = &w->entries[w->entry_count];
    int r;

    if (map_get(&w->by_name, name) != NULL)
        return err_set(err, ERR_EXISTS, "tensor '%.*s' is there twice", STR_ARG(name));
    r = map_put(&w->by_name, name, place, NULL);
    if (r == -ERR_LIMIT)
        return err_set(err, ERR_LIMIT, "more than %d tensors", WEIGHTS_TENSORS_MAX);
    if (r < 0)
        return err_no_memory(err);
    *place = *entry;
    w->entry_count++;
    return 0;
}

bool weights_have(const struct weights *w, const char *name)
{
    return map_get(&w->by_name, str_of(name)) != NULL;
}

static bool shape_is(const struct tensor *t, int dim_count, const int64_t *shape)
{
    if (t->dim_count != dim_count)
        return false;
    return memcmp(t->shape, shape, (size_t)dim_count * sizeof(*shape)) == 0;
}

static int find_checked(struct weights *w, const char *name, int dim_count, const int64_t *shape,
                        struct weights_entry **out, struct err *err)
{
    struct weights_entry *entry = map_get(&w->by_name, str_of(name));
    char found[SHAPE_TEXT_BYTES], wanted[SHAPE_TEXT_BYTES];
    struct tensor expected = {.dim_count = dim_count};

    if (entry == NULL)
        return err_set(err, ERR_INVALID,
                       "tensor '%s' is missing; the files are incomplete or of another model",
                       name);
    if (!shape_is(&entry->tensor, dim_count, shape)) {
        memcpy(expected.shape, shape, (size_t)dim_count * sizeof(*shape));
        return err_set(err, ERR_INVALID,
                       "tensor '%s' has shape %s where the configuration asks for %s; use the "
                       "configuration that belongs to these weights",
                       name, tensor_shape_text(&entry->tensor, found, sizeof(found)),
                       tensor_shape_text(&expected, wanted, sizeof(wanted)));
    }
    if (!tensor_type_is_weight(entry->tensor.type))
        return err_set(err, ERR_UNSUPPORTED,
                       "tensor '%s' is %s; only BF16, F16 and F32 weights are supported", name,
                       tensor_type_name(entry->tensor.type));
    entry->used = true;
    *out = entry;
    return 0;
}

int weights_check(struct weights *w, const char *name, int dim_count, const int64_t *shape,
                  struct err *err)
{
    struct weights_entry *entry = NULL;

    return find_checked(w, name, dim_count, shape, &entry, err);
}

/* Numbers are read in place only where the processor may read them so. */
static bool is_aligned(const struct tensor *t)
{
    return (uintptr_t)t->data % tensor_type_bytes(t->type) == 0;
}

static bool needs_own(const struct weights_entry *entry)
{
    return entry->tensor.data == NULL || !is_aligned(&entry->tensor);
}

uint64_t weights_own_bytes(const struct weights *w, const char *name)
{
    const struct weights_entry *entry = map_get(&w->by_name, str_of(name));

    return entry != NULL && needs_own(entry) ? entry->tensor.size : 0;
}

static int make_own(struct weights_entry *entry, struct err *err)
{
    entry->owned = mem_alloc(entry->tensor.size);
    if (entry->owned == NULL)
        return err_no_memory(err);
    if (entry->raw != NULL)
        dequant_rows(entry->owned, &entry->tensor, entry->raw_type, entry->raw,
                     entry->rotary_heads);
    else
        memcpy(entry->owned, entry->tensor.data, entry->tensor.size);
    entry->tensor.data = entry->owned;
    return 0;
}

int weights_take(struct weights *w, const char *name, int dim_count, const int64_t *shape,
                 struct tensor *out, struct err *err)
{
    struct weights_entry *entry = NULL;
    int r = find_checked(w, name, dim_count, shape, &entry, err);

    if (r < 0)
        return r;
    if (needs_own(entry)) {
        r = make_own(entry, err);
        if (r < 0)
            return r;
    }
    *out = entry->tensor;
    return 0;
}

/* The first in the order of the files, so that the message is always the same. */
int weights_check_used(const struct weights *w, struct err *err)
{
    const struct map_entry *slot, *first = NULL;

    for (size_t at = 0; (slot = map_next(&w->by_name, &at)) != NULL;) {
        const struct weights_entry *entry = slot->value;

        if (!entry->used && (first == NULL || entry < (struct weights_entry *)first->value))
            first = slot;
    }
    if (first == NULL)
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "tensor '%s' is none of %s's; use a model without it",
                   first->key, model_architecture_name(w->config.architecture));
}
