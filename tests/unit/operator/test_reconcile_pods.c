/* SPDX-License-Identifier: Apache-2.0 */
/* The reconciler on a calm simulated cluster: pods that are replaced, reclaimed, crash and go. */
#include "reconcile_play.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct platform_ops *sim_ops;
static int64_t last_cold_start_p90_ms;
static bool last_template_measured;

static void note_create(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec)
{
    last_cold_start_p90_ms = spec->cold_start_p90_ms;
    last_template_measured = spec->template_measured;
    sim_ops->pod_create(p, ticket, spec);
}

/* The platform gives a start as long as starts were seen to take, and knows no status by then. */
static void a_pod_is_created_with_the_time_of_starts_before_it(void **state)
{
    struct fixture f = {0};
    struct platform_ops ops;

    (void)state;
    play_begin(&f);
    sim_ops = sim_platform(f.sim)->ops;
    ops = *sim_ops;
    ops.pod_create = note_create;
    sim_platform(f.sim)->ops = &ops;
    last_cold_start_p90_ms = -1;
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":1,\"maxReplicas\":4");
    sim_run(f.sim, 10 * SECOND);
    assert_int_equal(last_cold_start_p90_ms, 0);
    assert_false(last_template_measured);
    assert_true(play_status(&f, "team/brook").cold_start_p90_ms > 0);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":4");
    sim_run(f.sim, 2 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    assert_true(last_cold_start_p90_ms > 0);
    assert_true(last_template_measured);
    play_apply(&f, "brook",
               "\"uri\":\"file:///models/river\"", /* that may be a hundred times larger */
               "\"minReplicas\":2,\"maxReplicas\":4");
    sim_run(f.sim, SECOND / 4);
    assert_true(last_cold_start_p90_ms > 0);
    assert_false(last_template_measured);
    play_end(&f);
}

static int put_count;

static void count_put(struct platform *p, uint64_t ticket, const struct crd_object *object,
                      json_t *status)
{
    put_count++;
    sim_ops->status_put(p, ticket, object, status);
}

/* A pod that is told of twice a second costs a write each STATUS_INTERVAL_MS, and its last word is
 * written. */
static void reports_are_written_rarely(void **state)
{
    enum { STATUS_INTERVAL_MS = 5 * SECOND, CHANGES = 20 };
    struct fixture f = {0};
    struct platform_ops ops;
    char message[32];

    (void)state;
    play_begin(&f);
    sim_ops = sim_platform(f.sim)->ops;
    ops = *sim_ops;
    ops.status_put = count_put;
    sim_platform(f.sim)->ops = &ops;
    sim_platform(f.sim)->status_interval_ms = STATUS_INTERVAL_MS;
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":1,\"maxReplicas\":1");
    sim_run(f.sim, MINUTE);
    put_count = 0;
    for (int i = 0; i < CHANGES; i++) {
        snprintf(message, sizeof(message), "word %d", i);
        sim_say(f.sim, "team/brook", message);
        sim_run(f.sim, SECOND / 2);
    }
    assert_in_range(put_count, 2, 3);
    sim_run(f.sim, STATUS_INTERVAL_MS);
    assert_true(str_is(play_status(&f, "team/brook").pods[0].message, message));
    play_end(&f);
}

/* However short ago the last report was written. */
static void a_condition_is_written_at_once(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    sim_platform(f.sim)->status_interval_ms = MINUTE;
    sim_limit_machines(f.sim, 1);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    sim_run(f.sim, 29 * SECOND); /* a second before its second pod is said to lack capacity */
    assert_int_equal(play_condition(&f, "team/brook", "CapacityAvailable")->status, CRD_TRUE);
    sim_run(f.sim, 2 * SECOND);
    assert_int_equal(play_condition(&f, "team/brook", "CapacityAvailable")->status, CRD_FALSE);
    play_end(&f);
}

/* The fewest ready pods while so much time passes. */
static int least_ready(struct fixture *f, int64_t ms)
{
    int least = sim_ready_count(f->sim, "team/brook");

    for (int64_t t = 0; t < ms; t += 100) {
        int ready;

        sim_run(f->sim, 100);
        ready = sim_ready_count(f->sim, "team/brook");
        least = ready < least ? ready : least;
    }
    return least;
}

