/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: defaults, and for each broken one the line that is said. */
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
#define TENANT    "apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec:\n"
#define PRICES    "apiVersion: spate.dev/v1alpha1\nkind: PriceBook\nmetadata: {name: list}\nspec:\n"

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

static const struct {
    const char *manifest;
    const char *line;
} broken[] = {
    {"[]", "kind: is required; write ModelDeployment, Tenant or PriceBook"},
    {"kind: ModelDeploymnet", "kind: no such kind; did you mean ModelDeployment?"},
    {"kind: Pod", "kind: no such kind; write ModelDeployment, Tenant or PriceBook"},
    {"apiVersion: v1\nkind: Tenant\nmetadata: {name: a}",
     "apiVersion: \"v1\" is not spate.dev/v1alpha1; correct it"},
    {"kind: Tenant\nmetadata: {name: a}",
     "apiVersion: is required; add it: Group and version of the object: spate.dev/v1alpha1."},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a, namespace: b}",
     "metadata.namespace: a Tenant has none; remove it"},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: ../../etc}",
     "metadata.name: \"../../etc\" is not lower-case letters, digits and inner dashes; correct it"},
    {"apiVersion: spate.dev/v1alpha1\nkind: Tenant\nmetadata: {name: \"a\\n\"}",
     "metadata.name: \"a?\" is not lower-case letters, digits and inner dashes; correct it"},
    {MODEL "  engine: {}",
     "spec.model: is required; add it: Which weights are served, and under which name."},
    {MODEL "  model: {}", "spec.model.uri: is required; add it: Where the weights are: file:// and "
                          "the absolute path of a folder in Hugging Face layout, or of a GGUF "
                          "file."},
    {MODEL "  model: {uri: hf://a/b}",
     "spec.model: this scheme is not supported by this version on platform local: download the "
     "model and name its folder by file:///absolute/path"},
    {MODEL "  model: {uri: \"file://m\"}",
     "spec.model: the path after file:// must be absolute and without '..': write "
     "file:///absolute/path"},
    {MODEL "  model: {uri: \"file:///a/../b\"}",
     "spec.model: the path after file:// must be absolute and without '..': write "
     "file:///absolute/path"},
    {MODEL "  model: {uri: /models/brook}",
     "spec.model.uri: \"/models/brook\" is not a location such as file:///models/brook; correct "
     "it"},
    {MODEL_URI "  scaling: {maxReplica: 3}",
     "spec.scaling.maxReplica: unknown field; did you mean maxReplicas?"},
    {MODEL_URI "  colour: blue",
     "spec.colour: unknown field; remove it, or use one of model, engine, scaling"},
    {MODEL_URI "  engine: {slots: \"4\"}",
     "spec.engine.slots: is of type string; write an integer, without quotes"},
    {MODEL_URI "  engine: {slots: 0}", "spec.engine.slots: 0 is below 1; use 1 to 256"},
    {MODEL_URI "  engine: {slots: 4.0}",
     "spec.engine.slots: is of type real; write an integer, without quotes"},
    {MODEL_URI "  engine: 4", "spec.engine: is of type integer; write an object (name: value lines "
                              "below it)"},
    {MODEL_URI "  scaling: {mode: auto}",
     "spec.scaling.mode: \"auto\" is not known; use Auto, Manual"},
    {MODEL_URI "  scaling: {mode: Manual}",
     "spec.scaling: mode Manual needs replicas: set spec.scaling.replicas"},
    {MODEL_URI "  scaling: {replicas: 2}",
     "spec.scaling: replicas is obeyed in mode Manual only: set mode: Manual, or minReplicas and "
     "maxReplicas in its place"},
    {MODEL_URI "  scaling: {minReplicas: 3, maxReplicas: 2}",
     "spec.scaling: minReplicas is above maxReplicas: raise maxReplicas or lower minReplicas"},
    {MODEL_URI "  scaling: {warmup: {}}",
     "spec.scaling.warmup: is of type object; write a list (lines with a dash)"},
    {MODEL_URI "  scaling: {warmup: [{schedule: \"0 25 * * *\", replicas: 1}]}",
     "spec.scaling.warmup[0].schedule: \"0 25 * * *\" is not five cron fields: minute, hour, day "
     "of "
     "month, month, day of week; correct it"},
    {MODEL_URI "  scaling: {warmup: [{schedule: \"0 8 * * *\", replicas: 9}]}",
     "spec.scaling: a warm-up asks for more replicas than maxReplicas: raise maxReplicas"},
    {MODEL_URI "  scaling: {warmup: [{schedule: \"0 8 * * *\", replicas: 1, timeZone: "
               "\"../../etc/passwd\"}]}",
     "spec.scaling.warmup[0].timeZone: \"../../etc/passwd\" is not a name of the IANA time zone "
     "database, such as Asia/Shanghai; correct it"},
    {TENANT "  keys: [{id: a, sha256: abc}]",
     "spec.keys[0].sha256: is not a SHA-256; write 64 lower-case hexadecimal digits"},
    {TENANT "  models: [brook]",
     "spec.models[0]: \"brook\" is not a model as namespace/name; correct it"},
    {TENANT "  priority: 5000", "spec.priority: 5000 is above 1000; use -1000 to 1000"},
    {PRICES "  currency: EUR", "spec.currency: \"EUR\" is not known; use USD"},
    {PRICES "  prices: [{model: \"*\", input: 0.55, output: \"1\"}]",
     "spec.prices[0].input: is of type real; write a decimal number in quotes, such as \"0.55\""},
    {PRICES "  prices: [{model: \"*\", input: \"-1\", output: \"1\"}]",
     "spec.prices[0].input: \"-1\" is not a price; write dollars from \"0\" to \"1000000\" with at "
     "most 9 decimals, such as \"0.55\""},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"1\"}, {model: \"*\", input: \"2\", "
            "output: \"2\"}]",
     "spec: two prices have the same model and effectiveFrom: remove one of them"},
    {PRICES "  prices: [{model: \"*\", input: \"1\", output: \"1\", effectiveFrom: tomorrow}]",
     "spec.prices[0].effectiveFrom: \"tomorrow\" is not a time; write it as "
     "2026-11-22T15:04:05Z"},
};

static void broken_manifests_are_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        json_auto_t *tree = tree_of(broken[i].manifest);
        struct crd_object *object = NULL;
        CLEANUP(buf_fini) struct buf faults = {0};
        struct err err = {0};
        struct str rest;
        bool found = false;

        buf_init(&faults, CRD_FAULT_BYTES_MAX);
        assert_int_equal(crd_object_read(&object, tree, NULL, &faults, &err), -ERR_INVALID);
        assert_null(object);
        rest = buf_str(&faults);
        while (rest.ptr != NULL && !found)
            found = str_is(str_cut(&rest, '\n'), broken[i].line);
        if (!found)
            fail_msg("case %zu: expected\n%s\nbut got\n%s", i, broken[i].line, buf_cstr(&faults));
    }
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
        "  labels: {team: red}\nspec: {namespaces: [default]}\n");
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
        cmocka_unit_test(broken_manifests_are_explained),
        cmocka_unit_test(faults_are_bounded),
        cmocka_unit_test(objects_read_back),
        cmocka_unit_test(kinds_are_found),
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(lack_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
