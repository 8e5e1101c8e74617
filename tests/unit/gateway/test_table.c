/* SPDX-License-Identifier: Apache-2.0 */
/* The table over snapshots: who may call what, and what outlives the snapshot that named it. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/table.h"

/* A world in short: pods of team/r1, tenants' models, how many keys acme has. */
struct world {
    int counter;
    const char *installation; /* NULL: "inst" */
    const char *pods;         /* members of the array */
    const char *acme_models;
    bool without_r1;
    bool without_acme;
    bool without_key;
};

static void key_digest(const char *secret, char out[SHA256_HEX_LEN + 1])
{
    sha256_hex(str_of(secret), out);
}

static void write_tenants(struct buf *out, const struct world *w)
{
    static const char limits[] = "\"priority\":0,\"requests_per_minute\":0,\"concurrency\":0,"
                                 "\"price_version\":1";
    char digest[SHA256_HEX_LEN + 1];

    key_digest("sk-acme", digest);
    if (!w->without_acme) {
        buf_printf(out,
                   "{\"name\":\"acme\",%s,\"namespaces\":[\"team\",\"shared\"],\"models\":[%s],",
                   limits, w->acme_models == NULL ? "" : w->acme_models);
        if (w->without_key)
            buf_append_text(out, "\"keys\":[]},");
        else
            buf_printf(out, "\"keys\":[{\"id\":\"k1\",\"sha256\":\"%s\"}]},", digest);
    }
    key_digest("sk-root", digest);
    buf_printf(out,
               "{\"name\":\"root\",%s,\"namespaces\":[\"*\"],\"models\":[],\"keys\":[{\"id\":"
               "\"k2\",\"sha256\":\"%s\"}]}",
               limits, digest);
}

static struct routes *snapshot(const struct world *w)
{
    static const char more[] =
        "\"created\":1,\"context_max\":0,\"can_wake\":true,\"hold_reason\":\"\"";
    json_auto_t *tree = NULL;
    struct routes *routes = NULL;
    struct err err = {0};
    struct buf text;

    buf_init(&text, 65536);
    buf_printf(&text, "{\"version\":\"%s:1:%d\",\"models\":[",
               w->installation == NULL ? "inst" : w->installation, w->counter);
    if (!w->without_r1)
        buf_printf(&text, "{\"name\":\"team/r1\",\"short_name\":\"r1\",%s,\"pods\":[%s]},", more,
                   w->pods == NULL ? "" : w->pods);
    buf_printf(&text, "{\"name\":\"shared/small\",\"short_name\":\"\",%s,\"pods\":[]},", more);
    buf_printf(&text, "{\"name\":\"secret/plan\",\"short_name\":\"plan\",%s,\"pods\":[]}", more);
    buf_append_text(&text, "],\"tenants\":[");
    write_tenants(&text, w);
    buf_append_text(&text, "]}");
    if (json_read(&tree, buf_str(&text), &json_limits_default, "snapshot", &err) < 0 ||
        routes_read(&routes, tree, &err) < 0)
        fail_msg("%s", err.message);
    buf_fini(&text);
    return routes;
}

static int apply(struct table *t, struct world w)
{
    struct err err = {0};

    return table_apply(t, snapshot(&w), &err);
}

#define POD(uid, address, draining)                                      \
    "{\"name\":\"p-" uid "\",\"uid\":\"" uid "\",\"address\":\"" address \
    "\",\"draining\":" draining ",\"slots\":2,\"digest\":\"d1\"}"

static const struct gw_tenant *tenant_of_key(const struct table *t, const char *secret)
{
    const struct gw_key *key = table_key(t, str_of(secret));

    return key == NULL ? NULL : key->tenant;
}

