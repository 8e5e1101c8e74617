/* SPDX-License-Identifier: Apache-2.0 */
/* Admission: the rate is exact over time, places are given back once. */
#include "cmocka_plain.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/admit.h"

struct rig {
    struct routes_tenant spec;
    struct gw_tenant tenant;
    struct clock_manual clock;
    struct openai_error error;
    int64_t retry_after_ms;
};

static void rig_init(struct rig *r, uint64_t per_minute, uint64_t concurrency)
{
    static char name[] = "acme";

    *r = (struct rig){.spec = {.requests_per_minute = per_minute, .concurrency = concurrency}};
    r->tenant = (struct gw_tenant){.name = name, .spec = &r->spec, .bucket = UINT64_MAX};
    clock_manual_init(&r->clock, 0);
    clock_manual_advance_ms(&r->clock, 1000000);
}

static bool ask(struct rig *r, struct ticket *ticket)
{
    return admit(ticket, &r->tenant, clock_mono_ms(&r->clock.clock), &r->error,
                 &r->retry_after_ms) == 0;
}

/* Asks and settles at once. */
static bool pass(struct rig *r)
{
    struct ticket ticket = {0};
    bool admitted = ask(r, &ticket);

    settle(&ticket);
    return admitted;
}

static void a_minute_holds_exactly_its_requests(void **state)
{
    static const uint64_t rates[] = {1, 2, 7, 60, 61, 999, 60000, 100000};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        struct rig r;

        rig_init(&r, rates[i], 0);
        for (uint64_t k = 0; k < rates[i]; k++)
            assert_true(pass(&r));
        assert_false(pass(&r));
        assert_int_equal(r.error.code, OPENAI_RATE);
        assert_true(r.retry_after_ms >= 1 && r.retry_after_ms <= 60000);
    }
}

/* The time that the refusal names is the first at which it works, to the millisecond. */
static void retry_after_is_exact(void **state)
{
    static const uint64_t rates[] = {1, 3, 7, 59, 60, 61, 1000, 70000};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        struct rig r;

        rig_init(&r, rates[i], 0);
        while (pass(&r))
            continue;
        for (int round = 0; round < 50; round++) {
            int64_t wait_ms = r.retry_after_ms;

            if (wait_ms > 1) {
                clock_manual_advance_ms(&r.clock, wait_ms - 1);
                assert_false(pass(&r));
                assert_int_equal(r.retry_after_ms, 1);
                clock_manual_advance_ms(&r.clock, 1);
            } else {
                clock_manual_advance_ms(&r.clock, wait_ms);
            }
            assert_true(pass(&r));
            while (pass(&r))
                continue;
        }
    }
}

/* Over a long time of odd steps, neither a request more nor one less than the rate. */
static void nothing_is_lost_by_rounding(void **state)
{
    struct rng_seeded seeded;
    struct rig r;
    uint64_t passed = 0;
    int64_t elapsed_ms = 0;

    (void)state;
    rng_seeded_init(&seeded, 7);
    rig_init(&r, 777, 0);
    for (int i = 0; i < 20000; i++) {
        int64_t step_ms = (int64_t)rng_below(&seeded.rng, 120);

        while (pass(&r))
            passed++;
        clock_manual_advance_ms(&r.clock, step_ms);
        elapsed_ms += step_ms;
    }
    while (pass(&r))
        passed++;
    assert_int_equal(passed, 777 + (uint64_t)elapsed_ms * 777 / 60000);
}

static void a_long_pause_fills_one_minute_only(void **state)
{
    struct rig r;
    int passed = 0;

    (void)state;
    rig_init(&r, 10, 0);
    while (pass(&r))
        continue;
    clock_manual_advance_ms(&r.clock, INT64_C(1000) * 86400 * 365 * 30);
    while (pass(&r))
        passed++;
    assert_int_equal(passed, 10);
}

