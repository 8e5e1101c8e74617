/* SPDX-License-Identifier: Apache-2.0 */
/* The reconciler when leadership comes, goes and comes again, and with more to do at once than a
 * loop has time for. */
#include "reconcile_play.h"

#include <stdio.h>

#include "operator/reconcile/pass.h"

enum { CROWD = 700 };

/* --- leadership ------------------------------------------------------------------------------- */

/* The answers to what was under way never come: everything has to be asked for anew. */
static void what_was_under_way_is_asked_for_again(void **state)
{
    (void)state;
    for (int64_t cut_ms = 1; cut_ms < 2 * SECOND; cut_ms += 11) {
        struct fixture f = {0};

        play_begin(&f);
        play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
        sim_run(f.sim, cut_ms);
        sim_start(f.sim);
        sim_run(f.sim, 5 * SECOND);
        assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
        play_end(&f);
    }
}

static void who_was_on_the_way_out_goes(void **state)
{
    (void)state;
    for (int64_t cut_ms = 1; cut_ms < 4 * SECOND; cut_ms += 97) {
        struct fixture f = {0};

        play_begin(&f);
        play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":3,\"maxReplicas\":3");
        sim_run(f.sim, 5 * SECOND);
        play_apply(&f, "brook", WEIGHTS,
                   "\"minReplicas\":1,\"maxReplicas\":1,\"scaleDownDelaySeconds\":0");
        sim_run(f.sim, cut_ms);
        sim_start(f.sim);
        sim_run(f.sim, 20 * SECOND);
        assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
        play_end(&f);
    }
}

static int routed_pods(const struct fixture *f)
{
    const struct routes *routes = sim_routes(f->sim);

    return routes != NULL && routes->model_count == 1 ? routes->models[0].pod_count : -1;
}

/* A standby has never asked an agent. Its first routes show those that it found, all the same. */
static void no_pod_leaves_the_routes_at_a_takeover(void **state)
{
    struct fixture f = {0};
    char version[64];

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(routed_pods(&f), 2);
    reconciler_free(f.r);
    assert_int_equal(reconciler_new(&f.r, sim_platform(f.sim), NULL), 0);
    sim_follow(f.sim);
    sim_run(f.sim, 10 * SECOND);
    snprintf(version, sizeof(version), "%s", sim_object(f.sim, "team/brook")->resource_version);
    sim_lead(f.sim);
    for (int i = 0; i < 3 * SECOND; i++) {
        sim_run(f.sim, 1);
        assert_int_equal(routed_pods(&f), 2);
    }
    /* Nothing is to be said of it, and no pod is told to have started. */
    assert_string_equal(sim_object(f.sim, "team/brook")->resource_version, version);
    assert_true(sim_routes(f.sim)->version.epoch == 2);
    play_end(&f);
}

/* By the operator that leads now. */
static void assert_created(const struct fixture *f, uint64_t pods, uint64_t strangers)
{
    struct reconciler_stats stats;

    reconciler_stats(f->r, &stats);
    assert_int_equal(stats.pods_created, pods);
    assert_int_equal(stats.strangers, strangers);
}

