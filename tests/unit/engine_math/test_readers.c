/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model files that are broken, each in its own way: one line that names the fault, and nothing else
 * happens. Safetensors headers, shard indexes, config.json, tokenizer.json; then a good one of
 * each.
 */
#include "cmocka_plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/load/model_config.h"
#include "engine/load/safetensors.h"
#include "engine/load/shard_index.h"
#include "engine/load/vocab_size.h"
#include "random_model.h"

enum { FILE_MAX = 4096 };

static void assert_refused(int r, const struct err *err, const char *fault)
{
    assert_true(r < 0);
    if (strstr(err->message, fault) == NULL)
        fail_msg("'%s' does not say '%s'", err->message, fault);
    assert_null(strchr(err->message, '\n'));
}

/* A safetensors file of this header and so many bytes of data. */
static size_t build(uint8_t *out, const char *header, size_t data_size)
{
    uint64_t length = strlen(header);

    assert_true(8 + length + data_size <= FILE_MAX);
    memset(out, 0, FILE_MAX);
    memcpy(out, &length, 8);
    memcpy(out + 8, header, length);
    return 8 + length + data_size;
}

#define TENSOR(name, type, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void broken_safetensors_are_refused(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *fault;
    } cases[] = {
        {"", 0, "empty"},
        {"[]", 0, "must be an object"},
        {"{", 0, "not valid JSON"},
        {"{\"a\":3}", 0, "must be an object, not integer"},
        {"{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("a", "F32", "[1]", 4, 8) "}", 8,
         "duplicate"},
        {"{" TENSOR("a", "F33", "[1]", 0, 4) "}", 4, "dtype 'F33'"},
        {"{" TENSOR("a", "F32", "3", 0, 4) "}", 4, "'shape' must be an array"},
        {"{" TENSOR("a", "F32", "[-1]", 0, 4) "}", 4, "integers from 0"},
        {"{" TENSOR("a", "F32", "[1.5]", 0, 4) "}", 4, "integers from 0"},
        {"{" TENSOR("a", "F32", "[1,1,1,1,1]", 0, 4) "}", 4, "5 dimensions"},
        {"{" TENSOR("a", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, "overflows"},
        {"{" TENSOR("a", "F32", "[4611686018427387904]", 0, 4) "}", 4, "do not give"},
        {"{" TENSOR("a", "F32", "[2]", 0, 4) "}", 4, "do not give"},
        {"{" TENSOR("a", "F32", "[1]", 0, 8) "}", 4, "lie outside"},
        {"{" TENSOR("a", "F32", "[1]", 8, 4) "}", 8, "lie outside"},
        {"{" TENSOR("a", "F32", "[1]", -4, 0) "}", 8, "lie outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two integers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, "two integers"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "'dtype' is missing"},
        {"{" TENSOR("a", "F32", "[1]", 4, 8) "}", 8, "a gap"},
        {"{" TENSOR("a", "F32", "[2]", 0, 8) "," TENSOR("b", "F32", "[2]", 4, 12) "}", 12,
         "an overlap"},
        {"{" TENSOR("a", "F32", "[1]", 0, 4) "}", 5, "1 bytes after the last"},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "name has 0"},
    };
    uint8_t file[FILE_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t size = build(file, cases[i].header, cases[i].data);
        struct safetensors *s = NULL;
        struct err err = {0};

        assert_refused(safetensors_read(&s, file, size, "x.safetensors", &err), &err,
                       cases[i].fault);
        assert_non_null(strstr(err.message, "x.safetensors"));
        assert_null(s);
    }
}

static void a_wrong_header_length_is_refused(void **state)
{
    static const uint64_t lengths[] = {3, 1000, UINT64_MAX, UINT64_MAX - 7, INT64_MAX};
    uint8_t file[FILE_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        size_t size = build(file, "{}", 0);
        struct safetensors *s = NULL;
        struct err err = {0};

        memcpy(file, &lengths[i], 8);
        assert_refused(safetensors_read(&s, file, size, "x", &err), &err, "does not fit");
        for (size_t cut = 0; cut < 8; cut++)
            assert_refused(safetensors_read(&s, file, cut, "x", &err), &err, "too few");
    }
}

