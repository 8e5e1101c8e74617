/* SPDX-License-Identifier: Apache-2.0 */
/* The reconciler on a calm simulated cluster: how many replicas there are, and what is said of
 * them. */
#include "reconcile_play.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "operator/reconcile/plain.h"

static void wakes_serves_and_sleeps(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(play_condition(&f, "team/brook", "Ready")->status, CRD_TRUE);
    sim_demand(f.sim, "team/brook", 1);
    sim_run(f.sim, 2 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 1);
    sim_demand(f.sim, "team/brook", 16); /* four slots a pod */
    sim_run(f.sim, 3 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 4);
    sim_demand(f.sim, "team/brook", 5);
    sim_run(f.sim, 50 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    sim_demand(f.sim, "team/brook", 0);
    sim_run(f.sim, 90 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(play_status(&f, "team/brook").replicas, 0);
    assert_true(play_status(&f, "team/brook").decision_count >= 4);
    assert_true(play_status(&f, "team/brook").cold_start_median_ms > 0);
    play_end(&f);
}

static void every_decision_has_its_reason(void **state)
{
    struct fixture f = {0};
    struct crd_model_status status;

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 9);
    sim_run(f.sim, 3 * SECOND);
    sim_demand(f.sim, "team/brook", 0);
    sim_run(f.sim, 3 * MINUTE);
    status = play_status(&f, "team/brook");
    for (int i = 0; i < status.decision_count; i++) {
        assert_true(status.decisions[i].reason.len > 0);
        assert_true(status.decisions[i].message.len > 0);
        if (i > 0)
            assert_int_equal(status.decisions[i].to, status.decisions[i - 1].from);
    }
    assert_int_equal(status.decisions[0].to, 0);
    assert_int_equal(status.decisions[status.decision_count - 1].from, 0);
    play_end(&f);
}

/* How many are where in their lives, on which capacity, and by which labels they are found. */
static void replicas_are_counted(void **state)
{
    struct fixture f = {0};
    struct crd_model_status status;

    (void)state;
    play_begin_on(&f, true);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":5");
    sim_run(f.sim, 5 * SECOND);
    status = play_status(&f, "team/brook");
    assert_int_equal(status.replicas, 5);
    assert_int_equal(status.phase_counts[CRD_POD_READY], 5);
    assert_int_equal(status.phase_counts[CRD_POD_PENDING], 0);
    assert_true(str_is(status.selector, "spate.dev/model=brook"));
    assert_int_equal(status.capacity_count, 2);
    assert_int_equal(status.capacities[0].type, CRD_CAPACITY_SPOT);
    assert_int_equal(status.capacities[1].type, CRD_CAPACITY_ON_DEMAND);
    assert_int_equal(status.capacities[0].replicas + status.capacities[1].replicas, 5);
    assert_true(status.capacities[0].replicas >= 2 && status.capacities[1].replicas >= 2);
    assert_int_equal(status.capacities[0].ready_replicas, status.capacities[0].replicas);
    play_end(&f);
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":2");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(play_status(&f, "team/brook").capacity_count, 0); /* nobody says */
    play_end(&f);
}

/* The whole jump is one decision. */
static void a_spike_is_answered_at_once(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"maxReplicas\":100");
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 300);
    sim_run(f.sim, 400);
    assert_true(sim_pod_count(f.sim, "team/brook") >= 75);
    sim_run(f.sim, 3 * SECOND);
    assert_true(sim_pod_count(f.sim, "team/brook") <= 100);
    play_end(&f);
}

