/* SPDX-License-Identifier: Apache-2.0 */
/* The head of GGUF files: good ones are read, broken ones refused in one line. The regressions are
 * named after the faults of other readers. */
#include <string.h>

#include "cmocka_plain.h"

#include "base/buf.h"
#include "base/mem.h"
#include "engine/load/gguf_meta.h"
#include "engine/text/tokenizer.h"

enum { FILE_MAX = 1 << 20 };

/* Writing a file by hand; failures stay in the buffer. */
static void put(struct buf *b, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf_append_char(b, (char)(value >> (8 * i)));
}

static void put_str(struct buf *b, const char *text)
{
    put(b, strlen(text), 8);
    buf_append_text(b, text);
}

static void put_header(struct buf *b, uint64_t tensors, uint64_t keys)
{
    buf_append_text(b, "GGUF");
    put(b, 3, 4);
    put(b, tensors, 8);
    put(b, keys, 8);
}

static void put_key(struct buf *b, const char *key, uint64_t type)
{
    put_str(b, key);
    put(b, type, 4);
}

static void put_tensor(struct buf *b, const char *name, uint64_t dims, uint64_t dim,
                       uint64_t offset)
{
    put_str(b, name);
    put(b, dims, 4);
    for (uint64_t i = 0; i < dims; i++)
        put(b, dim, 8);
    put(b, 0, 4);
    put(b, offset, 8);
}

static void pad(struct buf *b)
{
    for (int i = 0; i < 64; i++)
        put(b, 0, 1);
}

static int read_file(const struct buf *b, struct gguf_meta **out, struct err *err)
{
    CLEANUP(mem_freep) uint8_t *copy = mem_dup(b->ptr, b->len); /* so that overreads are seen */
    int r = gguf_meta_read(out, copy, b->len, err);

    if (r < 0)
        return r;
    gguf_meta_free(*out);
    *out = NULL;
    return gguf_meta_read(out, (const uint8_t *)b->ptr, b->len, err);
}

static void put_good(struct buf *b)
{
    put_header(b, 2, 7);
    put_key(b, "general.alignment", GGUF_U32);
    put(b, 64, 4);
    put_key(b, "n", GGUF_I16);
    put(b, 0xfffe, 2);
    put_key(b, "f", GGUF_F32);
    put(b, 0x3fc00000, 4); /* 1.5 */
    put_key(b, "yes", GGUF_BOOL);
    put(b, 1, 1);
    put_key(b, "name", GGUF_STRING);
    put_str(b, "x");
    put_key(b, "words", GGUF_ARRAY);
    put(b, GGUF_STRING, 4);
    put(b, 2, 8);
    put_str(b, "one");
    put_str(b, "");
    put_key(b, "ids", GGUF_ARRAY);
    put(b, GGUF_I32, 4);
    put(b, 2, 8);
    put(b, 5, 4);
    put(b, 0xffffffff, 4);
    put_tensor(b, "a.weight", 2, 3, 0);
    put_tensor(b, "b.weight", 1, 3, 64);
    while (b->len % 64 != 0)
        put(b, 0, 1);
    pad(b);
    pad(b);
}

