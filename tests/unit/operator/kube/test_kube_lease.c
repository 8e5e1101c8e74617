/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election: takeovers, lost answers, frozen leaders, clocks that disagree. At no time do two
 * candidates believe for sure that they lead.
 */
#include "lease_play.h"

#include <stdio.h>
#include <string.h>

enum { CANDIDATES = 3, RANDOM_STEPS = 200000 };

static void makes_the_lease_and_leads(void **state)
{
    struct server s = {0};
    struct candidate a;
    const json_t *spec;

    (void)state;
    candidate_begin(&a, &s, "a", 1000000);
    candidate_wake(&a);
    assert_string_equal(a.method, "GET");
    candidate_serve(&a);
    assert_string_equal(a.method, "POST");
    assert_int_equal(kube_lease_sure_ms(a.lease), 0);
    candidate_serve(&a);
    assert_true(a.leading);
    assert_int_equal(a.term, 1);
    assert_int_equal(kube_lease_sure_ms(a.lease), 3600);
    assert_true(kube_lease_is_leader_for_sure(a.lease, 3500));
    assert_false(kube_lease_is_leader_for_sure(a.lease, 3600));
    assert_true(str_is(kube_lease_uid(a.lease), "uid-1"));
    spec = json_object_get(s.lease, "spec");
    assert_int_equal(json_integer_value(json_object_get(spec, "leaseDurationSeconds")), 4);
    assert_string_equal(json_string_value(json_object_get(spec, "renewTime")),
                        "1970-01-01T00:16:40.000000Z");
    candidate_run(&a, 60000);
    assert_int_equal(a.starts, 1);
    assert_int_equal(a.stops, 0);
    assert_in_range(s.version, 115, 125); /* renewed each half second */
    assert_true(kube_lease_sure_ms(a.lease) >= 3100);
    candidate_end(&a);
    server_free(&s);
}

static void a_standby_takes_over_in_time(void **state)
{
    struct server s = {0};
    struct candidate a, b;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    candidate_begin(&b, &s, "b", 86400000); /* its wall clock is a day ahead: nobody cares */
    candidate_run(&b, 3000);
    assert_false(b.leading);
    assert_string_equal(b.leader, "a");
    candidate_run(&a, 600); /* one more renewal, then a dies */
    candidate_run(&b, 600);
    assert_false(b.leading);
    candidate_run(&b, 3300);
    assert_false(b.leading); /* not before its lease is over, counted from when we saw it */
    candidate_run(&b, 700);
    assert_true(b.leading);
    assert_int_equal(b.term, 2);
    candidate_end(&a);
    candidate_end(&b);
    server_free(&s);
}

static void stops_leading_before_the_lease_is_over(void **state)
{
    struct server s = {0};
    struct candidate a;
    int64_t last;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    last = candidate_now(&a);
    while (a.leading) { /* the network is gone: nothing is answered */
        clock_manual_advance_ms(&a.clock, 10);
        candidate_wake(&a);
        assert_true(candidate_now(&a) - last < 4000);
    }
    assert_in_range(candidate_now(&a) - last, 1900, 2600);
    assert_int_equal(kube_lease_sure_ms(a.lease), 0);
    assert_true(a.troubles > 0);
    candidate_end(&a);
    server_free(&s);
}

static void errors_do_not_end_a_leadership_at_once(void **state)
{
    struct server s = {0};
    struct candidate a;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    for (int i = 0; i < 3; i++) {
        while (a.method[0] == '\0') {
            clock_manual_advance_ms(&a.clock, 10);
            candidate_wake(&a);
        }
        candidate_broken(&a);
    }
    candidate_run(&a, 1000);
    assert_true(a.leading);
    assert_int_equal(a.starts, 1);
    candidate_end(&a);
    server_free(&s);
}

static void a_lost_answer_is_not_a_lost_lease(void **state)
{
    struct server s = {0};
    struct candidate a;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    while (a.method[0] == '\0') {
        clock_manual_advance_ms(&a.clock, 10);
        candidate_wake(&a);
    }
    assert_string_equal(a.method, "PATCH");
    candidate_serve_and(&a, false); /* the server has it; we do not know */
    candidate_run(&a, 0);
    while (strcmp(a.method, "PATCH") == 0) {
        clock_manual_advance_ms(&a.clock, 10);
        candidate_wake(&a);
    }
    assert_string_equal(a.method, "GET"); /* given up; look what it did */
    candidate_run(&a, 2000);
    assert_true(a.leading);
    assert_int_equal(a.starts, 1);
    candidate_end(&a);
    server_free(&s);
}

static void a_thawed_leader_knows_that_it_is_over(void **state)
{
    struct server s = {0};
    struct candidate a, b;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    candidate_begin(&b, &s, "b", 0);
    candidate_run(&b, 6000); /* a is frozen all that time */
    assert_true(b.leading);
    assert_true(a.leading); /* it has not run yet */
    clock_manual_advance_ms(&a.clock, 6000);
    assert_false(kube_lease_is_leader_for_sure(a.lease, 0)); /* but the check sees it */
    candidate_run(&a, 20);
    assert_false(a.leading);
    assert_string_equal(a.leader, "b");
    candidate_end(&a);
    candidate_end(&b);
    server_free(&s);
}

/* A write that was under way when we stopped leading arrives at last: no second leadership in the
 * old term. */
