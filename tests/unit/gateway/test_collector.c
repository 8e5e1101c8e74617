/* SPDX-License-Identifier: Apache-2.0 */
/* However many pods there are, so many are asked for their usage in a tick, in turn. */
#include "control_rig.h"

#include "gateway/collector.h"

enum {
    MODELS = 25,
    PODS_EACH = 20,
    TICKS_OF_A_ROUND = 3, /* for 500 pods */
};

static bool has_routes(const struct control_rig *r)
{
    return r->g.table.routes != NULL && control_token(r->g.control, TOKEN_AUDIENCE_AGENT) != NULL;
}

static bool first_tick_asked(const struct control_rig *r)
{
    return r->usage_asked >= COLLECTOR_TICK_CALLS;
}

static bool all_asked(const struct control_rig *r)
{
    return r->usage_asked >= MODELS * PODS_EACH;
}

static bool next_round_began(const struct control_rig *r)
{
    return r->usage_asked > MODELS * PODS_EACH;
}

static void pods_are_asked_in_turn(void **state)
{
    struct control_rig r = {
        .snapshots = 1, .models = MODELS, .pods = PODS_EACH, .load_status = 200};
    int64_t began_ms;
    struct err err = {0};

    (void)state;
    control_rig_start(&r);
    assert_int_equal(metrics_new(&r.g.metrics, &err), 0);
    assert_int_equal(gateway_metrics_init(&r.g.counters, r.g.metrics, &err), 0);
    control_rig_wait(&r, has_routes);
    assert_int_equal(collector_new(&r.g.collector, &r.g, &err), 0);
    began_ms = clock_mono_ms(r.g.clock);
    control_rig_wait(&r, first_tick_asked);
    assert_int_equal(r.usage_asked, COLLECTOR_TICK_CALLS);
    control_rig_wait(&r, all_asked);
    assert_true(clock_mono_ms(r.g.clock) - began_ms >=
                (int64_t)TICKS_OF_A_ROUND * COLLECTOR_TICK_MS);
    assert_int_equal(r.usage_asked, MODELS * PODS_EACH);
    control_rig_wait(&r, next_round_began);
    assert_true(clock_mono_ms(r.g.clock) - began_ms >=
                (int64_t)(COLLECTOR_EVERY_TICKS + 1) * COLLECTOR_TICK_MS);
    collector_free(r.g.collector);
    metrics_free(r.g.metrics);
    control_rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pods_are_asked_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