/* Two pods are there. Another operator comes, which will be shown none of them yet. */
static void replace_by_a_blind_one(struct fixture *f)
{
    play_begin(f);
    play_apply(f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    sim_run(f->sim, 5 * SECOND);
    reconciler_free(f->r);
    assert_int_equal(reconciler_new(&f->r, sim_platform(f->sim), NULL), 0);
    sim_hide_pods(f->sim, true);
}

static void take_over_blind(struct fixture *f)
{
    replace_by_a_blind_one(f);
    sim_follow(f->sim);
    sim_run(f->sim, MINUTE);
    sim_lead(f->sim);
    sim_run(f->sim, PASS_TAKEOVER_WAIT_MS - 100);
    assert_created(f, 0, 0);
}

/* Only models are listed anew at a takeover. A pod that was recorded, and is not in the new
 * leader's view yet, is neither replaced nor taken for a stranger when it comes. */
static void a_pod_that_is_seen_late_is_not_lost(void **state)
{
    struct fixture f = {0};

    (void)state;
    take_over_blind(&f);
    sim_hide_pods(f.sim, false);
    sim_run(f.sim, 5 * SECOND);
    assert_created(&f, 0, 0);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    assert_int_equal(routed_pods(&f), 2);
    play_end(&f);
}

/* ... but it is not waited for longer than that. */
static void a_pod_that_stays_unseen_is_replaced(void **state)
{
    struct fixture f = {0};

    (void)state;
    take_over_blind(&f);
    sim_run(f.sim, SECOND);
    assert_created(&f, 2, 0);
    sim_hide_pods(f.sim, false);
    sim_run(f.sim, 10 * SECOND);
    assert_created(&f, 2, 2);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    play_end(&f);
}

/* The same for one that starts and leads before its first view is complete. */
static void a_start_is_a_takeover_too(void **state)
{
    struct fixture f = {0};

    (void)state;
    replace_by_a_blind_one(&f);
    sim_start(f.sim);
    sim_run(f.sim, PASS_TAKEOVER_WAIT_MS - 100);
    sim_hide_pods(f.sim, false);
    sim_run(f.sim, 5 * SECOND);
    assert_created(&f, 0, 0);
    assert_int_equal(routed_pods(&f), 2);
    play_end(&f);
}

/* --- two operators ---------------------------------------------------------------------------- */

/* One leads and the other stands by: the views reach both, everything else the leader alone. */
static struct {
    struct platform_handler handler;
    const struct platform_handler *real;
    struct reconciler *operators[2];
    int leader;
    bool cut_off; /* the leader reaches no agent */
} pair;

static void pair_lead(void *user, struct str installation, uint64_t epoch)
{
    (void)user;
    pair.real->on_lead(pair.operators[1 - pair.leader], installation, 0);
    pair.real->on_lead(pair.operators[pair.leader], installation, epoch);
}

static void pair_synced(void *user)
{
    (void)user;
    for (int i = 0; i < 2; i++)
        pair.real->on_synced(pair.operators[i]);
}

static void pair_object(void *user, enum platform_change change, struct crd_object *object)
{
    (void)user;
    for (int i = 0; i < 2; i++)
        pair.real->on_object(pair.operators[i], change, object);
}

static void pair_pod(void *user, enum platform_change change, const struct platform_pod *pod)
{
    (void)user;
    for (int i = 0; i < 2; i++)
        pair.real->on_pod(pair.operators[i], change, pod);
}

static void pair_gateways(void *user, const struct str *names, int count)
{
    (void)user;
    for (int i = 0; i < 2; i++)
        pair.real->on_gateways(pair.operators[i], names, count);
}

static void pair_load(void *user, const struct load_report *report)
{
    (void)user;
    pair.real->on_load(pair.operators[pair.leader], report);
}

static void pair_ack(void *user, struct str gateway, struct id128 run,
                     const struct routes_version *have)
{
    (void)user;
    pair.real->on_ack(pair.operators[pair.leader], gateway, run, have);
}

static void pair_result(void *user, const struct platform_result *result)
{
    (void)user;
    pair.real->on_result(pair.operators[pair.leader], result);
}

static void pair_probe(void *user, const struct platform_probe_result *result)
{
    struct platform_probe_result seen = *result;

    (void)user;
    if (pair.cut_off) {
        seen.code = -ERR_NETWORK;
        seen.status = NULL;
    }
    pair.real->on_probe(pair.operators[pair.leader], &seen);
}

static void pair_alarm(void *user)
{
    (void)user;
    pair.real->on_alarm(pair.operators[pair.leader]);
}

static void pair_takes_over(struct fixture *f, int leader)
{
    pair.leader = leader;
    sim_start(f->sim);
}

static void pair_begin(struct fixture *f)
{
    struct platform *p;

    play_begin(f);
    p = sim_platform(f->sim);
    pair.operators[0] = f->r;
    assert_int_equal(reconciler_new(&pair.operators[1], p, NULL), 0);
    pair.real = p->handler;
    pair.handler = (struct platform_handler){
        .on_lead = pair_lead,
        .on_synced = pair_synced,
        .on_object = pair_object,
        .on_pod = pair_pod,
        .on_gateways = pair_gateways,
        .on_load = pair_load,
        .on_ack = pair_ack,
        .on_result = pair_result,
        .on_probe = pair_probe,
        .on_alarm = pair_alarm,
    };
    platform_bind(p, &pair.handler, NULL);
    pair_takes_over(f, 0);
}

static void pair_end(struct fixture *f)
{
    reconciler_free(pair.operators[1]);
    play_end(f);
}

/* At each instant from now on, until the gateways have long reported. */
static void assert_ready_stays(struct fixture *f, int count)
{
    for (int i = 0; i < 3 * SECOND; i++) {
        sim_run(f->sim, 1);
        assert_int_equal(sim_ready_count(f->sim, "team/brook"), count);
    }
}

/* That no agent answers says nothing of them yet: neither status nor routes leave one out, and none
 * is told to have started anew when it answers. */
static void agents_that_answer_late_are_as_before(void **state)
{
    struct fixture f = {0};
    char version[64];

    (void)state;
    pair_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    sim_run(f.sim, 10 * SECOND);
    assert_int_equal(routed_pods(&f), 2);
    snprintf(version, sizeof(version), "%s", sim_object(f.sim, "team/brook")->resource_version);
    pair.cut_off = true;
    pair_takes_over(&f, 1);
    for (int i = 0; i < 4 * SECOND; i++) {
        pair.cut_off = i < PASS_MEET_MS - SECOND;
        sim_run(f.sim, 1);
        assert_int_equal(routed_pods(&f), 2);
    }
    assert_string_equal(sim_object(f.sim, "team/brook")->resource_version, version);
    assert_true(sim_routes(f.sim)->version.epoch > 1);
    pair.cut_off = false;
    pair_end(&f);
}

/* Who led while the model slept leads again, while it is busy: nothing is known of the load yet,
 * so all that is there stays. */
static void a_second_leadership_takes_no_pod(void **state)
{
    struct fixture f = {0};

    (void)state;
    pair_begin(&f);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    pair_takes_over(&f, 1);
    sim_demand(f.sim, "team/brook", 16);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 4);
    pair_takes_over(&f, 0);
    assert_ready_stays(&f, 4);
    pair_end(&f);
}