static void new_settings_roll_the_pods(void **state)
{
    static const struct {
        const char *scaling;
        int machines, ready, least;
        int64_t ms;
    } rows[] = {
        /* Room for new ones first; none; maxReplicas allows more, but there are no machines. */
        {"\"minReplicas\":2,\"maxReplicas\":4", 0, 2, 2, 20 * SECOND},
        {"\"minReplicas\":2,\"maxReplicas\":2", 0, 2, 1, 20 * SECOND},
        {"\"minReplicas\":3,\"maxReplicas\":4", 3, 3, 2, 90 * SECOND},
        {"\"minReplicas\":3,\"maxReplicas\":40", 3, 3, 2, 90 * SECOND},
        {"\"minReplicas\":5,\"maxReplicas\":8", 3, 3, 2, 90 * SECOND},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fixture f = {0};
        struct crd_model_status after;
        struct str former;

        play_begin(&f);
        sim_limit_machines(f.sim, rows[i].machines);
        play_apply(&f, "brook", WEIGHTS, rows[i].scaling);
        sim_run(f.sim, 5 * SECOND);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), rows[i].ready);
        former = play_status(&f, "team/brook").pods[0].template_hash;
        play_apply(&f, "brook", "\"uri\":\"file:///models/river\"", rows[i].scaling);
        assert_int_equal(least_ready(&f, rows[i].ms), rows[i].least);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), rows[i].ready);
        after = play_status(&f, "team/brook");
        assert_true(after.pod_count >= rows[i].ready);
        for (int p = 0; p < after.pod_count; p++)
            assert_false(str_eq(after.pods[p].template_hash, former));
        play_end(&f);
    }
}

/* Successors are refused until old pods go, also where more are wanted than the quota allows. */
static void new_settings_roll_under_a_full_quota(void **state)
{
    static const char *const scalings[] = {
        "\"minReplicas\":3,\"maxReplicas\":6",
        "\"minReplicas\":5,\"maxReplicas\":8",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(scalings); i++) {
        struct fixture f = {0};
        struct crd_model_status after;
        struct str former;

        play_begin(&f);
        sim_limit_quota(f.sim, 3);
        play_apply(&f, "brook", WEIGHTS, scalings[i]);
        sim_run(f.sim, 5 * SECOND);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), 3);
        former = play_status(&f, "team/brook").pods[0].template_hash;
        play_apply(&f, "brook", "\"uri\":\"file:///models/river\"", scalings[i]);
        assert_int_equal(least_ready(&f, 3 * MINUTE), 2);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), 3);
        after = play_status(&f, "team/brook");
        assert_int_equal(after.pod_count, 3);
        for (int p = 0; p < after.pod_count; p++)
            assert_false(str_eq(after.pods[p].template_hash, former));
        play_end(&f);
    }
}

/* Where it would help no successor, no old pod goes: one was sent away and its place is not free
 * yet, or the refusal is not for want of room. */
static void a_refused_successor_costs_one_pod_at_most(void **state)
{
    (void)state;
    for (int quota = 0; quota < 2; quota++) {
        struct fixture f = {0};

        play_begin(&f);
        play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":6");
        sim_run(f.sim, 5 * SECOND);
        if (quota)
            sim_limit_quota(f.sim, 3);
        else
            sim_refuse_creation(f.sim, "forbidden by a policy");
        sim_hold_reports(f.sim, true);
        play_apply(&f, "brook", "\"uri\":\"file:///models/river\"",
                   "\"minReplicas\":3,\"maxReplicas\":6");
        assert_int_equal(least_ready(&f, 3 * MINUTE), quota ? 2 : 3);
        play_end(&f);
    }
}

static void a_reclaimed_pod_is_replaced(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":3");
    sim_run(f.sim, 5 * SECOND);
    sim_reclaim(f.sim, "team/brook");
    sim_run(f.sim, 10 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    play_end(&f);
}