static void concurrency_counts_what_is_not_settled(void **state)
{
    struct ticket tickets[3] = {{0}};
    struct ticket more = {0};
    struct rig r;

    (void)state;
    rig_init(&r, 0, 3);
    for (size_t i = 0; i < ARRAY_COUNT(tickets); i++)
        assert_true(ask(&r, &tickets[i]));
    assert_int_equal(r.tenant.in_flight, 3);
    assert_int_equal(r.tenant.refs, 3);
    assert_false(ask(&r, &more));
    assert_null(more.tenant);
    assert_int_equal(r.error.code, OPENAI_CONCURRENCY);
    assert_true(r.retry_after_ms > 0 && r.retry_after_ms <= 60000);
    settle(&tickets[1]);
    settle(&tickets[1]); /* twice is harmless */
    assert_int_equal(r.tenant.in_flight, 2);
    assert_true(ask(&r, &more));
    settle(&more);
    settle(&tickets[0]);
    settle(&tickets[2]);
    assert_int_equal(r.tenant.in_flight, 0);
    assert_int_equal(r.tenant.refs, 0);
}

/* A refusal for concurrency takes nothing of the rate. */
static void a_refused_request_costs_nothing(void **state)
{
    struct ticket first = {0};
    struct ticket more = {0};
    struct rig r;

    (void)state;
    rig_init(&r, 2, 1);
    assert_true(ask(&r, &first));
    for (int i = 0; i < 10; i++)
        assert_false(ask(&r, &more));
    settle(&first);
    assert_true(ask(&r, &more));
    settle(&more);
    assert_false(ask(&r, &more));
    assert_int_equal(r.error.code, OPENAI_RATE);
}

static void void_gives_the_rate_back(void **state)
{
    struct ticket ticket = {0};
    struct rig r;

    (void)state;
    rig_init(&r, 1, 0);
    for (int i = 0; i < 100; i++) {
        assert_true(ask(&r, &ticket));
        void_ticket(&ticket);
        void_ticket(&ticket);
        assert_int_equal(r.tenant.in_flight, 0);
    }
    assert_true(pass(&r));
    assert_false(pass(&r));
}

/* Voided after the tenant was revoked, or after the limit was lifted: no more than a full bucket.
 */
static void void_never_overfills(void **state)
{
    struct ticket ticket = {0};
    struct rig r;

    (void)state;
    rig_init(&r, 3, 0);
    assert_true(ask(&r, &ticket));
    r.tenant.spec = NULL;
    void_ticket(&ticket);
    r.tenant.spec = &r.spec;
    assert_true(ask(&r, &ticket));
    clock_manual_advance_ms(&r.clock, 60000);
    void_ticket(&ticket);
    for (int i = 0; i < 3; i++)
        assert_true(pass(&r));
    assert_false(pass(&r));
}

static void limits_may_change_meanwhile(void **state)
{
    struct rig r;
    int passed = 0;

    (void)state;
    rig_init(&r, 100, 0);
    assert_true(pass(&r));
    r.spec.requests_per_minute = 5;
    while (pass(&r))
        passed++;
    assert_int_equal(passed, 5);
    r.spec.requests_per_minute = 0;
    for (int i = 0; i < 1000; i++)
        assert_true(pass(&r));
}

/* The largest rate that a manifest can name does not wrap around. */
static void an_enormous_rate_is_no_limit(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, INT64_MAX, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(pass(&r));
    rig_init(&r, UINT64_MAX / 60000 + 2, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(pass(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_holds_exactly_its_requests),
        cmocka_unit_test(retry_after_is_exact),
        cmocka_unit_test(nothing_is_lost_by_rounding),
        cmocka_unit_test(a_long_pause_fills_one_minute_only),
        cmocka_unit_test(concurrency_counts_what_is_not_settled),
        cmocka_unit_test(a_refused_request_costs_nothing),
        cmocka_unit_test(void_gives_the_rate_back),
        cmocka_unit_test(void_never_overfills),
        cmocka_unit_test(limits_may_change_meanwhile),
        cmocka_unit_test(an_enormous_rate_is_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
