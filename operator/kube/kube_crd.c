/* SPDX-License-Identifier: Apache-2.0 */
/* Our own objects from the API's JSON: see kube_crd.h. */
#include "operator/kube/kube_crd.h"

#include "base/mem.h"

static int copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);

    return value == NULL ? 0 : json_object_set(to, key, value);
}

/* The members that the readers of crd/ know. Annotations are left out: kubectl keeps whole
 * manifests there, and none is obeyed. */
static json_t *known_metadata(const json_t *metadata)
{
    static const char *const keys[] = {
        "name", "namespace", "uid", "resourceVersion", "labels", "creationTimestamp", "generation"};
    json_t *known = json_object();

    for (size_t i = 0; known != NULL && i < ARRAY_COUNT(keys); i++) {
        if (copy_member(known, metadata, keys[i]) < 0) {
            json_decref(known);
            return NULL;
        }
    }
    return known;
}

static json_t *known_part(const json_t *object, const struct crd_kind *kind)
{
    json_auto_t *tree = json_object();

    if (json_object_set_new(tree, "apiVersion", json_string(CRD_API_VERSION)) < 0 ||
        json_object_set_new(tree, "kind", json_string(kind->kind)) < 0 ||
        json_object_set_new(tree, "metadata", known_metadata(json_object_get(object, "metadata"))) <
            0 ||
        copy_member(tree, object, "spec") < 0 || copy_member(tree, object, "status") < 0)
        return NULL;
    return STEAL(tree);
}

/* Of a status that may be dropped soon. Nobody but the operator writes it. */
static int64_t desired_of(const json_t *object)
{
    const json_t *status = json_object_get(object, "status");

    return json_integer_value(json_object_get(status, "desiredReplicas"));
}

int kube_crd_read(struct kube_custom **out, const json_t *object, const struct crd_kind *kind,
                  const struct kube_meta *meta, struct err *err)
{
    struct kube_custom *custom = mem_alloc(sizeof(*custom));
    json_auto_t *tree = known_part(object, kind);
    struct err fault = {0};
    int r;

    (void)meta;
    if (custom == NULL || tree == NULL) {
        mem_free(custom);
        return err_no_memory(err);
    }
    custom->desired = desired_of(object);
    r = crd_object_read(&custom->object, tree, NULL, NULL, &fault);
    if (r == 0 && crd_object_pack(custom->object, err) < 0) {
        kube_crd_free(custom);
        return -ERR_NO_MEMORY;
    }
    if (r < 0 && r != -ERR_NO_MEMORY)
        custom->fault = mem_strdup(err_message(&fault));
    if (custom->object == NULL && custom->fault == NULL) {
        mem_free(custom);
        return err_no_memory(err);
    }
    *out = custom;
    return 0;
}

struct crd_object *kube_crd_known(const struct kube_custom *custom)
{
    return custom->object != NULL ? custom->object : custom->last;
}

void kube_crd_follow(struct kube_custom *custom, const struct kube_custom *before)
{
    struct crd_object *known = before == NULL ? NULL : kube_crd_known(before);

    if (custom->object == NULL && custom->last == NULL && known != NULL)
        custom->last = crd_object_ref(known);
}

void kube_crd_free(struct kube_custom *custom)
{
    if (custom == NULL)
        return;
    crd_object_unref(custom->object);
    crd_object_unref(custom->last);
    mem_free(custom->fault);
    mem_free(custom);
}
