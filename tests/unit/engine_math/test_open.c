/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a model: what the folder must hold, what inspection promises and opening keeps, the
 * digest, the progress, and an opening in which any one allocation fails.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/load/weights.h"
#include "engine/model.h"
#include "random_model.h"

enum { VOCAB = 60 };

static const struct random_model shape = {true, TENSOR_BF16, 24, 1, 4, 2, 6, 36, VOCAB, false, 5};

static const struct model_options options = {
    .threads = 2, .batch_tokens_max = 4, .logits_rows_max = 2, .kv_blocks = 2};

static void fresh_folder(const char *folder)
{
    assert_int_equal(file_remove_tree(folder, NULL), 0);
    random_model_write(folder, &shape);
}

static struct model *open_model(const char *path)
{
    struct model *m = NULL;
    struct err err = {0};

    if (model_open(&m, path, &options, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return m;
}

static void first_logits(struct model *m, float logits[VOCAB])
{
    static const int32_t tokens[] = {7, 8, 9};
    static const int32_t table[] = {1};
    const struct batch_seq seq = {0, 3, 0, table, 0};

    assert_int_equal(model_forward(m, &(struct batch){tokens, 3, &seq, 1}, logits, NULL), 0);
}

static void inspection_tells_what_opening_gives(void **state)
{
    struct model_info before = {0};
    struct model *m;

    (void)state;
    fresh_folder("open-inspect");
    assert_int_equal(model_inspect(&before, "open-inspect", ENGINE_ISA_SCALAR, NULL), 0);
    assert_string_equal(before.architecture, "Qwen2ForCausalLM");
    assert_string_equal(before.isa, "scalar");
    assert_int_equal(before.layers, 1);
    assert_int_equal(before.vocab_rows, VOCAB);
    assert_int_equal(before.vocab_size, VOCAB);
    assert_int_equal(before.context_max, 16384);
    assert_int_equal(before.kv_block_bytes, 2 * 2 * 6 * KV_BLOCK_TOKENS * 4);
    assert_true(before.weights_bytes > 2 * 2 * VOCAB * 24);
    /* Used as they lie in the file, but for the vectors. */
    assert_true(before.own_bytes > 0 && before.own_bytes < before.weights_bytes / 8);
    m = open_model("open-inspect");
    assert_int_equal(model_info_of(m)->weights_bytes, before.weights_bytes);
    assert_int_equal(model_info_of(m)->kv_block_bytes, before.kv_block_bytes);
    model_close(m);
}

static void ids_without_a_token_are_not_counted(void **state)
{
    struct model_info info;
    struct err err = {0};

    (void)state;
    fresh_folder("open-vocab");
    write_test_file("open-vocab", "tokenizer.json",
                    STR("{\"model\":{\"vocab\":{\"a\":0}},\"added_tokens\":[{\"id\":57}]}"));
    assert_int_equal(model_inspect(&info, "open-vocab", ENGINE_ISA_AUTO, NULL), 0);
    assert_int_equal(info.vocab_size, 58);
    assert_int_equal(info.vocab_rows, VOCAB);
    write_test_file("open-vocab", "tokenizer.json", STR("{\"model\":{\"vocab\":{\"a\":60}}}"));
    assert_true(model_inspect(&info, "open-vocab", ENGINE_ISA_AUTO, &err) < 0);
    assert_non_null(strstr(err.message, "tokenizer"));
}

static void digest_of(const char *folder, uint8_t digest[32])
{
    struct model *m = open_model(folder);

    memcpy(digest, model_info_of(m)->digest, 32);
    model_close(m);
}

static void any_byte_changes_the_digest(void **state)
{
    static const char *const files[] = {"open-digest/config.json", "open-digest/model.safetensors"};
    uint8_t first[32], again[32], changed[32];

    (void)state;
    fresh_folder("open-digest");
    digest_of("open-digest", first);
    fresh_folder("open-digest");
    digest_of("open-digest", again);
    assert_memory_equal(first, again, 32);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        FILE *file;

        fresh_folder("open-digest");
        file = fopen(files[i], "rb+");
        assert_non_null(file);
        assert_int_equal(fseek(file, i == 0 ? 0 : -1, SEEK_END), 0);
        assert_int_equal(fputc(i == 0 ? '\n' : 0x3a, file), i == 0 ? '\n' : 0x3a);
        assert_int_equal(fclose(file), 0);
        digest_of("open-digest", changed);
        assert_memory_not_equal(first, changed, 32);
    }
}

/* Resuming elsewhere relies on it: the engine passes on what loading found. */
static void the_engine_tells_the_digest(void **state)
{
    const struct engine_config config = {.model_path = "open-digest",
                                         .counters_path = "open-digest.counters",
                                         .slots = 1,
                                         .threads = 1};
    struct engine *e = NULL;
    struct err err = {0};
    uint8_t digest[32];

    (void)state;
    fresh_folder("open-digest");
    digest_of("open-digest", digest);
    (void)unlink("open-digest.counters");
    if (engine_open(&e, &config, NULL, &err) < 0)
        fail_msg("%s", err.message);
    assert_memory_equal(engine_plan_of(e)->digest, digest, 32);
    engine_close(e);
}

static void progress_reaches_the_end(void **state)
{
    struct engine_progress progress = {0};
    struct model *m = NULL;
    struct buf weights;

    (void)state;
    fresh_folder("open-progress");
    random_model_weights(&weights, &shape);
    assert_int_equal(model_open(&m, "open-progress", &options, &progress, NULL), 0);
    assert_int_equal(atomic_load(&progress.bytes_total), weights.len);
    assert_int_equal(atomic_load(&progress.bytes_done), weights.len);
    model_close(m);
    buf_fini(&weights);
}

/* Data that begins at an odd address is copied, not misread. */
static void unaligned_weights_are_the_same(void **state)
{
    float expected[VOCAB], actual[VOCAB];
    struct buf weights, shifted;
    struct model *m;
    uint64_t length;

    (void)state;
    fresh_folder("open-aligned");
    random_model_weights(&weights, &shape);
    buf_init(&shifted, weights.len + 1);
    memcpy(&length, weights.ptr, 8);
    length++;
    buf_append(&shifted, &length, 8);
    buf_append(&shifted, weights.ptr + 8, length - 1);
    buf_append_char(&shifted, ' ');
    buf_append(&shifted, weights.ptr + 8 + length - 1, weights.len - 8 - length + 1);
    assert_false(shifted.failed);
    m = open_model("open-aligned");
    first_logits(m, expected);
    model_close(m);
    write_test_file("open-aligned", "model.safetensors", buf_str(&shifted));
    m = open_model("open-aligned");
    first_logits(m, actual);
    model_close(m);
    assert_memory_equal(actual, expected, sizeof(expected));
    buf_fini(&weights);
    buf_fini(&shifted);
}

static void no_config(void)
{
    assert_int_equal(unlink("open-broken/config.json"), 0);
}

static void no_weights(void)
{
    assert_int_equal(unlink("open-broken/model.safetensors"), 0);
}

static void short_weights(void)
{
    assert_int_equal(truncate("open-broken/model.safetensors", 5000), 0);
}

static void empty_weights(void)
{
    assert_int_equal(truncate("open-broken/model.safetensors", 0), 0);
}

static void rewrite(const struct random_model *weights, const struct random_model *config)
{
    struct buf bytes;

    random_model_weights(&bytes, weights);
    write_test_file("open-broken", "model.safetensors", buf_str(&bytes));
    buf_fini(&bytes);
    random_model_config(&bytes, config);
    write_test_file("open-broken", "config.json", buf_str(&bytes));
    buf_fini(&bytes);
}

static void other_shape(void)
{
    struct random_model other = shape;

    other.ffn = 40;
    rewrite(&shape, &other);
}

static void more_layers(void)
{
    struct random_model other = shape;

    other.layers = 2;
    rewrite(&shape, &other);
}

static void more_tensors(void)
{
    struct random_model other = shape;

    other.layers = 2;
    rewrite(&other, &shape);
}

static void biases_of_qwen(void)
{
    struct random_model other = shape;

    other.qwen2 = false;
    rewrite(&shape, &other);
}

static void no_head(void)
{
    struct random_model other = shape;

    other.tied = true;
    rewrite(&other, &shape);
}

static void missing_shard(void)
{
    no_weights();
    write_test_file("open-broken", "model.safetensors.index.json",
                    STR("{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\"}}"));
}

static void tensor_in_no_shard(void)
{
    assert_int_equal(rename("open-broken/model.safetensors", "open-broken/one.safetensors"), 0);
    write_test_file("open-broken", "model.safetensors.index.json",
                    STR("{\"weight_map\":{\"model.norm.weights\":\"one.safetensors\"}}"));
}

static void tensor_in_no_index(void)
{
    assert_int_equal(rename("open-broken/model.safetensors", "open-broken/one.safetensors"), 0);
    write_test_file("open-broken", "model.safetensors.index.json",
                    STR("{\"weight_map\":{\"model.norm.weight\":\"one.safetensors\"}}"));
}

static void integer_weights(void)
{
    struct buf bytes;
    char *at;

    random_model_weights(&bytes, &shape);
    at = memmem(bytes.ptr, bytes.len, "\"BF16\"", 6);
    assert_non_null(at);
    memcpy(at, "\"I16\" ", 6);
    write_test_file("open-broken", "model.safetensors", buf_str(&bytes));
    buf_fini(&bytes);
}

static void broken_folders_are_refused(void **state)
{
    static const struct {
        void (*break_it)(void);
        const char *fault;
    } cases[] = {
        {no_config, "config.json"},
        {no_weights, "neither model.safetensors nor"},
        {short_weights, "model.safetensors"},
        {empty_weights, "too few"},
        {other_shape, "has shape [36, 24] where the configuration asks for [40, 24]"},
        {more_layers, "'model.layers.1.self_attn.q_proj.weight' is missing"},
        {more_tensors, "'model.layers.1."},
        {biases_of_qwen, "_proj.bias' is none of LlamaForCausalLM's"},
        {no_head, "'lm_head.weight' is missing"},
        {missing_shard, "model-00001-of-00002.safetensors"},
        {tensor_in_no_shard, "'model.norm.weights' of the index"},
        {tensor_in_no_index, "is not in the index"},
        {integer_weights, "is I16"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model_info info;
        struct model *m = NULL;
        struct err err = {0}, same = {0};

        fresh_folder("open-broken");
        cases[i].break_it();
        assert_true(model_inspect(&info, "open-broken", ENGINE_ISA_AUTO, &err) < 0);
        assert_true(model_open(&m, "open-broken", &options, NULL, &same) < 0);
        assert_string_equal(err.message, same.message);
        if (strstr(err.message, cases[i].fault) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].fault);
        assert_non_null(strstr(err.message, "open-broken"));
        assert_null(strchr(err.message, '\n'));
    }
    assert_int_equal(file_remove_tree("open-broken", NULL), 0);
    assert_int_equal(model_inspect(&(struct model_info){0}, "open-broken", ENGINE_ISA_AUTO, NULL),
                     -ERR_NOT_FOUND);
}

static void bad_options_are_refused(void **state)
{
    const struct model_options cases[] = {
        {.threads = -1, .batch_tokens_max = 1, .logits_rows_max = 1, .kv_blocks = 1},
        {.threads = 257, .batch_tokens_max = 1, .logits_rows_max = 1, .kv_blocks = 1},
        {.threads = 1, .batch_tokens_max = 0, .logits_rows_max = 1, .kv_blocks = 1},
        {.threads = 1, .batch_tokens_max = 1, .logits_rows_max = 0, .kv_blocks = 1},
        {.threads = 1, .batch_tokens_max = 1, .logits_rows_max = 1, .kv_blocks = 0},
        {.threads = 1, .batch_tokens_max = 1, .logits_rows_max = 1, .kv_blocks = 1, .isa = 77},
    };

    (void)state;
    fresh_folder("open-options");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model *m = NULL;
        struct err err = {0};

        assert_int_equal(model_open(&m, "open-options", &cases[i], NULL, &err), -ERR_INVALID);
        assert_null(m);
    }
}