/* The load of its first leadership asks for nothing any more. */
static void a_second_leadership_makes_no_pod(void **state)
{
    struct fixture f = {0};

    (void)state;
    pair_begin(&f);
    play_apply(&f, "brook", WEIGHTS, SCALING);
    sim_run(f.sim, SECOND);
    sim_demand(f.sim, "team/brook", 16);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 4);
    pair_takes_over(&f, 1);
    sim_demand(f.sim, "team/brook", 1);
    sim_run(f.sim, MINUTE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
    pair_takes_over(&f, 0);
    for (int i = 0; i < 30; i++) {
        sim_run(f.sim, 100);
        assert_int_equal(sim_pod_count(f.sim, "team/brook"), 1);
    }
    pair_end(&f);
}

/* The agents were silent to one that was cut off, and lost its lease by it. That says nothing of
 * them when it leads again. */
static void a_second_leadership_restarts_no_agent(void **state)
{
    struct fixture f = {0};
    struct crd_model_status status;

    (void)state;
    pair_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    sim_run(f.sim, 5 * SECOND);
    pair.cut_off = true;
    sim_run(f.sim, 3 * SECOND);
    pair.cut_off = false;
    pair_takes_over(&f, 1);
    sim_run(f.sim, 20 * SECOND);
    status = play_status(&f, "team/brook");
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    pair_takes_over(&f, 0);
    assert_ready_stays(&f, 2);
    for (int i = 0; i < 2; i++) /* a restart gives it another one */
        assert_true(str_eq(play_status(&f, "team/brook").pods[i].address, status.pods[i].address));
    pair_end(&f);
}

