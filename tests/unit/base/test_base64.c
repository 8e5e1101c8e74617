/* SPDX-License-Identifier: Apache-2.0 */
/* base64 with padding: the vectors of RFC 4648, all bytes, and what is refused. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

enum { TEXT_MAX = 4096 };

static void follows_the_vectors(void **state)
{
    static const struct {
        const char *plain;
        const char *text;
    } cases[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(buf_fini) struct buf text = {0};
        CLEANUP(buf_fini) struct buf plain = {0};

        buf_init(&text, TEXT_MAX);
        buf_init(&plain, TEXT_MAX);
        assert_int_equal(base64_append(&text, str_of(cases[i].plain)), 0);
        assert_string_equal(buf_cstr(&text), cases[i].text);
        assert_int_equal(base64_decode(&plain, str_of(cases[i].text), NULL), 0);
        assert_string_equal(buf_cstr(&plain), cases[i].plain);
    }
}

static void carries_all_bytes(void **state)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(buf_fini) struct buf back = {0};
    char bytes[256];

    (void)state;
    buf_init(&text, TEXT_MAX);
    buf_init(&back, TEXT_MAX);
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    assert_int_equal(base64_append(&text, (struct str){bytes, sizeof(bytes)}), 0);
    assert_int_equal(base64_decode(&back, buf_str(&text), NULL), 0);
    assert_int_equal(back.len, sizeof(bytes));
    assert_memory_equal(back.ptr, bytes, sizeof(bytes));
}

static void skips_line_ends(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};

    (void)state;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(base64_decode(&out, STR("Zm9v\r\n Ym\nFy\n"), NULL), 0);
    assert_string_equal(buf_cstr(&out), "foobar");
}

static void refuses_what_is_no_base64(void **state)
{
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zg===", "Z===",     "====", "Zh==",
                                      "Zm9=", "Zm-v", "Zm_v", "Zg=a",  "Zg==Zg==", "Zm9v!"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CLEANUP(buf_fini) struct buf out = {0};
        struct err err = {0};

        buf_init(&out, TEXT_MAX);
        assert_int_equal(buf_append_text(&out, "kept"), 0);
        assert_int_equal(base64_decode(&out, str_of(bad[i]), &err), -ERR_SYNTAX);
        assert_string_equal(buf_cstr(&out), "kept");
        assert_true(err.message[0] != '\0');
    }
}

static void respects_the_ceiling(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};

    (void)state;
    buf_init(&out, 4);
    assert_int_equal(base64_decode(&out, STR("Zm9vYmFy"), NULL), -ERR_LIMIT);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_vectors),  cmocka_unit_test(carries_all_bytes),
        cmocka_unit_test(skips_line_ends),      cmocka_unit_test(refuses_what_is_no_base64),
        cmocka_unit_test(respects_the_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
