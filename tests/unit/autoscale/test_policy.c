/* SPDX-License-Identifier: Apache-2.0 */
/* The policy: jumps, slow scale-down, sleep, unknown load, warm-ups; and properties that hold over
 * random days. */
#include <stdio.h>
#include <string.h>

#include "autoscale/policy.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmocka_plain.h"
#include "zones.h"

/* A model, its state and what it was last told. */
struct model {
    struct autoscale_input in;
    struct autoscale_state state;
    struct autoscale_decision decision;
};

static void model_init(struct model *m)
{
    *m = (struct model){
        .in =
            {
                .mono_ms = 1000000,
                .wall_ms = 1764000000000,
                .policy =
                    {
                        .min = 0,
                        .max = 100,
                        .slots = 4,
                        .target_percent = 100,
                        .idle_after_ms = 900000,
                        .scale_down_delay_ms = 60000,
                    },
                .signal = {.known = true, .idle_ms = 1000000},
            },
    };
}

static int decide(struct model *m, int64_t after_ms)
{
    m->in.mono_ms += after_ms;
    m->in.wall_ms += after_ms;
    autoscale_decide(&m->decision, &m->state, &m->in);
    m->in.supply.ready = m->decision.desired;
    return m->decision.desired;
}

static int load(struct model *m, int64_t after_ms, uint64_t in_flight, uint64_t queued)
{
    m->in.signal.in_flight = in_flight;
    m->in.signal.queued = queued;
    if (in_flight + queued > 0)
        m->in.signal.idle_ms = 0;
    else
        m->in.signal.idle_ms += after_ms;
    return decide(m, after_ms);
}

static void the_whole_jump_is_one_decision(void **state)
{
    static const struct {
        uint64_t in_flight, queued;
        int slots, target, max, expected;
    } cases[] = {
        {0, 1, 4, 100, 100, 1},     {4, 0, 4, 100, 100, 1},       {4, 1, 4, 100, 100, 2},
        {8, 392, 4, 100, 100, 100}, {100, 4900, 64, 80, 100, 98}, {100, 4900, 64, 100, 1000, 79},
        {1, 0, 1, 1, 1000, 100},    {0, UINT64_MAX, 1, 1, 9, 9},  {UINT64_MAX, 5, 256, 100, 9, 9},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model m;

        model_init(&m);
        m.in.policy.slots = cases[i].slots;
        m.in.policy.target_percent = cases[i].target;
        m.in.policy.max = cases[i].max;
        assert_int_equal(load(&m, 0, 0, 0), 0);
        assert_int_equal(load(&m, 100, cases[i].in_flight, cases[i].queued), cases[i].expected);
        assert_true(strlen(m.decision.text) > 0);
    }
}

/* The answer is a total: pods on their way change nothing, so nothing is ordered twice. */
static void pending_pods_are_supply(void **state)
{
    struct model m;

    (void)state;
    model_init(&m);
    assert_int_equal(load(&m, 0, 2, 38), 10);
    for (int i = 0; i < 50; i++) {
        m.in.supply = (struct autoscale_supply){.ready = 1, .pending = 9};
        assert_int_equal(load(&m, 100, 2, 38), 10);
        assert_int_equal(m.decision.reason, AUTOSCALE_STEADY);
    }
}

static void size_falls_after_the_whole_delay(void **state)
{
    struct model m;
    int64_t fell_at = -1;

    (void)state;
    model_init(&m);
    assert_int_equal(load(&m, 0, 40, 0), 10);
    /* nothing is told for a long time: the load held until it changed */
    for (int64_t t = 0; t <= 63000; t += 100) {
        if (load(&m, t == 0 ? 100000 : 100, 8, 0) == 10) {
            assert_int_equal(m.decision.reason, AUTOSCALE_DELAYED);
            assert_true(m.decision.next_ms > m.in.mono_ms);
            continue;
        }
        fell_at = t;
        break;
    }
    assert_in_range(fell_at, 60000, 62000);
    assert_int_equal(m.decision.desired, 2);
    assert_int_equal(m.decision.reason, AUTOSCALE_LOAD_FELL);
}

/* Asked only when it said so, it falls at the same time. */
static void next_time_is_enough(void **state)
{
    struct model m;
    int64_t start_ms;

    (void)state;
    model_init(&m);
    load(&m, 0, 40, 0);
    load(&m, 100, 8, 0);
    start_ms = m.in.mono_ms;
    while (m.decision.desired == 10)
        load(&m, m.decision.next_ms - m.in.mono_ms, 8, 0);
    assert_int_equal(m.decision.desired, 2);
    assert_in_range(m.in.mono_ms - start_ms, 60000, 62000);
}

