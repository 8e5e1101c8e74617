/* SPDX-License-Identifier: Apache-2.0 */
/* The Pod of one replica: see kube_manifest.h. */
#include "operator/kube/kube_manifest.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "crd/model_deployment.h"
#include "operator/kube/kube_names.h"
#include "operator/kube/kube_node.h"
#include "operator/kube/kube_source.h"

#define DATA_FOLDER  "/var/lib/spate"
#define TOKEN_FOLDER "/etc/spate"
#define TOKEN_FILE   "token.pub"
#define GPU_RESOURCE "nvidia.com/gpu"

enum { SPEC_ARENA_BYTES = 4 << 20, ARGUMENT_MAX = 4096 };

/* What the parts below work on. */
struct manifest {
    struct json_writer w;
    const struct kube_manifest_options *options;
    const struct platform_pod_spec *pod;
    const struct crd_model_spec *spec;
    const struct crd_model_status *status;
    struct kube_source source;
};

static void open_key(struct json_writer *w, const char *key, char bracket)
{
    json_key(w, key);
    json_open(w, bracket);
}

/* --- metadata --------------------------------------------------------------------------------- */

static void put_labels(struct manifest *m)
{
    struct json_writer *w = &m->w;
    char ordinal[24];

    snprintf(ordinal, sizeof(ordinal), "%llu", (unsigned long long)m->pod->ordinal);
    open_key(w, "labels", '{');
    json_put_text(w, "app.kubernetes.io/name", "spate-agent");
    json_put_text(w, "app.kubernetes.io/managed-by", "spate-operator");
    json_put_text(w, KUBE_LABEL_COMPONENT, KUBE_COMPONENT_AGENT);
    json_put_text(w, KUBE_LABEL_MODEL, m->pod->model->name);
    json_put_str(w, KUBE_LABEL_HASH, m->pod->template_hash);
    json_put_text(w, KUBE_LABEL_ORDINAL, ordinal);
    if (m->options->wish != KUBE_WISH_ANY)
        json_put_text(w, KUBE_LABEL_CAPACITY,
                      kube_capacity_name(m->options->wish == KUBE_WISH_SPOT
                                             ? PLATFORM_CAPACITY_SPOT
                                             : PLATFORM_CAPACITY_ON_DEMAND));
    json_close(w, '}');
}

/* blockOwnerDeletion would need a right on the owner's finalizers, and nothing waits for us. */
static void put_owner(struct manifest *m)
{
    struct json_writer *w = &m->w;
    const struct crd_object *model = m->pod->model;

    open_key(w, "ownerReferences", '[');
    json_open(w, '{');
    json_put_text(w, "apiVersion", CRD_API_VERSION);
    json_put_text(w, "kind", model->kind->kind);
    json_put_text(w, "name", model->name);
    json_put_text(w, "uid", model->uid);
    json_put_bool(w, "controller", true);
    json_put_bool(w, "blockOwnerDeletion", false);
    json_close(w, '}');
    json_close(w, ']');
}

static void put_metadata(struct manifest *m)
{
    struct json_writer *w = &m->w;
    char created[24];

    snprintf(created, sizeof(created), "%lld", (long long)m->options->now_ms);
    open_key(w, "metadata", '{');
    json_put_str(w, "name", m->pod->name);
    json_put_text(w, "namespace", m->pod->model->name_space);
    put_labels(m);
    open_key(w, "annotations", '{');
    json_put_text(w, KUBE_ANNOTATION_PUBLIC_KEY, m->options->public_key);
    json_put_text(w, KUBE_ANNOTATION_CREATED_MS, created);
    json_put_text(w, KUBE_ANNOTATION_SAFE_TO_EVICT, "true");
    json_close(w, '}');
    put_owner(m);
    json_close(w, '}');
}

/* --- the container ---------------------------------------------------------------------------- */

/* Kubernetes replaces $(NAME) in arguments; "$$" is a plain dollar. */
static void add_argument(struct json_writer *w, struct str text)
{
    CLEANUP(buf_fini) struct buf escaped = {0};

    buf_init(&escaped, 2 * ARGUMENT_MAX);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '$')
            buf_append_char(&escaped, '$');
        buf_append_char(&escaped, text.ptr[i]);
    }
    buf_inherit_failure(w->out, &escaped);
    json_add_str(w, buf_str(&escaped));
}

static void put_argument(struct json_writer *w, const char *option, struct str value)
{
    add_argument(w, str_of(option));
    add_argument(w, value);
}

static void put_number(struct json_writer *w, const char *option, int64_t value)
{
    char text[24];

    if (value <= 0)
        return; /* not given: the agent's own choice */
    snprintf(text, sizeof(text), "%lld", (long long)value);
    put_argument(w, option, str_of(text));
}

