/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights of a model by their Hugging Face names, from whichever files hold them: a folder with
 * one safetensors file or shards, or a GGUF file (whose names, row order and quantisation end
 * here).
 *
 * Files are mapped, and tensors that can be used as they lie are views of the mapping; a file must
 * not be changed while a model uses it. Quantised GGUF tensors become fp32 (their values are exact
 * in it, not in 16 bits), made when they are taken. One thread.
 */
#ifndef SPATE_ENGINE_LOAD_WEIGHTS_H
#define SPATE_ENGINE_LOAD_WEIGHTS_H

#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "engine/load/model_config.h"
#include "engine/load/tensor.h"

enum { WEIGHTS_SHARDS_MAX = 1024, WEIGHTS_TENSORS_MAX = 65536, WEIGHTS_DIGEST_BYTES = 32 };

struct weights;

/* Reads headers and configuration only. The caller owns *out. */
int weights_open(struct weights **out, const char *path, struct err *err);
/* The same from the bytes of a GGUF file, which must outlive *out. */
int weights_open_bytes(struct weights **out, const uint8_t *bytes, size_t size, struct err *err);
void weights_close(struct weights *w);
void weights_closep(struct weights **w); /* for CLEANUP */

const struct model_config *weights_config(const struct weights *w);
/* Ids that the tokenizer knows (the highest + 1); the embedding's rows when there is no tokenizer.
 */
int weights_vocab_size(const struct weights *w);
/* Bytes that all tensors will take once taken: of the mapping, and of memory. */
uint64_t weights_resident_bytes(const struct weights *w);

/* The tensor must exist with this shape and a weight type. `weights_check` only looks (and counts
 * the tensor as used); `weights_take` gives it, alive until weights_close. */
int weights_check(struct weights *w, const char *name, int dim_count, const int64_t *shape,
                  struct err *err);
int weights_take(struct weights *w, const char *name, int dim_count, const int64_t *shape,
                 struct tensor *out, struct err *err);
/* Memory of its own that weights_take is going to make for a tensor: 0 where it is used as it lies
 * in the file, whose pages the kernel may drop and read again. */
uint64_t weights_own_bytes(const struct weights *w, const char *name);
/* True if the files have a tensor of this name. */
bool weights_have(const struct weights *w, const char *name);
/* Fails if a tensor was neither checked nor taken: the files hold something that the model lacks.
 */
int weights_check_used(const struct weights *w, struct err *err);

/*
 * Brings the files into memory, counting bytes in `progress` (may be NULL), and identifies them:
 * SHA-256 over the configuration and each file's digest. Up to WEIGHTS_WHOLE_BYTES_MAX in all,
 * every byte counts. Of larger models each file counts with its size, its header and a block of
 * WEIGHTS_SAMPLE_BYTES in every WEIGHTS_SAMPLE_STRIDE: that tells checkpoints apart at the speed of
 * the disk, but is no proof against a change of a few bytes.
 */
int weights_read_in(struct weights *w, struct engine_progress *progress,
                    uint8_t digest[WEIGHTS_DIGEST_BYTES], struct err *err);
enum {
    WEIGHTS_WHOLE_BYTES_MAX = 256 << 20,
    WEIGHTS_SAMPLE_BYTES = 1 << 20,
    WEIGHTS_SAMPLE_STRIDE = 64 << 20,
};

#endif