static void names_and_permissions(void **state)
{
    static const struct {
        const char *secret;
        const char *name;
        const char *model; /* NULL: not for this tenant */
    } cases[] = {
        {"sk-acme", "team/r1", "team/r1"},
        {"sk-acme", "r1", "team/r1"},
        {"sk-acme", "shared/small", "shared/small"},
        {"sk-acme", "small", NULL}, /* it has no short name */
        {"sk-acme", "plan", NULL},
        {"sk-acme", "secret/plan", NULL},
        {"sk-acme", "", NULL},
        {"sk-acme", "R1", NULL},
        {"sk-acme", "team/r1/", NULL},
        {"sk-root", "plan", "secret/plan"},
        {"sk-root", "secret/plan", "secret/plan"},
    };
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    assert_int_equal(apply(&t, (struct world){.counter = 1}), 1);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct gw_tenant *tenant = tenant_of_key(&t, cases[i].secret);
        const struct gw_model *m;

        assert_non_null(tenant);
        m = table_model(&t, tenant, str_of(cases[i].name));
        if (cases[i].model == NULL ? m != NULL : m == NULL || strcmp(m->name, cases[i].model) != 0)
            fail_msg("%s asks for '%s'", cases[i].secret, cases[i].name);
    }
    assert_null(tenant_of_key(&t, "sk-wrong"));
    assert_null(tenant_of_key(&t, ""));
    table_fini(&t);
}

static void a_list_of_models_narrows(void **state)
{
    const struct gw_tenant *acme;
    struct table t;
    struct buf names;

    (void)state;
    buf_init(&names, 1024);
    assert_int_equal(table_init(&t), 0);
    assert_int_equal(
        apply(&t, (struct world){.counter = 1, .acme_models = "\"team/r1\",\"secret/plan\""}), 1);
    acme = tenant_of_key(&t, "sk-acme");
    assert_non_null(table_model(&t, acme, STR("r1")));
    assert_null(table_model(&t, acme, STR("shared/small")));
    assert_null(table_model(&t, acme, STR("secret/plan"))); /* not in its namespaces */
    table_list_names(&t, acme, 10, &names);
    assert_true(str_is(buf_str(&names), "r1"));
    buf_clear(&names);
    table_list_names(&t, tenant_of_key(&t, "sk-root"), 2, &names);
    assert_non_null(strchr(buf_cstr(&names), ','));
    assert_null(strchr(strchr(buf_cstr(&names), ',') + 1, ',')); /* two of three */
    buf_fini(&names);
    table_fini(&t);
}

static void a_gateway_never_goes_back(void **state)
{
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    assert_int_equal(apply(&t, (struct world){.counter = 5}), 1);
    assert_int_equal(apply(&t, (struct world){.counter = 5, .without_acme = true}), 0);
    assert_int_equal(apply(&t, (struct world){.counter = 4, .without_acme = true}), 0);
    assert_non_null(tenant_of_key(&t, "sk-acme"));
    assert_int_equal(apply(&t, (struct world){.counter = 6, .without_acme = true}), 1);
    assert_null(tenant_of_key(&t, "sk-acme"));
    assert_int_equal(apply(&t, (struct world){.counter = 1, .installation = "other"}), 1);
    assert_non_null(tenant_of_key(&t, "sk-acme"));
    table_fini(&t);
}

static void a_revoked_key_stops_at_once(void **state)
{
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    assert_int_equal(apply(&t, (struct world){.counter = 1}), 1);
    assert_true(str_is(table_key(&t, STR("sk-acme"))->id, "k1"));
    assert_int_equal(apply(&t, (struct world){.counter = 2, .without_key = true}), 1);
    assert_null(tenant_of_key(&t, "sk-acme"));
    assert_non_null(tenant_of_key(&t, "sk-root"));
    assert_int_equal(apply(&t, (struct world){.counter = 3}), 1);
    assert_non_null(tenant_of_key(&t, "sk-acme"));
    table_fini(&t);
}

