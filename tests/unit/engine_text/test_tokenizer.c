/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer: merging, added tokens, pretokens, broken files, memory that runs out. */
#include <string.h>

#include "cmocka_plain.h"

#include "base/json.h"
#include "base/mem.h"
#include "engine/text/pretokenize.h"
#include "engine/text/unicode.h"
#include "tiny_tokenizer.h"

enum { IDS_MAX = 1 << 21 };

static void check_ids(const struct tokenizer *t, struct str text, int flags, const int32_t *ids,
                      size_t count)
{
    CLEANUP(token_list_fini) struct token_list list = {0};
    struct err err;

    token_list_init(&list, IDS_MAX);
    assert_int_equal(tokenizer_encode(t, text, flags, &list, &err), 0);
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list.ids[i], ids[i]);
}

#define CHECK_IDS(t, text, flags, ...)                             \
    check_ids(t, STR(text), flags, (const int32_t[]){__VA_ARGS__}, \
              sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void merges_go_by_rank(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);

    (void)state;
    CHECK_IDS(t, "hello", 0, TINY_HELLO);
    CHECK_IDS(t, " hello", 0, TINY_SPACE_HELLO);
    CHECK_IDS(t, "hell", 0, TINY_HELL);
    CHECK_IDS(t, "helo", 0, TINY_HE, 'l', 'o');
    CHECK_IDS(t, "aaaaa", 0, TINY_AAAA, 'a');
    CHECK_IDS(t, "aaa", 0, TINY_AA, 'a');
    CHECK_IDS(t, "\xe2\x82\xac", 0, TINY_EURO_HEAD, 0xac);
    check_ids(t, STR_NONE, 0, NULL, 0);
}

static void added_tokens_are_cut_out_first(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);

    (void)state;
    CHECK_IDS(t, "<think>hello</think>", 0, TINY_THINK, TINY_HELLO, TINY_THINK_END);
    CHECK_IDS(t, "<<s>", 0, '<', TINY_BOS);
    CHECK_IDS(t, "hello", TOKENIZER_ADD_SPECIAL, TINY_BOS, TINY_HELLO);
    CHECK_IDS(t, "</s><think>", TOKENIZER_PLAIN_TEXT, '<', '/', 's', '>', TINY_THINK);
    assert_int_equal(tokenizer_added_id(t, STR("</think>")), TINY_THINK_END);
    assert_int_equal(tokenizer_added_id(t, STR("</thin")), -1);
}

static void ill_formed_text_becomes_replacement_characters(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);

    (void)state;
    CHECK_IDS(t, "\xff", 0, 0xef, 0xbf, 0xbd);
    CHECK_IDS(t, "\xe2\x82", 0, 0xef, 0xbf, 0xbd); /* one for the whole part */
    CHECK_IDS(t, "\xed\xa0\x80", 0, 0xef, 0xbf, 0xbd, 0xef, 0xbf, 0xbd, 0xef, 0xbf, 0xbd);
}

static void facts_are_read(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);
    int count;
    const int32_t *stops = tokenizer_stop_ids(t, &count);

    (void)state;
    assert_int_equal(tokenizer_vocab_size(t), TINY_SIZE);
    assert_int_equal(tokenizer_bos(t), TINY_BOS);
    assert_int_equal(tokenizer_eos(t), TINY_EOS);
    assert_true(str_is(tokenizer_bos_text(t), "<s>"));
    assert_int_equal(count, 2);
    assert_int_equal(stops[0], TINY_EOS);
    assert_int_equal(stops[1], 10);
    assert_true(tokenizer_is_special(t, TINY_EOS));
    assert_false(tokenizer_is_special(t, TINY_THINK));
    assert_true(str_is(tokenizer_piece(t, TINY_SPACE_HELLO), " hello"));
    assert_null(tokenizer_piece(t, TINY_SIZE).ptr);
    assert_null(tokenizer_piece(t, -1).ptr);
    assert_null(tokenizer_chat_template(t).ptr);
    assert_true(tokenizer_defaults(t).temperature > 0.59F);
    assert_int_equal(tokenizer_defaults(t).top_k, 20);
    assert_true(tokenizer_defaults(t).top_p < 0);
}