static void a_good_file_is_read(void **state)
{
    CLEANUP(gguf_meta_freep) struct gguf_meta *meta = NULL;
    CLEANUP(buf_fini) struct buf b = {0};
    const struct gguf_value *array = NULL;
    const struct gguf_tensor *tensor;
    struct err err = {0};
    struct str text;
    double real;
    int64_t n;
    size_t at = 0;
    bool yes;

    (void)state;
    buf_init(&b, FILE_MAX);
    put_good(&b);
    assert_int_equal(read_file(&b, &meta, &err), 0);
    assert_int_equal(meta->alignment, 64);
    assert_int_equal(meta->data_offset % 64, 0);
    assert_int_equal(gguf_get_i64(meta, "n", true, -5, 5, &n, &err), 0);
    assert_int_equal(n, -2);
    assert_int_equal(gguf_get_f64(meta, "f", true, 0, 2, &real, &err), 0);
    assert_true(real > 1.49 && real < 1.51);
    assert_int_equal(gguf_get_bool(meta, "yes", true, &yes, &err), 0);
    assert_true(yes);
    assert_int_equal(gguf_get_str(meta, "name", true, &text, &err), 0);
    assert_true(str_is(text, "x"));
    assert_int_equal(gguf_get_array(meta, "words", true, GGUF_STRING, &array, &err), 0);
    assert_true(str_is(gguf_next_string(array, &at), "one"));
    assert_true(str_is(gguf_next_string(array, &at), ""));
    assert_int_equal(gguf_get_array(meta, "ids", true, GGUF_I32, &array, &err), 0);
    assert_int_equal(gguf_int_at(array, 1), -1);
    tensor = gguf_find_tensor(meta, STR("a.weight"));
    assert_non_null(tensor);
    assert_int_equal(tensor->elements, 9);
    assert_int_equal(tensor->offset, meta->data_offset);
    /* Getters refuse what does not fit. */
    assert_int_equal(gguf_get_i64(meta, "n", true, 0, 5, &n, &err), -ERR_INVALID);
    assert_int_equal(gguf_get_i64(meta, "name", true, 0, 5, &n, &err), -ERR_INVALID);
    assert_int_equal(gguf_get_i64(meta, "none", true, 0, 5, &n, &err), -ERR_INVALID);
    assert_int_equal(gguf_get_i64(meta, "none", false, 0, 5, &n, &err), -ERR_NOT_FOUND);
    assert_int_equal(gguf_get_f64(meta, "n", true, 0, 5, &real, &err), -ERR_INVALID);
    assert_int_equal(gguf_get_array(meta, "ids", true, GGUF_U32, &array, &err), -ERR_INVALID);
}

static void not_gguf(struct buf *b)
{
    buf_append_text(b, "GGML-and-24-more-bytes-here");
}

static void old_version(struct buf *b)
{
    buf_append_text(b, "GGUF");
    put(b, 1, 4);
    put(b, 0, 8);
    put(b, 0, 8);
}

static void huge_key_count(struct buf *b) /* as in CVE-2024-21802 */
{
    put_header(b, 0, UINT64_MAX);
}

static void huge_tensor_count(struct buf *b)
{
    put_header(b, UINT64_MAX / 8, 0);
}

static void huge_string(struct buf *b)
{
    put_header(b, 0, 1);
    put(b, UINT64_MAX - 7, 8);
    buf_append_text(b, "key of so many bytes");
}

static void huge_array(struct buf *b) /* count * size overflows, as in CVE-2025-53630 */
{
    put_header(b, 0, 1);
    put_key(b, "ids", GGUF_ARRAY);
    put(b, GGUF_U64, 4);
    put(b, 0x2000000000000001, 8);
    put(b, 0, 8);
}

static void huge_string_array(struct buf *b) /* as in CVE-2025-49847 */
{
    put_header(b, 0, 1);
    put_key(b, "tokenizer.ggml.tokens", GGUF_ARRAY);
    put(b, GGUF_STRING, 4);
    put(b, 0x7fffffff, 8);
    put_str(b, "x");
}

static void unknown_type(struct buf *b)
{
    put_header(b, 0, 1);
    put_key(b, "k", 13);
    put(b, 0, 8);
}

static void unknown_element_type(struct buf *b)
{
    put_header(b, 0, 1);
    put_key(b, "k", GGUF_ARRAY);
    put(b, 77, 4);
    put(b, 0, 8);
}

static void nested_array(struct buf *b)
{
    put_header(b, 0, 1);
    put_key(b, "k", GGUF_ARRAY);
    put(b, GGUF_ARRAY, 4);
    put(b, 1, 8);
}

static void empty_key(struct buf *b)
{
    put_header(b, 0, 1);
    put_key(b, "", GGUF_U8);
    put(b, 0, 8);
}

static void key_twice(struct buf *b)
{
    put_header(b, 0, 2);
    for (int i = 0; i < 2; i++) {
        put_key(b, "k", GGUF_U8);
        put(b, 0, 1);
    }
}

static void tensor_twice(struct buf *b)
{
    put_header(b, 2, 0);
    put_tensor(b, "t", 1, 1, 0);
    put_tensor(b, "t", 1, 1, 0);
    pad(b);
}

static void many_dims(struct buf *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 5, 1, 0);
    pad(b);
}

static void zero_dim(struct buf *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 2, 0, 0);
    pad(b);
}

static void overflowing_dims(struct buf *b) /* as in CVE-2026-27940 */
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 4, 0x100000000, 0);
    pad(b);
}

static void offset_beyond(struct buf *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 1, 1, 0xffffffffffffffe0);
    pad(b);
}

static void offset_askew(struct buf *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 1, 1, 8);
    pad(b);
}

