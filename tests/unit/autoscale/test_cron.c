/* SPDX-License-Identifier: Apache-2.0 */
/* Cron: what is accepted, and the next time in several zones, daylight saving included. */
#include "autoscale/cron.h"
#include "base/mem.h"
#include "cmocka_plain.h"
#include "zones.h"

static void fields_are_checked(void **state)
{
    static const char *const bad[] = {
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "* * * * 8",
        "a * * * *",
        "*/0 * * * *",
        "*/60 * * * *",
        "5-1 * * * *",
        "1,,2 * * * *",
        ", * * * *",
        "-1 * * * *",
        "1- * * * *",
        "* * * foo *",
        "@daily",
        "1.5 * * * *",
        "001 * * * *",
        "* * * jan-foo *",
    };
    static const char *const good[] = {
        "* * * * *",         "0 8 * * *",    "*/5 0-6,20-23 * * mon-fri", "0 0 29 feb *",
        "0 0 1 JAN,jul sun", "\t5 4 * * 7 ", "0 0 * * fri-sun",           "10/20 * * * *",
    };
    struct cron cron;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        if (cron_parse(&cron, str_of(bad[i]), &err) != -ERR_SYNTAX)
            fail_msg("\"%s\" was accepted", bad[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        if (cron_parse(&cron, str_of(good[i]), &err) < 0)
            fail_msg("\"%s\": %s", good[i], err_message(&err));
    }
}

static void next_times(void **state)
{
    static const struct {
        const char *schedule;
        const char *zone;
        const char *from;
        const char *expected; /* NULL: none */
    } cases[] = {
        {"* * * * *", "Etc/UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"},
        {"* * * * *", "Etc/UTC", "2026-01-01T00:00:01Z", "2026-01-01T00:01:00Z"},
        {"0 8 * * *", "Asia/Shanghai", "2026-01-01T00:00:01Z", "2026-01-02T00:00:00Z"},
        {"45 5 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"},
        {"59 23 31 12 *", "Etc/UTC", "2026-06-01T00:00:00Z", "2026-12-31T23:59:00Z"},
        {"10/20 * * * *", "Etc/UTC", "2026-06-01T00:31:00Z", "2026-06-01T00:50:00Z"},
        {"0 0 * * fri-sun", "Etc/UTC", "2026-11-23T00:00:00Z", "2026-11-27T00:00:00Z"},
        /* either day field, unless one of them is a star */
        {"0 0 13 * 5", "Etc/UTC", "2026-11-14T00:00:00Z", "2026-11-20T00:00:00Z"},
        {"0 0 13 * *", "Etc/UTC", "2026-11-14T00:00:00Z", "2026-12-13T00:00:00Z"},
        {"0 0 * * 5", "Etc/UTC", "2026-11-14T00:00:00Z", "2026-11-20T00:00:00Z"},
        {"0 0 */2 * 5", "Etc/UTC", "2026-11-14T00:00:00Z", "2026-11-27T00:00:00Z"},
        /* leap days; 2100 has none */
        {"0 0 29 2 *", "Etc/UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"0 0 29 2 *", "Etc/UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
        {"0 0 30 2 *", "Etc/UTC", "2026-01-01T00:00:00Z", NULL},
        /* after 2038 */
        {"0 9 * * *", "America/New_York", "2039-07-01T00:00:00Z", "2039-07-01T13:00:00Z"},
        /* New York: 02:30 is skipped on 8 March 2026 and comes at the end of the gap */
        {"30 2 * * *", "America/New_York", "2026-03-07T08:00:00Z", "2026-03-08T07:00:00Z"},
        {"30 2 * * *", "America/New_York", "2026-03-08T07:00:01Z", "2026-03-09T06:30:00Z"},
        /* all times of the gap are one */
        {"*/10 2 * * *", "America/New_York", "2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z"},
        {"*/10 2 * * *", "America/New_York", "2026-03-08T07:00:01Z", "2026-03-09T06:00:00Z"},
        /* 01:30 comes twice on 1 November 2026 and counts the first time */
        {"30 1 * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"},
        {"30 1 * * *", "America/New_York", "2026-11-01T05:30:01Z", "2026-11-02T06:30:00Z"},
        /* Lord Howe moves by half an hour */
        {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", "2026-10-03T15:30:00Z"},
        {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:45:01Z", "2026-04-05T15:15:00Z"},
        /* Samoa had no 30 December 2011 */
        {"0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-30T10:00:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(tz_freep) struct tz *zone = zone_load(cases[i].zone);
        struct cron cron;
        struct err err;
        int64_t at = 0;
        bool found;

        assert_int_equal(cron_parse(&cron, str_of(cases[i].schedule), &err), 0);
        found = cron_next(&cron, zone, utc(cases[i].from), &at);
        if (found != (cases[i].expected != NULL) || (found && at != utc(cases[i].expected)))
            fail_msg("case %zu (%s, %s): %lld", i, cases[i].schedule, cases[i].zone, (long long)at);
    }
}

/* A daily schedule comes exactly once a local day, over all the changes of 40 years. */
static void daily_means_daily(void **state)
{
    static const char *const zones[] = {"America/New_York", "Australia/Lord_Howe", "Europe/Berlin",
                                        "Asia/Kathmandu"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(zones); i++) {
        CLEANUP(tz_freep) struct tz *zone = zone_load(zones[i]);
        struct cron cron;
        struct err err;
        int64_t at = utc("2020-01-01T12:00:00Z");
        int count = 0;

        assert_int_equal(cron_parse(&cron, STR("15 2 * * *"), &err), 0);
        while (at < utc("2060-01-01T12:00:00Z")) {
            assert_true(cron_next(&cron, zone, at + 1, &at));
            count++;
        }
        assert_int_equal(count, 40 * 365 + 10 + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_checked),
        cmocka_unit_test(next_times),
        cmocka_unit_test(daily_means_daily),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
