/* SPDX-License-Identifier: Apache-2.0 */
/* json_read_outline: cuts long values, keeps all else, and refuses exactly what json_read does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

enum { LONG_BYTES = JSON_OUTLINE_KEEP + 100, TEXT_MAX = 64 << 10, MUTATIONS = 4000 };

static void repeat(struct buf *out, const char *piece, size_t bytes)
{
    for (size_t end = out->len + bytes; out->len < end;)
        buf_append_text(out, piece);
}

/* {"model":"m","long":"<pieces>","after":[1,"x"]} */
static void make_document(struct buf *out, const char *piece)
{
    buf_clear(out);
    buf_append_text(out, "{\"model\":\"m\",\"long\":\"");
    repeat(out, piece, LONG_BYTES);
    buf_append_text(out, "\",\"after\":[1,\"x\"]}");
}

static const struct {
    const char *piece; /* what the long value is made of */
    bool valid;
    bool cut;
} cases[] = {
    {"plain text ", true, true},
    {"quote \\\" and \\\\ and \\n ", true, true},
    {"gr\xc3\xbc\xc3\x9f \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x90\x9f ", true, true},
    {"unicode \\u00e9 ", true, false}, /* kept whole, for the parser to look at */
    {"half a pair \\ud800 ", false, false},
    {"no escape \\x ", false, false},
    {"control \x01 ", false, false},
    {"line\nbreak ", false, false},
    {"not UTF-8 \xff ", false, false},
    {"overlong \xc0\xaf ", false, false},
};

static void long_values_are_cut(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        json_auto_t *tree = NULL;
        struct err err = {0};
        int r;

        make_document(&text, cases[i].piece);
        r = json_read_outline(&tree, buf_str(&text), &json_limits_default, "text", &err);
        if ((r == 0) != cases[i].valid)
            fail_msg("case %zu: %d %s", i, r, err_message(&err));
        if (r < 0)
            continue;
        assert_string_equal(json_string_value(json_object_get(tree, "model")), "m");
        assert_int_equal(json_array_size(json_object_get(tree, "after")), 2);
        assert_int_equal(json_string_length(json_object_get(tree, "long")) == 0, cases[i].cut);
    }
    buf_fini(&text);
}

static void long_keys_stay(void **state)
{
    json_auto_t *tree = NULL;
    struct err err = {0};
    struct buf text;

    (void)state;
    buf_init(&text, TEXT_MAX);
    buf_append_text(&text, "{\"");
    repeat(&text, "k", LONG_BYTES);
    buf_append_text(&text, "1\" : 1, \"");
    repeat(&text, "k", LONG_BYTES);
    buf_append_text(&text, "2\":2}");
    assert_int_equal(json_read_outline(&tree, buf_str(&text), &json_limits_default, "text", &err),
                     0);
    assert_int_equal(json_object_size(tree), 2);
    buf_fini(&text);
}

static bool accepts(int (*read)(json_t **, struct str, const struct json_limits *, const char *,
                                struct err *),
                    struct str text)
{
    json_auto_t *tree = NULL;
    struct err err = {0};

    return read(&tree, text, &json_limits_default, "text", &err) == 0;
}

/* One byte of a valid document is changed: both readers must say the same. */
static void refuses_what_the_reader_refuses(void **state)
{
    static const char bytes[] = "\"\\{}[]:,u0 \n\x01\x7f\x80\xc3\xff";
    struct rng_seeded random;
    int refused = 0;
    struct buf text;

    (void)state;
    rng_seeded_init(&random, 7);
    buf_init(&text, TEXT_MAX);
    for (int i = 0; i < MUTATIONS; i++) {
        size_t at;
        bool accepted;

        make_document(&text, cases[i % 4].piece);
        at = rng_below(&random.rng, text.len);
        text.ptr[at] = bytes[rng_below(&random.rng, sizeof(bytes) - 1)];
        accepted = accepts(json_read, buf_str(&text));
        refused += accepted ? 0 : 1;
        if (accepts(json_read_outline, buf_str(&text)) != accepted)
            fail_msg("mutation %d at byte %zu: the readers differ", i, at);
    }
    assert_in_range(refused, MUTATIONS / 10, MUTATIONS);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(long_keys_stay),
        cmocka_unit_test(refuses_what_the_reader_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
