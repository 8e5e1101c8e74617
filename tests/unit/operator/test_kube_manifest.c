/* SPDX-License-Identifier: Apache-2.0 */
/* From a ModelDeployment to its Pod: golden files, and texts that want to be more than texts. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "crd/model_deployment.h"
#include "operator/kube/kube_crd.h"
#include "operator/kube/kube_manifest.h"
#include "operator/kube/kube_source.h"

#define GOLDEN SPATE_SOURCE_DIR "/tests/unit/operator/golden/"

static const struct kube_manifest_options plain = {
    .image = "spate.invalid/agent:1",
    .pull_policy = "IfNotPresent",
    .public_key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    .now_ms = 1795341600123,
};

/* As the API server hands it out, with what only it knows. */
static struct kube_custom *model_of(const char *name, const char *spec)
{
    struct kube_custom *custom = NULL;
    json_auto_t *tree = NULL;
    struct kube_meta meta;
    struct err err = {0};
    char text[8192];

    snprintf(text, sizeof(text),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"metadata\":{"
             "\"name\":\"%s\",\"namespace\":\"team-a\",\"uid\":\"0b992dcb-0ab2\","
             "\"resourceVersion\":\"353\",\"generation\":1,\"creationTimestamp\":"
             "\"2026-11-22T10:00:00Z\",\"finalizers\":[\"x/y\"],\"annotations\":{\"a\":\"b\"}},"
             "\"spec\":%s}",
             name, spec);
    if (kube_object_read(&tree, str_of(text), "model", &err) < 0 ||
        kube_meta_read(&meta, tree, &err) < 0 ||
        kube_crd_read(&custom, tree, crd_kinds[CRD_MODEL_DEPLOYMENT], &meta, &err) < 0)
        fail_msg("%s", err_message(&err));
    return custom;
}

struct start {
    int64_t p90_ms;
    bool template_measured;
};

static int write_pod(struct buf *out, const struct kube_manifest_options *options,
                     const char *pod_name, const char *spec, struct start start, struct err *err)
{
    struct kube_custom *custom = model_of("brook", spec);
    const struct platform_pod_spec pod = {
        .name = str_of(pod_name),
        .ordinal = 7,
        .template_hash = STR("0123456789"),
        .cold_start_p90_ms = start.p90_ms,
        .template_measured = start.template_measured,
        .model = custom->object,
    };
    int r;

    if (custom->object == NULL)
        fail_msg("%s", custom->fault);
    buf_init(out, KUBE_MANIFEST_BYTES_MAX);
    r = kube_manifest_write(out, options, &pod, err);
    kube_crd_free(custom);
    return r;
}

static const struct {
    const char *file, *spec;
    struct start start;
    const char *pull_secret;
    enum kube_wish wish;
} rows[] = {
    {"pod_file.json", "{\"model\":{\"uri\":\"file:///models/brook\"}}", {0}, NULL},
    {"pod_pvc.json",
     "{\"model\":{\"uri\":\"pvc://weights/r1/7b\"},\"engine\":{\"slots\":8,\"threads\":2,"
     "\"contextTokens\":4096,\"kvCacheMiB\":512,\"chunkTokens\":128}}",
     {300500},
     NULL},
    {"pod_oci.json",
     "{\"model\":{\"uri\":\"oci://spate.invalid/brook:1#brook\"}}",
     {40100, true},
     "spate-registry"},
    {"pod_gpu_spot.json",
     "{\"model\":{\"uri\":\"file:///m\"},\"hardware\":{\"gpus\":2,\"cpuMillis\":1500,"
     "\"memoryMiB\":4096},\"scaling\":{\"spot\":{\"percent\":70}},\"placement\":{"
     "\"nodeLabels\":[{\"key\":\"nvidia.com/gpu.product\",\"value\":\"H200\"}],"
     "\"tolerations\":[{\"key\":\"pool\",\"value\":\"llm\",\"effect\":\"NoExecute\"},"
     "{\"key\":\"example.com/any\"}],\"priorityClassName\":\"high\","
     "\"runtimeClassName\":\"nvidia\"}}",
     {2000},
     NULL,
     KUBE_WISH_SPOT},
    {"pod_on_demand.json",
     "{\"model\":{\"uri\":\"file:///m\"},\"scaling\":{\"spot\":{\"percent\":70}}}",
     {2000, true},
     NULL,
     KUBE_WISH_ON_DEMAND},
};

