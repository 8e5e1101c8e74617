/* SPDX-License-Identifier: Apache-2.0 */
/* Route snapshots and load reports: what is written reads back; what is broken is named. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/load.h"
#include "wire/routes.h"

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char snapshot[] =
    "{\"version\":\"inst:2:7\",\"models\":[{\"name\":\"team/"
    "r1\",\"short_name\":\"r1\",\"created\":5,"
    "\"context_max\":16384,\"can_wake\":true,\"hold_reason\":\"\",\"pods\":[{\"name\":\"p\","
    "\"uid\":"
    "\"u\",\"address\":\"127.0.0.1:1\",\"draining\":false,\"slots\":4,\"digest\":\"ab\"}]}],"
    "\"leavers\":[{\"name\":\"old\",\"uid\":\"v\",\"address\":\"127.0.0.1:2\"}],"
    "\"routes\":[{\"name\":\"team/chat\",\"short_name\":\"chat\",\"created\":6,\"targets\":[{"
    "\"model\":\"team/r1\",\"weight\":90},{\"model\":\"other/r2\",\"weight\":10}],"
    "\"fallbacks\":[\"team/small\"],\"fallback_after_ms\":10000}],"
    "\"tenants\":[{\"name\":\"acme\",\"priority\":-1,\"requests_per_minute\":60,\"concurrency\":2,"
    "\"price_version\":3,\"namespaces\":[\"team\",\"*\"],\"models\":[\"team/"
    "r1\"],\"keys\":[{\"id\":"
    "\"k\",\"sha256\":\"" DIGEST "\"}]}]}";

static int read_text(struct routes **out, struct str text, struct err *err)
{
    json_auto_t *tree = NULL;
    int r = json_read(&tree, text, &json_limits_default, "snapshot", err);

    return r < 0 ? r : routes_read(out, tree, err);
}

static void a_snapshot_reads_back(void **state)
{
    struct routes *routes = NULL;
    struct json_writer w;
    struct err err = {0};
    struct buf text;

    (void)state;
    buf_init(&text, 65536);
    assert_int_equal(read_text(&routes, STR(snapshot), &err), 0);
    assert_true(str_is(routes->version.installation, "inst"));
    assert_int_equal(routes->version.epoch, 2);
    assert_int_equal(routes->version.counter, 7);
    assert_true(str_is(routes->models[0].name_space, "team"));
    assert_int_equal(routes->models[0].pods[0].slots, 4);
    assert_int_equal(routes->leaver_count, 1);
    assert_true(str_is(routes->leavers[0].address, "127.0.0.1:2"));
    assert_int_equal(routes->route_count, 1);
    assert_true(str_is(routes->routes[0].name_space, "team"));
    assert_int_equal(routes->routes[0].targets[1].weight, 10);
    assert_true(str_is(routes->routes[0].fallbacks[0], "team/small"));
    assert_int_equal(routes->routes[0].fallback_after_ms, 10000);
    assert_int_equal(routes->tenants[0].priority, -1);
    assert_int_equal(routes->tenants[0].keys[0].sha256[31], 0xff);
    json_writer_init(&w, &text);
    routes_write(&w, routes);
    assert_true(str_is(buf_str(&text), snapshot));
    routes_free(routes);
    buf_fini(&text);
}

/* Each replacement of a part of the good snapshot is refused by a line that says where. */
static void broken_snapshots_are_named(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        const char *word; /* in the message */
    } cases[] = {
        {"\"inst:2:7\"", "\"inst:2\"", "installation:epoch:counter"},
        {"\"inst:2:7\"", "\"INST!:2:7\"", "installation:epoch:counter"},
        {"\"inst:2:7\"", "\"inst:-2:7\"", "installation:epoch:counter"},
        {"\"inst:2:7\"", "\"inst:2:99999999999999999999\"", "installation:epoch:counter"},
        {"\"team/r1\",\"short", "\"r1\",\"short", "namespace/name"},
        {"\"team/r1\",\"short", "\"/r1\",\"short", "namespace/name"},
        {"\"weight\":90", "\"weight\":-90", "weight"},
        {"\"model\":\"team/r1\"", "\"model\":\"r1\"", "namespace/name"},
        {"\"name\":\"team/chat\"", "\"name\":\"chat\"", "routes[0]"},
        {"[\"team/small\"]", "\"team/small\"", "fallbacks"},
        {"\"slots\":4", "\"slots\":-4", "slots"},
        {"\"slots\":4", "\"slots\":\"4\"", "slots"},
        {"\"draining\":false", "\"draining\":0", "draining"},
        {",\"digest\":\"ab\"", "", "digest"},
        {"\"address\":\"127.0.0.1:1\"", "\"address\":null", "address"},
        {"\"priority\":-1", "\"priority\":9999999999", "priority"},
        {"\"namespaces\":[\"team\",\"*\"]", "\"namespaces\":[1]", "namespaces[0]"},
        {"\"namespaces\":[\"team\",\"*\"]", "\"namespaces\":{}", "namespaces"},
        {DIGEST, "00", "64 hex digits"},
        {DIGEST, "00", "tenants[0]: keys[0]"},
        {"\"slots\":4", "\"slots\":-4", "models[0]: pods[0]"},
        {DIGEST, "zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "hex"},
        {"\"models\":[{", "\"models\":[7,{", "models[0]"},
        {"\"leavers\":[{", "\"leavers\":[1,{", "leavers[0]"},
        {"\"leavers\":[{\"name\":\"old\",", "\"leavers\":[{", "leavers[0]"},
        {"\"leavers\":[{", "\"leavers\":7,\"x\":[{", "leavers"},
        {"\"can_wake\":true", "\"can_wake\":\"yes\"", "can_wake"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct routes *routes = NULL;
        struct err err = {0};
        const char *at = strstr(snapshot, cases[i].from);
        char text[2048];

        assert_non_null(at);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - snapshot), snapshot, cases[i].to,
                 at + strlen(cases[i].from));
        if (read_text(&routes, str_of(text), &err) == 0)
            fail_msg("accepted: %s", cases[i].to);
        assert_null(routes);
        if (strstr(err.message, cases[i].word) == NULL)
            fail_msg("%s: %s", cases[i].to, err.message);
    }
}