static void a_silent_gateway_holds_the_size(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 8);
    sim_run(f.sim, 3 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    sim_mute_gateways(f.sim, true);
    sim_demand(f.sim, "team/brook", 0);
    sim_run(f.sim, 10 * MINUTE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    sim_mute_gateways(f.sim, false);
    sim_run(f.sim, 3 * MINUTE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    play_end(&f);
}

/* Gateways that carry nothing of any model: nobody asked since they heard of it. */
static struct {
    struct platform_handler handler;
    const struct platform_handler *real;
} unasked;

static void take_load_without_models(void *user, const struct load_report *report)
{
    struct load_report bare = *report;

    bare.model_count = 0;
    unasked.real->on_load(user, &bare);
}

static void begin_unasked(struct fixture *f)
{
    struct platform *p = sim_platform(f->sim);

    unasked.real = p->handler;
    unasked.handler = *p->handler;
    unasked.handler.on_load = take_load_without_models;
    p->handler = &unasked.handler;
}

/* Requests for one that was deleted are no load of its namesake, though pods still go. */
static void the_load_of_a_deleted_model_goes_with_it(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 4);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 1);
    begin_unasked(&f);
    sim_hold_reports(f.sim, true);
    sim_delete(f.sim, "team/brook");
    sim_run(f.sim, 2 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(play_status(&f, "team/brook").next_ordinal, 0); /* no pod was ever planned */
    play_end(&f);
}

/* A manual scale-down is decided without load, but not done without acknowledgements. */
static void without_acknowledgement_nothing_goes(void **state)
{
    struct fixture f = {0};
    struct reconciler_stats stats;

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":3");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 3);
    sim_mute_gateways(f.sim, true);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":1");
    sim_run(f.sim, 30 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 3);
    reconciler_stats(f.r, &stats);
    assert_true(stats.drains_cancelled >= 1);
    sim_mute_gateways(f.sim, false);
    sim_run(f.sim, 30 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
    play_end(&f);
}

static void the_oldest_claim_gets_the_name(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, SECOND);
    play_apply(&f, "late", WEIGHTS ",\"name\":\"brook\"", SCALING);
    sim_run(f.sim, SECOND);
    assert_int_equal(play_condition(&f, "team/brook", "NameAccepted")->status, CRD_TRUE);
    assert_int_equal(play_condition(&f, "team/late", "NameAccepted")->status, CRD_FALSE);
    assert_non_null(
        strstr(play_condition(&f, "team/late", "NameAccepted")->message.ptr, "team/brook"));
    assert_int_equal(sim_routes(f.sim)->model_count, 2);
    assert_true(str_is(sim_routes(f.sim)->models[0].short_name, "brook"));
    assert_int_equal(sim_routes(f.sim)->models[1].short_name.len, 0);
    sim_delete(f.sim, "team/brook");
    sim_run(f.sim, SECOND);
    assert_int_equal(play_condition(&f, "team/late", "NameAccepted")->status, CRD_TRUE);
    assert_true(str_is(sim_routes(f.sim)->models[0].short_name, "brook"));
    play_end(&f);
}

static void an_unknown_zone_is_said(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(
        &f, "brook", WEIGHTS,
        "\"maxReplicas\":2,\"warmup\":[{\"schedule\":\"0 8 * * *\",\"timeZone\":\"Mars/Base\","
        "\"replicas\":2}]");
    sim_run(f.sim, SECOND);
    assert_int_equal(play_condition(&f, "team/brook", "ScheduleValid")->status, CRD_FALSE);
    assert_non_null(
        strstr(play_condition(&f, "team/brook", "ScheduleValid")->message.ptr, "Mars/Base"));
    play_end(&f);
}

