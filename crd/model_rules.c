/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of ModelDeployment: what no single field can say. Each is there twice, as a function
 * for us and in CEL for the CRD of Kubernetes. */
#include "crd/model_rules.h"

#include <string.h>

#include "base/json.h"

static json_int_t integer_at(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool mode_is(const json_t *scaling, const char *mode)
{
    return str_is(json_str(json_object_get(scaling, "mode")), mode);
}

static bool manual_has_replicas(const json_t *scaling)
{
    return !mode_is(scaling, "Manual") || json_object_get(scaling, "replicas") != NULL;
}

static bool auto_has_no_replicas(const json_t *scaling)
{
    return !mode_is(scaling, "Auto") || json_object_get(scaling, "replicas") == NULL;
}

static bool min_is_at_most_max(const json_t *scaling)
{
    return integer_at(scaling, "minReplicas") <= integer_at(scaling, "maxReplicas");
}

static bool warmups_are_at_most_max(const json_t *scaling)
{
    json_int_t max = integer_at(scaling, "maxReplicas");
    const json_t *warmup;
    size_t i;

    json_array_foreach (json_object_get(scaling, "warmup"), i, warmup) {
        if (integer_at(warmup, "replicas") > max)
            return false;
    }
    return true;
}

static bool uri_is_a_file(const json_t *model)
{
    return str_starts(json_str(json_object_get(model, "uri")), STR("file://"));
}

/* Absolute, and no way up: the path is used as it is. */
static bool file_path_is_plain(const json_t *model)
{
    struct str path = json_str(json_object_get(model, "uri"));

    if (!str_starts(path, STR("file://")))
        return true;
    path = str_slice(path, strlen("file://"), path.len);
    if (!str_starts(path, STR("/")))
        return false;
    while (path.ptr != NULL) {
        if (str_is(str_cut(&path, '/'), ".."))
            return false;
    }
    return true;
}

const struct crd_rule crd_model_rules[CRD_MODEL_RULE_COUNT] = {
    {
        "spec.scaling",
        manual_has_replicas,
        "self.mode != 'Manual' || has(self.replicas)",
        "mode Manual needs replicas: set spec.scaling.replicas",
    },
    {
        "spec.scaling",
        auto_has_no_replicas,
        "self.mode != 'Auto' || !has(self.replicas)",
        "replicas is obeyed in mode Manual only: set mode: Manual, or minReplicas and maxReplicas "
        "in its place",
    },
    {
        "spec.scaling",
        min_is_at_most_max,
        "self.minReplicas <= self.maxReplicas",
        "minReplicas is above maxReplicas: raise maxReplicas or lower minReplicas",
    },
    {
        "spec.scaling",
        warmups_are_at_most_max,
        "!has(self.warmup) || self.warmup.all(w, w.replicas <= self.maxReplicas)",
        "a warm-up asks for more replicas than maxReplicas: raise maxReplicas",
    },
    {
        "spec.model",
        uri_is_a_file,
        "self.uri.startsWith('file://')",
        "this scheme is not supported by this version on platform local: download the model and "
        "name its folder by file:///absolute/path",
    },
    {
        "spec.model",
        file_path_is_plain,
        "!self.uri.startsWith('file://') || (self.uri.startsWith('file:///') && "
        "!self.uri.matches('/[.][.](/|$)'))",
        "the path after file:// must be absolute and without '..': write file:///absolute/path",
    },
};