/* A megabyte without a place to cut: it must end, and come back whole. */
static void long_pretokens_end(void **state)
{
    static const char *const letters[] = {"a", "l", "\xe2\x82\xac", "\xcc\x81\xcc\xa3"};
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);

    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(letters); k++) {
        CLEANUP(token_list_fini) struct token_list list = {0};
        CLEANUP(buf_fini) struct buf text = {0};
        CLEANUP(buf_fini) struct buf back = {0};
        struct err err;

        buf_init(&text, 1 << 21);
        buf_init(&back, 1 << 21);
        while (text.len < 1 << 20)
            buf_append_text(&text, letters[k]);
        token_list_init(&list, IDS_MAX);
        assert_int_equal(tokenizer_encode(t, buf_str(&text), 0, &list, &err), 0);
        for (size_t i = 0; i < list.count; i++)
            buf_append_str(&back, tokenizer_piece(t, list.ids[i]));
        assert_true(str_eq(buf_str(&text), buf_str(&back)));
    }
}

static void too_many_tokens_are_refused(void **state)
{
    CLEANUP(tokenizer_freep) struct tokenizer *t = tiny_tokenizer(true);
    CLEANUP(token_list_fini) struct token_list list = {0};
    struct err err;

    (void)state;
    token_list_init(&list, 3);
    assert_int_equal(token_list_add(&list, 7), 0);
    assert_int_equal(tokenizer_encode(t, STR("1234"), 0, &list, &err), -ERR_LIMIT);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.ids[0], 7);
}

static int join_pretokens(void *context, struct str pretoken)
{
    buf_append_str(context, pretoken);
    return buf_append_char(context, '|');
}

static void pretokens_are_cut_as_the_patterns_say(void **state)
{
    static const struct {
        const char *pre;
        const char *text;
        const char *cut;
    } cases[] = {
        {"gpt-2", "it's 1234  x", "it|'s| 1234| | x|"},
        {"gpt-2", "IT'S", "IT|'|S|"},
        {"qwen2", "IT'S 123  x", "IT|'S| |1|2|3| | x|"},
        {"qwen2", "a'\xc5\xbf", "a|'\xc5\xbf|"},
        {"qwen2", "x!\n\n y", "x|!\n\n| y|"},
        {"qwen2", " \n \n  z", " \n \n| | z|"},
        {"llama-bpe", "12345 a.b", "123|45| a|.b|"},
        {"smollm", "ab 12", "ab| |1|2|"},
        {"smollm", "  7", "  |7|"},
        {"deepseek-v3", "a1234\xe4\xbd\xa0\xe5\xa5\xbdx ok!",
         "a|123|4|\xe4\xbd\xa0\xe5\xa5\xbd|x| "
         "ok|!|"},
        {"deepseek-v3",
         "\x01\x02"
         "a",
         "\x01|\x02"
         "a|"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(buf_fini) struct buf cut = {0};
        struct pretokenizer p;

        buf_init(&cut, 4096);
        assert_int_equal(pretokenizer_of_name(str_of(cases[i].pre), &p), 0);
        assert_int_equal(pretokenize(&p, str_of(cases[i].text), join_pretokens, &cut), 0);
        assert_string_equal(buf_cstr(&cut), cases[i].cut);
    }
}

static void nfc_composes_and_orders(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } cases[] = {
        {"e\xcc\x81", "\xc3\xa9"},    {"q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87"},
        {"\xe2\x84\xab", "\xc3\x85"}, {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"},
        {"plain", "plain"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(buf_fini) struct buf out = {0};

        buf_init(&out, 4096);
        assert_int_equal(unicode_nfc(str_of(cases[i].from), &out), 0);
        assert_string_equal(buf_cstr(&out), cases[i].to);
    }
}

static const char good[] =
    "{\"normalizer\": {\"type\": \"NFC\"},"
    "\"added_tokens\": [{\"id\": 3, \"content\": \"<s>\", \"special\": true}],"
    "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": ["
    "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\p{N}\"}, \"behavior\": \"Isolated\"},"
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}]},"
    "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": ["
    "{\"SpecialToken\": {\"id\": \"<s>\"}}, {\"Sequence\": {\"id\": \"A\"}}]},"
    "\"decoder\": {\"type\": \"ByteLevel\"},"
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2},"
    "\"merges\": [\"a b\"]}}";