static int64_t threads_of(const struct manifest *m)
{
    return m->spec->threads > 0 ? m->spec->threads : 1;
}

static void put_arguments(struct manifest *m)
{
    const struct crd_object *model = m->pod->model;
    struct json_writer *w = &m->w;
    char path[ARGUMENT_MAX], served[2 * CRD_NAME_MAX + 2], listen[32];

    if (m->source.kind == KUBE_SOURCE_FILE)
        snprintf(path, sizeof(path), "%.*s", STR_ARG(m->source.path));
    else
        snprintf(path, sizeof(path), KUBE_MODEL_FOLDER "/%.*s", STR_ARG(m->source.path));
    snprintf(served, sizeof(served), "%s/%s", model->name_space, model->name);
    snprintf(listen, sizeof(listen), "0.0.0.0:%d", KUBE_AGENT_PORT);
    open_key(w, "args", '[');
    put_argument(w, "--model", str_of(path));
    put_argument(w, "--listen", str_of(listen));
    put_argument(w, "--data", STR(DATA_FOLDER));
    put_argument(w, "--token-public-key", STR(TOKEN_FOLDER "/" TOKEN_FILE));
    put_argument(w, "--pod-name", m->pod->name);
    put_argument(w, "--served-model", str_of(served));
    put_argument(w, "--log-format", STR("json"));
    put_number(w, "--slots", m->spec->slots);
    put_number(w, "--context", m->spec->context_tokens);
    put_number(w, "--kv-mib", m->spec->kv_cache_mib);
    put_number(w, "--threads", threads_of(m));
    put_number(w, "--chunk-tokens", m->spec->chunk_tokens);
    json_close(w, ']');
}

static void put_probe(struct json_writer *w, const char *name, const char *path, int period_s,
                      int timeout_s, int64_t failures)
{
    open_key(w, name, '{');
    open_key(w, "httpGet", '{');
    json_put_text(w, "path", path);
    json_put_text(w, "port", KUBE_PORT_NAME);
    json_close(w, '}');
    json_put_i64(w, "periodSeconds", period_s);
    json_put_i64(w, "timeoutSeconds", timeout_s);
    json_put_i64(w, "failureThreshold", failures);
    json_close(w, '}');
}

/* A start may take some times as long as the slowest that was measured. */
static int64_t start_seconds(const struct manifest *m)
{
    int64_t measured_s = (m->status->cold_start_p90_ms + 999) / 1000 * KUBE_START_FACTOR;

    return measured_s > KUBE_START_SECONDS_MIN ? measured_s : KUBE_START_SECONDS_MIN;
}

static void put_probes(struct manifest *m)
{
    put_probe(&m->w, "startupProbe", "/v1/health/ready", 1, 2, start_seconds(m));
    put_probe(&m->w, "readinessProbe", "/v1/health/ready", 2, 2, 2);
    put_probe(&m->w, "livenessProbe", "/v1/health/live", 10, 5, 3);
}

static void put_mount(struct json_writer *w, const char *name, const char *path, bool read_only)
{
    json_open(w, '{');
    json_put_text(w, "name", name);
    json_put_text(w, "mountPath", path);
    json_put_bool(w, "readOnly", read_only);
    json_close(w, '}');
}

static void put_mounts(struct manifest *m)
{
    struct json_writer *w = &m->w;

    open_key(w, "volumeMounts", '[');
    put_mount(w, "data", DATA_FOLDER, false);
    put_mount(w, "tmp", "/tmp", false);
    put_mount(w, "token-key", TOKEN_FOLDER, true);
    if (m->source.kind != KUBE_SOURCE_FILE)
        put_mount(w, "model", KUBE_MODEL_FOLDER, true);
    json_close(w, ']');
}

static void put_quantity(struct json_writer *w, const char *name, int64_t value, const char *unit)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld%s", (long long)value, unit);
    json_put_text(w, name, text);
}

/* Memory and GPUs are requested and limited alike. */
static void put_limits(struct json_writer *w, const struct crd_model_spec *spec)
{
    if (spec->memory_mib > 0)
        put_quantity(w, "memory", spec->memory_mib, "Mi");
    if (spec->gpus > 0)
        put_quantity(w, GPU_RESOURCE, spec->gpus, "");
}

static void put_resources(struct manifest *m)
{
    struct json_writer *w = &m->w;

    open_key(w, "resources", '{');
    open_key(w, "requests", '{');
    if (m->spec->cpu_millis > 0)
        put_quantity(w, "cpu", m->spec->cpu_millis, "m");
    else
        put_quantity(w, "cpu", threads_of(m), "");
    put_limits(w, m->spec);
    json_close(w, '}');
    open_key(w, "limits", '{');
    put_limits(w, m->spec);
    json_close(w, '}');
    json_close(w, '}');
}

