/* SPDX-License-Identifier: Apache-2.0 */
/* The CustomResourceDefinitions: the checked-in files are what the tables say, and the schemas keep
 * what Kubernetes asks of them. Whether a real API server takes them: tests/cluster. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "cmocka_plain.h"
#include "crd/kinds.h"
#include "crd/schema.h"

enum { DEFINITION_MAX = 200 * 1000 }; /* an object in etcd has room for little more than a MiB */

static json_t *below(const json_t *object, const char *path)
{
    struct str rest = str_of(path);
    json_t *value = json_object_get(object, "spec");

    value = json_array_get(json_object_get(value, "versions"), 0);
    while (value != NULL && rest.ptr != NULL) {
        struct str part = str_cut(&rest, '/');

        value = json_object_getn(value, part.ptr, part.len);
    }
    return value;
}

static void checked_in_files_are_current(void **state)
{
    (void)state;
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        json_auto_t *definition = crd_definition(crd_kinds[i]);
        json_auto_t *documents = NULL;
        CLEANUP(buf_fini) struct buf path = {0};
        CLEANUP(buf_fini) struct buf text = {0};
        struct err err = {0};

        buf_init(&path, 4096);
        buf_init(&text, DEFINITION_MAX);
        buf_append_text(&path, SPATE_SOURCE_DIR "/crd/yaml/");
        crd_definition_file(crd_kinds[i], &path);
        if (file_read(buf_cstr(&path), &text, &err) < 0 ||
            yaml_read(&documents, buf_str(&text), buf_cstr(&path), &err) < 0)
            fail_msg("%s", err_message(&err));
        if (json_equal(json_array_get(documents, 0), definition) != 1)
            fail_msg("%s is not what the tables say; run ./dev docs", buf_cstr(&path));
    }
}

/* A rule's cost is estimated from these. */
static void expect_bounds(const json_t *schema, const char *path)
{
    struct str type = json_str(json_object_get(schema, "type"));
    const char *name;
    const json_t *member;

    if (json_string_length(json_object_get(schema, "description")) < 5 &&
        strcmp(path, "metadata") != 0)
        fail_msg("%s has no description", path);
    if (str_is(type, "string") && json_object_get(schema, "enum") == NULL &&
        json_object_get(schema, "maxLength") == NULL)
        fail_msg("%s has no maxLength", path);
    if (str_is(type, "integer") && json_object_get(schema, "minimum") == NULL)
        fail_msg("%s has no minimum", path);
    if (str_is(type, "array")) {
        if (json_object_get(schema, "maxItems") == NULL ||
            json_object_get(schema, "x-kubernetes-list-type") == NULL)
            fail_msg("%s has no maxItems or no list type", path);
        expect_bounds(json_object_get(schema, "items"), path);
    }
    if (str_is(type, "object") && json_object_get(schema, "properties") == NULL)
        fail_msg("%s has no properties", path);
    json_object_foreach (json_object_get(schema, "properties"), name, member) {
        if (strcmp(name, "apiVersion") != 0 && strcmp(name, "kind") != 0)
            expect_bounds(member, name);
    }
}

static void everything_is_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        json_auto_t *definition = crd_definition(crd_kinds[i]);
        CLEANUP(buf_fini) struct buf text = {0};

        buf_init(&text, DEFINITION_MAX);
        expect_bounds(below(definition, "schema/openAPIV3Schema"), "object");
        assert_int_equal(yaml_write(&text, definition), 0);
        assert_false(text.failed);
    }
}

/* A rule names a member that there is, and stands where it is looked for. */
static void rules_stand_at_their_members(void **state)
{
    size_t found = 0, wanted = 0;

    (void)state;
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        const struct crd_kind *kind = crd_kinds[i];
        json_auto_t *definition = crd_definition(kind);

        wanted += kind->rule_count;
        for (size_t r = 0; r < kind->rule_count; r++) {
            char path[256] = "schema/openAPIV3Schema";
            struct str rest = str_of(kind->rules[r].path);
            const json_t *at;

            while (rest.ptr != NULL) {
                struct str part = str_cut(&rest, '.');
                size_t used = strlen(path);

                snprintf(path + used, sizeof(path) - used, "/properties/%.*s", STR_ARG(part));
            }
            at = below(definition, path);
            assert_non_null(
                json_object_get(json_object_get(at, "properties"), kind->rules[r].member));
            assert_true(json_array_size(json_object_get(at, "x-kubernetes-validations")) > 0);
            found++;
        }
    }
    assert_int_equal(found, wanted);
    assert_true(wanted >= 5);
}

/* Without a value at these paths /scale answers an error. */
static void a_size_always_has_a_value(void **state)
{
    json_auto_t *definition = crd_definition(crd_kinds[CRD_MODEL_DEPLOYMENT]);
    const json_t *scaling =
        below(definition, "schema/openAPIV3Schema/properties/spec/properties/scaling");

    (void)state;
    assert_string_equal(json_string_value(below(definition, "subresources/scale/specReplicasPath")),
                        ".spec.scaling.replicas");
    assert_non_null(json_object_get(scaling, "default"));
    /* The rules are asked about the default as it is written. */
    assert_non_null(json_object_get(json_object_get(scaling, "default"), "replicas"));
    assert_non_null(json_object_get(json_object_get(scaling, "default"), "mode"));
    assert_non_null(
        below(definition, "schema/openAPIV3Schema/properties/status/properties/selector"));
    assert_non_null(below(definition, "subresources/status"));
}

/* Told, or without harm to the result. */
static void lack_of_memory_does_no_harm(void **state)
{
    json_auto_t *whole = crd_definition(crd_kinds[CRD_TENANT]);
    bool seen = true;

    (void)state;
    for (int64_t n = 0; seen; n++) {
        json_auto_t *definition = NULL;

        mem_fail_after(n);
        definition = crd_definition(crd_kinds[CRD_TENANT]);
        seen = mem_fail_seen();
        mem_fail_after(-1);
        if (definition == NULL)
            assert_true(seen);
        else
            assert_int_equal(json_equal(definition, whole), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checked_in_files_are_current), cmocka_unit_test(everything_is_bounded),
        cmocka_unit_test(rules_stand_at_their_members), cmocka_unit_test(a_size_always_has_a_value),
        cmocka_unit_test(lack_of_memory_does_no_harm),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
