/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election against a server that is played by hand, with clocks set by hand: two candidates
 * over one lease, lost answers, frozen leaders, clocks that disagree. At no time do two of them
 * believe for sure that they lead.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_lease.h"

enum { BODY_MAX = 4096, CANDIDATES = 3, RANDOM_STEPS = 200000 };

struct server {
    json_t *lease; /* NULL: not there */
    int version;
    int uid;
};

struct candidate {
    struct server *server;
    struct kube_lease *lease;
    struct clock_manual clock;
    struct rng_seeded random;
    char method[8]; /* of the request under way; "": none */
    char body[BODY_MAX];
    int64_t wake_ms;
    bool leading;
    uint64_t term;
    int starts, stops, troubles, releases;
    char leader[64];
};

/* --- the server ------------------------------------------------------------------------------- */

static void server_touch(struct server *s)
{
    char version[16];

    snprintf(version, sizeof(version), "%d", ++s->version);
    json_object_set_new(json_object_get(s->lease, "metadata"), "resourceVersion",
                        json_string(version));
}

static int server_create(struct server *s, json_t *body)
{
    char uid[16];

    if (s->lease != NULL)
        return 409;
    s->lease = json_deep_copy(body);
    snprintf(uid, sizeof(uid), "uid-%d", ++s->uid);
    json_object_set_new(json_object_get(s->lease, "metadata"), "uid", json_string(uid));
    server_touch(s);
    return 201;
}

static int server_patch(struct server *s, json_t *body)
{
    json_t *metadata = json_object_get(body, "metadata");
    json_t *spec = json_object_get(body, "spec");
    const char *key;
    json_t *value;

    if (s->lease == NULL)
        return 404;
    assert_non_null(json_object_get(metadata, "resourceVersion")); /* never without */
    if (!json_equal(json_object_get(metadata, "resourceVersion"),
                    json_object_get(json_object_get(s->lease, "metadata"), "resourceVersion")))
        return 409;
    json_object_foreach (spec, key, value) {
        if (json_is_null(value))
            json_object_del(json_object_get(s->lease, "spec"), key);
        else
            json_object_set(json_object_get(s->lease, "spec"), key, value);
    }
    server_touch(s);
    return 200;
}

static int server_handle(struct server *s, const char *method, const char *body)
{
    json_auto_t *tree = NULL;

    if (strcmp(method, "GET") == 0)
        return s->lease != NULL ? 200 : 404;
    tree = json_loads(body, 0, NULL);
    assert_non_null(tree);
    return strcmp(method, "POST") == 0 ? server_create(s, tree) : server_patch(s, tree);
}

static const char *holder(const struct server *s)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(s->lease, "spec"), "holderIdentity"));

    return text != NULL ? text : "";
}

/* --- a candidate ------------------------------------------------------------------------------ */

static int send_request(void *context, const char *method, const char *target, struct str body,
                        struct err *err)
{
    struct candidate *c = context;
    bool create = strcmp(method, "POST") == 0;

    (void)err;
    assert_string_equal(c->method, ""); /* one at a time */
    assert_string_equal(target, create ? "/apis/coordination.k8s.io/v1/namespaces/n/leases"
                                       : "/apis/coordination.k8s.io/v1/namespaces/n/leases/lead");
    snprintf(c->method, sizeof(c->method), "%s", method);
    snprintf(c->body, sizeof(c->body), "%.*s", STR_ARG(body));
    return 0;
}

static void cancel(void *context)
{
    struct candidate *c = context;

    assert_true(c->method[0] != '\0');
    c->method[0] = '\0';
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct candidate *c = context;

    c->wake_ms = mono_ms;
}

static void on_started(void *user, uint64_t term)
{
    struct candidate *c = user;

    assert_false(c->leading);
    assert_true(term > c->term || c->starts == 0);
    c->leading = true;
    c->term = term;
    c->starts++;
}

static void on_stopped(void *user)
{
    struct candidate *c = user;

    assert_true(c->leading);
    c->leading = false;
    c->stops++;
}

static void on_leader(void *user, struct str identity)
{
    struct candidate *c = user;

    snprintf(c->leader, sizeof(c->leader), "%.*s", STR_ARG(identity));
}

static void on_trouble(void *user, const struct err *err)
{
    struct candidate *c = user;

    assert_true(err->message[0] != '\0');
    c->troubles++;
}

static void begin(struct candidate *c, struct server *s, const char *identity, int64_t wall_ms)
{
    struct kube_lease_options options = {
        .name_space = STR("n"),
        .name = STR("lead"),
        .identity = str_of(identity),
        .io = {send_request, cancel, wake_at, c},
        .on_started = on_started,
        .on_stopped = on_stopped,
        .on_leader = on_leader,
        .on_trouble = on_trouble,
        .user = c,
    };

    *c = (struct candidate){.server = s, .wake_ms = INT64_MAX};
    clock_manual_init(&c->clock, wall_ms);
    rng_seeded_init(&c->random, (uint64_t)wall_ms + (uint64_t)identity[0]);
    options.clock = &c->clock.clock;
    options.rng = &c->random.rng;
    assert_int_equal(kube_lease_new(&c->lease, &options, NULL), 0);
    kube_lease_start(c->lease);
}