/* --- a crowd ---------------------------------------------------------------------------------- */

/* What the reconciler does between two returns to the loop: each of its turns sets the alarm. */
static struct {
    struct platform_ops ops, real_ops;
    struct platform_handler handler, real_handler;
    int passes, most_passes;
    int puts, most_puts;
} watched;

static void count_pass(void *user, double seconds)
{
    (void)user;
    (void)seconds;
    watched.passes++;
}

static void end_of_turn(struct platform *p, int64_t mono_ms)
{
    if (watched.passes > watched.most_passes)
        watched.most_passes = watched.passes;
    watched.passes = 0;
    watched.real_ops.alarm_set(p, mono_ms);
}

static void count_put(struct platform *p, uint64_t ticket, const struct crd_object *object,
                      json_t *status)
{
    if (++watched.puts > watched.most_puts)
        watched.most_puts = watched.puts;
    watched.real_ops.status_put(p, ticket, object, status);
}

/* Nothing but statuses is written here. */
static void count_result(void *user, const struct platform_result *result)
{
    watched.puts--;
    watched.real_handler.on_result(user, result);
}

static void watch(struct fixture *f)
{
    struct platform *p = sim_platform(f->sim);

    watched.real_ops = watched.ops = *p->ops;
    watched.ops.alarm_set = end_of_turn;
    watched.ops.status_put = count_put;
    p->ops = &watched.ops;
    watched.real_handler = watched.handler = *p->handler;
    watched.handler.on_result = count_result;
    p->handler = &watched.handler;
    watched.passes = watched.most_passes = watched.puts = watched.most_puts = 0;
    reconciler_watch(f->r, &(struct reconciler_watcher){.on_pass = count_pass});
}

static void a_crowd_leaves_the_loop_its_turns(void **state)
{
    struct reconciler_stats stats;
    struct fixture f = {0};
    char name[32];

    (void)state;
    play_begin(&f);
    sim_stop(f.sim);
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "model-%d", i);
        play_apply(&f, name, WEIGHTS, SCALING);
    }
    watch(&f);
    sim_start(f.sim);
    sim_run(f.sim, 10 * SECOND);
    assert_int_equal(watched.most_passes, PASS_TURN_KEYS);
    assert_in_range(watched.most_puts, PASS_PUTS_MAX / 2, PASS_PUTS_MAX + CROWD / 10);
    reconciler_stats(f.r, &stats);
    assert_true(stats.outcomes[RECONCILER_REQUEUE] > 0); /* those that stood back */
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "team/model-%d", i);
        assert_string_equal(play_condition(&f, name, "Ready")->reason.ptr, "ScaledToZero");
    }
    assert_int_equal(sim_routes(f.sim)->model_count, CROWD);
    play_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_under_way_is_asked_for_again),
        cmocka_unit_test(who_was_on_the_way_out_goes),
        cmocka_unit_test(no_pod_leaves_the_routes_at_a_takeover),
        cmocka_unit_test(a_pod_that_is_seen_late_is_not_lost),
        cmocka_unit_test(a_pod_that_stays_unseen_is_replaced),
        cmocka_unit_test(a_start_is_a_takeover_too),
        cmocka_unit_test(agents_that_answer_late_are_as_before),
        cmocka_unit_test(a_second_leadership_takes_no_pod),
        cmocka_unit_test(a_second_leadership_makes_no_pod),
        cmocka_unit_test(a_second_leadership_restarts_no_agent),
        cmocka_unit_test(a_crowd_leaves_the_loop_its_turns),
    };

    return cmocka_run_group_tests_name("writes at once", tests, play_writes_at_once, NULL) +
           cmocka_run_group_tests_name("writes held back", tests, play_writes_held_back, NULL);
}
