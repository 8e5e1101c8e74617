/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones: against the C library's own reading of the same files, at gaps and overlaps, and
 * with broken data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "autoscale/tz.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmocka_plain.h"
#include "zones.h"

static const char *const zone_names[] = {
    "Etc/UTC",           "America/New_York",    "Europe/Berlin",   "Asia/Kathmandu",
    "Asia/Kolkata",      "Australia/Lord_Howe", "Pacific/Apia",    "America/St_Johns",
    "Africa/Casablanca", "Europe/Dublin",       "Pacific/Chatham", "America/Sao_Paulo",
    "Asia/Shanghai",     "Antarctica/Troll",
};

static int32_t library_offset(int64_t utc_s)
{
    time_t at = (time_t)utc_s;
    struct tm local;

    localtime_r(&at, &local);
    return (int32_t)local.tm_gmtoff;
}

/* A thousand instants of each zone between 1900 and 2200. */
static void offsets_equal_the_c_library(void **state)
{
    const int64_t first = -2208988800;
    const uint64_t span = 9467107200;
    struct rng_seeded rng;

    (void)state;
    rng_seeded_init(&rng, 20261122);
    for (size_t i = 0; i < ARRAY_COUNT(zone_names); i++) {
        CLEANUP(tz_freep) struct tz *zone = zone_load(zone_names[i]);

        setenv("TZ", zone_names[i], 1);
        tzset();
        for (int k = 0; k < 1000; k++) {
            int64_t at = first + (int64_t)rng_below(&rng.rng, span);
            int32_t expected = library_offset(at);

            if (tz_offset_at(zone, at) != expected)
                fail_msg("%s at %lld: %d, expected %d", zone_names[i], (long long)at,
                         tz_offset_at(zone, at), expected);
        }
    }
    unsetenv("TZ");
    tzset();
}

/* Every local minute of a year maps to an instant that reads back as the same local time, or is
 * said to be in a gap. */
static void local_times_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(zone_names); i++) {
        CLEANUP(tz_freep) struct tz *zone = zone_load(zone_names[i]);
        int64_t start = utc("2026-01-01T00:00:00Z");

        for (int64_t local = start; local < start + 366 * 86400; local += 600) {
            int64_t at = 0;
            enum tz_local kind = tz_to_utc(zone, local, &at);
            int64_t back = at + tz_offset_at(zone, at);

            if (kind == TZ_LOCAL_GAP ? back <= local : back != local)
                fail_msg("%s: local %lld became %lld", zone_names[i], (long long)local,
                         (long long)at);
        }
    }
}

