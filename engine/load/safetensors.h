/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One safetensors file, from a byte range that nobody trusts. Accepted only if the header fits,
 * each tensor's shape times its type equals its span, and the spans cover the data without gap or
 * overlap.
 *
 *     header length u64 | JSON header | data
 *                                       ^ data_offsets count from here
 *
 * Tensors point into the byte range, which must outlive the table. Immutable after reading.
 */
#ifndef SPATE_ENGINE_LOAD_SAFETENSORS_H
#define SPATE_ENGINE_LOAD_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "engine/load/tensor.h"

enum {
    SAFETENSORS_HEADER_BYTES_MAX = 32 << 20,
    SAFETENSORS_TENSORS_MAX = 65536,
    SAFETENSORS_NAME_BYTES_MAX = 256,
};

struct safetensors_entry {
    const char *name; /* owned by the map */
    struct tensor tensor;
    size_t begin; /* in the data */
};

struct safetensors {
    struct safetensors_entry *entries; /* in the order of the data */
    size_t count;
    struct map by_name; /* name -> entry */
};

/* The caller owns *out. `what` names the file in messages. */
int safetensors_read(struct safetensors **out, const uint8_t *bytes, size_t size, const char *what,
                     struct err *err);
void safetensors_free(struct safetensors *s);
void safetensors_freep(struct safetensors **s); /* for CLEANUP */

/* NULL if absent. */
const struct tensor *safetensors_find(const struct safetensors *s, struct str name);

#endif
