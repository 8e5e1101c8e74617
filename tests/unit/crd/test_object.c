/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: defaults, reading back, what the tables promise. What is said of broken ones: see
 * test_broken.c. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/yaml.h"
#include "cmocka_plain.h"
#include "crd/kinds.h"
#include "crd/object.h"

#define MODEL \
    "apiVersion: spate.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: brook}\nspec:\n"
#define MODEL_URI MODEL "  model: {uri: \"file:///m\"}\n"

/* The first document of the text; fails the test when it is no YAML. */
static json_t *tree_of(const char *text)
{
    json_t *documents = NULL;
    json_t *tree;
    struct err err = {0};

    if (yaml_read(&documents, str_of(text), "test", &err) < 0)
        fail_msg("%s", err_message(&err));
    tree = json_incref(json_array_get(documents, 0));
    json_decref(documents);
    return tree;
}

static void defaults_are_filled_in(void **state)
{
    json_auto_t *tree = tree_of(MODEL_URI "  scaling: {warmup: [{schedule: \"0 8 * * *\", "
                                          "replicas: 1}], idle: null}\n");
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    struct err err = {0};
    const char *engine;

    (void)state;
    if (crd_object_read(&object, tree, NULL, NULL, &err) < 0)
        fail_msg("%s", err_message(&err));
    assert_string_equal(object->name_space, "default");
    engine = json_string_value(json_object_get(json_object_get(object->spec, "scaling"), "mode"));
    assert_string_equal(engine, "Auto");
    assert_int_equal(
        json_integer_value(json_object_get(
            json_object_get(json_object_get(object->spec, "scaling"), "idle"), "afterSeconds")),
        900);
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(json_object_get(object->spec, "scaling"), "warmup"), 0),
            "timeZone")),
        "Etc/UTC");
    /* The input stays as it was. */
    assert_null(json_object_get(json_object_get(tree, "spec"), "engine"));
}

/* What is read of a packed object is what was there before, for as long as it is there. */
static void a_packed_object_reads_the_same(void **state)
{
    json_auto_t *tree = tree_of(MODEL_URI "status: {observedGeneration: 3}\n");
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    json_auto_t *spec = NULL;
    json_auto_t *status = NULL;
    json_t *later = NULL;
    struct err err = {0};

    (void)state;
    if (crd_object_read(&object, tree, NULL, NULL, &err) < 0)
        fail_msg("%s", err_message(&err));
    spec = json_incref(object->spec);
    assert_int_equal(crd_object_pack(object, &err), 0);
    assert_null(object->spec);
    assert_int_equal(crd_tree(&later, object, "spec", &err), 0);
    assert_true(json_equal(spec, later));
    json_decref(later);
    assert_true(crd_object_has_status(object));
    assert_int_equal(crd_tree(&status, object, "status", &err), 0);
    assert_int_equal(json_integer_value(json_object_get(status, "observedGeneration")), 3);
    crd_object_drop_status(object);
    assert_false(crd_object_has_status(object));
    assert_int_equal(crd_tree(&later, object, "status", &err), 0);
    assert_null(later);
}

/* All faults are told at once, but not without end. */
static void faults_are_bounded(void **state)
{
    json_auto_t *tree = tree_of(MODEL_URI);
    json_t *spec = json_object_get(tree, "spec");
    struct crd_object *object = NULL;
    CLEANUP(buf_fini) struct buf faults = {0};
    struct str rest;
    int lines = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char key[300];

        snprintf(key, sizeof(key), "nothing%0200d", i);
        json_object_set_new(spec, key, json_null());
    }
    buf_init(&faults, CRD_FAULT_BYTES_MAX);
    assert_int_equal(crd_object_read(&object, tree, NULL, &faults, NULL), -ERR_INVALID);
    assert_false(faults.failed);
    rest = buf_str(&faults);
    while (rest.ptr != NULL) {
        str_cut(&rest, '\n');
        lines++;
    }
    assert_int_equal(lines, CRD_FAULTS_MAX + 1);
}

