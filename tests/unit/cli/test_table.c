/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, values by path, ages. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/table.h"
#include "cmocka_plain.h"

static void columns_line_up(void **state)
{
    CLEANUP(table_fini) struct table t = {0};
    CLEANUP(buf_fini) struct buf out = {0};

    (void)state;
    table_init(&t, 2);
    buf_init(&out, 4096);
    table_add_text(&t, "NAME");
    table_add_text(&t, "WHAT");
    table_add_text(&t, "b\xc3\xa4r");
    table_add_text(&t, "a\x1b[31m\nred");
    table_add_text(&t, "longer-name");
    table_add_text(&t, "");
    table_write(&t, &out);
    assert_string_equal(buf_cstr(&out), "NAME          WHAT\n"
                                        "b\xc3\xa4r           a?[31m?red\n"
                                        "longer-name\n");
    buf_clear(&out);
    table_write_from(&t, 2, &out);
    assert_string_equal(buf_cstr(&out), "longer-name\n");
}

static void values_are_found(void **state)
{
    static const struct {
        const char *path;
        const char *value;
    } cases[] = {
        {".a", "1"},
        {".b.c", "text"},
        {".b.missing", "<none>"},
        {".missing.c", "<none>"},
        {".b", "<object>"},
        {".list[*].n", "x,y"},
        {".list[?(@.n==\"y\")].v", "2"},
        {".list[?(@.n==\"z\")].v", "<none>"},
        {".list[?(@.n)].v", "<none>"},
        {".list[", "<none>"},
        {".d\\.e/f", "dotted"},
        {".flag", "true"},
        {".null", "<none>"},
    };
    json_auto_t *object =
        json_loads("{\"a\":1,\"b\":{\"c\":\"text\"},\"list\":[{\"n\":\"x\",\"v\":1},{\"n\":\"y\","
                   "\"v\":2}],\"d.e/f\":\"dotted\",\"flag\":true,\"null\":null}",
                   0, NULL);
    CLEANUP(buf_fini) struct buf out = {0};

    (void)state;
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        buf_clear(&out);
        table_value(object, cases[i].path, &out);
        assert_string_equal(buf_cstr(&out), cases[i].value);
    }
}

static void ages_are_short(void **state)
{
    static const struct {
        int64_t s;
        const char *age;
    } cases[] = {
        {0, "0s"},    {119, "119s"},  {120, "2m"},    {200, "3m20s"}, {3600, "60m"},
        {7200, "2h"}, {86400, "24h"}, {172800, "2d"}, {-5, "0s"},
    };
    struct str created = STR("2026-11-22T15:00:00Z");
    char age[TABLE_AGE_MAX];
    int64_t ms;

    (void)state;
    clock_parse_utc(created.ptr, created.len, &ms);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        table_age(created, ms + cases[i].s * 1000, age);
        assert_string_equal(age, cases[i].age);
    }
    table_age(STR_NONE, ms, age);
    assert_string_equal(age, "<unknown>");
    table_age(STR("soon"), ms, age);
    assert_string_equal(age, "<unknown>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(values_are_found),
        cmocka_unit_test(ages_are_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