/* percent, floor, pods that are there, of these not on spot -> the next one */
static const struct {
    int64_t percent, floor, pods, on_demand;
    enum kube_wish wish;
} wishes[] = {
    {0, 0, 0, 0, KUBE_WISH_ANY},        {0, 5, 3, 0, KUBE_WISH_ANY},
    {100, 0, 0, 0, KUBE_WISH_SPOT},     {100, 1, 0, 0, KUBE_WISH_ON_DEMAND},
    {100, 1, 1, 1, KUBE_WISH_SPOT},     {70, 0, 0, 0, KUBE_WISH_ON_DEMAND},
    {70, 0, 1, 1, KUBE_WISH_SPOT},      {70, 0, 2, 1, KUBE_WISH_SPOT},
    {70, 0, 3, 1, KUBE_WISH_ON_DEMAND}, {70, 0, 9, 3, KUBE_WISH_SPOT},
    {50, 0, 1, 0, KUBE_WISH_ON_DEMAND}, {1, 0, 98, 98, KUBE_WISH_ON_DEMAND},
    {1, 0, 99, 99, KUBE_WISH_SPOT},     {70, 4, 5, 3, KUBE_WISH_ON_DEMAND},
};

static void spot_is_as_much_as_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wishes); i++)
        assert_int_equal(
            kube_spot_wish(wishes[i].percent, wishes[i].floor, wishes[i].pods, wishes[i].on_demand),
            wishes[i].wish);
}

/* SPATE_GOLDEN=write makes them anew; read what changed before committing it. */
static void pods_are_as_in_the_golden_files(void **state)
{
    const char *mode = getenv("SPATE_GOLDEN");

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct kube_manifest_options options = plain;
        CLEANUP(buf_fini) struct buf text = {0};
        CLEANUP(buf_fini) struct buf golden = {0};
        json_auto_t *tree = NULL;
        CLEANUP(mem_freep) char *pretty = NULL;
        struct err err = {0};
        char path[512];

        options.pull_secret = rows[i].pull_secret;
        options.wish = rows[i].wish;
        if (write_pod(&text, &options, "brook-0123456789-7", rows[i].spec, rows[i].start, &err) < 0)
            fail_msg("%s: %s", rows[i].file, err_message(&err));
        assert_int_equal(json_read(&tree, buf_str(&text), &json_limits_default, "pod", &err), 0);
        pretty = json_dumps(tree, JSON_INDENT(2));
        snprintf(path, sizeof(path), GOLDEN "%s", rows[i].file);
        buf_init(&golden, KUBE_MANIFEST_BYTES_MAX);
        if (mode != NULL && strcmp(mode, "write") == 0)
            assert_int_equal(file_write_atomic(path, str_of(pretty), 0644, &err), 0);
        if (file_read(path, &golden, &err) < 0)
            fail_msg("%s", err_message(&err));
        if (!str_eq(str_trim(buf_str(&golden)), str_of(pretty)))
            fail_msg("%s: the pod is now\n%s", path, pretty);
    }
}

/* Kubernetes would replace $(NAME) in arguments. */
static void arguments_are_not_expanded(void **state)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(write_pod(&text, &plain, "brook-0123456789-7",
                               "{\"model\":{\"uri\":\"file:///$(HOME)/x\"}}", (struct start){0},
                               &err),
                     0);
    assert_true(str_find(buf_str(&text), STR("\"/$$(HOME)/x\"")) > 0);
}