static void odd_alignment(struct buf *b)
{
    put_header(b, 0, 1);
    put_key(b, "general.alignment", GGUF_U32);
    put(b, 48, 4);
}

static void zero_alignment(struct buf *b)
{
    put_header(b, 0, 1);
    put_key(b, "general.alignment", GGUF_U32);
    put(b, 0, 4);
}

static void broken_files_are_refused_in_one_line(void **state)
{
    static const struct {
        void (*make)(struct buf *);
        const char *says;
    } cases[] = {
        {not_gguf, "not a GGUF file"},
        {old_version, "version 1 is not supported"},
        {huge_key_count, "number of keys"},
        {huge_tensor_count, "number of tensors"},
        {huge_string, "longer than the rest"},
        {huge_array, "key ids: GGUF at byte"},
        {huge_string_array, "longer than the rest"},
        {unknown_type, "type of a value is unknown"},
        {unknown_element_type, "type of a value is unknown"},
        {nested_array, "arrays of arrays"},
        {empty_key, "1 to 256 bytes"},
        {key_twice, "key k appears twice"},
        {tensor_twice, "tensor t appears twice"},
        {many_dims, "1 to 4 dimensions"},
        {zero_dim, "a dimension is zero"},
        {overflowing_dims, "overflows"},
        {offset_beyond, "beyond the end"},
        {offset_askew, "not aligned"},
        {odd_alignment, "power of two"},
        {zero_alignment, "general.alignment is 0"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(gguf_meta_freep) struct gguf_meta *meta = NULL;
        CLEANUP(buf_fini) struct buf b = {0};
        struct err err = {0};

        buf_init(&b, FILE_MAX);
        cases[i].make(&b);
        if (read_file(&b, &meta, &err) >= 0 || strstr(err.message, cases[i].says) == NULL ||
            strchr(err.message, '\n') != NULL)
            fail_msg("%s: %s", cases[i].says, err.message);
    }
}

static void every_cut_is_refused(void **state)
{
    CLEANUP(buf_fini) struct buf b = {0};

    (void)state;
    buf_init(&b, FILE_MAX);
    put_good(&b);
    for (size_t length = b.len - 129; length > 0; length--) {
        struct gguf_meta *meta = NULL;
        struct err err;
        struct buf part = {.ptr = b.ptr, .len = length};

        if (read_file(&part, &meta, &err) >= 0)
            fail_msg("accepted with %zu bytes", length);
    }
}

static void tokenizers_in_broken_files_are_refused(void **state)
{
    static const struct {
        const char *model;
        const char *pre;
        const char *merge;
        const char *says;
    } cases[] = {
        {"llama", "gpt-2", "a b", "tokenizer.ggml.model 'llama' is not supported"},
        {"gpt2", "viking", "a b", "tokenizer.ggml.pre 'viking' is not supported"},
        {"gpt2", "gpt-2", "a c", "merge 0 ('a' 'c')"},
        {"gpt2", "gpt-2", "ab", "merge 0 'ab'"},
        {"gpt2", "gpt-2", "a b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
        CLEANUP(gguf_meta_freep) struct gguf_meta *meta = NULL;
        CLEANUP(buf_fini) struct buf b = {0};
        struct err err = {0};
        int r;

        buf_init(&b, FILE_MAX);
        put_header(&b, 0, 4);
        put_key(&b, "tokenizer.ggml.model", GGUF_STRING);
        put_str(&b, cases[i].model);
        put_key(&b, "tokenizer.ggml.pre", GGUF_STRING);
        put_str(&b, cases[i].pre);
        put_key(&b, "tokenizer.ggml.tokens", GGUF_ARRAY);
        put(&b, GGUF_STRING, 4);
        put(&b, 3, 8);
        put_str(&b, "a");
        put_str(&b, "b");
        put_str(&b, "ab");
        put_key(&b, "tokenizer.ggml.merges", GGUF_ARRAY);
        put(&b, GGUF_STRING, 4);
        put(&b, 1, 8);
        put_str(&b, cases[i].merge);
        assert_int_equal(read_file(&b, &meta, &err), 0);
        r = tokenizer_open_gguf(&t, meta, &err);
        if ((cases[i].says == NULL) != (r == 0) ||
            (r < 0 && strstr(err.message, cases[i].says) == NULL))
            fail_msg("case %zu: %s", i, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read),
        cmocka_unit_test(broken_files_are_refused_in_one_line),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(tokenizers_in_broken_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