static void every_allocation_may_fail(void **state)
{
    float expected[VOCAB], actual[VOCAB];
    struct model *m;

    (void)state;
    fresh_folder("open-memory");
    m = open_model("open-memory");
    first_logits(m, expected);
    model_close(m);
    for (int64_t n = 0;; n++) {
        struct err err = {0};
        int r;

        m = NULL;
        mem_fail_after(n);
        r = model_open(&m, "open-memory", &options, NULL, &err);
        if (!mem_fail_seen()) {
            mem_fail_after(-1);
            assert_int_equal(r, 0);
            break;
        }
        assert_true(r == -ERR_NO_MEMORY || strstr(err.message, "memory ran out") != NULL);
        assert_null(m);
    }
    first_logits(m, actual);
    assert_memory_equal(actual, expected, sizeof(expected));
    /* Running allocates nothing: it would fail now. */
    mem_fail_after(0);
    first_logits(m, actual);
    assert_false(mem_fail_seen());
    mem_fail_after(-1);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspection_tells_what_opening_gives),
        cmocka_unit_test(ids_without_a_token_are_not_counted),
        cmocka_unit_test(any_byte_changes_the_digest),
        cmocka_unit_test(the_engine_tells_the_digest),
        cmocka_unit_test(progress_reaches_the_end),
        cmocka_unit_test(unaligned_weights_are_the_same),
        cmocka_unit_test(broken_folders_are_refused),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