static void end(struct candidate *c)
{
    kube_lease_free(c->lease);
}

static int64_t now(const struct candidate *c)
{
    return clock_mono_ms(&c->clock.clock);
}

static void wake(struct candidate *c)
{
    if (c->wake_ms <= now(c))
        kube_lease_on_wake(c->lease);
}

/* The request reaches the server; its answer comes back, or is lost. */
static void serve_and(struct candidate *c, bool answer_arrives)
{
    CLEANUP(mem_freep) char *body = NULL;
    struct kube_answer answer = {0};
    struct kube_status status;
    struct err err = {0};

    assert_true(c->method[0] != '\0');
    answer.http_status = server_handle(c->server, c->method, c->body);
    if (!answer_arrives)
        return; /* still under way, as far as the candidate knows */
    c->method[0] = '\0';
    if (answer.http_status < 300) {
        body = json_dumps(c->server->lease, 0);
        answer.body = str_of(body);
    } else {
        kube_status_read(&status, answer.http_status, STR_NONE);
        if (answer.http_status == 409 && c->server->lease == NULL)
            status.reason = KUBE_REASON_ALREADY_EXISTS;
        answer.status = &status;
        answer.err = &err;
        answer.code = kube_status_err(&status, "x", &err);
    }
    kube_lease_on_done(c->lease, &answer);
}

static void serve(struct candidate *c)
{
    serve_and(c, true);
}

static void broken(struct candidate *c)
{
    struct err err = {.code = ERR_NETWORK, .message = "reset"};

    c->method[0] = '\0';
    kube_lease_on_done(c->lease, &(struct kube_answer){.code = -ERR_NETWORK, .err = &err});
}

/* Lets a time pass, in small steps, with a server that answers at once. */
static void run(struct candidate *c, int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 10) {
        clock_manual_advance_ms(&c->clock, 10);
        wake(c);
        while (c->method[0] != '\0')
            serve(c);
    }
}

