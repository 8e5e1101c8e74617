/* SPDX-License-Identifier: Apache-2.0 */
/* ModelRoutes on a calm simulated cluster: what their status says, and what gateways get. */
#include "reconcile_play.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "crd/model_route.h"

static void apply(struct fixture *f, const char *kind, const char *name_space, const char *name,
                  const char *spec)
{
    char text[8192];
    struct err err = {0};

    snprintf(text, sizeof(text),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"%s\",\"metadata\":{"
             "\"name\":\"%s\",\"namespace\":\"%s\"},\"spec\":{%s}}",
             kind, name, name_space, spec);
    if (sim_apply(f->sim, text, &err) < 0)
        fail_msg("%s", err_message(&err));
    sim_run(f->sim, SECOND);
}

#define MODEL "\"model\":{" WEIGHTS "}"

static void apply_model(struct fixture *f, const char *name_space, const char *name,
                        const char *more)
{
    char spec[512];

    snprintf(spec, sizeof(spec), MODEL "%s", more);
    apply(f, "ModelDeployment", name_space, name, spec);
}

/* Fails unless the condition is so and its message has the words. */
static void expect(struct fixture *f, const char *key, const char *type, enum crd_truth truth,
                   const char *words)
{
    struct crd_route_status status = {0};

    assert_non_null(sim_object(f->sim, key));
    assert_int_equal(crd_route_status_read(&status, sim_object(f->sim, key), &f->arena, NULL), 0);
    for (int i = 0; i < status.condition_count; i++) {
        const struct crd_condition *c = &status.conditions[i];

        if (!str_is(c->type, type))
            continue;
        if (c->status != (int)truth || str_find(c->message, str_of(words)) < 0)
            fail_msg("%s is %d: %.*s", type, c->status, STR_ARG(c->message));
        return;
    }
    fail_msg("%s has no condition %s", key, type);
}

static const struct routes_route *only_route(struct fixture *f)
{
    assert_non_null(sim_routes(f->sim));
    assert_int_equal(sim_routes(f->sim)->route_count, 1);
    return &sim_routes(f->sim)->routes[0];
}

#define KEY "modelroute:team/chat"

static void a_route_reaches_the_gateways(void **state)
{
    struct fixture f = {0};
    const struct routes_route *route;

    (void)state;
    play_begin(&f);
    apply_model(&f, "team", "old", "");
    apply_model(&f, "team", "new", "");
    apply_model(&f, "team", "small", "");
    apply(&f, "ModelRoute", "team", "chat",
          "\"targets\":[{\"model\":\"old\",\"weight\":90},{\"model\":\"team/new\",\"weight\":10}],"
          "\"fallback\":{\"models\":[\"small\"],\"afterSeconds\":5}");
    route = only_route(&f);
    assert_true(str_is(route->name, "team/chat"));
    assert_true(str_is(route->name_space, "team"));
    assert_true(str_is(route->short_name, "chat"));
    assert_int_equal(route->target_count, 2);
    assert_true(str_is(route->targets[0].model, "team/old"));
    assert_int_equal(route->targets[0].weight, 90);
    assert_true(str_is(route->targets[1].model, "team/new"));
    assert_int_equal(route->targets[1].weight, 10);
    assert_int_equal(route->fallback_count, 1);
    assert_true(str_is(route->fallbacks[0], "team/small"));
    assert_int_equal(route->fallback_after_ms, 5000);
    expect(&f, KEY, "Ready", CRD_TRUE, "requests are taken");
    expect(&f, KEY, "NameAccepted", CRD_TRUE, "served as chat");
    expect(&f, KEY, "TargetsResolved", CRD_TRUE, "every target");
    sim_delete(f.sim, KEY);
    sim_run(f.sim, SECOND);
    assert_int_equal(sim_routes(f.sim)->route_count, 0);
    play_end(&f);
}

/* What `kubectl get` shows, also of a route with all that it may have. */
static void the_status_lists_all_models(void **state)
{
    struct fixture f = {0};
    struct crd_route_status status = {0};
    char spec[8192] = "\"targets\":[";
    char shown[CRD_ROUTE_TEXT_MAX + 1] = "";

    (void)state;
    play_begin(&f);
    for (int i = 0; i < CRD_ROUTE_TARGETS_MAX; i++) {
        const char *comma = i > 0 ? "," : "";

        snprintf(spec + strlen(spec), sizeof(spec) - strlen(spec),
                 "%s{\"model\":\"%063d/%063d\",\"weight\":1000}", comma, i, i);
        snprintf(shown + strlen(shown), sizeof(shown) - strlen(shown), "%s%063d/%063d=1000", comma,
                 i, i);
    }
    snprintf(spec + strlen(spec), sizeof(spec) - strlen(spec),
             "],\"fallback\":{\"models\":[\"small\",\"other/one\"]}");
    apply(&f, "ModelRoute", "team", "chat", spec);
    assert_int_equal(crd_route_status_read(&status, sim_object(f.sim, KEY), &f.arena, NULL), 0);
    assert_true(str_is(status.targets, shown));
    assert_true(str_is(status.fallbacks, "small,other/one"));
    play_end(&f);
}