/* 1795000000 is 2026-11-18 11:06:40 UTC: a warm-up at 11:10 is 200 s away. */
static void a_warm_up_is_ready_in_time(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS,
               "\"maxReplicas\":3,\"idle\":{\"afterSeconds\":60},\"warmup\":[{\"schedule\":"
               "\"10 11 * * *\",\"replicas\":2,\"durationSeconds\":120}]");
    sim_run(f.sim, 100 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    sim_run(f.sim, 100 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    sim_run(f.sim, 110 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    sim_run(f.sim, 3 * MINUTE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    play_end(&f);
}

static void missing_weights_start_nothing(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", "\"uri\":\"file:///missing\"", SCALING);
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 1);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(play_condition(&f, "team/brook", "WeightsReachable")->status, CRD_FALSE);
    assert_int_equal(play_condition(&f, "team/brook", "Stalled")->status, CRD_TRUE);
    assert_true(sim_routes(f.sim)->models[0].hold_reason.len > 0);
    play_end(&f);
}

/* Who writes a text that turns the direction of others, or that is cut within a character. */
static void texts_of_others_are_plain_in_ours(void **state)
{
    static const struct {
        const char *text, *plain;
    } rows[] = {
        {"oci://\xe2\x80\xae"
         "fdp\x1b[31m\n",
         "oci://?fdp?[31m?"},
        {"gr\xc3\xbc\xc3\x9f"
         "e",
         "gr\xc3\xbc\xc3\x9f"
         "e"},
        {"cut \xe2\x82", "cut ??"},
        {"\xc2\x9b"
         "31m",
         "?31m"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[64];

        snprintf(text, sizeof(text), "%s", rows[i].text);
        plain_make(text);
        assert_string_equal(text, rows[i].plain);
    }
}

#define TENANT(keys)                                                                               \
    "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"Tenant\",\"metadata\":{\"name\":\"acme\"}," \
    "\"spec\":{\"namespaces\":[\"team\"],\"priceBook\":\"list\",\"keys\":[" keys "]}}"
#define KEY                                                                \
    "{\"id\":\"k1\",\"sha256\":\"00112233445566778899aabbccddeeff00112233" \
    "445566778899aabbccddeeff\"}"
static void tenants_and_prices_reach_the_gateways(void **state)
{
    struct fixture f = {0};
    uint64_t version;

    (void)state;
    play_begin(&f);
    assert_int_equal(sim_apply(f.sim, TENANT(KEY), NULL), 0);
    assert_int_equal(sim_apply(f.sim, BOOK("0.55"), NULL), 0);
    sim_run(f.sim, SECOND);
    assert_int_equal(sim_routes(f.sim)->tenant_count, 1);
    assert_int_equal(sim_routes(f.sim)->tenants[0].key_count, 1);
    version = sim_routes(f.sim)->tenants[0].price_version;
    assert_true(version > 0);
    assert_int_equal(sim_prices_posted(f.sim), 1);
    assert_int_equal(sim_apply(f.sim, BOOK("0.56"), NULL), 0);
    assert_int_equal(sim_apply(f.sim, TENANT(""), NULL), 0);
    sim_run(f.sim, SECOND);
    assert_true(sim_routes(f.sim)->tenants[0].price_version > version);
    assert_int_equal(sim_routes(f.sim)->tenants[0].key_count, 0);
    assert_int_equal(sim_prices_posted(f.sim), 2);
    play_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakes_serves_and_sleeps),
        cmocka_unit_test(every_decision_has_its_reason),
        cmocka_unit_test(replicas_are_counted),
        cmocka_unit_test(a_spike_is_answered_at_once),
        cmocka_unit_test(a_silent_gateway_holds_the_size),
        cmocka_unit_test(the_load_of_a_deleted_model_goes_with_it),
        cmocka_unit_test(without_acknowledgement_nothing_goes),
        cmocka_unit_test(the_oldest_claim_gets_the_name),
        cmocka_unit_test(an_unknown_zone_is_said),
        cmocka_unit_test(a_warm_up_is_ready_in_time),
        cmocka_unit_test(missing_weights_start_nothing),
        cmocka_unit_test(texts_of_others_are_plain_in_ours),
        cmocka_unit_test(tenants_and_prices_reach_the_gateways),
    };

    return cmocka_run_group_tests_name("writes at once", tests, play_writes_at_once, NULL) +
           cmocka_run_group_tests_name("writes held back", tests, play_writes_held_back, NULL);
}
