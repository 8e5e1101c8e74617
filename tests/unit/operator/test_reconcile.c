/* SPDX-License-Identifier: Apache-2.0 */
/* The reconciler on a calm simulated cluster: each behaviour alone. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "crd/model_deployment.h"
#include "operator/reconcile/plain.h"
#include "operator/reconcile/reconciler.h"
#include "operator/sim/sim.h"

enum { SECOND = 1000, MINUTE = 60 * 1000 };

struct fixture {
    struct sim *sim;
    struct reconciler *r;
    struct arena arena;
};

/* Everything holds as well where status writes that nobody waits for are held back. */
static int64_t status_interval_ms;

static void begin_with(struct fixture *f, bool spot, int64_t stream_ms)
{
    const struct sim_options options = {
        .seed = 1,
        .start_ms = 300,
        .load_ms = 500,
        .api_ms = 5,
        .watch_ms = 10,
        .wall_ms = 1795000000000,
        .gateways = 2,
        .spot = spot,
        .stream_ms = stream_ms,
    };

    assert_int_equal(sim_new(&f->sim, &options, NULL), 0);
    sim_platform(f->sim)->status_interval_ms = status_interval_ms;
    assert_int_equal(reconciler_new(&f->r, sim_platform(f->sim), NULL), 0);
    arena_init(&f->arena, 16 << 20);
    sim_start(f->sim);
}

static void begin_on(struct fixture *f, bool spot)
{
    begin_with(f, spot, 0);
}

static void begin(struct fixture *f)
{
    begin_on(f, false);
}

static void end(struct fixture *f)
{
    assert_null(sim_violation(f->sim));
    reconciler_free(f->r);
    sim_free(f->sim);
    arena_fini(&f->arena);
}

static void apply(struct fixture *f, const char *name, const char *model, const char *scaling)
{
    char text[2048];
    struct err err = {0};

    snprintf(text, sizeof(text),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"metadata\":{"
             "\"name\":\"%s\",\"namespace\":\"team\"},\"spec\":{\"model\":{%s},\"scaling\":{%s}}}",
             name, model, scaling);
    if (sim_apply(f->sim, text, &err) < 0)
        fail_msg("%s", err_message(&err));
}

#define WEIGHTS "\"uri\":\"file:///models/brook\""
#define SCALING                                                                      \
    "\"maxReplicas\":4,\"idle\":{\"afterSeconds\":60},\"scaleDownDelaySeconds\":30," \
    "\"targetUtilizationPercent\":100"

static struct crd_model_status status_of(struct fixture *f, const char *key)
{
    struct crd_model_status status = {0};

    assert_non_null(sim_object(f->sim, key));
    assert_int_equal(crd_model_status_read(&status, sim_object(f->sim, key), &f->arena, NULL), 0);
    return status;
}

static const struct crd_condition *condition(struct fixture *f, const char *key, const char *type)
{
    struct crd_model_status status = status_of(f, key);

    for (int i = 0; i < status.condition_count; i++) {
        if (str_is(status.conditions[i].type, type))
            return &status.conditions[i];
    }
    fail_msg("%s has no condition %s", key, type);
    return NULL;
}

static void wakes_serves_and_sleeps(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(condition(&f, "team/brook", "Ready")->status, CRD_TRUE);
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
    assert_int_equal(status_of(&f, "team/brook").replicas, 0);
    assert_true(status_of(&f, "team/brook").decision_count >= 4);
    assert_true(status_of(&f, "team/brook").cold_start_median_ms > 0);
    end(&f);
}

static void every_decision_has_its_reason(void **state)
{
    struct fixture f = {0};
    struct crd_model_status status;

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 9);
    sim_run(f.sim, 3 * SECOND);
    sim_demand(f.sim, "team/brook", 0);
    sim_run(f.sim, 3 * MINUTE);
    status = status_of(&f, "team/brook");
    for (int i = 0; i < status.decision_count; i++) {
        assert_true(status.decisions[i].reason.len > 0);
        assert_true(status.decisions[i].message.len > 0);
        if (i > 0)
            assert_int_equal(status.decisions[i].to, status.decisions[i - 1].from);
    }
    assert_int_equal(status.decisions[0].to, 0);
    assert_int_equal(status.decisions[status.decision_count - 1].from, 0);
    end(&f);
}

/* How many are where in their lives, on which capacity, and by which labels they are found. */
static void replicas_are_counted(void **state)
{
    struct fixture f = {0};
    struct crd_model_status status;

    (void)state;
    begin_on(&f, true);
    apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":5");
    sim_run(f.sim, 5 * SECOND);
    status = status_of(&f, "team/brook");
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
    end(&f);
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":2");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(status_of(&f, "team/brook").capacity_count, 0); /* nobody says */
    end(&f);
}

