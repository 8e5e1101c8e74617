/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a GGUF file (versions 2 and 3, little-endian): key/values and tensor infos, read from
 * a byte range that nobody trusts. Every count, length and offset is checked against the bytes that
 * are really there before it is used, so memory stays below a small multiple of the file's size.
 *
 *     "GGUF" version tensor_count kv_count | key/values | tensor infos | padding | tensor data
 *                                                                                ^ data_offset
 *
 * Views point into the byte range, which must outlive the meta. Immutable after reading.
 */
#ifndef SPATE_ENGINE_LOAD_GGUF_META_H
#define SPATE_ENGINE_LOAD_GGUF_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
    GGUF_KEYS_MAX = 4096,
    GGUF_TENSORS_MAX = 65536,
    GGUF_NAME_BYTES_MAX = 256,
    GGUF_DIMS_MAX = 4,
    GGUF_ALIGNMENT_MAX = 1 << 16,
};

/* Values as the file format numbers them. */
enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

/* A value: `count` elements of `type`. A scalar is an array of one with is_array false. Elements
 * are not aligned; strings lie as u64 length + bytes and have been checked. No nested arrays. */
struct gguf_value {
    struct str key;
    bool is_array;
    enum gguf_type type; /* of the elements; never GGUF_ARRAY */
    uint64_t count;
    const uint8_t *data;
    size_t size; /* bytes of all elements */
};

struct gguf_tensor {
    struct str name;
    int dim_count;                /* 1 to GGUF_DIMS_MAX */
    uint64_t dims[GGUF_DIMS_MAX]; /* fastest first; those beyond dim_count are 1; all > 0 */
    uint64_t elements;            /* their product, which did not overflow 2^63 */
    uint32_t type;                /* ggml's number, not judged here */
    uint64_t offset;              /* in the file, absolute, aligned; below the file's size */
};

struct gguf_meta {
    struct gguf_value *values;
    size_t value_count;
    struct gguf_tensor *tensors; /* names are distinct */
    size_t tensor_count;
    uint64_t data_offset;
    uint32_t alignment;
};

/* The caller owns *out. Messages name the byte offset and the key or tensor. */
int gguf_meta_read(struct gguf_meta **out, const uint8_t *bytes, size_t size, struct err *err);
void gguf_meta_free(struct gguf_meta *meta);
void gguf_meta_freep(struct gguf_meta **meta); /* for CLEANUP */

/* NULL if absent. */
const struct gguf_value *gguf_find(const struct gguf_meta *meta, const char *key);
const struct gguf_tensor *gguf_find_tensor(const struct gguf_meta *meta, struct str name);

/* As json_get_*: absent is -ERR_NOT_FOUND, recorded only if required; a wrong type or range is
 * always recorded. Integers of any width and sign are accepted if they are in range. */
int gguf_get_i64(const struct gguf_meta *meta, const char *key, bool required, int64_t min,
                 int64_t max, int64_t *out, struct err *err);
int gguf_get_f64(const struct gguf_meta *meta, const char *key, bool required, double min,
                 double max, double *out, struct err *err);
int gguf_get_bool(const struct gguf_meta *meta, const char *key, bool required, bool *out,
                  struct err *err);
int gguf_get_str(const struct gguf_meta *meta, const char *key, bool required, struct str *out,
                 struct err *err);
/* An array of exactly this element type. */
int gguf_get_array(const struct gguf_meta *meta, const char *key, bool required,
                   enum gguf_type type, const struct gguf_value **out, struct err *err);

/* Elements of an array. Strings in order: *at starts at 0 and moves on; needs at < value->size. */
struct str gguf_next_string(const struct gguf_value *value, size_t *at);
/* Element i of integers, i < count. */
int64_t gguf_int_at(const struct gguf_value *value, uint64_t i);

#endif