/* The good file with the first `find` replaced. */
static void broken_file(struct buf *out, const char *find, const char *replace)
{
    struct str text = STR(good);
    int64_t at = str_find(text, str_of(find));

    assert_true(at >= 0);
    buf_append_str(out, str_slice(text, 0, (size_t)at));
    buf_append_text(out, replace);
    buf_append_str(out, str_slice(text, (size_t)at + strlen(find), text.len));
}

static void broken_files_are_refused_in_one_line(void **state)
{
    static const struct {
        const char *find;
        const char *replace;
        const char *says;
    } cases[] = {
        {"{\"normalizer\"", "", "not valid JSON"},
        {"{\"normalizer\"", "[{\"normalizer\"", "not valid JSON"},
        {"\"NFC\"", "\"Lowercase\"", "normalizer: type 'Lowercase' is not supported"},
        {"\\\\p{N}", "\\\\p{L}+", "pattern '\\p{L}+' is not supported"},
        {"\"Isolated\"", "\"Removed\"", "'Removed' is not supported"},
        {"\"Split\"", "\"Metaspace\"", "type 'Metaspace' is not supported"},
        {"\"add_prefix_space\": false", "\"add_prefix_space\": true", "add_prefix_space"},
        {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "type 'Unigram' is not supported"},
        {"\"type\": \"BPE\"", "\"byte_fallback\": true", "byte_fallback"},
        {"\"type\": \"BPE\"", "\"dropout\": 0.1", "dropout"},
        {"\"type\": \"BPE\"", "\"unk_token\": \"<unk>\"", "unk_token '<unk>'"},
        {"\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Fuse\"}", "'Fuse'"},
        {"\"decoder\"", "\"coder\"", "decoder"},
        {"\"model\"", "\"mode\"", "'model' is missing"},
        {"\"vocab\"", "\"vocabulary\"", "'vocab' is missing"},
        {"\"merges\"", "\"fusions\"", "'merges' is missing"},
        {"\"ab\": 2", "\"ab\": \"2\"", "must be an integer, not string"},
        {"\"ab\": 2", "\"ab\": 1", "given to two tokens"},
        {"\"ab\": 2", "\"ab\": -1", "out of all proportion"},
        {"\"ab\": 2", "\"ab\": 4000000", "out of all proportion"},
        {"\"ab\": 2", "\"ac\": 2", "merge 0 ('a' 'b')"},
        {"\"a b\"", "\"ab\"", "merge 0 'ab' must be two tokens"},
        {"\"a b\"", "[\"a\"]", "merge 0 must be"},
        {"\"a b\"", "7", "merge 0 must be"},
        {"\"id\": 3", "\"id\": 0", "another text"},
        {"\"id\": 3", "\"id\": -3", "'id'"},
        {"\"content\": \"<s>\"", "\"content\": \"\"", "1 to 512"},
        {"\"content\": \"<s>\"", "\"contents\": \"<s>\"", "'content' is missing"},
        {"\"special\": true", "\"special\": 1", "'special' must be true or false"},
        {"{\"SpecialToken\": {\"id\": \"<s>\"}}", "{\"SpecialToken\": {\"id\": \"<x>\"}}", "'<x>'"},
        {"\"TemplateProcessing\"", "\"BertProcessing\"", "'BertProcessing'"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
        CLEANUP(buf_fini) struct buf json = {0};
        struct err err = {0};

        buf_init(&json, 1 << 16);
        broken_file(&json, cases[i].find, cases[i].replace);
        if (tokenizer_open_files(&t, &(struct tokenizer_files){.tokenizer = buf_str(&json)},
                                 &err) >= 0)
            fail_msg("accepted: %s", cases[i].replace);
        assert_null(t);
        if (strstr(err.message, cases[i].says) == NULL || strchr(err.message, '\n') != NULL)
            fail_msg("'%s' says: %s", cases[i].says, err.message);
    }
}

static void small_files_are_checked_too(void **state)
{
    static const struct {
        const char *config;
        const char *generation;
        const char *says;
    } cases[] = {
        {"[]", "{}", "tokenizer_config.json must be an object"},
        {"{", "{}", "tokenizer_config.json is not valid JSON"},
        {"{\"add_bos_token\": \"yes\"}", "{}", "'add_bos_token' must be true or false"},
        {"{}", "{\"eos_token_id\": -1}", "eos_token_id -1"},
        {"{}", "{\"eos_token_id\": [\"2\"]}", "eos_token_id"},
        {"{}", "{\"temperature\": -2}", "temperature"},
        {"{}", "{\"top_k\": 1.5}", "top_k"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
        struct tokenizer_files files = {
            .tokenizer = STR(good),
            .config = str_of(cases[i].config),
            .generation = str_of(cases[i].generation),
        };
        struct err err = {0};

        assert_true(tokenizer_open_files(&t, &files, &err) < 0);
        if (strstr(err.message, cases[i].says) == NULL)
            fail_msg("'%s' says: %s", cases[i].says, err.message);
    }
}

static void templates_and_bos_are_found(void **state)
{
    static const struct {
        const char *config;
        const char *file;
        const char *template;
        bool bos;
    } cases[] = {
        {"{\"chat_template\": \"one\"}", "", "one", true},
        {"{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"t\"},"
         " {\"name\": \"default\", \"template\": \"d\"}], \"add_bos_token\": false}",
         "", "d", false},
        {"{\"chat_template\": \"one\"}", "file", "file", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
        struct tokenizer_files files = {.tokenizer = STR(good),
                                        .config = str_of(cases[i].config),
                                        .special_map = STR("{\"bos_token\": \"<s>\"}"),
                                        .chat_template = str_of(cases[i].file)};
        struct err err;

        assert_int_equal(tokenizer_open_files(&t, &files, &err), 0);
        assert_true(str_is(tokenizer_chat_template(t), cases[i].template));
        assert_int_equal(tokenizer_bos(t), 3);
        if (cases[i].bos)
            CHECK_IDS(t, "ab", TOKENIZER_ADD_SPECIAL, 3, 2);
        else
            CHECK_IDS(t, "ab", TOKENIZER_ADD_SPECIAL, 2);
    }
}

static void every_failing_allocation_is_survived(void **state)
{
    CLEANUP(buf_fini) struct buf text = {0};

    (void)state;
    buf_init(&text, 4096);
    buf_append_text(&text, "e\xcc\x81 hello <think> \xff ");
    for (int i = 0; i < 100; i++)
        buf_append_char(&text, 'a');
    for (int64_t n = 0;; n++) {
        CLEANUP(token_list_fini) struct token_list list = {0};
        CLEANUP(tokenizer_freep) struct tokenizer *t = NULL;
        struct tokenizer_files files = {.tokenizer = STR(good),
                                        .config = STR("{\"chat_template\": \"x\","
                                                      " \"bos_token\": \"<s>\"}")};
        struct err err;
        int r;

        token_list_init(&list, IDS_MAX);
        mem_fail_after(n);
        r = tokenizer_open_files(&t, &files, &err);
        if (r >= 0)
            r = tokenizer_encode(t, buf_str(&text), 0, &list, &err);
        mem_fail_after(-1);
        if (r != 0 && r != -ERR_NO_MEMORY)
            fail_msg("allocation %d: %d: %s", (int)n, r, err.message);
        if (r == 0) {
            assert_true(n > 10);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_go_by_rank),
        cmocka_unit_test(added_tokens_are_cut_out_first),
        cmocka_unit_test(ill_formed_text_becomes_replacement_characters),
        cmocka_unit_test(facts_are_read),
        cmocka_unit_test(long_pretokens_end),
        cmocka_unit_test(too_many_tokens_are_refused),
        cmocka_unit_test(pretokens_are_cut_as_the_patterns_say),
        cmocka_unit_test(nfc_composes_and_orders),
        cmocka_unit_test(broken_files_are_refused_in_one_line),
        cmocka_unit_test(small_files_are_checked_too),
        cmocka_unit_test(templates_and_bos_are_found),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
