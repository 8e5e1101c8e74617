/* SPDX-License-Identifier: Apache-2.0 */
/* The reconciler on a calm simulated cluster: commands that fail, what is said of it, and when they
 * are tried again. */
#include "reconcile_play.h"

#include "crd/model_route.h"
#include "operator/reconcile/pass.h"

static void refused_creations_are_said_and_tried_again(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    sim_refuse_creation(f.sim, "exceeded quota");
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    sim_run(f.sim, 10 * SECOND);
    assert_int_equal(play_condition(&f, "team/brook", "CapacityAvailable")->status, CRD_FALSE);
    sim_refuse_creation(f.sim, NULL);
    sim_run(f.sim, MINUTE);
    assert_int_equal(sim_ready_count(f.sim, "team/brook"), 2);
    assert_int_equal(play_condition(&f, "team/brook", "CapacityAvailable")->status, CRD_TRUE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 2);
    play_end(&f);
}

/* What was refused is not wanted any more. */
static void a_refusal_is_said_only_while_it_matters(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":2");
    sim_run(f.sim, 5 * SECOND);
    sim_refuse_creation(f.sim, "exceeded quota");
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":3");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(play_condition(&f, "team/brook", "CapacityAvailable")->status, CRD_FALSE);
    play_apply(&f, "brook", WEIGHTS, "\"mode\":\"Manual\",\"replicas\":2");
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(play_condition(&f, "team/brook", "CapacityAvailable")->status, CRD_TRUE);
    play_end(&f);
}

static void fail_commands(struct fixture *f, int64_t ms)
{
    static const struct sim_faults all = {.refuse = 1000};

    sim_set_faults(f->sim, &all);
    sim_run(f->sim, ms);
    sim_set_faults(f->sim, NULL);
}

static int64_t route_generation(struct fixture *f)
{
    struct crd_route_status status = {0};
    const struct crd_object *route = sim_object(f->sim, "modelroute:team/chat");

    assert_int_equal(crd_route_status_read(&status, route, &f->arena, NULL), 0);
    return status.observed_generation;
}

#define ROUTE(model)                                                      \
    "{\"apiVersion\":\"spate.dev/"                                        \
    "v1alpha1\",\"kind\":\"ModelRoute\",\"metadata\":{\"name\":\"chat\"," \
    "\"namespace\":\"team\"},\"spec\":{\"targets\":[{\"model\":\"" model "\",\"weight\":1}]}}"

/* A long outage is over once something succeeded: the next short one is soon got over. */
static void a_long_outage_is_forgotten(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    assert_int_equal(sim_apply(f.sim, BOOK("0.55"), NULL), 0);
    assert_int_equal(sim_apply(f.sim, ROUTE("brook"), NULL), 0);
    fail_commands(&f, 5 * MINUTE);
    sim_run(f.sim, MINUTE);
    assert_int_equal(sim_prices_posted(f.sim), 1);
    assert_int_equal(route_generation(&f), 1);
    assert_int_equal(sim_apply(f.sim, BOOK("0.56"), NULL), 0);
    assert_int_equal(sim_apply(f.sim, ROUTE("river"), NULL), 0);
    fail_commands(&f, SECOND);
    sim_run(f.sim, 4 * SECOND);
    assert_int_equal(sim_prices_posted(f.sim), 2);
    assert_int_equal(route_generation(&f), 2);
    play_end(&f);
}

/* Of what is gone the queue keeps nothing, though a command about it failed. */
static void the_queue_forgets_what_is_gone(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    play_apply(&f, "brook", WEIGHTS, "\"minReplicas\":2,\"maxReplicas\":2");
    assert_int_equal(sim_apply(f.sim, ROUTE("brook"), NULL), 0);
    assert_int_equal(sim_apply(f.sim, BOOK("0.55"), NULL), 0);
    sim_run(f.sim, 5 * SECOND);
    assert_int_equal(sim_apply(f.sim, ROUTE("river"), NULL), 0);
    assert_int_equal(sim_apply(f.sim, BOOK("0.56"), NULL), 0);
    sim_delete(f.sim, "team/brook");
    fail_commands(&f, 5 * SECOND);
    sim_delete(f.sim, "modelroute:team/chat");
    sim_delete(f.sim, "pricebook:list");
    sim_run(f.sim, 5 * MINUTE);
    assert_int_equal(sim_pod_count(f.sim, "team/brook"), 0);
    assert_int_equal(f.r->queue.items.count, 1); /* the look at the gateways */
    play_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_creations_are_said_and_tried_again),
        cmocka_unit_test(a_refusal_is_said_only_while_it_matters),
        cmocka_unit_test(a_long_outage_is_forgotten),
        cmocka_unit_test(the_queue_forgets_what_is_gone),
    };

    return cmocka_run_group_tests_name("writes at once", tests, play_writes_at_once, NULL) +
           cmocka_run_group_tests_name("writes held back", tests, play_writes_held_back, NULL);
}
