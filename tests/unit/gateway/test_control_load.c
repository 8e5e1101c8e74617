/* SPDX-License-Identifier: Apache-2.0 */
/* Load reports: no suspicion gets lost, and the more models they tell of, the rarer they are. */
#include "control_rig.h"

#include <stdio.h>

#include "base/mem.h"

enum { BROKEN_STREAMS = CONTROL_SUSPECTS_MAX + 44, REPORTS = 4, SUSPECTS_SEEN_MAX = 8 };

/* --- suspicions ----------------------------------------------------------------------------- */

/* The last report's. */
static struct {
    char uids[SUSPECTS_SEEN_MAX][16];
    int count;
} seen;
static const char *suspected_meanwhile; /* while the report is under way; once */

static void read_suspects(struct control_rig *r, struct str text)
{
    CLEANUP(arena_fini) struct arena arena = {0};
    json_auto_t *tree = NULL;
    struct load_report report;
    struct err err = {0};

    arena_init(&arena, 1 << 20);
    assert_int_equal(json_read(&tree, text, &json_limits_default, "report", &err), 0);
    assert_int_equal(load_report_read(&report, tree, &arena, &err), 0);
    assert_true(report.suspect_count <= SUSPECTS_SEEN_MAX);
    seen.count = report.suspect_count;
    for (int i = 0; i < seen.count; i++)
        snprintf(seen.uids[i], sizeof(seen.uids[i]), "%.*s", STR_ARG(report.suspects[i].pod_uid));
    if (suspected_meanwhile != NULL)
        control_suspect(r->g.control, suspected_meanwhile, "silent");
    suspected_meanwhile = NULL;
}

static bool first_failed(const struct control_rig *r)
{
    return r->loads == 1 && r->g.control->load_fetch == NULL;
}

static bool second_failed(const struct control_rig *r)
{
    return r->loads == 2 && r->g.control->load_fetch == NULL;
}

static bool third_taken(const struct control_rig *r)
{
    return r->loads == 3 && r->g.control->load_fetch == NULL;
}

static bool fourth_taken(const struct control_rig *r)
{
    return r->loads == 4 && r->g.control->load_fetch == NULL;
}

static void suspicions_are_told_until_they_are_taken(void **state)
{
    struct control_rig r = {.load_status = 503, .on_load = read_suspects};

    (void)state;
    control_rig_start(&r);
    control_rig_wait(&r, first_failed);
    for (int i = 0; i < BROKEN_STREAMS; i++)
        control_suspect(r.g.control, "pod-a", "silent");
    control_suspect(r.g.control, "pod-b", "silent"); /* there is room left for it */
    control_rig_wait(&r, second_failed);
    assert_int_equal(seen.count, 2);
    r.load_status = 200;
    suspected_meanwhile = "pod-a"; /* again, after this report was written: that is news */
    control_rig_wait(&r, third_taken);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.uids[0], "pod-a");
    assert_string_equal(seen.uids[1], "pod-b");
    control_rig_wait(&r, fourth_taken);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.uids[0], "pod-a");
    assert_int_equal(r.g.control->suspect_count, 0);
    control_rig_stop(&r);
}

/* --- how often ------------------------------------------------------------------------------ */

static uint64_t told_ms;
static uint64_t least_gap_ms;

/* The load changes all the time. */
static void note_time(struct control_rig *r, struct str text)
{
    uint64_t now_ms = loop_now_ms(&r->g.loop);

    (void)text;
    if (r->loads > 2 && now_ms - told_ms < least_gap_ms)
        least_gap_ms = now_ms - told_ms;
    told_ms = now_ms;
    control_load_changed(r->g.control);
}

static bool has_routes(const struct control_rig *r)
{
    return control_has_routes(r->g.control);
}

static bool told_often(const struct control_rig *r)
{
    return r->loads == REPORTS;
}

static void large_reports_are_rarer(void **state)
{
    static const struct {
        int models;
        uint64_t gap_ms;
    } cases[] = {{1, 20}, {2500, 40}, {10000, 100}, {15000, LOAD_PUSH_MS}};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct control_rig r = {.load_status = 200, .snapshots = 1, .models = cases[i].models};
        struct map_entry *e;

        control_rig_start(&r);
        control_rig_wait(&r, has_routes);
        for (size_t at = 0; (e = map_next(&r.g.table.models, &at)) != NULL;)
            ((struct gw_model *)e->value)->arrived = 1;
        r.loads = 0;
        r.on_load = note_time;
        least_gap_ms = UINT64_MAX;
        control_load_changed(r.g.control);
        control_rig_wait(&r, told_often);
        assert_true(least_gap_ms >= cases[i].gap_ms);
        control_rig_stop(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suspicions_are_told_until_they_are_taken),
        cmocka_unit_test(large_reports_are_rarer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
