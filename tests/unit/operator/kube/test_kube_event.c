/* SPDX-License-Identifier: Apache-2.0 */
/* Events: merged into series, limited per object, written one at a time, given up in the end. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "operator/kube/client/kube_event.h"

#define MANAGER "?fieldManager=spate-events"

enum { BODY_MAX = 8192 };

struct play {
    struct kube_events *events;
    struct clock_manual clock;
    struct rng_seeded random;
    char method[8]; /* of the request under way; "": none */
    char target[KUBE_PATH_MAX];
    json_t *body;
    int64_t wake_ms;
    int troubles;
};

static int send_request(void *context, const char *method, const char *target, struct str body,
                        struct err *err)
{
    struct play *p = context;

    (void)err;
    assert_string_equal(p->method, "");
    snprintf(p->method, sizeof(p->method), "%s", method);
    snprintf(p->target, sizeof(p->target), "%s", target);
    json_decref(p->body);
    p->body = json_loadb(body.ptr, body.len, 0, NULL);
    assert_non_null(p->body);
    return 0;
}

static void cancel(void *context)
{
    struct play *p = context;

    p->method[0] = '\0';
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct play *p = context;

    p->wake_ms = mono_ms;
}

static void on_trouble(void *user, const struct err *err)
{
    struct play *p = user;

    assert_true(err->message[0] != '\0');
    p->troubles++;
}

static void begin(struct play *p)
{
    struct kube_events_options options = {
        .controller = "spate.dev/operator",
        .instance = STR("operator-0"),
        .field_manager = "spate-events",
        .io = {send_request, cancel, wake_at, p},
        .on_trouble = on_trouble,
        .user = p,
    };

    *p = (struct play){.wake_ms = INT64_MAX};
    clock_manual_init(&p->clock, 1795359845123);
    rng_seeded_init(&p->random, 3);
    options.clock = &p->clock.clock;
    options.rng = &p->random.rng;
    assert_int_equal(kube_events_new(&p->events, &options, NULL), 0);
}

static void end(struct play *p)
{
    kube_events_free(p->events);
    json_decref(p->body);
}

static void record(struct play *p, const char *name, const char *reason, const char *note)
{
    const struct kube_event_about about = {
        .api_version = "spate.dev/v1alpha1",
        .kind = "ModelDeployment",
        .name_space = STR("team-a"),
        .name = str_of(name),
        .uid = str_of(name),
    };

    kube_events_record(p->events, &about, true, reason, "Scaling", str_of(note));
}

static void answered(struct play *p, int http)
{
    struct kube_answer answer = {.http_status = http};
    struct kube_status status;
    struct err err = {0};

    assert_true(p->method[0] != '\0');
    p->method[0] = '\0';
    if (http >= 300) {
        kube_status_read(&status, http, STR_NONE);
        answer.code = kube_status_err(&status, "x", &err);
        answer.status = &status;
        answer.err = &err;
    }
    kube_events_on_done(p->events, &answer);
}

/* Lets time pass, with a server that answers `http` at once; returns how many requests came. */
static int run(struct play *p, int64_t ms, int http)
{
    int requests = 0;

    for (int64_t at = 0; at <= ms; at += 100) {
        if (p->method[0] == '\0' && p->wake_ms <= clock_mono_ms(&p->clock.clock))
            kube_events_on_wake(p->events);
        while (p->method[0] != '\0') {
            requests++;
            answered(p, http);
        }
        clock_manual_advance_ms(&p->clock, 100);
    }
    return requests;
}

static const char *member(const struct play *p, const char *key)
{
    const char *text = json_string_value(json_object_get(p->body, key));

    return text != NULL ? text : "";
}

static json_int_t series_count(const struct play *p)
{
    return json_integer_value(json_object_get(json_object_get(p->body, "series"), "count"));
}

static void writes_an_event(void **state)
{
    const json_t *regarding;
    struct play p;

    (void)state;
    begin(&p);
    record(&p, "r1", "ScaledUp", "from 1 to 2");
    assert_string_equal(p.method, ""); /* never inside the call */
    kube_events_on_wake(p.events);
    assert_string_equal(p.method, "POST");
    assert_string_equal(p.target, "/apis/events.k8s.io/v1/namespaces/team-a/events" MANAGER);
    assert_string_equal(member(&p, "type"), "Warning");
    assert_string_equal(member(&p, "reason"), "ScaledUp");
    assert_string_equal(member(&p, "action"), "Scaling");
    assert_string_equal(member(&p, "note"), "from 1 to 2");
    assert_string_equal(member(&p, "eventTime"), "2026-11-22T15:04:05.123000Z");
    assert_string_equal(member(&p, "reportingController"), "spate.dev/operator");
    assert_string_equal(member(&p, "reportingInstance"), "operator-0");
    assert_null(json_object_get(p.body, "series"));
    regarding = json_object_get(p.body, "regarding");
    assert_string_equal(json_string_value(json_object_get(regarding, "kind")), "ModelDeployment");
    assert_string_equal(json_string_value(json_object_get(regarding, "name")), "r1");
    answered(&p, 201);
    assert_int_equal(kube_events_counts(p.events)->created, 1);
    assert_int_equal(run(&p, 60000, 200), 0);
    end(&p);
}