/* Its successor is made while it is still there, also where no pod more is allowed: the gateways
 * that keep it here are silent. */
static void a_reclaimed_pods_successor_comes_first(void **state)
{
    static const char *const scalings[] = {
        "\"minReplicas\":1,\"maxReplicas\":1",
        "\"mode\":\"Manual\",\"replicas\":1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(scalings); i++) {
        struct fixture f = {0};

        play_begin(&f);
        play_apply(&f, "brook", WEIGHTS, scalings[i]);
        sim_run(f.sim, 5 * SECOND);
        sim_mute_gateways(f.sim, true);
        sim_reclaim(f.sim, "team/brook");
        sim_run(f.sim, SECOND);
        assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
        sim_mute_gateways(f.sim, false);
        sim_run(f.sim, 10 * SECOND);
        assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), 1);
        play_end(&f);
    }
}

/* However long its streams would go on: its machine is gone soon. */
static void a_reclaimed_pod_is_gone_in_time(void **state)
{
    enum { HOUR = 3600 * SECOND, GONE = 15 * SECOND };

    (void)state;
    for (int replicas = 1; replicas <= 2; replicas++) {
        struct fixture f = {0};
        char scaling[64];

        play_begin_with(&f, false, HOUR);
        snprintf(scaling, sizeof(scaling), "\"minReplicas\":%d,\"maxReplicas\":3", replicas);
        play_apply(&f, "brook", WEIGHTS, scaling);
        sim_run(f.sim, 5 * SECOND);
        sim_demand(f.sim, "team/brook", 1);
        sim_run(f.sim, SECOND);
        sim_reclaim(f.sim, "team/brook");
        sim_run(f.sim, GONE);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), replicas);
        assert_int_equal(sim_pod_count(f.sim, "team/brook"), replicas);
        play_end(&f);
    }
}

/* Pods of odd ordinals are on spot machines. Without a floor the youngest go first; with one, as
 * many of those on demand stay, also where it is higher than what stays. */
static void a_scale_down_leaves_the_floor_on_demand(void **state)
{
    static const struct {
        const char *spot;
        int replicas, on_demand;
    } rows[] = {
        {"", 2, 1},
        {",\"spot\":{\"percent\":100}", 2, 1},
        {",\"spot\":{\"percent\":100,\"minOnDemand\":2}", 3, 2},
        {",\"spot\":{\"percent\":100,\"minOnDemand\":2}", 2, 2},
        {",\"spot\":{\"percent\":100,\"minOnDemand\":2}", 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fixture f = {0};
        struct crd_model_status after;
        char scaling[128];
        int on_demand = 0;

        play_begin_on(&f, true);
        snprintf(scaling, sizeof(scaling), "\"mode\":\"Manual\",\"replicas\":4%s", rows[i].spot);
        play_apply(&f, "brook", WEIGHTS, scaling);
        sim_run(f.sim, 5 * SECOND);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), 4);
        snprintf(scaling, sizeof(scaling), "\"mode\":\"Manual\",\"replicas\":%d%s",
                 rows[i].replicas, rows[i].spot);
        play_apply(&f, "brook", WEIGHTS, scaling);
        sim_run(f.sim, 30 * SECOND);
        after = play_status(&f, "team/brook");
        assert_int_equal(after.pod_count, rows[i].replicas);
        for (int p = 0; p < after.pod_count; p++)
            on_demand += after.pods[p].ordinal % 2 == 0;
        assert_int_equal(on_demand, rows[i].on_demand);
        play_end(&f);
    }
}

static void a_deleted_model_leaves_nothing(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":3");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 3);
    sim_delete(f.sim, "team/brook");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(sim_routes(f.sim)->model_count, 0);
    play_end(&f);
}

static bool is_leaver(const struct routes *routes, struct str uid)
{
    for (int i = 0; i < routes->leaver_count; i++) {
        if (str_eq(routes->leavers[i].uid, uid) && routes->leavers[i].address.len > 0)
            return true;
    }
    return false;
}

/* Its usage may not have been taken yet, and a gateway may have been down: so they are told where
 * it is for as long as the pod is there. */
