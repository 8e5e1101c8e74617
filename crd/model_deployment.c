/* SPDX-License-Identifier: Apache-2.0 */
/* ModelDeployment: the kind, its columns and its typed readers; its tables are files of their own.
 */
#include "crd/model_deployment.h"

#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/model_rows.h"

static const struct crd_column columns[] = {
    {"READY", ".status.conditions[?(@.type==\"Ready\")].status", false},
    {"REPLICAS", ".status.readyReplicas", false},
    {"DESIRED", ".status.desiredReplicas", false},
    {"MODE", ".spec.scaling.mode", false},
    {"REASON", ".status.conditions[?(@.type==\"Ready\")].reason", false},
    {"MIN", ".spec.scaling.minReplicas", true},
    {"MAX", ".spec.scaling.maxReplicas", true},
    {"SLOTS", ".spec.engine.slots", true},
    {"COLD-START-MS", ".status.coldStart.medianMs", true},
    {"URI", ".spec.model.uri", true},
};

static const struct crd_scale scale = {
    .spec_replicas = ".spec.scaling.replicas",
    .status_replicas = ".status.replicas",
    .selector = ".status.selector",
};

const struct crd_kind crd_kind_model_deployment = {
    .id = CRD_MODEL_DEPLOYMENT,
    .kind = "ModelDeployment",
    .plural = "modeldeployments",
    .singular = "modeldeployment",
    .short_name = "md",
    .namespaced = true,
    .describe = "A model that is served: which weights, by which engine settings, and on how many "
                "replicas, from none to many as the load asks.",
    .spec = &crd_model_spec_rows,
    .status = &crd_model_status_rows,
    .has_conditions = true,
    .scale = &scale,
    .rules = crd_model_rules,
    .rule_count = CRD_MODEL_RULE_COUNT,
    .columns = columns,
    .column_count = ARRAY_COUNT(columns),
};

const char *crd_model_cluster_field(const struct crd_model_spec *spec)
{
    const struct {
        bool given;
        const char *path;
    } rows[] = {
        {spec->spot_percent > 0, "spec.scaling.spot"},
        {spec->gpus > 0, "spec.hardware.gpus"},
        {spec->cpu_millis > 0, "spec.hardware.cpuMillis"},
        {spec->memory_mib > 0, "spec.hardware.memoryMiB"},
        {spec->label_count > 0, "spec.placement.nodeLabels"},
        {spec->toleration_count > 0, "spec.placement.tolerations"},
        {spec->priority_class.len > 0, "spec.placement.priorityClassName"},
        {spec->runtime_class.len > 0, "spec.placement.runtimeClassName"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].given)
            return rows[i].path;
    }
    return NULL;
}

int crd_model_spec_read(struct crd_model_spec *out, const struct crd_object *object,
                        struct arena *arena, struct err *err)
{
    struct crd_model_spec spec = {0};
    int r = crd_object_decode(object, "spec", &spec, arena, err);

    if (r < 0)
        return r;
    if (spec.name.len == 0) {
        spec.name = arena_str(arena, str_of(object->name));
        if (spec.name.ptr == NULL)
            return err_no_memory(err);
    }
    *out = spec;
    return 0;
}

int crd_model_status_read(struct crd_model_status *out, const struct crd_object *object,
                          struct arena *arena, struct err *err)
{
    struct crd_model_status status = {0};
    int r = crd_object_decode(object, "status", &status, arena, err);

    if (r == 0)
        *out = status;
    return r;
}

int crd_model_status_write(const struct crd_model_status *status, json_t **out, struct err *err)
{
    return crd_encode(&crd_kind_model_deployment, "status", status, out, err);
}