/* As an operator of before wrote it: it may lie on a gateway's disk. */
/* Of a gateway's disk, written by an earlier version. */
static void older_snapshots_are_read(void **state)
{
    struct routes *routes = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(
        read_text(&routes, STR("{\"version\":\"i:1:1\",\"models\":[],\"tenants\":[]}"), &err), 0);
    assert_int_equal(routes->leaver_count, 0);
    assert_int_equal(routes->route_count, 0);
    routes_free(routes);
}

static void lists_are_limited(void **state)
{
    struct routes *routes = NULL;
    struct err err = {0};
    struct buf text;

    (void)state;
    buf_init(&text, 1 << 20);
    buf_append_text(&text, "{\"version\":\"i:1:1\",\"models\":[],\"tenants\":[{\"name\":\"t\","
                           "\"priority\":0,\"requests_per_minute\":0,\"concurrency\":0,"
                           "\"price_version\":0,\"models\":[],\"keys\":[],\"namespaces\":[");
    for (int i = 0; i <= ROUTES_NAMES_PER_TENANT_MAX; i++)
        buf_printf(&text, "%s\"n\"", i > 0 ? "," : "");
    buf_append_text(&text, "]}]}");
    assert_int_equal(read_text(&routes, buf_str(&text), &err), -ERR_LIMIT);
    buf_fini(&text);
}

static void versions_are_ordered(void **state)
{
    static const struct {
        const char *a, *b;
        int sign;
    } cases[] = {
        {"i:1:1", "i:1:1", 0},  {"i:1:2", "i:1:1", 1},
        {"i:1:9", "i:2:1", -1}, {"i:2:0", "i:1:9", 1},
        {"i:1:10", "i:1:9", 1}, {"j:1:1", "i:9:9", 1}, /* another installation is always taken */
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct routes_version a, b;

        assert_int_equal(routes_version_parse(&a, str_of(cases[i].a), &err), 0);
        assert_int_equal(routes_version_parse(&b, str_of(cases[i].b), &err), 0);
        assert_int_equal(routes_version_compare(&a, &b), cases[i].sign);
    }
}