static void quiet_goes_to_zero_after_the_idle_time(void **state)
{
    struct model m;

    (void)state;
    model_init(&m);
    load(&m, 0, 9, 0);
    load(&m, 1000, 0, 0);
    m.in.signal.idle_ms = 0;
    decide(&m, 0);
    while (m.decision.desired > 0) {
        int64_t wait_ms = m.decision.next_ms - m.in.mono_ms;

        m.in.signal.idle_ms += wait_ms;
        decide(&m, wait_ms);
    }
    assert_int_equal(m.decision.reason, AUTOSCALE_IDLE);
    assert_int_equal(m.in.signal.idle_ms, 900000);
    assert_int_equal(m.decision.previous, 1);

    /* Switched off, the last one stays. */
    model_init(&m);
    m.in.policy.idle_after_ms = 0;
    load(&m, 0, 9, 0);
    for (int i = 0; i < 100; i++)
        load(&m, 3600000, 0, 0);
    assert_int_equal(m.decision.desired, 1);
    assert_int_equal(m.decision.reason, AUTOSCALE_KEPT_WARM);
}

static void unknown_load_holds_the_size(void **state)
{
    struct model m;

    (void)state;
    model_init(&m);
    load(&m, 0, 40, 0);
    m.in.signal = (struct autoscale_signal){.known = false, .idle_ms = 100000000};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(decide(&m, 10000), 10);
        assert_int_equal(m.decision.reason, AUTOSCALE_LOAD_UNKNOWN);
    }
    /* Less than all is known, and it is more already. */
    m.in.signal.in_flight = 60;
    assert_int_equal(decide(&m, 100), 15);
    /* Known again: the delay begins now. */
    m.in.signal = (struct autoscale_signal){.known = true, .in_flight = 4};
    assert_int_equal(decide(&m, 100), 15);
    assert_int_equal(decide(&m, 59000), 15);
    assert_int_equal(decide(&m, 3000), 1);
}

/* A restarted operator knows nothing but what runs. */
static void a_fresh_state_keeps_what_runs(void **state)
{
    struct model m;

    (void)state;
    model_init(&m);
    m.in.supply = (struct autoscale_supply){.ready = 5, .pending = 2, .draining = 3};
    m.in.signal.idle_ms = 1000;
    assert_int_equal(decide(&m, 0), 7);
    m.in.supply.pending = 0;
    assert_int_equal(decide(&m, 59000), 7);
    assert_int_equal(decide(&m, 3000), 1);
}

static void limits_clamp_with_a_reason(void **state)
{
    struct model m;

    (void)state;
    model_init(&m);
    m.in.policy.min = 2;
    m.in.policy.max = 6;
    assert_int_equal(load(&m, 0, 0, 0), 2);
    assert_int_equal(m.decision.reason, AUTOSCALE_AT_MINIMUM);
    assert_int_equal(load(&m, 100, 100, 0), 6);
    assert_int_equal(m.decision.reason, AUTOSCALE_AT_MAXIMUM);
    m.in.policy.max = 3;
    assert_int_equal(load(&m, 100, 100, 0), 3);
}

static void manual_mode_obeys(void **state)
{
    struct model m;

    (void)state;
    model_init(&m);
    m.in.policy.manual = true;
    m.in.policy.manual_replicas = 5;
    assert_int_equal(load(&m, 0, 1000, 1000), 5);
    assert_int_equal(m.decision.reason, AUTOSCALE_MANUAL);
    m.in.policy.manual_replicas = 0;
    assert_int_equal(load(&m, 100, 1000, 1000), 0);
    m.in.policy.manual_replicas = 3;
    assert_int_equal(decide(&m, 100), 3);
    /* Back to Auto it does not fall at once. */
    m.in.policy.manual = false;
    assert_int_equal(load(&m, 100, 1, 0), 3);
}

/* Ready at 08:00 in Shanghai: started by the measured cold start and a margin earlier. */
static void warm_up_is_ready_at_its_time(void **state)
{
    CLEANUP(tz_freep) struct tz *zone = zone_load("Asia/Shanghai");
    struct autoscale_warmup warmup = {
        .name = "office", .zone = zone, .replicas = 3, .duration_s = 3600};
    int64_t eight_ms = utc("2026-11-23T00:00:00Z") * 1000;
    struct model m;
    struct err err;
    int64_t from_ms;

    (void)state;
    assert_int_equal(cron_parse(&warmup.cron, STR("0 8 * * *"), &err), 0);
    model_init(&m);
    m.in.policy.warmups = &warmup;
    m.in.policy.warmup_count = 1;
    m.in.cold_start_p90_ms = 40000;
    m.in.wall_ms = utc("2026-11-22T12:00:00Z") * 1000;
    assert_int_equal(decide(&m, 0), 0);
    while (m.decision.desired == 0) /* only when it asked for it */
        decide(&m, m.decision.next_ms - m.in.mono_ms);
    from_ms = eight_ms - 40000 - AUTOSCALE_LEAD_MARGIN_MS;
    assert_int_equal(m.in.wall_ms, from_ms);
    assert_int_equal(m.decision.desired, 3);
    assert_int_equal(m.decision.reason, AUTOSCALE_WARM_UP);
    while (m.decision.desired == 3)
        decide(&m, m.decision.next_ms - m.in.mono_ms);
    assert_int_equal(m.in.wall_ms, eight_ms + 3600 * 1000);
    assert_int_equal(m.decision.desired, 0);
}