static void a_missing_target_is_said_and_found_later(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    apply(&f, "ModelRoute", "team", "chat", "\"targets\":[{\"model\":\"brook\"}]");
    assert_int_equal(only_route(&f)->target_count, 0);
    expect(&f, KEY, "Ready", CRD_FALSE, "there is no ModelDeployment team/brook: create it");
    expect(&f, KEY, "TargetsResolved", CRD_FALSE, "team/brook");
    apply_model(&f, "team", "brook", "");
    assert_int_equal(only_route(&f)->target_count, 1);
    expect(&f, KEY, "Ready", CRD_TRUE, "requests");
    sim_delete(f.sim, "team/brook");
    sim_run(f.sim, SECOND);
    assert_int_equal(only_route(&f)->target_count, 0);
    expect(&f, KEY, "Ready", CRD_FALSE, "there is no ModelDeployment team/brook");
    play_end(&f);
}

static void a_foreign_target_must_permit_it(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    apply_model(&f, "other", "big", "");
    apply(&f, "ModelRoute", "team", "chat", "\"targets\":[{\"model\":\"other/big\"}]");
    assert_int_equal(only_route(&f)->target_count, 0);
    expect(&f, KEY, "TargetsResolved", CRD_FALSE,
           "other/big does not permit routes of namespace team: add it to its "
           "spec.routing.fromNamespaces");
    apply_model(&f, "other", "big", ",\"routing\":{\"fromNamespaces\":[\"third\"]}");
    assert_int_equal(only_route(&f)->target_count, 0);
    apply_model(&f, "other", "big", ",\"routing\":{\"fromNamespaces\":[\"third\",\"team\"]}");
    assert_int_equal(only_route(&f)->target_count, 1);
    expect(&f, KEY, "Ready", CRD_TRUE, "requests");
    apply_model(&f, "other", "big", "");
    assert_int_equal(only_route(&f)->target_count, 0);
    apply_model(&f, "other", "big", ",\"routing\":{\"fromNamespaces\":[\"*\"]}");
    assert_int_equal(only_route(&f)->target_count, 1);
    play_end(&f);
}

/* Routes and models share the short names: the oldest claim wins. */
static void a_route_and_a_model_contend_for_a_name(void **state)
{
    struct fixture f = {0};

    (void)state;
    play_begin(&f);
    apply_model(&f, "team", "brook", "");
    apply(&f, "ModelRoute", "team", "chat",
          "\"name\":\"brook\",\"targets\":[{\"model\":\"brook\"}]");
    expect(&f, KEY, "NameAccepted", CRD_FALSE,
           "the name brook belongs to the ModelDeployment team/brook, which is older: choose "
           "another spec.name");
    assert_int_equal(only_route(&f)->short_name.len, 0);
    assert_true(str_is(sim_routes(f.sim)->models[0].short_name, "brook"));
    sim_delete(f.sim, "team/brook");
    sim_run(f.sim, SECOND);
    expect(&f, KEY, "NameAccepted", CRD_TRUE, "served as brook");
    assert_true(str_is(only_route(&f)->short_name, "brook"));
    apply_model(&f, "team", "brook", "");
    assert_int_equal(sim_routes(f.sim)->models[0].short_name.len, 0);
    play_end(&f);
}

/* A new operator finds the status as it left it, and writes nothing. */
static void a_restart_changes_nothing(void **state)
{
    struct fixture f = {0};
    char version[32];

    (void)state;
    play_begin(&f);
    apply_model(&f, "team", "brook", "");
    apply(&f, "ModelRoute", "team", "chat", "\"targets\":[{\"model\":\"brook\"}]");
    sim_run(f.sim, 60 * SECOND);
    snprintf(version, sizeof(version), "%s", sim_object(f.sim, KEY)->resource_version);
    sim_stop(f.sim);
    reconciler_free(f.r);
    sim_run(f.sim, SECOND);
    assert_int_equal(reconciler_new(&f.r, sim_platform(f.sim), NULL), 0);
    sim_start(f.sim);
    sim_run(f.sim, 60 * SECOND);
    assert_string_equal(sim_object(f.sim, KEY)->resource_version, version);
    assert_int_equal(only_route(&f)->target_count, 1);
    play_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_reaches_the_gateways),
        cmocka_unit_test(the_status_lists_all_models),
        cmocka_unit_test(a_missing_target_is_said_and_found_later),
        cmocka_unit_test(a_foreign_target_must_permit_it),
        cmocka_unit_test(a_route_and_a_model_contend_for_a_name),
        cmocka_unit_test(a_restart_changes_nothing),
    };

    log_setup("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
