/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests from files: several documents, relative weights, faults. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/manifest.h"
#include "cmocka_plain.h"

#define HEAD "apiVersion: spate.dev/v1alpha1\nkind: "

static char folder[64];

/* Reads one manifest of that text. */
static int read_text(struct manifests *out, const char *text, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "manifest.yaml");
    struct arg_list files = {.items = {path}, .count = 1};

    assert_int_equal(file_write_atomic(path, str_of(text), 0600, NULL), 0);
    return manifests_read(out, &files, "team-a", err);
}

static void documents_are_read(void **state)
{
    CLEANUP(manifests_fini) struct manifests m = {0};
    CLEANUP(mem_freep) char *weights = path_join(folder, "weights");
    struct err err = {0};
    char expected[128];
    const json_t *tree;

    (void)state;
    assert_int_equal(file_make_folder(weights, NULL), 0);
    if (read_text(&m,
                  HEAD "Tenant\nmetadata: {name: acme}\n---\n" HEAD
                       "ModelDeployment\nmetadata: {name: brook}\nspec: {model: {uri: "
                       "\"file://./weights\"}}\n---\n",
                  &err) < 0)
        fail_msg("%s", err_message(&err));
    assert_int_equal(m.count, 2);
    assert_string_equal(m.items[0].object->name, "acme");
    assert_string_equal(m.items[1].object->name_space, "team-a");
    /* What is sent names the namespace and the whole path, but no defaults. */
    tree = m.items[1].tree;
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(tree, "metadata"), "namespace")),
        "team-a");
    snprintf(expected, sizeof(expected), "file://%s/weights", folder);
    tree = json_object_get(tree, "spec");
    assert_string_equal(json_string_value(json_object_get(json_object_get(tree, "model"), "uri")),
                        expected);
    assert_null(json_object_get(tree, "scaling"));
}

static void bad_manifests_are_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", ERR_INVALID},
        {"---\n---\n", ERR_INVALID},
        {"a: [", ERR_SYNTAX},
        {"a: 1\na: 2\n", ERR_INVALID},
        {"- 1\n", ERR_INVALID},
        {"word\n", ERR_INVALID},
        {HEAD "Tenant\nmetadata: {name: acme}\n---\n" HEAD "Tenant\nmetadata: {name: A}\n",
         ERR_INVALID},
        {HEAD "ModelDeployment\nmetadata: {name: b}\nspec: {model: {uri: \"file://./none\"}}\n",
         ERR_NOT_FOUND},
        {HEAD "ModelDeployment\nmetadata: {name: b}\nspec: {model: {uri: \"hf://a/b\"}}\n",
         ERR_INVALID},
        {HEAD "PriceBook\nmetadata: {name: b}\nspec: {prices: [{model: \"*\", input: 1, output: "
              "\"1\"}]}\n",
         ERR_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct manifests m = {0};
        struct err err = {0};
        int r = read_text(&m, cases[i].text, &err);

        if (r != -cases[i].code)
            fail_msg("case %zu: %d (%s)", i, r, err_message(&err));
        assert_int_equal(m.count, 0);
    }
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/spate-manifest-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_read),
        cmocka_unit_test(bad_manifests_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