/* The whole jump is one decision. */
static void a_spike_is_answered_at_once(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"maxReplicas\":100");
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 300);
    sim_run(f.sim, 400);
    assert_true(sim_pod_count(f.sim, "team/brook") >= 75);
    sim_run(f.sim, 3 * SECOND);
    assert_true(sim_pod_count(f.sim, "team/brook") <= 100);
    end(&f);
}

static void a_silent_gateway_holds_the_size(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, SCALING);
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
    end(&f);
}

/* A manual scale-down is decided without load, but not done without acknowledgements. */
static void without_acknowledgement_nothing_goes(void **state)
{
    struct fixture f = {0};
    struct reconciler_stats stats;

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":3");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 3);
    sim_mute_gateways(f.sim, true);
    apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":1");
    sim_run(f.sim, 30 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 3);
    reconciler_stats(f.r, &stats);
    assert_true(stats.drains_cancelled >= 1);
    sim_mute_gateways(f.sim, false);
    sim_run(f.sim, 30 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
    end(&f);
}

static void the_oldest_claim_gets_the_name(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, SECOND);
    apply(&f, "late", WEIGHTS ",\"name\":\"brook\"", SCALING);
    sim_run(f.sim, SECOND);
    assert_int_equal(condition(&f, "team/brook", "NameAccepted")->status, CRD_TRUE);
    assert_int_equal(condition(&f, "team/late", "NameAccepted")->status, CRD_FALSE);
    assert_non_null(strstr(condition(&f, "team/late", "NameAccepted")->message.ptr, "team/brook"));
    assert_int_equal(sim_routes(f.sim)->model_count, 2);
    assert_true(str_is(sim_routes(f.sim)->models[0].short_name, "brook"));
    assert_int_equal(sim_routes(f.sim)->models[1].short_name.len, 0);
    sim_delete(f.sim, "team/brook");
    sim_run(f.sim, SECOND);
    assert_int_equal(condition(&f, "team/late", "NameAccepted")->status, CRD_TRUE);
    assert_true(str_is(sim_routes(f.sim)->models[0].short_name, "brook"));
    end(&f);
}

static void an_unknown_zone_is_said(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS,
          "\"maxReplicas\":2,\"warmup\":[{\"schedule\":\"0 8 * * *\",\"timeZone\":\"Mars/Base\","
          "\"replicas\":2}]");
    sim_run(f.sim, SECOND);
    assert_int_equal(condition(&f, "team/brook", "ScheduleValid")->status, CRD_FALSE);
    assert_non_null(strstr(condition(&f, "team/brook", "ScheduleValid")->message.ptr, "Mars/Base"));
    end(&f);
}

/* 1795000000 is 2026-11-18 11:06:40 UTC: a warm-up at 11:10 is 200 s away. */
static void a_warm_up_is_ready_in_time(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS,
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
    end(&f);
}

static void missing_weights_start_nothing(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", "\"uri\":\"file:///missing\"", SCALING);
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 1);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(condition(&f, "team/brook", "WeightsReachable")->status, CRD_FALSE);
    assert_int_equal(condition(&f, "team/brook", "Stalled")->status, CRD_TRUE);
    assert_true(sim_routes(f.sim)->models[0].hold_reason.len > 0);
    end(&f);
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

static void refused_creations_are_said_and_tried_again(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    sim_refuse_creation(f.sim, "exceeded quota");
    apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    sim_run(f.sim, 10 * SECOND);
    assert_int_equal(condition(&f, "team/brook", "CapacityAvailable")->status, CRD_FALSE);
    sim_refuse_creation(f.sim, NULL);
    sim_run(f.sim, MINUTE);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    assert_int_equal(condition(&f, "team/brook", "CapacityAvailable")->status, CRD_TRUE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    end(&f);
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

        begin(&f);
        sim_limit_machines(f.sim, rows[i].machines);
        apply(&f, "brook", WEIGHTS, rows[i].scaling);
        sim_run(f.sim, 5 * SECOND);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), rows[i].ready);
        former = status_of(&f, "team/brook").pods[0].template_hash;
        apply(&f, "brook", "\"uri\":\"file:///models/river\"", rows[i].scaling);
        assert_int_equal(least_ready(&f, rows[i].ms), rows[i].least);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), rows[i].ready);
        after = status_of(&f, "team/brook");
        assert_true(after.pod_count >= rows[i].ready);
        for (int p = 0; p < after.pod_count; p++)
            assert_false(str_eq(after.pods[p].template_hash, former));
        end(&f);
    }
}

static void a_reclaimed_pod_is_replaced(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":3");
    sim_run(f.sim, 5 * SECOND);
    sim_reclaim(f.sim, "team/brook");
    sim_run(f.sim, 10 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    end(&f);
}