static void repeats_become_a_series(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    record(&p, "r1", "ScaledUp", "note");
    assert_int_equal(run(&p, 1000, 201), 1);
    for (int i = 0; i < 99; i++)
        record(&p, "r1", "ScaledUp", "note");
    assert_int_equal(run(&p, 8000, 200), 0); /* not at each repeat */
    assert_int_equal(run(&p, 3000, 200), 1);
    assert_int_equal(series_count(&p), 100);
    assert_non_null(strstr(p.target, "/namespaces/team-a/events/r1."));
    assert_non_null(strstr(p.target, MANAGER));
    assert_int_equal(kube_events_counts(p.events)->merged, 99);
    assert_int_equal(run(&p, 60000, 200), 0);
    record(&p, "r1", "ScaledUp", "another note"); /* another Event */
    assert_int_equal(run(&p, 1000, 201), 1);
    assert_null(json_object_get(p.body, "series"));
    end(&p);
}

static void old_series_are_over(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    for (int i = 0; i < 10; i++) { /* the same, now and then: each a new one */
        record(&p, "r1", "ScaledUp", "note");
        assert_int_equal(run(&p, 3 * KUBE_EVENT_TTL_MS, 201), 1);
        assert_null(json_object_get(p.body, "series"));
    }
    assert_int_equal(kube_events_counts(p.events)->created, 10);
    end(&p);
}

static void an_object_has_a_limit(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    for (int i = 0; i < 1000; i++) {
        char note[32];

        snprintf(note, sizeof(note), "note %d", i);
        record(&p, "noisy", "ScaledUp", note);
    }
    record(&p, "quiet", "ScaledUp", "note");
    assert_int_equal(run(&p, 1000, 201), KUBE_EVENT_BURST + 1);
    assert_int_equal(kube_events_counts(p.events)->dropped, 1000 - KUBE_EVENT_BURST);
    end(&p);
}

static void memory_is_bounded(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    for (int i = 0; i < 5 * KUBE_EVENT_KEPT_MAX; i++) { /* and the server says nothing */
        char name[32];

        snprintf(name, sizeof(name), "r%d", i);
        record(&p, name, "ScaledUp", "note");
    }
    assert_in_range(run(&p, 1000, 201), 1, KUBE_EVENT_KEPT_MAX);
    assert_true(kube_events_counts(p.events)->dropped >= 3 * KUBE_EVENT_KEPT_MAX);
    end(&p);
}

static void failures_are_tried_again_and_given_up(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    record(&p, "r1", "ScaledUp", "note");
    assert_int_equal(run(&p, 60000, 503), KUBE_EVENT_TRIES_MAX);
    assert_int_equal(kube_events_counts(p.events)->dropped, 1);
    assert_int_equal(p.troubles, 1);
    record(&p, "r1", "ScaledUp", "note");
    assert_int_equal(run(&p, 60000, 403), 1); /* refused for good */
    assert_int_equal(kube_events_counts(p.events)->dropped, 2);
    end(&p);
}

static void a_forgotten_event_is_made_anew(void **state)
{
    char first[KUBE_PATH_MAX];
    struct play p;

    (void)state;
    begin(&p);
    record(&p, "r1", "ScaledUp", "note");
    run(&p, 1000, 201);
    record(&p, "r1", "ScaledUp", "note");
    clock_manual_advance_ms(&p.clock, KUBE_EVENT_SERIES_MS);
    kube_events_on_wake(p.events);
    assert_string_equal(p.method, "PATCH");
    snprintf(first, sizeof(first), "%s", p.target);
    answered(&p, 404); /* the server has thrown it away */
    assert_int_equal(run(&p, 10000, 201), 1);
    assert_int_equal(series_count(&p), 2);
    assert_string_equal(p.target, "/apis/events.k8s.io/v1/namespaces/team-a/events" MANAGER);
    end(&p);
}

static void cuts_long_notes_between_characters(void **state)
{
    char note[4 * KUBE_EVENT_NOTE_MAX];
    struct play p;
    size_t length = 0;

    (void)state;
    begin(&p);
    while (length + 3 < sizeof(note)) {
        memcpy(note + length, "\xe2\x82\xac", 3);
        length += 3;
    }
    note[length] = '\0';
    record(&p, "r1", "ScaledUp", note);
    kube_events_on_wake(p.events);
    assert_int_equal(strlen(member(&p, "note")), KUBE_EVENT_NOTE_MAX - KUBE_EVENT_NOTE_MAX % 3);
    end(&p);
}

static void cluster_scoped_objects_have_them_in_default(void **state)
{
    const struct kube_event_about about = {"spate.dev/v1alpha1", "Tenant", STR(""), STR("acme"),
                                           STR("u")};
    struct play p;

    (void)state;
    begin(&p);
    kube_events_record(p.events, &about, false, "BudgetLow", "Checking", STR("n"));
    kube_events_on_wake(p.events);
    assert_string_equal(p.target, "/apis/events.k8s.io/v1/namespaces/default/events" MANAGER);
    assert_null(json_object_get(json_object_get(p.body, "regarding"), "namespace"));
    assert_string_equal(member(&p, "type"), "Normal");
    end(&p);
}

static void hostile_names_are_dropped(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    record(&p, "../../secrets", "ScaledUp", "note");
    assert_int_equal(run(&p, 1000, 201), 1); /* the name is in the body alone ... */
    assert_null(strstr(p.target, ".."));
    record(&p, "../../secrets", "ScaledUp", "note");
    assert_int_equal(run(&p, 20000, 200), 0); /* ... and its series would need it in a path */
    assert_int_equal(kube_events_counts(p.events)->dropped, 1);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_an_event),
        cmocka_unit_test(repeats_become_a_series),
        cmocka_unit_test(old_series_are_over),
        cmocka_unit_test(an_object_has_a_limit),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(failures_are_tried_again_and_given_up),
        cmocka_unit_test(a_forgotten_event_is_made_anew),
        cmocka_unit_test(cuts_long_notes_between_characters),
        cmocka_unit_test(cluster_scoped_objects_have_them_in_default),
        cmocka_unit_test(hostile_names_are_dropped),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
