/* SPDX-License-Identifier: Apache-2.0 */
/* A lease is given up: by its holder only, whatever is under way, and told once. */
#include "lease_play.h"

#include <stdio.h>
#include <string.h>

static void done(void *user)
{
    struct candidate *c = user;

    c->releases++;
}

static void releases(void **state)
{
    struct server s = {0};
    struct candidate a, b;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    kube_lease_release(a.lease, done, &a);
    assert_false(a.leading);
    assert_int_equal(a.releases, 0);
    candidate_run(&a, 20);
    assert_int_equal(a.releases, 1);
    assert_string_equal(server_holder(&s), "");
    candidate_run(&a, 5000);
    assert_string_equal(server_holder(&s), ""); /* and it does not come back */
    candidate_begin(&b, &s, "b", 0);
    candidate_run(&b, 20);
    assert_true(b.leading);
    assert_int_equal(b.term, 2);
    kube_lease_release(b.lease, done, &b); /* with a write under way whose answer is lost */
    clock_manual_advance_ms(&b.clock, 10);
    candidate_wake(&b);
    candidate_serve_and(&b, false);
    clock_manual_advance_ms(&b.clock, 2500);
    candidate_wake(&b);
    assert_int_equal(b.releases, 1);
    candidate_end(&a);
    candidate_end(&b);
    server_free(&s);
}

static void done_and_free(void *user)
{
    struct candidate *c = user;

    c->releases++;
    kube_lease_free(c->lease);
    c->lease = NULL;
}

static void may_be_freed_when_it_is_released(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct server s = {0};
        struct candidate a;

        candidate_begin(&a, &s, "a", 0);
        candidate_run(&a, way == 0 ? 0 : 1000);
        kube_lease_release(a.lease, done_and_free, &a);
        for (int i = 0; i < 400 && a.lease != NULL; i++) {
            clock_manual_advance_ms(&a.clock, 10);
            candidate_wake(&a);
            if (way < 2 && a.lease != NULL && a.method[0] != '\0')
                candidate_serve(&a); /* else nothing is ever answered */
        }
        assert_null(a.lease);
        assert_int_equal(a.releases, 1);
        server_free(&s);
    }
}

static void what_is_not_ours_is_not_released(void **state)
{
    struct server s = {0};
    struct candidate a, b;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    candidate_begin(&b, &s, "b", 0);
    candidate_run(&b, 1000);
    kube_lease_release(b.lease, done, &b);
    candidate_run(&b, 1000);
    assert_int_equal(b.releases, 1);
    assert_string_equal(server_holder(&s), "a");
    candidate_end(&a);
    candidate_end(&b);
    server_free(&s);
}

/* It ends in the moment in which it takes the lease over: the next one need not wait for its end.
 */
static void what_may_be_ours_is_released(void **state)
{
    struct server s = {0};
    struct candidate a, b;

    (void)state;
    candidate_begin(&a, &s, "a", 0);
    candidate_run(&a, 1000);
    candidate_begin(&b, &s, "b", 0);
    candidate_run(&b, 1000);
    assert_false(kube_lease_may_be_ours(b.lease));
    kube_lease_release(a.lease, done, &a);
    candidate_run(&a, 20);
    for (int i = 0; i < 100 && strcmp(b.method, "PATCH") != 0; i++) {
        if (b.method[0] != '\0')
            candidate_serve(&b);
        clock_manual_advance_ms(&b.clock, 10);
        candidate_wake(&b);
    }
    assert_string_equal(b.method, "PATCH");
    candidate_serve_and(&b, false);
    assert_string_equal(server_holder(&s), "b");
    assert_false(b.leading);
    assert_true(kube_lease_may_be_ours(b.lease));
    kube_lease_release(b.lease, done, &b);
    candidate_run(&b, 20);
    assert_int_equal(b.releases, 1);
    assert_string_equal(server_holder(&s), "");
    candidate_end(&a);
    candidate_end(&b);
    server_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases),
        cmocka_unit_test(may_be_freed_when_it_is_released),
        cmocka_unit_test(what_is_not_ours_is_not_released),
        cmocka_unit_test(what_may_be_ours_is_released),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
