/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct weights, shared by the files that fill it: folder, GGUF, digest. */
#ifndef SPATE_ENGINE_LOAD_WEIGHTS_TABLE_H
#define SPATE_ENGINE_LOAD_WEIGHTS_TABLE_H

#include "base/file.h"
#include "base/map.h"
#include "engine/load/gguf_meta.h"
#include "engine/load/safetensors.h"
#include "engine/load/weights.h"

struct weights_file {
    char *name; /* for messages and the digest: without its folder */
    struct file_map map;
    bool is_borrowed;                /* the bytes are somebody else's: nothing to unmap */
    struct safetensors *safetensors; /* NULL for GGUF */
};

/* One tensor. Of GGUF: `raw` in the file becomes `tensor` when taken. */
struct weights_entry {
    struct tensor tensor; /* data NULL: to be made from `raw` */
    bool used;
    uint32_t raw_type; /* ggml's number */
    const uint8_t *raw;
    int rotary_heads; /* rows are interleaved in this many heads: to be put back; 0: they are not */
    uint8_t *owned;
};

struct weights {
    struct model_config config;
    int vocab_size;
    char *config_text; /* what the digest covers beside the files; empty for GGUF */
    size_t config_size;
    struct weights_file *files;
    int file_count;
    struct weights_entry *entries;
    size_t entry_count;
    struct map by_name; /* name -> entry */
    struct gguf_meta *gguf;
};

int weights_open_folder(struct weights *w, const char *folder, struct err *err);
int weights_open_gguf(struct weights *w, const char *path, struct err *err);

/* Maps one more file; `files` must have room. */
int weights_map_file(struct weights *w, const char *path, const char *name, struct err *err);
/* One more tensor; `entries` must have room. -ERR_EXISTS if there is one of this name. */
int weights_add(struct weights *w, struct str name, const struct weights_entry *entry,
                struct err *err);

#endif