static void good_safetensors_are_read(void **state)
{
    uint8_t file[FILE_MAX];
    size_t size =
        build(file,
              "{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("b", "I32", "[2]", 6, 14) "," TENSOR(
                  "a", "BF16", "[3,1]", 0, 6) "," TENSOR("none", "F32", "[0,9]", 6, 6) "}  ",
              14);
    CLEANUP(safetensors_freep) struct safetensors *s = NULL;
    const struct tensor *t;

    (void)state;
    assert_int_equal(safetensors_read(&s, file, size, "x", NULL), 0);
    assert_int_equal(s->count, 3);
    assert_null(safetensors_find(s, STR("__metadata__")));
    t = safetensors_find(s, STR("a"));
    assert_non_null(t);
    assert_int_equal(t->type, TENSOR_BF16);
    assert_int_equal(t->dim_count, 2);
    assert_int_equal(t->shape[0], 3);
    assert_ptr_equal(t->data, file + size - 14);
    t = safetensors_find(s, STR("b"));
    assert_ptr_equal(t->data, file + size - 8);
    assert_int_equal(t->size, 8);
}

static void safetensors_survive_failing_allocations(void **state)
{
    uint8_t file[FILE_MAX];
    size_t size = build(file, "{" TENSOR("a", "F32", "[1]", 0, 4) "}", 4);

    (void)state;
    for (int64_t n = 0;; n++) {
        CLEANUP(safetensors_freep) struct safetensors *s = NULL;
        struct err err = {0};
        int r;

        mem_fail_after(n);
        r = safetensors_read(&s, file, size, "x", &err);
        if (!mem_fail_seen()) {
            mem_fail_after(-1);
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ERR_NO_MEMORY);
    }
}