/* 200 nights around both changes of the year in a zone of half hours. */
static void warm_ups_meet_daylight_saving(void **state)
{
    CLEANUP(tz_freep) struct tz *zone = zone_load("Australia/Lord_Howe");
    struct autoscale_warmup warmup = {.zone = zone, .replicas = 2, .duration_s = 600};
    struct model m;
    struct err err;
    int days = 0;

    (void)state;
    assert_int_equal(cron_parse(&warmup.cron, STR("15 2 * * *"), &err), 0);
    model_init(&m);
    m.in.policy.warmups = &warmup;
    m.in.policy.warmup_count = 1;
    m.in.cold_start_p90_ms = 1000;
    m.in.wall_ms = utc("2026-03-20T00:00:00Z") * 1000;
    decide(&m, 0);
    for (int i = 0; i < 100000 && days < 200; i++) {
        int64_t before = m.decision.desired;
        int64_t local_s;

        decide(&m, m.decision.next_ms - m.in.mono_ms);
        if (before != 0 || m.decision.desired != 2)
            continue;
        days++;
        local_s = m.in.wall_ms / 1000 + 6; /* lead and margin later */
        local_s = (local_s + tz_offset_at(zone, local_s)) % 86400;
        if (local_s != 2 * 3600 + 15 * 60 && local_s != 2 * 3600 + 30 * 60)
            fail_msg("ready at %lld s of the local day", (long long)local_s);
    }
    assert_int_equal(days, 200);
}

static int needed(const struct model *m)
{
    uint64_t requests = m->in.signal.in_flight + m->in.signal.queued;
    uint64_t share = (uint64_t)(m->in.policy.slots * m->in.policy.target_percent);

    return (int)((requests * 100 + share - 1) / share);
}

/* Random loads, gaps in the signal and changes of the limits. */
static void properties_hold(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng_seeded rng;
        struct model m;
        int64_t lower_since = 0;

        rng_seeded_init(&rng, seed);
        model_init(&m);
        m.in.policy.min = (int)rng_below(&rng.rng, 3);
        m.in.policy.max = m.in.policy.min + 1 + (int)rng_below(&rng.rng, 30);
        m.in.policy.target_percent = 1 + (int)rng_below(&rng.rng, 100);
        decide(&m, 0);
        for (int step = 0; step < 500; step++) {
            int before = m.decision.desired;
            int64_t wait_ms = (int64_t)rng_below(&rng.rng, 5000);

            if (rng_below(&rng.rng, 10) == 0)
                m.in.signal.queued = rng_below(&rng.rng, 100);
            m.in.signal.known = rng_below(&rng.rng, 20) != 0;
            m.in.signal.idle_ms = m.in.signal.queued > 0 ? 0 : m.in.signal.idle_ms + wait_ms;
            decide(&m, wait_ms);
            assert_in_range(m.decision.desired, m.in.policy.min, m.in.policy.max);
            assert_true(m.decision.next_ms > m.in.mono_ms);
            assert_true(m.decision.desired >= needed(&m) || m.decision.desired == m.in.policy.max);
            if (m.decision.desired > before) /* no overshoot */
                assert_true(m.decision.desired <= needed(&m) ||
                            m.decision.desired == m.in.policy.min);
            if (!m.in.signal.known)
                assert_true(m.decision.desired >= before);
            if (needed(&m) >= before || !m.in.signal.known)
                lower_since = m.in.mono_ms;
            if (m.decision.desired < before && m.decision.reason != AUTOSCALE_IDLE)
                assert_true(m.in.mono_ms - lower_since >= 60000 || lower_since == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_jump_is_one_decision),
        cmocka_unit_test(pending_pods_are_supply),
        cmocka_unit_test(size_falls_after_the_whole_delay),
        cmocka_unit_test(next_time_is_enough),
        cmocka_unit_test(quiet_goes_to_zero_after_the_idle_time),
        cmocka_unit_test(unknown_load_holds_the_size),
        cmocka_unit_test(a_fresh_state_keeps_what_runs),
        cmocka_unit_test(limits_clamp_with_a_reason),
        cmocka_unit_test(manual_mode_obeys),
        cmocka_unit_test(warm_up_is_ready_at_its_time),
        cmocka_unit_test(warm_ups_meet_daylight_saving),
        cmocka_unit_test(properties_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
