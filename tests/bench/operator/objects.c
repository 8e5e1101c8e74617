/* SPDX-License-Identifier: Apache-2.0 */
/* Models and pods as the API shows them: see objects.h. */
#include "tests/bench/operator/objects.h"

#include <stdarg.h>
#include <stdio.h>

#include "crd/model_deployment.h"
#include "operator/common/must.h"
#include "operator/reconcile/world.h"

#define NAMESPACE "bench"
#define DIGEST    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MODEL_UID "00000000-0000-4000-9000-%012zu"
#define POD_UID   "00000000-0000-4000-8000-%012zu"

enum { MODEL_TEXT_MAX = 1024, PODS_OF_A_NODE = 100, ARENA_BYTES = 1 << 20 };

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    (void)must(json_read(&tree, str_of(text), &json_limits_default, "object", NULL) == 0 ? tree
                                                                                         : NULL);
    return tree;
}

json_t *object_model(size_t number, size_t pods_each)
{
    char text[MODEL_TEXT_MAX];

    snprintf(text, sizeof(text),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"metadata\":{"
             "\"name\":\"model-%zu\",\"namespace\":\"" NAMESPACE "\",\"uid\":"
             "\"" MODEL_UID "\",\"resourceVersion\":\"1\",\"generation\":1,"
             "\"creationTimestamp\":\"2026-11-22T10:00:00Z\"},\"spec\":{\"model\":{\"uri\":"
             "\"pvc://weights/model-%zu\"},\"scaling\":{\"mode\":\"Manual\",\"replicas\":%zu,"
             "\"maxReplicas\":%zu}}}",
             number, number, number, pods_each, pods_each);
    return parse(text);
}

static const char any_pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"\",\"namespace\":\"" NAMESPACE
    "\",\"uid\":\"\",\"resourceVersion\":\"\",\"creationTimestamp\":\"2026-11-22T10:00:00Z\","
    "\"labels\":{\"app.kubernetes.io/name\":\"spate-agent\",\"spate.dev/component\":\"agent\","
    "\"spate.dev/model\":\"\",\"spate.dev/template-hash\":\"\",\"spate.dev/ordinal\":\"\"},"
    "\"annotations\":{\"spate.dev/created-ms\":\"1795341600123\",\"spate.dev/token-public-key\":"
    "\"" DIGEST "\"},\"ownerReferences\":[{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":"
    "\"ModelDeployment\",\"name\":\"\",\"uid\":\"\",\"controller\":true}]},\"spec\":{"
    "\"nodeName\":\"\",\"serviceAccountName\":\"default\",\"containers\":[{\"name\":\"agent\","
    "\"ports\":[{\"name\":\"http\",\"containerPort\":8000}]}]},\"status\":{\"phase\":\"Running\","
    "\"podIP\":\"\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
    "\"containerStatuses\":[{\"name\":\"agent\",\"restartCount\":0,\"state\":{\"running\":{"
    "\"startedAt\":\"2026-11-22T10:00:01Z\"}}}]}}";

json_t *object_pod(void)
{
    return parse(any_pod);
}

__attribute__((format(printf, 3, 4))) static void set(json_t *object, const char *key,
                                                      const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_string_set(json_object_get(object, key), text);
}

void object_set_pod(json_t *pod, size_t model, size_t ordinal, size_t number, const char *hash)
{
    json_t *metadata = json_object_get(pod, "metadata");
    json_t *labels = json_object_get(metadata, "labels");
    json_t *owner = json_array_get(json_object_get(metadata, "ownerReferences"), 0);

    set(metadata, "name", "model-%zu-%s-%zu", model, hash, ordinal);
    set(metadata, "uid", POD_UID, number);
    set(metadata, "resourceVersion", "%zu", number + 1);
    set(labels, "spate.dev/model", "model-%zu", model);
    set(labels, "spate.dev/template-hash", "%s", hash);
    set(labels, "spate.dev/ordinal", "%zu", ordinal);
    set(owner, "name", "model-%zu", model);
    set(owner, "uid", MODEL_UID, model);
    set(json_object_get(pod, "spec"), "nodeName", "node-%zu", number / PODS_OF_A_NODE);
    set(json_object_get(pod, "status"), "podIP", "10.%zu.%zu.%zu", number >> 16 & 255,
        number >> 8 & 255, number & 255);
}

void object_hash(const struct crd_object *model, char out[PLATFORM_HASH_LEN + 1])
{
    struct crd_model_spec spec;
    struct arena arena;

    arena_init(&arena, ARENA_BYTES);
    (void)must(crd_model_spec_read(&spec, model, &arena, NULL) == 0 ? &spec : NULL);
    world_template_hash(&spec, out);
    arena_fini(&arena);
}

void object_record_pods(json_t *model, size_t number, size_t pods_each, const char *hash)
{
    json_t *status = json_object(), *pods = json_array();

    json_object_set_new(status, "pods", pods);
    json_object_set_new(status, "nextOrdinal", json_integer((json_int_t)pods_each));
    for (size_t i = 0; i < pods_each; i++)
        json_array_append_new(pods,
                              json_pack("{s:o,s:o,s:s,s:s,s:i}", "name",
                                        json_sprintf("model-%zu-%s-%zu", number, hash, i), "uid",
                                        json_sprintf(POD_UID, number * pods_each + i), "phase",
                                        "Ready", "templateHash", hash, "ordinal", (int)i));
    json_object_set_new(model, "status", status);
}