static void objects_read_back(void **state)
{
    json_auto_t *tree = tree_of(
        "apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata:\n  name: acme\n  uid: 1-a\n"
        "  resourceVersion: \"7\"\n  generation: 3\n  creationTimestamp: \"2026-11-22T15:04:05Z\"\n"
        "  labels: {team: red, example.com/owner: me}\nspec: {namespaces: [default]}\n");
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(crd_object_unrefp) struct crd_object *again = NULL;
    CLEANUP(crd_object_unrefp) struct crd_object *copy = NULL;
    json_auto_t *written = NULL;
    json_auto_t *rewritten = NULL;

    (void)state;
    assert_int_equal(crd_object_read(&object, tree, NULL, NULL, NULL), 0);
    assert_int_equal(object->generation, 3);
    assert_string_equal(object->resource_version, "7");
    written = crd_object_tree(object);
    assert_int_equal(crd_object_read(&again, written, NULL, NULL, NULL), 0);
    rewritten = crd_object_tree(again);
    assert_true(json_equal(written, rewritten));
    assert_true(crd_spec_equal(object, again));
    assert_int_equal(crd_object_copy(&copy, object, NULL), 0);
    json_object_set_new(json_object_get(copy->spec, "limits"), "concurrency", json_integer(5));
    assert_false(crd_spec_equal(object, copy));
    assert_true(crd_spec_equal(object, again));
}

static void kinds_are_found(void **state)
{
    static const char *const names[] = {"md", "ModelDeployment", "modeldeployments", "MD",
                                        "modeldeployments.spate.dev"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_ptr_equal(crd_kind_find(str_of(names[i])), crd_kinds[CRD_MODEL_DEPLOYMENT]);
    assert_ptr_equal(crd_kind_find(STR("pb")), crd_kinds[CRD_PRICE_BOOK]);
    assert_null(crd_kind_find(STR("pods")));
}

/* What the code relies on in every table. */
static void tables_are_sound(void **state)
{
    (void)state;
    for (int k = 0; k < CRD_KIND_COUNT; k++) {
        const struct crd_field *field;

        for (size_t i = 0; (field = crd_field_at(crd_kinds[k], i)) != NULL; i++) {
            char path[128];
            bool is_text = field->type >= CRD_STRING && field->type != CRD_INTEGER &&
                           field->type != CRD_BOOLEAN && field->type != CRD_ENUM;

            if (strlen(field->path) + 3 > sizeof(path) || strlen(field->describe) < 5)
                fail_msg("%s: path too long or no description", field->path);
            if ((is_text || field->type == CRD_LIST || field->type == CRD_MAP) &&
                field->max_length == 0)
                fail_msg("%s has no maximum", field->path);
            if (field->type == CRD_INTEGER && field->min >= field->max)
                fail_msg("%s has no range", field->path);
            if (field->pattern != NULL && field->pattern_means == NULL)
                fail_msg("%s does not say what its pattern means", field->path);
            snprintf(path, sizeof(path), "%s[]", field->path);
            if (field->type == CRD_LIST && crd_field_find(crd_kinds[k], str_of(path)) == NULL)
                fail_msg("%s has no row for its elements", field->path);
        }
    }
}

static void lack_of_memory_is_reported(void **state)
{
    json_auto_t *tree = tree_of(MODEL_URI);

    (void)state;
    for (int64_t n = 0;; n++) {
        struct crd_object *object = NULL;
        bool seen;
        int r;

        mem_fail_after(n);
        r = crd_object_read(&object, tree, NULL, NULL, NULL);
        seen = mem_fail_seen();
        mem_fail_after(-1);
        if (!seen) {
            assert_int_equal(r, 0);
            crd_object_unref(object);
            break;
        }
        assert_int_equal(r, -ERR_NO_MEMORY);
        assert_null(object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(a_packed_object_reads_the_same),
        cmocka_unit_test(faults_are_bounded),
        cmocka_unit_test(objects_read_back),
        cmocka_unit_test(kinds_are_found),
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(lack_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
