/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's container: arguments, probes, resources, mounts. */
#include <stdio.h>

#include "base/mem.h"
#include "operator/kube/kube_manifest_private.h"
#include "operator/kube/kube_names.h"

enum { ARGUMENT_MAX = 4096 };

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

/* One for each processor that is reserved, also for one in part. */
static int64_t threads_of(const struct manifest *m)
{
    if (m->spec->threads > 0)
        return m->spec->threads;
    return m->spec->cpu_millis > 0 ? (m->spec->cpu_millis + 999) / 1000 : 1;
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
    manifest_open(w, "args", '[');
    put_argument(w, "--model", str_of(path));
    put_argument(w, "--listen", str_of(listen));
    put_argument(w, "--data", STR(MANIFEST_DATA_FOLDER));
    put_argument(w, "--token-public-key", STR(MANIFEST_TOKEN_FOLDER "/" MANIFEST_TOKEN_FILE));
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
    manifest_open(w, name, '{');
    manifest_open(w, "httpGet", '{');
    json_put_text(w, "path", path);
    json_put_text(w, "port", KUBE_PORT_NAME);
    json_close(w, '}');
    json_put_i64(w, "periodSeconds", period_s);
    json_put_i64(w, "timeoutSeconds", timeout_s);
    json_put_i64(w, "failureThreshold", failures);
    json_close(w, '}');
}

/* A start may take some times as long as those that were measured. Other weights may take much
 * longer: too short a limit would end them again and again. */
static int64_t start_seconds(const struct manifest *m)
{
    int64_t measured_s = (m->pod->cold_start_p90_ms + 999) / 1000 * KUBE_START_FACTOR;
    int64_t least_s = measured_s > 0 && m->pod->template_measured ? KUBE_START_SECONDS_MIN
                                                                  : KUBE_START_SECONDS_FIRST;

    return measured_s > least_s ? measured_s : least_s;
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

    manifest_open(w, "volumeMounts", '[');
    put_mount(w, "data", MANIFEST_DATA_FOLDER, false);
    put_mount(w, "tmp", "/tmp", false);
    put_mount(w, "token-key", MANIFEST_TOKEN_FOLDER, true);
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
        put_quantity(w, MANIFEST_GPU, spec->gpus, "");
}

static void put_resources(struct manifest *m)
{
    struct json_writer *w = &m->w;

    manifest_open(w, "resources", '{');
    manifest_open(w, "requests", '{');
    if (m->spec->cpu_millis > 0)
        put_quantity(w, "cpu", m->spec->cpu_millis, "m");
    else
        put_quantity(w, "cpu", threads_of(m), "");
    put_limits(w, m->spec);
    json_close(w, '}');
    manifest_open(w, "limits", '{');
    put_limits(w, m->spec);
    json_close(w, '}');
    json_close(w, '}');
}

void manifest_container(struct manifest *m)
{
    struct json_writer *w = &m->w;

    manifest_open(w, "containers", '[');
    json_open(w, '{');
    json_put_text(w, "name", KUBE_CONTAINER_AGENT);
    json_put_text(w, "image", m->options->image);
    json_put_text(w, "imagePullPolicy", m->options->pull_policy);
    put_arguments(m);
    json_key(w, "env");
    json_add_raw(w, STR("[{\"name\":\"UV_USE_IO_URING\",\"value\":\"0\"}]"));
    manifest_open(w, "ports", '[');
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