static void a_late_write_does_not_revive_a_leadership(void **state)
{
    struct server s = {0};
    struct candidate a;
    uint64_t first_term;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    first_term = a.term;
    while (a.leading) {
        clock_manual_advance_ms(&a.clock, 10);
        candidate_wake(&a);
    }
    candidate_run(&a, 5000);
    assert_true(a.leading); /* it was ours all the time, so there was no need to wait */
    assert_true(a.term > first_term);
    candidate_end(&a);
    server_free(&s);
}

static void gives_way_to_another_holder(void **state)
{
    struct server s = {0};
    struct candidate a;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    json_object_set_new(json_object_get(s.lease, "spec"), "holderIdentity", json_string("x"));
    server_touch(&s);
    candidate_run(&a, 600);
    assert_false(a.leading);
    assert_string_equal(a.leader, "x");
    candidate_run(&a, 3000);
    assert_false(a.leading);
    candidate_run(&a, 1500);
    assert_true(a.leading);
    candidate_end(&a);
    server_free(&s);
}

static void believes_a_longer_record(void **state)
{
    struct server s = {0};
    struct candidate a;

    (void)state;
    s.lease = json_pack("{s:{},s:{s:s,s:i}}", "metadata", "spec", "holderIdentity", "x",
                        "leaseDurationSeconds", 15);
    server_touch(&s);
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 14900);
    assert_false(a.leading);
    candidate_run(&a, 300);
    assert_true(a.leading);
    candidate_end(&a);
    server_free(&s);
}

static void a_missing_namespace_is_tried_slowly(void **state)
{
    struct server s = {0};
    struct candidate a;
    int requests = 0;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    for (int i = 0; i < 1000; i++) {
        struct kube_status status;
        struct err err = {0};
        int code;

        clock_manual_advance_ms(&a.clock, 10);
        candidate_wake(&a);
        if (a.method[0] == '\0')
            continue;
        requests++;
        a.method[0] = '\0';
        kube_status_read(&status, 404, STR_NONE);
        code = kube_status_err(&status, "x", &err);
        kube_lease_on_done(a.lease,
                           &(struct kube_answer){
                               .code = code, .http_status = 404, .status = &status, .err = &err});
    }
    assert_in_range(requests, 10, 42);
    candidate_end(&a);
    server_free(&s);
}

static void wrong_times_are_refused(void **state)
{
    struct kube_lease_options o = {.name_space = STR("n"), .name = STR("l"), .identity = STR("i")};
    struct kube_lease *l = NULL;

    (void)state;
    o.lease_ms = 2000; /* not longer than the 2.5 s of renewing */
    assert_int_equal(kube_lease_new(&l, &o, NULL), -ERR_INVALID);
    o.lease_ms = 0;
    o.retry_ms = 2500;
    assert_int_equal(kube_lease_new(&l, &o, NULL), -ERR_INVALID);
    o.retry_ms = 0;
    o.identity = STR("");
    assert_int_equal(kube_lease_new(&l, &o, NULL), -ERR_INVALID);
    assert_null(l);
}

/* Candidates that freeze, lose answers and requests, with clocks of slightly different rates: never
 * are two of them sure, by the time that really passes. */
static void never_two_for_sure(void **state)
{
    static const char *const names[CANDIDATES] = {"a", "b", "c"};
    static const int rates[CANDIDATES] = {100, 98, 103}; /* percent; the margin is ten */
    struct candidate all[CANDIDATES];
    int64_t frozen_until[CANDIDATES] = {0};
    struct server s = {0};
    struct rng_seeded chance;
    int leaderships = 0;

    (void)state;
    rng_seeded_init(&chance, 11);
    for (int i = 0; i < CANDIDATES; i++)
        candidate_begin(&all[i], &s, names[i], i * 1000000);
    for (int64_t step = 0; step < RANDOM_STEPS; step++) {
        int sure = 0;

        for (int i = 0; i < CANDIDATES; i++) {
            struct candidate *c = &all[i];

            c->clock.now_mono_ns += 20LL * rates[i] * 10000; /* 20 ms, as its clock has it */
            sure += kube_lease_is_leader_for_sure(c->lease, 0) ? 1 : 0;
            if (step < frozen_until[i])
                continue;
            if (rng_below(&chance.rng, 2000) == 0)
                frozen_until[i] = step + (int64_t)rng_below(&chance.rng, 500);
            candidate_wake(c);
            if (c->method[0] == '\0' || rng_below(&chance.rng, 3) == 0)
                continue;
            if (rng_below(&chance.rng, 20) == 0)
                candidate_broken(c);
            else if (rng_below(&chance.rng, 20) == 0)
                candidate_serve_and(c, false);
            else
                candidate_serve(c);
        }
        assert_true(sure <= 1);
    }
    for (int i = 0; i < CANDIDATES; i++) {
        leaderships += all[i].starts;
        candidate_end(&all[i]);
    }
    assert_in_range(leaderships, 40, 4000);
    server_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_the_lease_and_leads),
        cmocka_unit_test(a_standby_takes_over_in_time),
        cmocka_unit_test(stops_leading_before_the_lease_is_over),
        cmocka_unit_test(errors_do_not_end_a_leadership_at_once),
        cmocka_unit_test(a_lost_answer_is_not_a_lost_lease),
        cmocka_unit_test(a_thawed_leader_knows_that_it_is_over),
        cmocka_unit_test(a_late_write_does_not_revive_a_leadership),
        cmocka_unit_test(gives_way_to_another_holder),
        cmocka_unit_test(believes_a_longer_record),
        cmocka_unit_test(a_missing_namespace_is_tried_slowly),
        cmocka_unit_test(wrong_times_are_refused),
        cmocka_unit_test(never_two_for_sure),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