static void names_are_checked(void **state)
{
    static const char *const names[] = {"", "../../x", "a/b", "A", "a b", "a\nb", "a?x=1", "-a"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        CLEANUP(buf_fini) struct buf text = {0};
        struct err err = {0};

        if (write_pod(&text, &plain, names[i], "{\"model\":{\"uri\":\"file:///m\"}}",
                      (struct start){0}, &err) != -ERR_INVALID)
            fail_msg("'%s' was taken", names[i]);
        assert_int_equal(text.len, 0);
    }
}

static const struct {
    const char *uri;
    int code;
    enum kube_source_kind kind;
    const char *claim, *image, *path;
} sources[] = {
    {"file:///models/brook", 0, KUBE_SOURCE_FILE, "", "", "/models/brook"},
    {"file://models", -ERR_INVALID, 0, "", "", ""},
    {"file:///a/../etc", -ERR_INVALID, 0, "", "", ""},
    {"pvc://weights", 0, KUBE_SOURCE_PVC, "weights", "", ""},
    {"pvc://weights/", 0, KUBE_SOURCE_PVC, "weights", "", ""},
    {"pvc://weights/a/b", 0, KUBE_SOURCE_PVC, "weights", "", "a/b"},
    {"pvc://weights//a", -ERR_INVALID, 0, "", "", ""},
    {"pvc:///a", -ERR_INVALID, 0, "", "", ""},
    {"pvc://../x", -ERR_INVALID, 0, "", "", ""},
    {"pvc://Weights/x", -ERR_INVALID, 0, "", "", ""},
    {"pvc://weights/../../etc", -ERR_INVALID, 0, "", "", ""},
    {"pvc://weights/a\nb", -ERR_INVALID, 0, "", "", ""},
    {"oci://host/name:1", 0, KUBE_SOURCE_OCI, "", "host/name:1", ""},
    {"oci://host:5000/a/b@sha256:00#c/d", 0, KUBE_SOURCE_OCI, "", "host:5000/a/b@sha256:00", "c/d"},
    {"oci://name", -ERR_INVALID, 0, "", "", ""},
    {"oci://host/", -ERR_INVALID, 0, "", "", ""},
    {"oci://host/a b", -ERR_INVALID, 0, "", "", ""},
    {"oci://host/a\"b", -ERR_INVALID, 0, "", "", ""},
    {"oci://-x/y", -ERR_INVALID, 0, "", "", ""},
    {"oci://host/a#/abs", -ERR_INVALID, 0, "", "", ""},
    {"oci://host/a#../x", -ERR_INVALID, 0, "", "", ""},
    {"hf://a/b", -ERR_UNSUPPORTED, 0, "", "", ""},
    {"", -ERR_UNSUPPORTED, 0, "", "", ""},
};

static void sources_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sources); i++) {
        struct kube_source source = {0};
        struct err err = {0};
        int r = kube_source_read(&source, str_of(sources[i].uri), &err);

        if (r != sources[i].code)
            fail_msg("%s: %d, %s", sources[i].uri, r, err_message(&err));
        if (r < 0)
            continue;
        assert_int_equal(source.kind, sources[i].kind);
        assert_true(str_is(source.claim, sources[i].claim));
        assert_true(str_is(source.image, sources[i].image));
        assert_true(str_is(source.path, sources[i].path));
    }
}

/* Of another version of the CRD: kept, but neither obeyed nor gone. */
static void an_unknown_field_is_a_fault(void **state)
{
    struct kube_custom *custom =
        model_of("brook", "{\"model\":{\"uri\":\"file:///m\"},\"futureField\":1}");

    (void)state;
    assert_null(custom->object);
    assert_non_null(strstr(custom->fault, "futureField"));
    kube_crd_free(custom);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pods_are_as_in_the_golden_files),
        cmocka_unit_test(spot_is_as_much_as_allowed),
        cmocka_unit_test(arguments_are_not_expanded),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(sources_are_read_or_refused),
        cmocka_unit_test(an_unknown_field_is_a_fault),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