static void server_free(struct server *s)
{
    json_decref(s->lease);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void makes_the_lease_and_leads(void **state)
{
    struct server s = {0};
    struct candidate a;
    const json_t *spec;

    (void)state;
    begin(&a, &s, "a", 1000000);
    wake(&a);
    assert_string_equal(a.method, "GET");
    serve(&a);
    assert_string_equal(a.method, "POST");
    assert_int_equal(kube_lease_sure_ms(a.lease), 0);
    serve(&a);
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
    run(&a, 60000);
    assert_int_equal(a.starts, 1);
    assert_int_equal(a.stops, 0);
    assert_in_range(s.version, 115, 125); /* renewed each half second */
    assert_true(kube_lease_sure_ms(a.lease) >= 3100);
    end(&a);
    server_free(&s);
}

static void a_standby_takes_over_in_time(void **state)
{
    struct server s = {0};
    struct candidate a, b;

    (void)state;
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    begin(&b, &s, "b", 86400000); /* its wall clock is a day ahead: nobody cares */
    run(&b, 3000);
    assert_false(b.leading);
    assert_string_equal(b.leader, "a");
    run(&a, 600); /* one more renewal, then a dies */
    run(&b, 600);
    assert_false(b.leading);
    run(&b, 3300);
    assert_false(b.leading); /* not before its lease is over, counted from when we saw it */
    run(&b, 700);
    assert_true(b.leading);
    assert_int_equal(b.term, 2);
    end(&a);
    end(&b);
    server_free(&s);
}

static void stops_leading_before_the_lease_is_over(void **state)
{
    struct server s = {0};
    struct candidate a;
    int64_t last;

    (void)state;
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    last = now(&a);
    while (a.leading) { /* the network is gone: nothing is answered */
        clock_manual_advance_ms(&a.clock, 10);
        wake(&a);
        assert_true(now(&a) - last < 4000);
    }
    assert_in_range(now(&a) - last, 1900, 2600);
    assert_int_equal(kube_lease_sure_ms(a.lease), 0);
    assert_true(a.troubles > 0);
    end(&a);
    server_free(&s);
}

static void errors_do_not_end_a_leadership_at_once(void **state)
{
    struct server s = {0};
    struct candidate a;

    (void)state;
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    for (int i = 0; i < 3; i++) {
        while (a.method[0] == '\0') {
            clock_manual_advance_ms(&a.clock, 10);
            wake(&a);
        }
        broken(&a);
    }
    run(&a, 1000);
    assert_true(a.leading);
    assert_int_equal(a.starts, 1);
    end(&a);
    server_free(&s);
}

static void a_lost_answer_is_not_a_lost_lease(void **state)
{
    struct server s = {0};
    struct candidate a;

    (void)state;
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    while (a.method[0] == '\0') {
        clock_manual_advance_ms(&a.clock, 10);
        wake(&a);
    }
    assert_string_equal(a.method, "PATCH");
    serve_and(&a, false); /* the server has it; we do not know */
    run(&a, 0);
    while (strcmp(a.method, "PATCH") == 0) {
        clock_manual_advance_ms(&a.clock, 10);
        wake(&a);
    }
    assert_string_equal(a.method, "GET"); /* given up; look what it did */
    run(&a, 2000);
    assert_true(a.leading);
    assert_int_equal(a.starts, 1);
    end(&a);
    server_free(&s);
}

static void a_thawed_leader_knows_that_it_is_over(void **state)
{
    struct server s = {0};
    struct candidate a, b;

    (void)state;
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    begin(&b, &s, "b", 0);
    run(&b, 6000); /* a is frozen all that time */
    assert_true(b.leading);
    assert_true(a.leading); /* it has not run yet */
    clock_manual_advance_ms(&a.clock, 6000);
    assert_false(kube_lease_is_leader_for_sure(a.lease, 0)); /* but the check sees it */
    run(&a, 20);
    assert_false(a.leading);
    assert_string_equal(a.leader, "b");
    end(&a);
    end(&b);
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
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    first_term = a.term;
    while (a.leading) {
        clock_manual_advance_ms(&a.clock, 10);
        wake(&a);
    }
    run(&a, 5000);
    assert_true(a.leading); /* it was ours all the time, so there was no need to wait */
    assert_true(a.term > first_term);
    end(&a);
    server_free(&s);
}

static void gives_way_to_another_holder(void **state)
{
    struct server s = {0};
    struct candidate a;

    (void)state;
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    json_object_set_new(json_object_get(s.lease, "spec"), "holderIdentity", json_string("x"));
    server_touch(&s);
    run(&a, 600);
    assert_false(a.leading);
    assert_string_equal(a.leader, "x");
    run(&a, 3000);
    assert_false(a.leading);
    run(&a, 1500);
    assert_true(a.leading);
    end(&a);
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
    begin(&a, &s, "a", 0);
    run(&a, 14900);
    assert_false(a.leading);
    run(&a, 300);
    assert_true(a.leading);
    end(&a);
    server_free(&s);
}

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
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    kube_lease_release(a.lease, done, &a);
    assert_false(a.leading);
    assert_int_equal(a.releases, 0);
    run(&a, 20);
    assert_int_equal(a.releases, 1);
    assert_string_equal(holder(&s), "");
    run(&a, 5000);
    assert_string_equal(holder(&s), ""); /* and it does not come back */
    begin(&b, &s, "b", 0);
    run(&b, 20);
    assert_true(b.leading);
    assert_int_equal(b.term, 2);
    kube_lease_release(b.lease, done, &b); /* with a write under way whose answer is lost */
    clock_manual_advance_ms(&b.clock, 10);
    wake(&b);
    serve_and(&b, false);
    clock_manual_advance_ms(&b.clock, 2500);
    wake(&b);
    assert_int_equal(b.releases, 1);
    end(&a);
    end(&b);
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

        begin(&a, &s, "a", 0);
        run(&a, way == 0 ? 0 : 1000);
        kube_lease_release(a.lease, done_and_free, &a);
        for (int i = 0; i < 400 && a.lease != NULL; i++) {
            clock_manual_advance_ms(&a.clock, 10);
            wake(&a);
            if (way < 2 && a.lease != NULL && a.method[0] != '\0')
                serve(&a); /* else nothing is ever answered */
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
    begin(&a, &s, "a", 0);
    run(&a, 1000);
    begin(&b, &s, "b", 0);
    run(&b, 1000);
    kube_lease_release(b.lease, done, &b);
    run(&b, 1000);
    assert_int_equal(b.releases, 1);
    assert_string_equal(holder(&s), "a");
    end(&a);
    end(&b);
    server_free(&s);
}

static void a_missing_namespace_is_tried_slowly(void **state)
{
    struct server s = {0};
    struct candidate a;
    int requests = 0;

    (void)state;
    begin(&a, &s, "a", 0);
    for (int i = 0; i < 1000; i++) {
        struct kube_status status;
        struct err err = {0};
        int code;

        clock_manual_advance_ms(&a.clock, 10);
        wake(&a);
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
    end(&a);
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
        begin(&all[i], &s, names[i], i * 1000000);
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
            wake(c);
            if (c->method[0] == '\0' || rng_below(&chance.rng, 3) == 0)
                continue;
            if (rng_below(&chance.rng, 20) == 0)
                broken(c);
            else if (rng_below(&chance.rng, 20) == 0)
                serve_and(c, false);
            else
                serve(c);
        }
        assert_true(sure <= 1);
    }
    for (int i = 0; i < CANDIDATES; i++) {
        leaderships += all[i].starts;
        end(&all[i]);
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
        cmocka_unit_test(releases),
        cmocka_unit_test(may_be_freed_when_it_is_released),
        cmocka_unit_test(what_is_not_ours_is_not_released),
        cmocka_unit_test(a_missing_namespace_is_tried_slowly),
        cmocka_unit_test(wrong_times_are_refused),
        cmocka_unit_test(never_two_for_sure),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
