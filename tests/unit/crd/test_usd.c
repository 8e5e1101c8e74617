/* SPDX-License-Identifier: Apache-2.0 */
/* Dollars as text: exact both ways. */
#include "base/clock.h"
#include "base/mem.h"
#include "cmocka_plain.h"
#include "crd/tenant.h"

static void texts_are_exact(void **state)
{
    static const struct {
        const char *text;
        int64_t nano; /* -1: refused */
        const char *back;
    } cases[] = {
        {"0", 0, "0"},
        {"0.000000001", 1, "0.000000001"},
        {"0.55", 550000000, "0.55"},
        {"0.50", 500000000, "0.5"},
        {"3", 3000000000, "3"},
        {"2.19", 2190000000, "2.19"},
        {"0.1", 100000000, "0.1"},
        {"999999.999999999", 999999999999999, "999999.999999999"},
        {"1000000", 1000000000000000, "1000000"},
        {"1000000.0", 1000000000000000, "1000000"},
        {"1000000.000000001", -1, NULL},
        {"1000001", -1, NULL},
        {"0.0000000001", -1, NULL},
        {"", -1, NULL},
        {".", -1, NULL},
        {".5", -1, NULL},
        {"1.", -1, NULL},
        {"01", -1, NULL},
        {"-1", -1, NULL},
        {"+1", -1, NULL},
        {"1e3", -1, NULL},
        {"1.2.3", -1, NULL},
        {" 1", -1, NULL},
        {"1,5", -1, NULL},
        {"$1", -1, NULL},
        {"99999999999999999999", -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t nano = -1;
        char text[32];

        crd_usd_parse(str_of(cases[i].text), &nano);
        if (nano != cases[i].nano)
            fail_msg("\"%s\": %lld", cases[i].text, (long long)nano);
        if (nano < 0)
            continue;
        crd_usd_format(nano, text);
        assert_string_equal(text, cases[i].back);
    }
}

static void random_amounts_read_back(void **state)
{
    struct rng_seeded rng;

    (void)state;
    rng_seeded_init(&rng, 7);
    for (int i = 0; i < 10000; i++) {
        int64_t nano = (int64_t)rng_below(&rng.rng, 1000000000000001);
        int64_t back = -1;
        char text[32];

        crd_usd_format(nano, text);
        assert_true(crd_usd_parse(str_of(text), &back));
        assert_true(back == nano);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_exact),
        cmocka_unit_test(random_amounts_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
