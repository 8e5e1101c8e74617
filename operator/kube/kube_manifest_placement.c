/* SPDX-License-Identifier: Apache-2.0 */
/* Where a pod may run: spread, classes, labels, taints, spot or not. */
#include <stdio.h>

#include "operator/kube/kube_manifest_private.h"
#include "operator/kube/kube_names.h"
#include "operator/kube/kube_node.h"

static void put_spread_over(struct manifest *m, const char *topology)
{
    struct json_writer *w = &m->w;

    json_open(w, '{');
    json_put_i64(w, "maxSkew", 1);
    json_put_text(w, "topologyKey", topology);
    json_put_text(w, "whenUnsatisfiable", "ScheduleAnyway");
    manifest_open(w, "labelSelector", '{');
    manifest_open(w, "matchLabels", '{');
    json_put_text(w, KUBE_LABEL_MODEL, m->pod->model->name);
    json_close(w, '}');
    json_close(w, '}');
    json_close(w, '}');
}

static void put_node_selector(struct manifest *m)
{
    struct json_writer *w = &m->w;

    if (m->spec->label_count == 0)
        return;
    manifest_open(w, "nodeSelector", '{');
    for (int i = 0; i < m->spec->label_count; i++) {
        char key[CRD_LABEL_KEY_MAX + 1];

        snprintf(key, sizeof(key), "%.*s", STR_ARG(m->spec->labels[i].key));
        json_put_str(w, key, m->spec->labels[i].value);
    }
    json_close(w, '}');
}

static void add_toleration(struct json_writer *w, struct str key, struct str value,
                           const char *effect)
{
    json_open(w, '{');
    json_put_str(w, "key", key);
    json_put_text(w, "operator", value.len > 0 ? "Equal" : "Exists");
    if (value.len > 0)
        json_put_str(w, "value", value);
    json_put_text(w, "effect", effect);
    json_close(w, '}');
}

static void put_tolerations(struct manifest *m)
{
    static const char *const effects[] = {
        [CRD_NO_SCHEDULE] = "NoSchedule",
        [CRD_PREFER_NO_SCHEDULE] = "PreferNoSchedule",
        [CRD_NO_EXECUTE] = "NoExecute",
    };
    struct json_writer *w = &m->w;

    if (m->spec->toleration_count == 0 && m->spec->gpus == 0 && m->options->wish != KUBE_WISH_SPOT)
        return;
    manifest_open(w, "tolerations", '[');
    if (m->spec->gpus > 0)
        add_toleration(w, STR(MANIFEST_GPU), STR_NONE, "NoSchedule");
    if (m->options->wish == KUBE_WISH_SPOT) /* the one cloud that taints its spot nodes */
        add_toleration(w, STR("kubernetes.azure.com/scalesetpriority"), STR("spot"), "NoSchedule");
    for (int i = 0; i < m->spec->toleration_count; i++)
        add_toleration(w, m->spec->tolerations[i].key, m->spec->tolerations[i].value,
                       effects[m->spec->tolerations[i].effect]);
    json_close(w, ']');
}

static void add_expression(struct json_writer *w, const struct kube_label *label, const char *how)
{
    json_open(w, '{');
    json_put_text(w, "key", label->key);
    json_put_text(w, "operator", how);
    manifest_open(w, "values", '[');
    json_add_str(w, str_of(label->value));
    json_close(w, ']');
    json_close(w, '}');
}

/* No label that marks spot: also a node without any such label passes. */
static void put_on_demand(struct json_writer *w)
{
    manifest_open(w, "requiredDuringSchedulingIgnoredDuringExecution", '{');
    manifest_open(w, "nodeSelectorTerms", '[');
    json_open(w, '{');
    manifest_open(w, "matchExpressions", '[');
    for (const struct kube_label *label = kube_spot_labels; label->key != NULL; label++)
        add_expression(w, label, "NotIn");
    json_close(w, ']');
    json_close(w, '}');
    json_close(w, ']');
    json_close(w, '}');
}

static void put_spot(struct json_writer *w)
{
    manifest_open(w, "preferredDuringSchedulingIgnoredDuringExecution", '[');
    for (const struct kube_label *label = kube_spot_labels; label->key != NULL; label++) {
        json_open(w, '{');
        json_put_i64(w, "weight", 100);
        manifest_open(w, "preference", '{');
        manifest_open(w, "matchExpressions", '[');
        add_expression(w, label, "In");
        json_close(w, ']');
        json_close(w, '}');
        json_close(w, '}');
    }
    json_close(w, ']');
}

static void put_affinity(struct manifest *m)
{
    struct json_writer *w = &m->w;

    if (m->options->wish == KUBE_WISH_ANY)
        return;
    manifest_open(w, "affinity", '{');
    manifest_open(w, "nodeAffinity", '{');
    if (m->options->wish == KUBE_WISH_ON_DEMAND)
        put_on_demand(w);
    else
        put_spot(w);
    json_close(w, '}');
    json_close(w, '}');
}

void manifest_placement(struct manifest *m)
{
    struct json_writer *w = &m->w;

    manifest_open(w, "topologySpreadConstraints", '[');
    put_spread_over(m, "kubernetes.io/hostname");
    put_spread_over(m, "topology.kubernetes.io/zone");
    json_close(w, ']');
    if (m->spec->priority_class.len > 0)
        json_put_str(w, "priorityClassName", m->spec->priority_class);
    if (m->spec->runtime_class.len > 0)
        json_put_str(w, "runtimeClassName", m->spec->runtime_class);
    put_node_selector(m);
    put_tolerations(m);
    put_affinity(m);
}
