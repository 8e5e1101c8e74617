/* SPDX-License-Identifier: Apache-2.0 */
/* String views, numbers, names, UTF-8. */
#include "cmocka_plain.h"

#include "base/mem.h"
#include "base/str.h"

static void numbers_are_strict(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1x", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t value = 0;

        assert_int_equal(str_to_i64(str_of(cases[i].text), &value), cases[i].ok);
        assert_int_equal(value, cases[i].value);
    }
}

static void reals_follow_the_json_grammar(void **state)
{
    static const char *const bad[] = {"", ".5", "1.", "01", "1e", "nan", "inf", "0x1", "1e999"};
    double value;

    (void)state;
    assert_true(str_to_f64(STR("-1.25e2"), &value));
    assert_true(value > -125.0001 && value < -124.9999);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(str_to_f64(str_of(bad[i]), &value));
}

static void names_are_checked(void **state)
{
    static const char *const bad[] = {"", "-a", "a-", "A", "a_b", "a/b", "..", "a..b", "a.", ".a"};

    (void)state;
    assert_true(str_is_dns_label(STR("r1-7b")));
    assert_false(str_is_dns_label(STR("r1.7b")));
    assert_true(str_is_dns_subdomain(STR("r1.7b-x")));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(str_is_dns_subdomain(str_of(bad[i])));
}

static void utf8_is_strict(void **state)
{
    static const struct {
        const char *bytes;
        int length;
    } cases[] = {
        {"a", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x86\x92", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xe2\x86", -1},        /* a prefix */
        {"\xc0\xaf", 0},         /* overlong */
        {"\xe0\x80\xaf", 0},     /* overlong */
        {"\xed\xa0\x80", 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 0}, /* over U+10FFFF */
        {"\x80", 0},
        {"\xe2\x28\xa1", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(utf8_length(str_of(cases[i].bytes)), cases[i].length);
}

static void every_codepoint_makes_the_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        char bytes[4];
        uint32_t back = 0;
        int length = utf8_encode(c, bytes);

        if (c >= 0xd800 && c <= 0xdfff) {
            assert_int_equal(length, 0);
            continue;
        }
        assert_int_equal(utf8_decode((struct str){bytes, (size_t)length}, &back), length);
        assert_int_equal(back, c);
    }
}

static void cut_ends_its_loop(void **state)
{
    struct str rest = STR("a,,b");
    int parts = 0;

    (void)state;
    while (rest.ptr != NULL) {
        str_cut(&rest, ',');
        parts++;
    }
    assert_int_equal(parts, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(reals_follow_the_json_grammar),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(every_codepoint_makes_the_round_trip),
        cmocka_unit_test(cut_ends_its_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
