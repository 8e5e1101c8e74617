/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: scalars as kubectl reads them, refusals with line and column, the writer's round trip. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/yaml.h"

enum { TEXT_MAX = 4 * 1024 * 1024 };

static void check(const char *yaml, const char *json)
{
    json_auto_t *documents = NULL;
    json_auto_t *expected = NULL;
    struct err err = {0};

    if (yaml_read(&documents, str_of(yaml), "t", &err) < 0)
        fail_msg("%s: %s", yaml, err.message);
    expected = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(expected);
    if (!json_equal(documents, expected)) {
        char *got = json_dumps(documents, JSON_ENCODE_ANY);

        print_message("%s\n gave %s\n not %s\n", yaml, got, json);
        free(got);
        fail();
    }
}

static void reads_documents(void **state)
{
    static const struct {
        const char *yaml;
        const char *json;
    } cases[] = {
        {"", "[]"},
        {"---\n---\n", "[]"},
        {"a: 1\n---\nb: 2\n", "[{\"a\":1},{\"b\":2}]"},
        {"a:\n- x\n- y: z\n  w: [1, 2]\n", "[{\"a\":[\"x\",{\"y\":\"z\",\"w\":[1,2]}]}]"},
        {"# comment\na: b # more\n", "[{\"a\":\"b\"}]"},
        {"a:\n", "[{\"a\":null}]"},
        {"{\"a\": [1, true, null, \"x\"]}", "[{\"a\":[1,true,null,\"x\"]}]"},
        {"a: |\n  one\n  two\n", "[{\"a\":\"one\\ntwo\\n\"}]"},
        {"a: >-\n  one\n  two\n", "[{\"a\":\"one two\"}]"},
        {"1: a\ntrue: b\n", "[{\"1\":\"a\",\"true\":\"b\"}]"},
        {"- null\n- ~\n- Null\n-\n", "[[null,null,null,null]]"},
        {"[true, True, yes, on, y, false, No, OFF, n]",
         "[[true,true,true,true,true,false,false,false,false]]"},
        {"['true', \"yes\", 'null', '1']", "[[\"true\",\"yes\",\"null\",\"1\"]]"},
        {"[0, -1, +1, 1_000, 0x1F, 0o17, 017, 0b11, -0x10, 0]", "[[0,-1,1,1000,31,15,15,3,-16,0]]"},
        {"[9223372036854775807, -9223372036854775808]",
         "[[9223372036854775807,-9223372036854775808]]"},
        {"[1.5, .5, 1., 1e3, -1.5E-2, 09]", "[[1.5,0.5,1.0,1000.0,-0.015,9.0]]"},
        {"[1.2.3, 0x, 0xg, 1e, '-', +, ., 1:30, 2026-11-22, 1e999, 0b2, 12ab, tRue]",
         "[[\"1.2.3\",\"0x\",\"0xg\",\"1e\",\"-\",\"+\",\".\",\"1:30\",\"2026-11-22\",\"1e999\","
         "\"0b2\",\"12ab\",\"tRue\"]]"},
        {"a: \"\\u00e9\\n\\x41\"\n", "[{\"a\":\"\\u00e9\\nA\"}]"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        check(cases[i].yaml, cases[i].json);
}

static void refuses_with_line_and_column(void **state)
{
    static const struct {
        const char *yaml;
        enum err_code code;
        const char *message;
    } cases[] = {
        {"a: 1\na: 2\n", ERR_INVALID, "t:2:1: key \"a\" is given twice"},
        {"x:\n  a: 1\n  'a': 2\n", ERR_INVALID, "t:3:3: key \"a\" is given twice"},
        {"a: &x 1\nb: *x\n", ERR_INVALID, "t:1:4: anchors and aliases"},
        {"a: *x\n", ERR_INVALID, "t:1:4: anchors and aliases"},
        {"*x : 1\n", ERR_INVALID, "t:1:1: anchors and aliases"},
        {"a: &x [1]\n", ERR_INVALID, "t:1:4: anchors and aliases"},
        {"a: !!str 1\n", ERR_INVALID, "t:1:4: tags are not accepted"},
        {"a: !x {b: 1}\n", ERR_INVALID, "t:1:4: tags are not accepted"},
        {"!!str a: 1\n", ERR_INVALID, "t:1:1: tags are not accepted"},
        {"[a, b]: 1\n", ERR_INVALID, "t:1:1: a key must be a scalar"},
        {"<<: {a: 1}\n", ERR_INVALID, "t:1:1: merge keys"},
        {"a: .inf\n", ERR_INVALID, "t:1:4: infinity and NaN"},
        {"a: -.INF\n", ERR_INVALID, "t:1:4: infinity and NaN"},
        {"a: 9223372036854775808\n", ERR_INVALID, "t:1:4: the integer does not fit"},
        {"a: 0xfffffffffffffffff\n", ERR_INVALID, "t:1:4: the integer does not fit"},
        {"a: [1, 2\n", ERR_SYNTAX, "t:2:1:"},
        {"a: b: c\n", ERR_SYNTAX, "t:1:5:"},
        {"a:\n\t- b\n", ERR_SYNTAX, "t:2:1:"},
        {"a: \"x\n", ERR_SYNTAX, "t:2:1:"},
        {"a: \"\\q\"\n", ERR_SYNTAX, "t:1:"},
        {"%YAML 9.9\n---\na: 1\n", ERR_SYNTAX, "t:1:1:"},
        {"a: \"\\0\"\n", ERR_INVALID, "t:1:4: a NUL character"},
        {"\"a\\0\": 1\n", ERR_INVALID, "t:1:1: a NUL character"},
        {"a: \xff\n", ERR_SYNTAX, "t: byte 3:"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        json_t *documents = NULL;
        struct err err = {0};

        assert_int_equal(yaml_read(&documents, str_of(cases[i].yaml), "t", &err),
                         -(int)cases[i].code);
        assert_null(documents);
        if (strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("case %zu: %s", i, err.message);
    }
}

static void is_bounded(void **state)
{
    CLEANUP(buf_fini) struct buf text = {0};
    json_t *documents = NULL;
    struct err err = {0};

    (void)state;
    buf_init(&text, TEXT_MAX);
    for (int i = 0; i < YAML_DEPTH_MAX + 1; i++)
        buf_append_char(&text, '[');
    assert_int_equal(yaml_read(&documents, buf_str(&text), "t", &err), -ERR_LIMIT);
    buf_clear(&text);
    while (text.len <= YAML_BYTES_MAX)
        buf_append_text(&text, "- 1\n");
    assert_int_equal(yaml_read(&documents, buf_str(&text), "t", &err), -ERR_LIMIT);
    assert_null(documents);
}

static void what_is_written_reads_back(void **state)
{
    static const char *const trees[] = {
        "{\"kind\":\"ModelDeployment\",\"spec\":{\"replicas\":3,\"list\":[1,2.5,\"x\"]}}",
        "[]",
        "{}",
        "null",
        "\"plain\"",
        "\"two\\nlines\\n\"",
        "\"--- no\"",
        "3.0",
        "-0.0",
        "1e300",
        "[[],{},[[]],[{}],{\"a\":{}},{\"a\":[]},[[1,[2]],[]]]",
        "{\"a\":[{\"b\":1,\"c\":[{\"d\":[1]}]},[2,[3]]],\"e\":{\"f\":{\"g\":null}}}",
        "[\"true\",\"yes\",\"null\",\"~\",\"\",\" x\",\"x "
        "\",\"1\",\"0x1\",\"1e3\",\".5\",\"-\",\"- "
        "a\"]",
        "[\"a: b\",\"a:b\",\"a:\",\"#x\",\"a "
        "#b\",\"a#b\",\"&a\",\"*a\",\"!a\",\"%a\",\"@a\",\"`a\"]",
        "[\"{a\",\"[a\",\"'a\",\"\\\"a\",\"a'b\",\"a\\\"b\",\"<<\",\"=\",\"?\",\"? "
        "a\",\"|\",\">\",\",a\"]",
        "[\"\\t\",\"a\\tb\",\"\\u0001\",\"\\u007f\",\"\\u0085\",\"\\u2028\",\"\\ufeff\",\"é\"]",
        "[\"\\n\",\"a\\n\",\"a\\n\\nb\\n\",\" a\\n\",\"a\\n b\\n\",\"a\\nb\",\"a\\nb\\n\",\"# "
        "a\\nb\\n\"]",
        "{\"yes\":1,\"1\":2,\"a b\":3,\"a: b\":4,\"\":5,\"<<\":6,\"- a\":7,\"#\":8}",
        "[{\"text\":\"one\\ntwo\\n\",\"n\":1},[\"one\\ntwo\\n\",2]]",
        "[9223372036854775807,-9223372036854775808,true,false,null]",
        "[\"2026-11-22\",\"12:30\",\"1.2.3\",\"v1\",\"...\",\"a...\"]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(trees); i++) {
        json_auto_t *tree = json_loads(trees[i], JSON_DECODE_ANY, NULL);
        json_auto_t *back = NULL;
        CLEANUP(buf_fini) struct buf text = {0};
        struct err err = {0};

        assert_non_null(tree);
        buf_init(&text, TEXT_MAX);
        assert_int_equal(yaml_write(&text, tree), 0);
        if (yaml_read(&back, buf_str(&text), "t", &err) < 0)
            fail_msg("case %zu: %s in\n%s", i, err.message, buf_cstr(&text));
        if (!json_equal(json_array_get(back, 0), tree))
            fail_msg("case %zu:\n%s", i, buf_cstr(&text));
    }
}

static void is_written_as_kubectl_would(void **state)
{
    static const char expected[] = "kind: Tenant\n"
                                   "metadata:\n"
                                   "  name: acme\n"
                                   "  labels: {}\n"
                                   "spec:\n"
                                   "  keys:\n"
                                   "  - name: one\n"
                                   "    enabled: true\n"
                                   "  - name: \"yes\"\n"
                                   "  note: |\n"
                                   "    first\n"
                                   "    second\n"
                                   "  rate: 1.5\n";
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *documents = NULL;

    (void)state;
    buf_init(&text, TEXT_MAX);
    assert_int_equal(yaml_read(&documents, STR(expected), "t", NULL), 0);
    assert_int_equal(yaml_write(&text, json_array_get(documents, 0)), 0);
    assert_string_equal(buf_cstr(&text), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_documents),
        cmocka_unit_test(refuses_with_line_and_column),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(is_written_as_kubectl_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