static void put_container(struct manifest *m)
{
    struct json_writer *w = &m->w;

    open_key(w, "containers", '[');
    json_open(w, '{');
    json_put_text(w, "name", KUBE_CONTAINER_AGENT);
    json_put_text(w, "image", m->options->image);
    json_put_text(w, "imagePullPolicy", m->options->pull_policy);
    put_arguments(m);
    json_key(w, "env");
    json_add_raw(w, STR("[{\"name\":\"UV_USE_IO_URING\",\"value\":\"0\"}]"));
    open_key(w, "ports", '[');
    json_open(w, '{');
    json_put_text(w, "name", KUBE_PORT_NAME);
    json_put_i64(w, "containerPort", KUBE_AGENT_PORT);
    json_close(w, '}');
    json_close(w, ']');
    put_resources(m);
    put_probes(m);
    put_mounts(m);
    json_key(w, "securityContext");
    json_add_raw(w, STR("{\"allowPrivilegeEscalation\":false,\"readOnlyRootFilesystem\":true,"
                        "\"capabilities\":{\"drop\":[\"ALL\"]}}"));
    json_put_text(w, "terminationMessagePolicy", "FallbackToLogsOnError");
    json_close(w, '}');
    json_close(w, ']');
}

/* --- the pod ---------------------------------------------------------------------------------- */

static void put_empty_volume(struct json_writer *w, const char *name)
{
    json_open(w, '{');
    json_put_text(w, "name", name);
    json_key(w, "emptyDir");
    json_add_raw(w, STR("{}"));
    json_close(w, '}');
}

/* The operator's public key travels in an annotation, so no other object has to be there. */
static void put_token_volume(struct json_writer *w)
{
    json_open(w, '{');
    json_put_text(w, "name", "token-key");
    open_key(w, "downwardAPI", '{');
    open_key(w, "items", '[');
    json_open(w, '{');
    json_put_text(w, "path", TOKEN_FILE);
    open_key(w, "fieldRef", '{');
    json_put_text(w, "fieldPath", "metadata.annotations['" KUBE_ANNOTATION_PUBLIC_KEY "']");
    json_close(w, '}');
    json_close(w, '}');
    json_close(w, ']');
    json_close(w, '}');
    json_close(w, '}');
}

static void put_model_volume(struct manifest *m)
{
    struct json_writer *w = &m->w;

    if (m->source.kind == KUBE_SOURCE_FILE)
        return;
    json_open(w, '{');
    json_put_text(w, "name", "model");
    if (m->source.kind == KUBE_SOURCE_PVC) {
        open_key(w, "persistentVolumeClaim", '{');
        json_put_str(w, "claimName", m->source.claim);
        json_put_bool(w, "readOnly", true);
    } else {
        open_key(w, "image", '{');
        json_put_str(w, "reference", m->source.image);
        json_put_text(w, "pullPolicy", m->options->pull_policy);
    }
    json_close(w, '}');
    json_close(w, '}');
}

static void put_volumes(struct manifest *m)
{
    struct json_writer *w = &m->w;

    open_key(w, "volumes", '[');
    put_empty_volume(w, "data");
    put_empty_volume(w, "tmp");
    put_token_volume(w);
    put_model_volume(m);
    json_close(w, ']');
}

static void put_security(struct json_writer *w)
{
    open_key(w, "securityContext", '{');
    json_put_bool(w, "runAsNonRoot", true);
    json_put_i64(w, "runAsUser", KUBE_AGENT_UID);
    json_put_i64(w, "runAsGroup", KUBE_AGENT_UID);
    json_put_i64(w, "fsGroup", KUBE_AGENT_UID);
    json_put_text(w, "fsGroupChangePolicy", "OnRootMismatch");
    json_key(w, "seccompProfile");
    json_add_raw(w, STR("{\"type\":\"RuntimeDefault\"}"));
    json_close(w, '}');
}

static void put_spread_over(struct manifest *m, const char *topology)
{
    struct json_writer *w = &m->w;

    json_open(w, '{');
    json_put_i64(w, "maxSkew", 1);
    json_put_text(w, "topologyKey", topology);
    json_put_text(w, "whenUnsatisfiable", "ScheduleAnyway");
    open_key(w, "labelSelector", '{');
    open_key(w, "matchLabels", '{');
    json_put_text(w, KUBE_LABEL_MODEL, m->pod->model->name);
    json_close(w, '}');
    json_close(w, '}');
    json_close(w, '}');
}

/* --- placement -------------------------------------------------------------------------------- */