/* However long its streams would go on: its machine is gone soon. */
static void a_reclaimed_pod_is_gone_in_time(void **state)
{
    enum { HOUR = 3600 * SECOND, GONE = 15 * SECOND };

    (void)state;
    for (int replicas = 1; replicas <= 2; replicas++) {
        struct fixture f = {0};
        char scaling[64];

        begin_with(&f, false, HOUR);
        snprintf(scaling, sizeof(scaling), "\"minReplicas\":%d,\"maxReplicas\":3", replicas);
        apply(&f, "brook", WEIGHTS, scaling);
        sim_run(f.sim, 5 * SECOND);
        sim_demand(f.sim, "team/brook", 1);
        sim_run(f.sim, SECOND);
        sim_reclaim(f.sim, "team/brook");
        sim_run(f.sim, GONE);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), replicas);
        assert_int_equal(sim_pod_count(f.sim, "team/brook"), replicas);
        end(&f);
    }
}

static void a_deleted_model_leaves_nothing(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":3");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 3);
    sim_delete(f.sim, "team/brook");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(sim_routes(f.sim)->model_count, 0);
    end(&f);
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
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":3");
    sim_run(f.sim, 5 * SECOND);
    before = status_of(&f, "team/brook");
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
    end(&f);
}

/* One that can't report must not keep its successor away. */
static void a_pod_that_reports_takes_no_place(void **state)
{
    struct fixture f = {0};
    struct str old;

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"minReplicas\":1,\"maxReplicas\":1");
    sim_run(f.sim, 5 * SECOND);
    old = status_of(&f, "team/brook").pods[0].uid;
    sim_hold_reports(f.sim, true);
    apply(&f, "brook", "\"uri\":\"file:///models/river\"", "\"minReplicas\":1,\"maxReplicas\":1");
    sim_run(f.sim, MINUTE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 1);
    assert_true(is_leaver(sim_routes(f.sim), old));
    assert_int_equal(status_of(&f, "team/brook").replicas, 1);
    assert_false(str_eq(status_of(&f, "team/brook").pods[0].uid, old));
    sim_hold_reports(f.sim, false);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
    end(&f);
}

/* There is nobody to tell until the agent is back: no command is sent in vain. */
static void a_crashed_pod_is_told_when_it_is_back(void **state)
{
    struct fixture f = {0};
    struct reconciler_stats stats;

    (void)state;
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":2");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    sim_crash(f.sim, "team/brook", 10 * SECOND);
    apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":0");
    sim_run(f.sim, 8 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    reconciler_stats(f.r, &stats);
    assert_int_equal(stats.failures, 0);
    sim_run(f.sim, 12 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    end(&f);
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
    begin(&f);
    apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":3");
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

#define TENANT(keys)                                                                               \
    "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"Tenant\",\"metadata\":{\"name\":\"acme\"}," \
    "\"spec\":{\"namespaces\":[\"team\"],\"priceBook\":\"list\",\"keys\":[" keys "]}}"
#define KEY                                                                \
    "{\"id\":\"k1\",\"sha256\":\"00112233445566778899aabbccddeeff00112233" \
    "445566778899aabbccddeeff\"}"
#define BOOK(price)                                                                         \
    "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"PriceBook\",\"metadata\":{\"name\":" \
    "\"list\"},\"spec\":{\"prices\":[{\"model\":\"*\",\"input\":\"" price "\",\"output\":"  \
    "\"2.19\"}]}}"

static void tenants_and_prices_reach_the_gateways(void **state)
{
    struct fixture f = {0};
    uint64_t version;

    (void)state;
    begin(&f);
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
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakes_serves_and_sleeps),
        cmocka_unit_test(every_decision_has_its_reason),
        cmocka_unit_test(replicas_are_counted),
        cmocka_unit_test(a_spike_is_answered_at_once),
        cmocka_unit_test(a_silent_gateway_holds_the_size),
        cmocka_unit_test(without_acknowledgement_nothing_goes),
        cmocka_unit_test(the_oldest_claim_gets_the_name),
        cmocka_unit_test(an_unknown_zone_is_said),
        cmocka_unit_test(a_warm_up_is_ready_in_time),
        cmocka_unit_test(missing_weights_start_nothing),
        cmocka_unit_test(texts_of_others_are_plain_in_ours),
        cmocka_unit_test(refused_creations_are_said_and_tried_again),
        cmocka_unit_test(new_settings_roll_the_pods),
        cmocka_unit_test(a_reclaimed_pod_is_replaced),
        cmocka_unit_test(a_reclaimed_pod_is_gone_in_time),
        cmocka_unit_test(a_deleted_model_leaves_nothing),
        cmocka_unit_test(a_deleted_models_pods_are_collected_from),
        cmocka_unit_test(a_pod_that_reports_takes_no_place),
        cmocka_unit_test(a_crashed_pod_is_told_when_it_is_back),
        cmocka_unit_test(shutting_down_drains_all),
        cmocka_unit_test(tenants_and_prices_reach_the_gateways),
    };

    int failures;

    log_setup("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    status_interval_ms = 5 * SECOND;
    return failures + cmocka_run_group_tests_name("status writes held back", tests, NULL, NULL);
}