static void a_deleted_models_pods_are_collected_from(void **state)
{
    struct fixture f = {0};
    struct crd_model_status before;

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":3");
    sim_run(f.sim, 5 * SECOND);
    before = play_status(&f, "team/brook");
    assert_int_equal(before.pod_count, 3);
    assert_int_equal(sim_routes(f.sim)->leaver_count, 0);
    sim_hold_reports(f.sim, true);
    sim_delete(f.sim, "team/brook");
    for (int minute = 0; minute < 3; minute++) {
        sim_run(f.sim, MINUTE);
        assert_int_equal(sim_routes(f.sim)->model_count, 0);
        for (int i = 0; i < 3; i++)
            assert_true(is_leaver(sim_routes(f.sim), before.pods[i].uid));
    }
    sim_hold_reports(f.sim, false);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(sim_routes(f.sim)->leaver_count, 0);
    play_end(&f);
}

/* One that can't report must not keep its successor away. */
static void a_pod_that_reports_takes_no_place(void **state)
{
    struct fixture f = {0};
    struct str old;

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":1,\"maxReplicas\":1");
    sim_run(f.sim, 5 * SECOND);
    old = play_status(&f, "team/brook").pods[0].uid;
    sim_hold_reports(f.sim, true);
    play_apply(&f, "brook", "\"uri\":\"file:///models/river\"",
               "\"minReplicas\":1,\"maxReplicas\":1");
    sim_run(f.sim, MINUTE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 1);
    assert_true(is_leaver(sim_routes(f.sim), old));
    assert_int_equal(play_status(&f, "team/brook").replicas, 1);
    assert_false(str_eq(play_status(&f, "team/brook").pods[0].uid, old));
    sim_hold_reports(f.sim, false);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
    play_end(&f);
}

/* There is nobody to tell until the agent is back: no command is sent in vain. */
static void a_crashed_pod_is_told_when_it_is_back(void **state)
{
    struct fixture f = {0};
    struct reconciler_stats stats;

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":2");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    sim_crash(f.sim, "team/brook", 10 * SECOND);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":0");
    sim_run(f.sim, 8 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    reconciler_stats(f.r, &stats);
    assert_int_equal(stats.failures, 0);
    sim_run(f.sim, 12 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    play_end(&f);
}

static void count_done(void *user)
{
    (*(int *)user)++;
}

static void shutting_down_drains_all(void **state)
{
    struct fixture f = {0};
    int done = 0;

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":3");
    sim_run(f.sim, 5 * SECOND);
    sim_mute_gateways(f.sim, true); /* those may be gone already */
    reconciler_shut_down(f.r, count_done, &done);
    sim_run(f.sim, 30 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(done, 1);
    reconciler_free(f.r);
    sim_free(f.sim);
    arena_fini(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_settings_roll_the_pods),
        cmocka_unit_test(a_pod_is_created_with_the_time_of_starts_before_it),
        cmocka_unit_test(reports_are_written_rarely),
        cmocka_unit_test(a_condition_is_written_at_once),
        cmocka_unit_test(new_settings_roll_under_a_full_quota),
        cmocka_unit_test(a_refused_successor_costs_one_pod_at_most),
        cmocka_unit_test(a_reclaimed_pod_is_replaced),
        cmocka_unit_test(a_reclaimed_pods_successor_comes_first),
        cmocka_unit_test(a_reclaimed_pod_is_gone_in_time),
        cmocka_unit_test(a_scale_down_leaves_the_floor_on_demand),
        cmocka_unit_test(a_deleted_model_leaves_nothing),
        cmocka_unit_test(a_deleted_models_pods_are_collected_from),
        cmocka_unit_test(a_pod_that_reports_takes_no_place),
        cmocka_unit_test(a_crashed_pod_is_told_when_it_is_back),
        cmocka_unit_test(shutting_down_drains_all),
    };

    return cmocka_run_group_tests_name("writes at once", tests, play_writes_at_once, NULL) +
           cmocka_run_group_tests_name("writes held back", tests, play_writes_held_back, NULL);
}