static void put_node_selector(struct manifest *m)
{
    struct json_writer *w = &m->w;

    if (m->spec->label_count == 0)
        return;
    open_key(w, "nodeSelector", '{');
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
    open_key(w, "tolerations", '[');
    if (m->spec->gpus > 0)
        add_toleration(w, STR(GPU_RESOURCE), STR_NONE, "NoSchedule");
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
    open_key(w, "values", '[');
    json_add_str(w, str_of(label->value));
    json_close(w, ']');
    json_close(w, '}');
}

/* No label that marks spot: also a node without any such label passes. */
static void put_on_demand(struct json_writer *w)
{
    open_key(w, "requiredDuringSchedulingIgnoredDuringExecution", '{');
    open_key(w, "nodeSelectorTerms", '[');
    json_open(w, '{');
    open_key(w, "matchExpressions", '[');
    for (const struct kube_label *label = kube_spot_labels; label->key != NULL; label++)
        add_expression(w, label, "NotIn");
    json_close(w, ']');
    json_close(w, '}');
    json_close(w, ']');
    json_close(w, '}');
}

static void put_spot(struct json_writer *w)
{
    open_key(w, "preferredDuringSchedulingIgnoredDuringExecution", '[');
    for (const struct kube_label *label = kube_spot_labels; label->key != NULL; label++) {
        json_open(w, '{');
        json_put_i64(w, "weight", 100);
        open_key(w, "preference", '{');
        open_key(w, "matchExpressions", '[');
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
    open_key(w, "affinity", '{');
    open_key(w, "nodeAffinity", '{');
    if (m->options->wish == KUBE_WISH_ON_DEMAND)
        put_on_demand(w);
    else
        put_spot(w);
    json_close(w, '}');
    json_close(w, '}');
}

static void put_placement(struct manifest *m)
{
    struct json_writer *w = &m->w;

    if (m->spec->priority_class.len > 0)
        json_put_str(w, "priorityClassName", m->spec->priority_class);
    if (m->spec->runtime_class.len > 0)
        json_put_str(w, "runtimeClassName", m->spec->runtime_class);
    put_node_selector(m);
    put_tolerations(m);
    put_affinity(m);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void put_spec(struct manifest *m)
{
    struct json_writer *w = &m->w;

    open_key(w, "spec", '{');
    json_put_bool(w, "automountServiceAccountToken", false);
    json_put_bool(w, "enableServiceLinks", false);
    json_put_text(w, "restartPolicy", "Always");
    json_put_i64(w, "terminationGracePeriodSeconds", KUBE_GRACE_SECONDS);
    put_security(w);
    if (m->options->pull_secret != NULL) {
        open_key(w, "imagePullSecrets", '[');
        json_open(w, '{');
        json_put_text(w, "name", m->options->pull_secret);
        json_close(w, '}');
        json_close(w, ']');
    }
    put_container(m);
    put_volumes(m);
    open_key(w, "topologySpreadConstraints", '[');
    put_spread_over(m, "kubernetes.io/hostname");
    put_spread_over(m, "topology.kubernetes.io/zone");
    json_close(w, ']');
    put_placement(m);
    json_close(w, '}');
}

static int check_names(const struct platform_pod_spec *pod, struct err *err)
{
    if (!str_is_dns_label(str_of(pod->model->name)) ||
        !str_is_dns_label(str_of(pod->model->name_space)))
        return err_set(err, ERR_INVALID,
                       "the model's name and namespace must be DNS labels: lower-case letters, "
                       "digits and '-', at most 63");
    if (!str_is_dns_subdomain(pod->name) || !str_is_dns_label(pod->template_hash))
        return err_set(err, ERR_INVALID, "the name of the pod is not a DNS name");
    return 0;
}

static int write(struct buf *out, struct manifest *m, struct err *err)
{
    json_writer_init(&m->w, out);
    json_open(&m->w, '{');
    json_put_text(&m->w, "apiVersion", "v1");
    json_put_text(&m->w, "kind", "Pod");
    put_metadata(m);
    put_spec(m);
    json_close(&m->w, '}');
    return buf_check(out, "the pod's manifest", err);
}

int kube_manifest_write(struct buf *out, const struct kube_manifest_options *options,
                        const struct platform_pod_spec *pod, struct err *err)
{
    struct crd_model_status status = {0};
    struct crd_model_spec spec = {0};
    struct manifest m = {.options = options, .pod = pod, .spec = &spec, .status = &status};
    CLEANUP(arena_fini) struct arena arena;
    int r = check_names(pod, err);

    arena_init(&arena, SPEC_ARENA_BYTES);
    if (r == 0)
        r = crd_model_spec_read(&spec, pod->model, &arena, err);
    if (r == 0)
        r = crd_model_status_read(&status, pod->model, &arena, err);
    if (r == 0)
        r = kube_source_read(&m.source, spec.uri, err);
    return r == 0 ? write(out, &m, err) : r;
}