static void a_failing_allocation_leaves_nothing(void **state)
{
    json_auto_t *tree = NULL;
    struct err err = {0};
    bool done = false;
    int failures = 0;

    (void)state;
    assert_int_equal(json_read(&tree, STR(snapshot), &json_limits_default, "snapshot", &err), 0);
    for (int n = 0; n < 1000 && !done; n++) {
        struct routes *routes = NULL;
        int r;

        mem_fail_after(n);
        r = routes_read(&routes, tree, &err);
        done = !mem_fail_seen();
        mem_fail_after(-1);
        assert_int_equal(r, done ? 0 : -ERR_NO_MEMORY);
        assert_int_equal(routes == NULL, !done);
        failures += r < 0;
        routes_free(routes);
    }
    assert_true(done && failures > 0);
}

static const char report[] =
    "{\"gateway\":\"gateway-0\",\"run_id\":\"00000000000000000000000001\",\"sequence\":3,"
    "\"uptime_ms\":1000,\"routes_version\":\"i:1:1\",\"models\":[{\"name\":\"team/r1\","
    "\"in_flight\":2,\"queued\":1,\"arrived\":9,\"idle_ms\":0,\"oldest_wait_ms\":40}],"
    "\"suspects\":[{\"pod_uid\":\"u\",\"reason\":\"silent\"}]}";

static int read_report(struct load_report *out, const char *text, struct arena *arena,
                       struct err *err)
{
    json_auto_t *tree = NULL;
    int r = json_read(&tree, str_of(text), &json_limits_default, "report", err);

    return r < 0 ? r : load_report_read(out, tree, arena, err);
}

static void a_report_reads_back(void **state)
{
    struct load_report load = {0};
    struct json_writer w;
    struct arena arena;
    struct err err = {0};
    struct buf text;

    (void)state;
    arena_init(&arena, 65536);
    buf_init(&text, 65536);
    assert_int_equal(read_report(&load, report, &arena, &err), 0);
    assert_int_equal(load.sequence, 3);
    assert_int_equal(load.models[0].arrived, 9);
    assert_true(str_is(load.suspects[0].reason, "silent"));
    json_writer_init(&w, &text);
    load_report_write(&w, &load);
    assert_true(str_is(buf_str(&text), report));
    buf_fini(&text);
    arena_fini(&arena);
}

static void broken_reports_are_named(void **state)
{
    static const struct {
        const char *from, *to, *word;
    } cases[] = {
        {"\"sequence\":3", "\"sequence\":-3", "sequence"},
        {"00000000000000000000000001", "1", "run_id"},
        {"\"queued\":1", "\"queued\":1.5", "queued"},
        {"\"in_flight\":2,", "", "in_flight"},
        {"\"idle_ms\":0", "\"idle_ms\":-1", "idle_ms"},
        {"\"models\":[{", "\"models\":[0,{", "models[0]"},
        {"\"suspects\":[{\"pod_uid\":\"u\",", "\"suspects\":[{", "pod_uid"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct load_report load = {0};
        const char *at = strstr(report, cases[i].from);
        struct arena arena;
        struct err err = {0};
        char text[1024];

        assert_non_null(at);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - report), report, cases[i].to,
                 at + strlen(cases[i].from));
        arena_init(&arena, 65536);
        assert_true(read_report(&load, text, &arena, &err) < 0);
        if (strstr(err.message, cases[i].word) == NULL)
            fail_msg("%s: %s", cases[i].to, err.message);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_reads_back),
        cmocka_unit_test(broken_snapshots_are_named),
        cmocka_unit_test(older_snapshots_are_read),
        cmocka_unit_test(lists_are_limited),
        cmocka_unit_test(versions_are_ordered),
        cmocka_unit_test(a_failing_allocation_leaves_nothing),
        cmocka_unit_test(a_report_reads_back),
        cmocka_unit_test(broken_reports_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