/* Whoever still has a request keeps its objects, with their counts, over any snapshot. */
static void what_is_in_use_outlives_its_snapshot(void **state)
{
    struct gw_tenant *acme;
    struct gw_model *m;
    struct gw_pod *pod;
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    assert_int_equal(
        apply(&t, (struct world){.counter = 1, .pods = POD("u1", "127.0.0.1:1", "false")}), 1);
    acme = table_key(&t, STR("sk-acme"))->tenant;
    m = table_model(&t, acme, STR("r1"));
    pod = table_pick(m, "", 0);
    assert_non_null(pod);
    acme->refs++;
    m->refs++;
    pod->in_flight++;
    assert_int_equal(
        apply(&t, (struct world){.counter = 2, .without_r1 = true, .without_acme = true}), 1);
    assert_null(acme->spec);
    assert_false(m->listed || pod->listed);
    assert_string_equal(acme->name, "acme");
    assert_ptr_equal(m->pods, pod);
    assert_null(table_pick(m, "", 0)); /* nothing new goes there */
    assert_int_equal(t.pods.count, 1);
    /* Both come back while in use: the same objects. */
    assert_int_equal(
        apply(&t, (struct world){.counter = 3, .pods = POD("u1", "127.0.0.1:1", "false")}), 1);
    assert_ptr_equal(table_model(&t, acme, STR("r1")), m);
    assert_ptr_equal(table_pick(m, "", 0), pod);
    assert_int_equal(pod->in_flight, 1);
    assert_int_equal(
        apply(&t, (struct world){.counter = 4, .without_r1 = true, .without_acme = true}), 1);
    table_pod_done(&t, pod);
    assert_int_equal(t.pods.count, 0);
    table_model_unref(&t, m);
    assert_int_equal(t.models.count, 2);
    table_tenant_unref(&t, acme);
    assert_int_equal(t.tenants.count, 1);
    table_fini(&t);
}

static void the_least_busy_pod_is_picked(void **state)
{
    struct gw_pod *first;
    struct gw_pod *second;
    struct gw_model *m;
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    assert_int_equal(
        apply(
            &t,
            (struct world){.counter = 1,
                           .pods = POD("u1", "a:1", "false") "," POD("u2", "b:1", "false") "," POD(
                               "u3", "c:1", "true") "," POD("u4", "", "false")}),
        1);
    m = map_get(&t.models, STR("team/r1"));
    first = map_get(&t.pods, STR("u1"));
    second = map_get(&t.pods, STR("u2"));
    first->in_flight = 1;
    assert_ptr_equal(table_pick(m, "", 0), second);
    assert_ptr_equal(table_pick(m, "d1", 0), second);
    assert_null(table_pick(m, "d2", 0)); /* another model would answer otherwise */
    second->hold_until_ms = 100;
    assert_ptr_equal(table_pick(m, "", 99), first);
    assert_ptr_equal(table_pick(m, "", 100), second);
    first->in_flight = second->in_flight = 2 + TABLE_SLOTS_SPARE - 1;
    assert_non_null(table_pick(m, "", 100));
    first->in_flight = second->in_flight = 2 + TABLE_SLOTS_SPARE;
    assert_null(table_pick(m, "", 100)); /* draining ones and those without address never */
    first->in_flight = second->in_flight = 0;
    /* A pod with a new address is a new run: nothing is held against it. */
    second->hold_until_ms = 1000;
    assert_int_equal(
        apply(&t, (struct world){.counter = 2,
                                 .pods = POD("u1", "a:1", "true") "," POD("u2", "b:2", "false")}),
        1);
    assert_ptr_equal(table_pick(m, "", 100), second);
    assert_int_equal(t.pods.count, 2);
    table_fini(&t);
}

/* `count` models: "ns-I/m" claims the name "name-(I mod half)". All are of one age, or (aged) those
 * of the second half are older where I is even, younger where it is odd. */
static struct routes *many_models(int counter, int count, bool aged)
{
    int half = count / 2;
    json_auto_t *tree = NULL;
    struct routes *routes = NULL;
    struct err err = {0};
    struct buf text;

    buf_init(&text, 8 << 20);
    buf_printf(&text, "{\"version\":\"inst:1:%d\",\"models\":[", counter);
    for (int i = 0; i < count; i++)
        buf_printf(&text,
                   "%s{\"name\":\"ns-%d/m\",\"short_name\":\"name-%d\",\"created\":%d,"
                   "\"context_max\":0,\"can_wake\":true,\"hold_reason\":\"\",\"pods\":[]}",
                   i > 0 ? "," : "", i, i % half,
                   !aged      ? 5
                   : i < half ? 10
                              : 9 + i % 2 * 2);
    buf_append_text(&text, "],\"tenants\":[");
    write_tenants(&text, &(struct world){.without_acme = true});
    buf_append_text(&text, ",{\"name\":\"half\",\"priority\":0,\"requests_per_minute\":0,"
                           "\"concurrency\":0,\"price_version\":1,\"models\":[],\"keys\":[],"
                           "\"namespaces\":[\"ns-3\",\"ns-4\"]}]}");
    if (json_read(&tree, buf_str(&text), &json_limits_default, "snapshot", &err) < 0 ||
        routes_read(&routes, tree, &err) < 0)
        fail_msg("%s", err.message);
    buf_fini(&text);
    return routes;
}