static void broken_indexes_are_refused(void **state)
{
    static const struct {
        const char *json;
        const char *fault;
    } cases[] = {
        {"", "empty"},
        {"[]", "must hold an object"},
        {"{}", "'weight_map' is missing"},
        {"{\"weight_map\":[]}", "must be an object"},
        {"{\"weight_map\":{}}", "is empty"},
        {"{\"weight_map\":{\"a\":3}}", "must be a string"},
        {"{\"weight_map\":{\"a\":\"\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"x/y.safetensors\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"model.bin\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"y.safetensors\"}}", "duplicate"},
        {"{\"weight_map\":{\"a\":\"x.safetensors\"}", "not valid JSON"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(shard_index_fini) struct shard_index index = {0};
        struct err err = {0};

        assert_refused(shard_index_read(&index, str_of(cases[i].json), "index", &err), &err,
                       cases[i].fault);
    }
}

static void a_good_index_is_read(void **state)
{
    CLEANUP(shard_index_fini) struct shard_index index = {0};
    const char **shard;

    (void)state;
    assert_int_equal(shard_index_read(&index,
                                      STR("{\"metadata\":{\"total_size\":3},\"weight_map\":"
                                          "{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\","
                                          "\"c\":\"1.safetensors\"}}"),
                                      "index", NULL),
                     0);
    assert_int_equal(index.shard_count, 2);
    shard = map_get(&index.shard_of, STR("c"));
    assert_string_equal(*shard, "1.safetensors");
    assert_ptr_equal(shard, map_get(&index.shard_of, STR("a")));
}

/* A good config.json, cut open for one more member (which may repeat none of these). */
#define CONFIG(members)                                                                     \
    "{\"hidden_size\":64,\"num_hidden_layers\":2,\"intermediate_size\":100,\"vocab_size\":" \
    "99" members "}"
#define LLAMA ",\"architectures\":[\"LlamaForCausalLM\"],\"num_attention_heads\":4"
#define QWEN2 ",\"architectures\":[\"Qwen2ForCausalLM\"],\"num_attention_heads\":4"

static void broken_configs_are_refused(void **state)
{
    static const struct {
        const char *json;
        const char *fault;
    } cases[] = {
        {"", "empty"},
        {"[]", "must hold an object"},
        {"{}", "'model_type' is missing"},
        {CONFIG(",\"architectures\":[\"MixtralForCausalLM\"]"), "'MixtralForCausalLM'"},
        {CONFIG(",\"architectures\":[]"), "'model_type' is missing"},
        {CONFIG(",\"model_type\":\"mamba\""), "'mamba'"},
        {CONFIG(",\"model_type\":\"llama\""), "'num_attention_heads' is missing"},
        {CONFIG(",\"model_type\":\"llama\",\"num_attention_heads\":0"), "from 1 to"},
        {CONFIG(",\"model_type\":\"llama\",\"num_attention_heads\":-4"), "from 1 to"},
        {CONFIG(",\"model_type\":\"llama\",\"num_attention_heads\":\"4\""), "an integer"},
        {CONFIG(",\"model_type\":\"llama\",\"num_attention_heads\":7"), "no multiple"},
        {CONFIG(",\"model_type\":\"llama\",\"num_attention_heads\":64"), "is odd"},
        {CONFIG(LLAMA ",\"head_dim\":7"), "is odd"},
        {CONFIG(LLAMA ",\"head_dim\":100000"), "from 1 to"},
        {CONFIG(LLAMA ",\"num_key_value_heads\":3"), "share 3"},
        {CONFIG(LLAMA ",\"num_key_value_heads\":0"), "from 1 to"},
        {CONFIG(LLAMA ",\"rms_norm_eps\":-1"), "'rms_norm_eps'"},
        {CONFIG(LLAMA ",\"rms_norm_eps\":\"1e-6\""), "a number"},
        {CONFIG(LLAMA ",\"rope_theta\":0"), "'rope_theta'"},
        {CONFIG(LLAMA ",\"max_position_embeddings\":99999999999"), "'max_position_embeddings'"},
        {CONFIG(LLAMA ",\"hidden_act\":\"gelu\""), "'gelu'"},
        {CONFIG(LLAMA ",\"attention_bias\":true"), "'attention_bias'"},
        {CONFIG(LLAMA ",\"mlp_bias\":true"), "'mlp_bias'"},
        {CONFIG(LLAMA ",\"quantization_config\":{\"bits\":4}"), "'quantization_config'"},
        {CONFIG(LLAMA ",\"partial_rotary_factor\":0.5"), "'partial_rotary_factor'"},
        {CONFIG(QWEN2 ",\"use_sliding_window\":true"), "'use_sliding_window'"},
        {CONFIG(QWEN2 ",\"layer_types\":[\"full_attention\",\"sliding_attention\"]"),
         "'sliding_attention'"},
        {CONFIG(LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}"), "'linear'"},
        {CONFIG(LLAMA ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4}"), "'yarn'"},
        {CONFIG(LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}"),
         "'low_freq_factor' is missing"},
        {CONFIG(LLAMA ",\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":8,"
                      "\"low_freq_factor\":4,\"high_freq_factor\":4,"
                      "\"original_max_position_embeddings\":8192}"),
         "must be above"},
        {CONFIG(LLAMA ",\"tie_word_embeddings\":1"), "true or false"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model_config c;
        struct err err = {0};

        assert_refused(model_config_read(&c, str_of(cases[i].json), "c.json", &err), &err,
                       cases[i].fault);
        assert_non_null(strstr(err.message, "c.json"));
    }
}

static bool is_near(double a, double b)
{
    return a >= b - 1e-12 && a <= b + 1e-12;
}

static void both_spellings_are_read(void **state)
{
    static const char *const spellings[] = {
        CONFIG(LLAMA ",\"num_key_value_heads\":2,\"rms_norm_eps\":1e-5,\"rope_theta\":500000.0,"
                     "\"torch_dtype\":\"bfloat16\",\"rope_scaling\":{\"rope_type\":\"llama3\","
                     "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                     "\"original_max_position_embeddings\":8192}"),
        CONFIG(LLAMA ",\"num_key_value_heads\":2,\"rms_norm_eps\":1e-5,\"dtype\":\"bfloat16\","
                     "\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":500000.0,"
                     "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                     "\"original_max_position_embeddings\":8192}"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(spellings); i++) {
        struct model_config c = {0};
        struct err err = {0};

        if (model_config_read(&c, str_of(spellings[i]), "c.json", &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(c.architecture, MODEL_LLAMA);
        assert_int_equal(c.head_dim, 16);
        assert_int_equal(c.kv_heads, 2);
        assert_true(is_near(c.rope.theta, 500000));
        assert_true(c.rope.llama3 && is_near(c.rope.factor, 8));
        assert_true(is_near(c.rope.original_context, 8192));
        assert_true(is_near(c.norm_eps, 1e-5));
        assert_false(c.qkv_bias || c.tied);
    }
}

static void absent_values_have_hugging_face_defaults(void **state)
{
    struct model_config c = {0};

    (void)state;
    assert_int_equal(model_config_read(&c,
                                       str_of(CONFIG(QWEN2 ",\"sliding_window\":4096,"
                                                           "\"use_sliding_window\":false,"
                                                           "\"rope_scaling\":null")),
                                       "c", NULL),
                     0);
    assert_int_equal(c.kv_heads, c.heads);
    assert_int_equal(c.context_max, 32768);
    assert_true(is_near(c.rope.theta, 10000) && !c.rope.llama3);
    assert_true(is_near(c.norm_eps, 1e-6));
    assert_true(c.qkv_bias && !c.tied);
}

static void tokenizers_are_counted(void **state)
{
    static const struct {
        const char *json;
        int size; /* 0: refused */
        const char *fault;
    } cases[] = {
        {"{\"model\":{\"vocab\":{\"a\":0,\"b\":7}}}", 8, NULL},
        {"{\"model\":{\"vocab\":{\"a\":0}},\"added_tokens\":[{\"id\":9,\"content\":\"x\"}]}", 10,
         NULL},
        {"{\"model\":{\"vocab\":{}}}", 0, "is empty"},
        {"{\"model\":{}}", 0, "'vocab' is missing"},
        {"{}", 0, "'model' is missing"},
        {"3", 0, "must hold an object"},
        {"{\"model\":{\"vocab\":{\"a\":-1}}}", 0, "no integer"},
        {"{\"model\":{\"vocab\":{\"a\":\"b\"}}}", 0, "no integer"},
        {"{\"model\":{\"vocab\":{\"a\":9999999999}}}", 0, "no integer"},
        {"{\"model\":{\"vocab\":{\"a\":1}},\"added_tokens\":[3]}", 0, "no integer"},
        {"{\"model\":{\"vocab\":{\"a\":1}},\"added_tokens\":{}}", 0, "must be an array"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct err err = {0};
        int size = 0;
        int r = vocab_size_read(str_of(cases[i].json), "t.json", &size, &err);

        if (cases[i].size == 0)
            assert_refused(r, &err, cases[i].fault);
        else
            assert_int_equal(r, 0);
        assert_int_equal(size, cases[i].size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_safetensors_are_refused),
        cmocka_unit_test(a_wrong_header_length_is_refused),
        cmocka_unit_test(good_safetensors_are_read),
        cmocka_unit_test(safetensors_survive_failing_allocations),
        cmocka_unit_test(broken_indexes_are_refused),
        cmocka_unit_test(a_good_index_is_read),
        cmocka_unit_test(broken_configs_are_refused),
        cmocka_unit_test(both_spellings_are_read),
        cmocka_unit_test(absent_values_have_hugging_face_defaults),
        cmocka_unit_test(tokenizers_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
