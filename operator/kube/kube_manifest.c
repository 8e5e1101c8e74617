/* SPDX-License-Identifier: Apache-2.0 */
/* The Pod of one replica: what it is, its volumes, and that its names are names. The container and
 * the placement are files of their own. */
#include <stdio.h>

#include "base/mem.h"
#include "operator/kube/kube_manifest_private.h"
#include "operator/kube/kube_names.h"
#include "operator/kube/kube_node.h"

enum { SPEC_ARENA_BYTES = 4 << 20 };

/* --- metadata --------------------------------------------------------------------------------- */

static void put_labels(struct manifest *m)
{
    struct json_writer *w = &m->w;
    char ordinal[24];

    snprintf(ordinal, sizeof(ordinal), "%llu", (unsigned long long)m->pod->ordinal);
    manifest_open(w, "labels", '{');
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

void kube_put_owner(struct json_writer *w, const struct crd_object *model)
{
    manifest_open(w, "ownerReferences", '[');
    json_open(w, '{');
    json_put_text(w, "apiVersion", CRD_API_VERSION);
    json_put_text(w, "kind", model->kind->kind);
    json_put_text(w, "name", model->name);
    json_put_text(w, "uid", model->uid);
    json_put_bool(w, "controller", true);
    /* true would need a right on the owner's finalizers, and nothing waits for us */
    json_put_bool(w, "blockOwnerDeletion", false);
    json_close(w, '}');
    json_close(w, ']');
}

static void put_metadata(struct manifest *m)
{
    struct json_writer *w = &m->w;
    char created[24];

    snprintf(created, sizeof(created), "%lld", (long long)m->options->now_ms);
    manifest_open(w, "metadata", '{');
    json_put_str(w, "name", m->pod->name);
    json_put_text(w, "namespace", m->pod->model->name_space);
    put_labels(m);
    manifest_open(w, "annotations", '{');
    json_put_text(w, KUBE_ANNOTATION_PUBLIC_KEY, m->options->public_key);
    json_put_text(w, KUBE_ANNOTATION_CREATED_MS, created);
    json_put_text(w, KUBE_ANNOTATION_SAFE_TO_EVICT, "true");
    json_close(w, '}');
    kube_put_owner(w, m->pod->model);
    json_close(w, '}');
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
    manifest_open(w, "downwardAPI", '{');
    manifest_open(w, "items", '[');
    json_open(w, '{');
    json_put_text(w, "path", MANIFEST_TOKEN_FILE);
    manifest_open(w, "fieldRef", '{');
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
        manifest_open(w, "persistentVolumeClaim", '{');
        json_put_str(w, "claimName", m->source.claim);
        json_put_bool(w, "readOnly", true);
    } else {
        manifest_open(w, "image", '{');
        json_put_str(w, "reference", m->source.image);
        json_put_text(w, "pullPolicy", m->options->pull_policy);
    }
    json_close(w, '}');
    json_close(w, '}');
}

static void put_volumes(struct manifest *m)
{
    struct json_writer *w = &m->w;

    manifest_open(w, "volumes", '[');
    put_empty_volume(w, "data");
    put_empty_volume(w, "tmp");
    put_token_volume(w);
    put_model_volume(m);
    json_close(w, ']');
}

static void put_security(struct json_writer *w)
{
    manifest_open(w, "securityContext", '{');
    json_put_bool(w, "runAsNonRoot", true);
    json_put_i64(w, "runAsUser", KUBE_AGENT_UID);
    json_put_i64(w, "runAsGroup", KUBE_AGENT_UID);
    json_put_i64(w, "fsGroup", KUBE_AGENT_UID);
    json_put_text(w, "fsGroupChangePolicy", "OnRootMismatch");
    json_key(w, "seccompProfile");
    json_add_raw(w, STR("{\"type\":\"RuntimeDefault\"}"));
    json_close(w, '}');
}

/* --- the whole -------------------------------------------------------------------------------- */

static void put_spec(struct manifest *m)
{
    struct json_writer *w = &m->w;

    manifest_open(w, "spec", '{');
    json_put_bool(w, "automountServiceAccountToken", false);
    json_put_bool(w, "enableServiceLinks", false);
    json_put_text(w, "restartPolicy", "Always");
    json_put_i64(w, "terminationGracePeriodSeconds", KUBE_GRACE_SECONDS);
    put_security(w);
    if (m->options->pull_secret != NULL) {
        manifest_open(w, "imagePullSecrets", '[');
        json_open(w, '{');
        json_put_text(w, "name", m->options->pull_secret);
        json_close(w, '}');
        json_close(w, ']');
    }
    manifest_container(m);
    put_volumes(m);
    manifest_placement(m);
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
    struct crd_model_spec spec = {0};
    struct manifest m = {.options = options, .pod = pod, .spec = &spec};
    CLEANUP(arena_fini) struct arena arena;
    int r = check_names(pod, err);

    arena_init(&arena, SPEC_ARENA_BYTES);
    if (r == 0)
        r = crd_model_spec_read(&spec, pod->model, &arena, err);
    if (r == 0)
        r = kube_source_read(&m.source, spec.uri, err);
    return r == 0 ? write(out, &m, err) : r;
}
