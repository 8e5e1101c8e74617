/* SPDX-License-Identifier: Apache-2.0 */
/* See bases.h. */
#include "bases.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "crd/kinds.h"

enum { PATH_MAX_BYTES = 128 };

static const char bases[] =
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: ModelDeployment\n"
    "metadata: {name: brook, namespace: default, labels: {team: red, example.com/a: b}}\n"
    "spec:\n"
    "  model: {uri: \"file:///models/brook\", name: brook}\n"
    "  engine: {slots: 8, contextTokens: 4096, kvCacheMiB: 64, threads: 2, chunkTokens: 256}\n"
    "  scaling:\n"
    "    mode: Auto\n"
    "    minReplicas: 1\n"
    "    maxReplicas: 4\n"
    "    targetUtilizationPercent: 70\n"
    "    idle: {afterSeconds: 60}\n"
    "    scaleDownDelaySeconds: 5\n"
    "    warmup:\n"
    "    - {name: office, schedule: \"0 8 * * *\", timeZone: Asia/Shanghai, replicas: 3}\n"
    "    - {schedule: \"0 20 * * 1-5\", replicas: 2, durationSeconds: 600}\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: ModelDeployment\n"
    "metadata: {name: brook, namespace: default}\n"
    "spec: {model: {uri: \"file:///m\"}, scaling: {mode: Manual, replicas: 2},\n"
    "       routing: {fromNamespaces: [team-a, \"*\"]}}\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: ModelDeployment\n"
    "metadata: {name: brook, namespace: default}\n"
    "spec:\n"
    "  model: {uri: \"pvc://weights/models/brook\"}\n"
    "  scaling: {maxReplicas: 8, spot: {percent: 70, minOnDemand: 1}}\n"
    "  hardware: {gpus: 1, cpuMillis: 1500, memoryMiB: 4096}\n"
    "  placement:\n"
    "    nodeLabels:\n"
    "    - {key: example.com/pool, value: large}\n"
    "    - {key: disk, value: \"\"}\n"
    "    tolerations:\n"
    "    - {key: example.com/gpu, value: \"true\", effect: NoSchedule}\n"
    "    - {key: spot, effect: NoExecute}\n"
    "    - {key: any}\n"
    "    priorityClassName: urgent\n"
    "    runtimeClassName: nvidia\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: ModelRoute\n"
    "metadata: {name: chat, namespace: default}\n"
    "spec:\n"
    "  name: chat:latest\n"
    "  targets: [{model: brook, weight: 90}, {model: team-a/next, weight: 10}, {model: \"off\"}]\n"
    "  fallback: {models: [small, team-b/large], afterSeconds: 5}\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: Tenant\n"
    "metadata: {name: acme, annotations: {example.com/note: any text}}\n"
    "spec:\n"
    "  keys:\n"
    "  - {id: a, sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}\n"
    "  - {id: b, sha256: aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}\n"
    "  namespaces: [default, team-a]\n"
    "  models: [default/brook, team-a/r1]\n"
    "  limits: {requestsPerMinute: 60, concurrency: 4}\n"
    "  priority: 5\n"
    "  priceBook: list\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: PriceBook\n"
    "metadata: {name: list}\n"
    "spec:\n"
    "  currency: USD\n"
    "  prices:\n"
    "  - {model: \"*\", input: \"0.55\", output: \"2.19\"}\n"
    "  - {model: \"*\", input: \"1\", output: \"2\", effectiveFrom: \"2026-11-22T15:04:05Z\"}\n"
    "  - {model: team-a/*, input: \"0.1\", cachedInput: \"0.01\", output: \"1\", reasoning: "
    "\"2\"}\n";

json_t *bases_read(void)
{
    json_t *documents = NULL;
    struct err err = {0};

    if (yaml_read(&documents, STR(bases), "bases", &err) < 0) {
        fprintf(stderr, "bases.c: %s\n", err_message(&err));
        exit(EXIT_FAILURE);
    }
    return documents;
}

const struct crd_kind *base_kind(const json_t *object)
{
    return crd_kind_find(json_str(json_object_get(object, "kind")));
}

/* --- the places in one ------------------------------------------------------------------------ */

static void add_spot(struct spots *s, struct spot spot)
{
    if (s->count < SPOTS_MAX)
        s->items[s->count++] = spot;
}

static void find_below(struct spots *s, const char *path, json_t *value);

static void find_member(struct spots *s, json_t *object, const char *name,
                        const struct crd_field *field)
{
    add_spot(s, (struct spot){.parent = object, .key = name, .field = field});
    find_below(s, field->path, json_object_get(object, name));
}

static void find_elements(struct spots *s, const char *path, json_t *list)
{
    char element[PATH_MAX_BYTES];
    const struct crd_field *field;

    snprintf(element, sizeof(element), "%s[]", path);
    field = crd_field_find(s->kind, str_of(element));
    /* No row: an earlier change put a list where none belongs. */
    for (size_t i = 0; field != NULL && i < json_array_size(list); i++) {
        add_spot(s, (struct spot){.parent = list, .index = i, .field = field});
        find_below(s, element, json_array_get(list, i));
    }
}

static void find_below(struct spots *s, const char *path, json_t *value)
{
    const struct crd_field *field;

    if (json_is_array(value))
        find_elements(s, path, value);
    if (!json_is_object(value))
        return;
    for (size_t i = 0; (field = crd_field_at(s->kind, i)) != NULL; i++) {
        const char *name = crd_field_name_below(field, path);

        if (name != NULL)
            find_member(s, value, name, field);
    }
}

void spots_find(struct spots *s, const struct crd_kind *kind, json_t *object)
{
    json_t *metadata = json_object_get(object, "metadata");

    s->kind = kind;
    s->count = 0;
    find_member(s, object, "spec", crd_field_find(kind, STR("spec")));
    if (!json_is_object(metadata))
        return;
    find_member(s, metadata, "name", crd_field_find(kind, STR("metadata.name")));
    add_spot(s, (struct spot){.parent = metadata,
                              .key = "labels",
                              .field = crd_field_find(kind, STR("metadata.labels"))});
}

json_t *spot_value(const struct spot *spot)
{
    return spot->key != NULL ? json_object_get(spot->parent, spot->key)
                             : json_array_get(spot->parent, spot->index);
}

void spot_set(const struct spot *spot, json_t *value)
{
    if (spot->key != NULL)
        json_object_set_new(spot->parent, spot->key, value);
    else
        json_array_set_new(spot->parent, spot->index, value);
}

void spot_remove(const struct spot *spot)
{
    if (spot->key != NULL)
        json_object_del(spot->parent, spot->key);
    else
        json_array_remove(spot->parent, spot->index);
}
