/* SPDX-License-Identifier: Apache-2.0 */
/* Between objects and C structs: every place of the tables, both ways. */
#include "base/mem.h"
#include "cmocka_plain.h"
#include "crd/model_deployment.h"
#include "crd/model_route.h"
#include "crd/tenant.h"

enum { ARENA_MAX = 1 << 20 };

static struct crd_object *object_of(const char *json)
{
    json_auto_t *tree = json_loads(json, 0, NULL);
    struct crd_object *object = NULL;
    struct err err = {0};

    assert_non_null(tree);
    if (crd_object_read(&object, tree, NULL, NULL, &err) < 0)
        fail_msg("%s", err_message(&err));
    return object;
}

static void model_specs_are_decoded(void **state)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = object_of(
        "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\","
        "\"metadata\":{\"name\":\"brook\"},\"spec\":{\"model\":{\"uri\":\"file:///m\"},"
        "\"engine\":{\"slots\":8,\"contextTokens\":4096,\"kvCacheMiB\":64,\"threads\":2,"
        "\"chunkTokens\":128},\"scaling\":{\"minReplicas\":1,\"maxReplicas\":9,"
        "\"targetUtilizationPercent\":70,\"idle\":{\"afterSeconds\":5},"
        "\"scaleDownDelaySeconds\":7,\"warmup\":[{\"name\":\"w\",\"schedule\":\"0 8 * * *\","
        "\"timeZone\":\"Asia/Shanghai\",\"replicas\":3,\"durationSeconds\":60},"
        "{\"schedule\":\"*/5 * * * 1\",\"replicas\":2}]}}}");
    CLEANUP(arena_fini) struct arena arena = {0};
    struct crd_model_spec spec;

    (void)state;
    arena_init(&arena, ARENA_MAX);
    assert_int_equal(crd_model_spec_read(&spec, object, &arena, NULL), 0);
    assert_true(str_is(spec.uri, "file:///m"));
    assert_true(str_is(spec.name, "brook"));
    assert_int_equal(spec.slots, 8);
    assert_int_equal(spec.context_tokens, 4096);
    assert_int_equal(spec.kv_cache_mib, 64);
    assert_int_equal(spec.threads, 2);
    assert_int_equal(spec.chunk_tokens, 128);
    assert_int_equal(spec.mode, CRD_SCALING_AUTO);
    assert_int_equal(spec.replicas, CRD_REPLICAS_DEFAULT);
    assert_int_equal(spec.min_replicas, 1);
    assert_int_equal(spec.max_replicas, 9);
    assert_int_equal(spec.target_percent, 70);
    assert_int_equal(spec.idle_after_s, 5);
    assert_int_equal(spec.scale_down_delay_s, 7);
    assert_int_equal(spec.warmup_count, 2);
    assert_true(str_is(spec.warmups[0].name, "w"));
    assert_true(str_is(spec.warmups[0].schedule, "0 8 * * *"));
    assert_true(str_is(spec.warmups[0].time_zone, "Asia/Shanghai"));
    assert_int_equal(spec.warmups[0].replicas, 3);
    assert_int_equal(spec.warmups[0].duration_s, 60);
    assert_int_equal(spec.warmups[1].duration_s, 3600);
    assert_true(str_is(spec.warmups[1].time_zone, "Etc/UTC"));
}