/* The model that `name-I` names, or -1. */
static int named(const struct table *t, const struct gw_tenant *tenant, int i)
{
    const struct gw_model *m;
    char name[32];
    uint64_t number;

    snprintf(name, sizeof(name), "name-%d", i);
    m = table_model(t, tenant, str_of(name));
    if (m == NULL)
        return -1;
    assert_true(str_to_u64(str_slice(str_of(m->name_space), 3, SIZE_MAX), &number));
    return (int)number;
}

/* Ten thousand models, asked for by their short names many times over: by an index, not by a walk.
 */
static void the_oldest_claim_among_many_models(void **state)
{
    enum { MODELS = 10000, HALF = MODELS / 2, ROUNDS = 50 };
    const struct gw_tenant *root;
    const struct gw_tenant *half;
    struct err err = {0};
    struct table t;

    (void)state;
    assert_int_equal(table_init(&t), 0);
    assert_int_equal(table_apply(&t, many_models(1, MODELS, true), &err), 1);
    root = tenant_of_key(&t, "sk-root");
    half = map_get(&t.tenants, STR("half"));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < HALF; i++)
            assert_int_equal(named(&t, root, i), i % 2 == 0 ? HALF + i : i);
    }
    /* Who may not use the owner's namespace is served by the next claim. */
    assert_int_equal(named(&t, half, 4), 4);
    assert_int_equal(named(&t, half, 3), 3);
    assert_int_equal(named(&t, half, 5), -1);
    /* Ages and owners change: of two of one age the one whose name sorts first. */
    assert_int_equal(table_apply(&t, many_models(2, MODELS, false), &err), 1);
    for (int i = 0; i < HALF; i++) {
        char low[16], high[16];

        snprintf(low, sizeof(low), "ns-%d/m", i);
        snprintf(high, sizeof(high), "ns-%d/m", HALF + i);
        assert_int_equal(named(&t, root, i), strcmp(low, high) < 0 ? i : HALF + i);
    }
    /* All but a few go, and their names with them. */
    assert_int_equal(table_apply(&t, many_models(3, 10, true), &err), 1);
    assert_int_equal(t.models.count, 10);
    assert_int_equal(t.names.count, 5);
    assert_int_equal(named(&t, root, 4), 4);
    assert_int_equal(named(&t, root, 3), 8);
    assert_int_equal(named(&t, root, 5), -1);
    table_fini(&t);
}

/* Memory may fail at any point: nothing leaks, and the same snapshot is taken when it comes again.
 */
static void a_snapshot_that_failed_is_taken_again(void **state)
{
    bool done = false;
    int failures = 0;

    (void)state;
    for (int n = 0; n < 1000 && !done; n++) {
        struct world next = {.counter = 2, .pods = POD("u1", "a:1", "false"), .without_key = true};
        struct routes *routes = snapshot(&next);
        struct err err = {0};
        struct table t;
        int r;

        assert_int_equal(table_init(&t), 0);
        assert_int_equal(apply(&t, (struct world){.counter = 1, .without_r1 = true}), 1);
        mem_fail_after(n);
        r = table_apply(&t, routes, &err);
        done = !mem_fail_seen();
        mem_fail_after(-1);
        assert_int_equal(r, done ? 1 : -ERR_NO_MEMORY);
        if (!done) {
            assert_int_equal(apply(&t, next), 1);
            failures++;
        }
        assert_null(tenant_of_key(&t, "sk-acme"));
        assert_non_null(table_pick(map_get(&t.models, STR("team/r1")), "", 0));
        assert_int_equal(apply(&t, next), 0);
        table_fini(&t);
    }
    assert_true(done && failures > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_permissions),
        cmocka_unit_test(a_list_of_models_narrows),
        cmocka_unit_test(a_gateway_never_goes_back),
        cmocka_unit_test(a_revoked_key_stops_at_once),
        cmocka_unit_test(what_is_in_use_outlives_its_snapshot),
        cmocka_unit_test(the_least_busy_pod_is_picked),
        cmocka_unit_test(the_oldest_claim_among_many_models),
        cmocka_unit_test(a_snapshot_that_failed_is_taken_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
