/* SPDX-License-Identifier: Apache-2.0 */
/* What the schema of a cluster lacks of the tables: nothing of our own; what an older one lacks is
 * named once, without its members. */
#include <string.h>

#include "base/mem.h"
#include "cmocka_plain.h"
#include "crd/kinds.h"
#include "crd/schema.h"

enum { LACK_MAX = 4096 };

static json_t *schema_in(const json_t *definition)
{
    const json_t *versions = json_object_get(json_object_get(definition, "spec"), "versions");

    return json_object_get(json_object_get(json_array_get(versions, 0), "schema"),
                           "openAPIV3Schema");
}

/* A member of the schema, by names of properties and "items". */
static json_t *schema_at(json_t *schema, const char *path)
{
    struct str rest = str_of(path);

    while (schema != NULL && rest.len > 0) {
        struct str part = str_cut(&rest, '/');

        if (!str_is(part, "items"))
            schema = json_object_get(schema, "properties");
        schema = json_object_getn(schema, part.ptr, part.len);
    }
    assert_non_null(schema);
    return schema;
}

static void expect_lack(const struct crd_kind *kind, const json_t *definition, int count,
                        const char *text)
{
    CLEANUP(buf_fini) struct buf lack = {0};

    buf_init(&lack, LACK_MAX);
    assert_int_equal(crd_lack(kind, schema_in(definition), &lack), count);
    assert_true(str_is(buf_str(&lack), text));
}

static void our_own_lack_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        json_auto_t *definition = crd_definition(crd_kinds[i]);

        expect_lack(crd_kinds[i], definition, 0, "");
    }
}

/* `remove` is taken out of the object at `path`. */
static const struct {
    const char *path;
    const char *remove;
    int count;
    const char *lack;
} olds[] = {
    {"spec", "hardware", 1, "spec.hardware"},
    {"spec/scaling", "spot", 1, "spec.scaling.spot"},
    {"spec/scaling/warmup/items", "schedule", 1, "spec.scaling.warmup[].schedule"},
    {"status", "pendingCreates", 1, "status.pendingCreates"},
    {"", "status", 1, "status"},
};

static void what_an_older_one_lacks_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(olds); i++) {
        json_auto_t *definition = crd_definition(&crd_kind_model_deployment);
        json_t *at = schema_at(schema_in(definition), olds[i].path);

        assert_int_equal(json_object_del(json_object_get(at, "properties"), olds[i].remove), 0);
        expect_lack(&crd_kind_model_deployment, definition, olds[i].count, olds[i].lack);
    }
}

static void a_value_that_is_not_listed_lacks(void **state)
{
    json_auto_t *definition = crd_definition(&crd_kind_model_deployment);
    json_t *mode = schema_at(schema_in(definition), "spec/scaling/mode");

    (void)state;
    json_array_remove(json_object_get(mode, "enum"), 0);
    expect_lack(&crd_kind_model_deployment, definition, 1, "spec.scaling.mode");
}

static void what_is_newer_is_no_lack(void **state)
{
    json_auto_t *definition = crd_definition(&crd_kind_model_deployment);
    json_t *spec = json_object_get(schema_at(schema_in(definition), "spec"), "properties");

    (void)state;
    assert_int_equal(json_object_set_new(spec, "ofTomorrow", json_pack("{ss}", "type", "string")),
                     0);
    expect_lack(&crd_kind_model_deployment, definition, 0, "");
}

/* A schema of which nothing is understood, and one of which much lacks: some are named. */
static void many_are_counted(void **state)
{
    json_auto_t *definition = crd_definition(&crd_kind_model_deployment);
    json_auto_t *nothing = json_array();
    CLEANUP(buf_fini) struct buf lack = {0};
    int count;

    (void)state;
    buf_init(&lack, LACK_MAX);
    assert_int_equal(crd_lack(&crd_kind_model_deployment, nothing, &lack), 4);
    assert_true(str_is(buf_str(&lack), "apiVersion, kind, spec, status"));
    buf_clear(&lack);
    json_object_clear(json_object_get(schema_at(schema_in(definition), "spec"), "properties"));
    json_object_clear(json_object_get(schema_at(schema_in(definition), "status"), "properties"));
    count = crd_lack(&crd_kind_model_deployment, schema_in(definition), &lack);
    assert_true(count > 8);
    assert_true(str_starts(buf_str(&lack), STR("spec.model, ")));
    assert_true(str_ends(buf_str(&lack), STR(" more")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_lack_nothing),
        cmocka_unit_test(what_an_older_one_lacks_is_named),
        cmocka_unit_test(a_value_that_is_not_listed_lacks),
        cmocka_unit_test(what_is_newer_is_no_lack),
        cmocka_unit_test(many_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