static void model_status_goes_both_ways(void **state)
{
    struct crd_condition conditions[] = {
        {STR("Ready"), CRD_FALSE, STR("Loading"), STR("1 of 2 pods is ready"), 1764000000123, 4},
        {STR("ScheduleValid"), CRD_TRUE, STR("Valid"), STR_NONE, 1764000000000, 4},
    };
    struct crd_decision decisions[] = {
        {1764000000000, 0, 2, STR("LoadRose"), STR("8 queued")},
    };
    struct crd_pod pods[] = {
        {STR("brook-1"), STR("u1"), CRD_POD_READY, STR("127.0.0.1:4000"), STR_NONE},
        {STR("brook-2"), STR("u2"), CRD_POD_LOADING, STR_NONE, STR("40 %")},
    };
    struct crd_capacity spot = {CRD_CAPACITY_SPOT, 2, 1};
    struct crd_model_status in = {
        .observed_generation = 4,
        .replicas = 2,
        .ready_replicas = 1,
        .desired_replicas = 2,
        .selector = STR("spate.dev/model=brook"),
        .phase_counts = {[CRD_POD_LOADING] = 1, [CRD_POD_READY] = 1},
        .capacities = &spot,
        .capacity_count = 1,
        .conditions = conditions,
        .condition_count = 2,
        .decisions = decisions,
        .decision_count = 1,
        .cold_start_last_ms = 210,
        .cold_start_median_ms = 200,
        .cold_start_p90_ms = 230,
        .pods = pods,
        .pod_count = 2,
    };
    CLEANUP(crd_object_unrefp) struct crd_object *object = object_of(
        "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\","
        "\"metadata\":{\"name\":\"brook\"},\"spec\":{\"model\":{\"uri\":\"file:///m\"}}}");
    CLEANUP(crd_object_unrefp) struct crd_object *stored = NULL;
    CLEANUP(arena_fini) struct arena arena = {0};
    struct crd_model_status out;
    json_auto_t *tree = NULL;
    json_auto_t *again = NULL;

    (void)state;
    arena_init(&arena, ARENA_MAX);
    assert_int_equal(crd_model_status_read(&out, object, &arena, NULL), 0);
    assert_int_equal(out.pod_count, 0);
    assert_int_equal(crd_model_status_write(&in, &object->status, NULL), 0);
    tree = crd_object_tree(object);
    /* What is written passes the check. */
    assert_int_equal(crd_object_read(&stored, tree, NULL, NULL, NULL), 0);
    assert_int_equal(crd_model_status_read(&out, stored, &arena, NULL), 0);
    assert_int_equal(out.condition_count, 2);
    assert_int_equal(out.conditions[0].status, CRD_FALSE);
    assert_true(out.conditions[0].last_transition_ms == 1764000000123);
    assert_int_equal(out.pods[1].phase, CRD_POD_LOADING);
    assert_true(str_is(out.pods[0].address, "127.0.0.1:4000"));
    assert_int_equal(out.cold_start_p90_ms, 230);
    assert_int_equal(out.phase_counts[CRD_POD_LOADING], 1);
    assert_int_equal(out.capacities[0].replicas, 2);
    assert_true(str_is(out.selector, "spate.dev/model=brook"));
    assert_int_equal(crd_model_status_write(&out, &again, NULL), 0);
    assert_true(json_equal(again, object->status));
}

static void routes_are_decoded(void **state)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = object_of(
        "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelRoute\",\"metadata\":{\"name\":"
        "\"chat\"},\"spec\":{\"targets\":[{\"model\":\"a\",\"weight\":90},{\"model\":\"x/b\"}],"
        "\"fallback\":{\"models\":[\"c\"]}}}");
    CLEANUP(arena_fini) struct arena arena = {0};
    struct crd_condition condition = {STR("Ready"), CRD_TRUE,      STR("Ready"),
                                      STR_NONE,     1764000000000, 1};
    struct crd_route_status status = {.observed_generation = 1,
                                      .targets = STR("a=90,x/b=1"),
                                      .conditions = &condition,
                                      .condition_count = 1};
    struct crd_route_spec spec;

    (void)state;
    arena_init(&arena, ARENA_MAX);
    assert_int_equal(crd_route_spec_read(&spec, object, &arena, NULL), 0);
    assert_true(str_is(spec.name, "chat"));
    assert_int_equal(spec.target_count, 2);
    assert_int_equal(spec.targets[0].weight, 90);
    assert_int_equal(spec.targets[1].weight, 1);
    assert_true(str_is(spec.targets[1].model, "x/b"));
    assert_true(str_is(spec.fallbacks[0].text, "c"));
    assert_int_equal(spec.fallback_after_s, 10);
    assert_int_equal(crd_route_status_write(&status, &object->status, NULL), 0);
    status = (struct crd_route_status){0};
    assert_int_equal(crd_route_status_read(&status, object, &arena, NULL), 0);
    assert_true(str_is(status.targets, "a=90,x/b=1"));
    assert_int_equal(status.fallbacks.len, 0);
    assert_int_equal(status.condition_count, 1);
    assert_int_equal(status.conditions[0].last_transition_ms, 1764000000000);
}