static void gaps_and_overlaps(void **state)
{
    static const struct {
        const char *zone;
        const char *local;
        enum tz_local kind;
        const char *instant;
    } cases[] = {
        {"America/New_York", "2026-03-08T01:59:59Z", TZ_LOCAL_ONCE, "2026-03-08T06:59:59Z"},
        {"America/New_York", "2026-03-08T02:00:00Z", TZ_LOCAL_GAP, "2026-03-08T07:00:00Z"},
        {"America/New_York", "2026-03-08T02:59:59Z", TZ_LOCAL_GAP, "2026-03-08T07:00:00Z"},
        {"America/New_York", "2026-03-08T03:00:00Z", TZ_LOCAL_ONCE, "2026-03-08T07:00:00Z"},
        {"America/New_York", "2026-11-01T00:59:59Z", TZ_LOCAL_ONCE, "2026-11-01T04:59:59Z"},
        {"America/New_York", "2026-11-01T01:00:00Z", TZ_LOCAL_TWICE, "2026-11-01T05:00:00Z"},
        {"America/New_York", "2026-11-01T01:59:59Z", TZ_LOCAL_TWICE, "2026-11-01T05:59:59Z"},
        {"America/New_York", "2026-11-01T02:00:00Z", TZ_LOCAL_ONCE, "2026-11-01T07:00:00Z"},
        /* half an hour only */
        {"Australia/Lord_Howe", "2026-10-04T02:15:00Z", TZ_LOCAL_GAP, "2026-10-03T15:30:00Z"},
        {"Australia/Lord_Howe", "2026-10-04T02:30:00Z", TZ_LOCAL_ONCE, "2026-10-03T15:30:00Z"},
        {"Australia/Lord_Howe", "2026-04-05T01:45:00Z", TZ_LOCAL_TWICE, "2026-04-04T14:45:00Z"},
        {"Asia/Kathmandu", "2026-06-01T05:45:00Z", TZ_LOCAL_ONCE, "2026-06-01T00:00:00Z"},
        /* a whole day was skipped */
        {"Pacific/Apia", "2011-12-30T12:00:00Z", TZ_LOCAL_GAP, "2011-12-30T10:00:00Z"},
        /* beyond 32 bits, by the footer */
        {"America/New_York", "2060-03-14T02:30:00Z", TZ_LOCAL_GAP, "2060-03-14T07:00:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(tz_freep) struct tz *zone = zone_load(cases[i].zone);
        int64_t at = 0;
        enum tz_local kind = tz_to_utc(zone, utc(cases[i].local), &at);

        if (kind != cases[i].kind || at != utc(cases[i].instant))
            fail_msg("%s %s: kind %d, %lld", cases[i].zone, cases[i].local, kind, (long long)at);
    }
}

static void posix_texts(void **state)
{
    static const struct {
        const char *text;
        const char *instant;
        int32_t offset; /* 1: the text is refused */
    } cases[] = {
        {"UTC0", "2026-01-01T00:00:00Z", 0},
        {"<+0545>-5:45", "2026-01-01T00:00:00Z", 20700},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-07-01T00:00:00Z", -14400},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-12-01T00:00:00Z", -18000},
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", "2026-12-31T23:59:59Z", 46800},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600},
        {"EST5EDT,0/0,J365/25", "2026-12-31T23:59:59Z", -14400},
        {"EST5EDT,J60,J300", "2028-02-29T12:00:00Z", -18000},
        {"EST5EDT,59,J300", "2028-02-29T12:00:00Z", -14400},
        {"", "2026-01-01T00:00:00Z", 1},
        {"EST", "2026-01-01T00:00:00Z", 1},
        {"E5", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT,M3.2.0", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT,M13.2.0,M11.1.0", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT,M3.6.0,M11.1.0", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT,M3.2.7,M11.1.0", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT,J0,J300", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT,M3.2.0/168,M11.1.0", "2026-01-01T00:00:00Z", 1},
        {"EST25", "2026-01-01T00:00:00Z", 1},
        {"EST5EDT,M3.2.0,M11.1.0x", "2026-01-01T00:00:00Z", 1},
        {"<+05", "2026-01-01T00:00:00Z", 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(tz_freep) struct tz *zone = NULL;
        struct err err = {0};
        int r = tz_read_posix(&zone, str_of(cases[i].text), &err);

        if (cases[i].offset == 1) {
            assert_int_equal(r, -ERR_SYNTAX);
            continue;
        }
        assert_int_equal(r, 0);
        if (tz_offset_at(zone, utc(cases[i].instant)) != cases[i].offset)
            fail_msg("%s: %d", cases[i].text, tz_offset_at(zone, utc(cases[i].instant)));
    }
}

/* Version 2 data with one type and no transition; `footer` follows. */
static size_t make_data(char out[256], const char *footer)
{
    static const char counts[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4";
    static const char type[] = "\0\0\x0e\x10\0\0UTC";
    size_t at = 0;

    for (int block = 0; block < 2; block++) {
        memcpy(out + at, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        memcpy(out + at + 20, counts, 24);
        memcpy(out + at + 44, type, 10);
        at += 54;
    }
    memcpy(out + at, footer, strlen(footer));
    return at + strlen(footer);
}

static void broken_data_is_refused(void **state)
{
    char data[256];
    size_t size = make_data(data, "\nCET-1\n");
    static const struct {
        size_t at;
        char value;
    } flips[] = {
        {0, 'X'},        /* magic */
        {39, 0x7f},      /* a huge block to skip */
        {54, 'X'},       /* second magic */
        {54 + 31, 1},    /* leap seconds */
        {54 + 39, 0},    /* no type */
        {54 + 38, 2},    /* more types than there are bytes */
        {54 + 34, 0x7f}, /* millions of transitions */
        {54 + 44, 0x40}, /* an offset of years */
        {108, 'x'},      /* no line end before the footer */
        {109, '1'},      /* footer without a name */
    };
    struct tz *zone = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(tz_read(&zone, (struct str){data, size}, "test", &err), 0);
    assert_int_equal(tz_offset_at(zone, 0), 3600);
    tz_free(zone);
    zone = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(flips); i++) {
        char broken[256];

        memcpy(broken, data, sizeof(broken));
        broken[flips[i].at] = flips[i].value;
        if (tz_read(&zone, (struct str){broken, size}, "test", &err) >= 0)
            fail_msg("case %zu was accepted", i);
        assert_null(zone);
    }
    for (size_t cut = 0; cut < size; cut++) {
        if (tz_read(&zone, (struct str){data, cut}, "test", &err) >= 0)
            fail_msg("%zu bytes of %zu were accepted", cut, size);
    }
}

static void names_stay_below_their_folder(void **state)
{
    static const char *const bad[] = {"",      "/etc/passwd", "..",        "../x", "Asia//Tokyo",
                                      "Asia/", "a b",         "Asia/../x", "x\n"};

    (void)state;
    assert_true(tz_name_ok(STR("Asia/Shanghai")));
    assert_true(tz_name_ok(STR("America/Argentina/Buenos_Aires")));
    assert_true(tz_name_ok(STR("Etc/GMT+5")));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(tz_name_ok(str_of(bad[i])));
}

static void lack_of_memory_is_reported(void **state)
{
    char data[256];
    size_t size = make_data(data, "\nCET-1\n");

    (void)state;
    for (int64_t n = 0;; n++) {
        struct tz *zone = NULL;
        struct err err = {0};
        int r;

        mem_fail_after(n);
        r = tz_read(&zone, (struct str){data, size}, "test", &err);
        if (!mem_fail_seen()) {
            mem_fail_after(-1);
            assert_int_equal(r, 0);
            tz_free(zone);
            break;
        }
        mem_fail_after(-1);
        assert_int_equal(r, -ERR_NO_MEMORY);
        assert_null(zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_equal_the_c_library),
        cmocka_unit_test(local_times_read_back),
        cmocka_unit_test(gaps_and_overlaps),
        cmocka_unit_test(posix_texts),
        cmocka_unit_test(broken_data_is_refused),
        cmocka_unit_test(names_stay_below_their_folder),
        cmocka_unit_test(lack_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