static void tenants_and_prices_are_decoded(void **state)
{
    CLEANUP(crd_object_unrefp) struct crd_object *tenant_object = object_of(
        "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"Tenant\",\"metadata\":{\"name\":\"t\"},"
        "\"spec\":{\"keys\":[{\"id\":\"k1\",\"sha256\":"
        "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}],"
        "\"namespaces\":[\"*\",\"team-a\"],\"models\":[\"team-a/brook\"],"
        "\"limits\":{\"requestsPerMinute\":60,\"concurrency\":4},\"priority\":-3,"
        "\"priceBook\":\"list\"}}");
    CLEANUP(crd_object_unrefp) struct crd_object *book_object = object_of(
        "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"PriceBook\",\"metadata\":{\"name\":"
        "\"list\"},\"spec\":{\"prices\":[{\"model\":\"*\",\"input\":\"0.55\",\"output\":\"2.19\"},"
        "{\"model\":\"a/*\",\"effectiveFrom\":\"2026-08-16T16:00:00Z\",\"input\":\"1\","
        "\"cachedInput\":\"0.14\",\"output\":\"2\",\"reasoning\":\"0.000000001\"}]}}");
    CLEANUP(arena_fini) struct arena arena = {0};
    struct crd_tenant_spec tenant;
    struct crd_price_book_spec book;

    (void)state;
    arena_init(&arena, ARENA_MAX);
    assert_int_equal(crd_tenant_spec_read(&tenant, tenant_object, &arena, NULL), 0);
    assert_int_equal(tenant.key_count, 1);
    assert_true(str_is(tenant.keys[0].id, "k1"));
    assert_int_equal(tenant.keys[0].sha256[1], 0x11);
    assert_int_equal(tenant.namespace_count, 2);
    assert_true(str_is(tenant.namespaces[1].text, "team-a"));
    assert_true(str_is(tenant.models[0].text, "team-a/brook"));
    assert_int_equal(tenant.requests_per_minute, 60);
    assert_int_equal(tenant.concurrency, 4);
    assert_int_equal(tenant.priority, -3);
    assert_true(str_is(tenant.price_book, "list"));

    assert_int_equal(crd_price_book_spec_read(&book, book_object, &arena, NULL), 0);
    assert_int_equal(book.price_count, 2);
    assert_true(book.prices[0].input_nano_usd == 550000000);
    assert_true(book.prices[0].cached_input_nano_usd == 550000000);
    assert_true(book.prices[0].output_nano_usd == 2190000000);
    assert_true(book.prices[0].reasoning_nano_usd == 2190000000);
    assert_int_equal(book.prices[0].effective_from_ms, 0);
    assert_true(book.prices[1].cached_input_nano_usd == 140000000);
    assert_true(book.prices[1].reasoning_nano_usd == 1);
    assert_true(book.prices[1].effective_from_ms == 1786896000000);
}

static void a_full_arena_is_reported(void **state)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = object_of(
        "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"Tenant\",\"metadata\":{\"name\":\"t\"},"
        "\"spec\":{\"namespaces\":[\"a\",\"b\"]}}");
    CLEANUP(arena_fini) struct arena arena = {0};
    struct crd_tenant_spec tenant = {.priority = 77};

    (void)state;
    arena_init(&arena, 8);
    assert_int_equal(crd_tenant_spec_read(&tenant, object, &arena, NULL), -ERR_NO_MEMORY);
    assert_int_equal(tenant.priority, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_specs_are_decoded),
        cmocka_unit_test(model_status_goes_both_ways),
        cmocka_unit_test(routes_are_decoded),
        cmocka_unit_test(tenants_and_prices_are_decoded),
        cmocka_unit_test(a_full_arena_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
