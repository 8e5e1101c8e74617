/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of ModelDeployment: what no single field can say. Each is there twice, as a function
 * for us and in CEL for the CRD of Kubernetes. */
#include "crd/model_rows.h"

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

/* /scale answers only where replicas has a value, so "not given" is the default. */
static bool auto_has_no_replicas(const json_t *scaling)
{
    return !mode_is(scaling, "Auto") || integer_at(scaling, "replicas") == CRD_REPLICAS_DEFAULT;
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

/* Which of them a platform can read is its own to say (condition WeightsReachable). */
static bool uri_scheme_is_known(const json_t *model)
{
    struct str uri = json_str(json_object_get(model, "uri"));

    return str_starts(uri, STR("file://")) || str_starts(uri, STR("pvc://")) ||
           str_starts(uri, STR("oci://"));
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
        .path = "spec.scaling",
        .member = "replicas",
        .reason = "FieldValueForbidden",
        .holds = auto_has_no_replicas,
        .cel = "self.mode != 'Auto' || self.replicas == 1",
        .message = "replicas is obeyed in mode Manual only: set spec.scaling.mode to Manual with "
                   "it, or change minReplicas and maxReplicas in its place",
    },
    {
        .path = "spec.scaling",
        .member = "minReplicas",
        .reason = "FieldValueInvalid",
        .holds = min_is_at_most_max,
        .cel = "self.minReplicas <= self.maxReplicas",
        .message = "minReplicas is above maxReplicas: raise maxReplicas or lower minReplicas",
    },
    {
        .path = "spec.scaling",
        .member = "warmup",
        .reason = "FieldValueInvalid",
        .holds = warmups_are_at_most_max,
        .cel = "!has(self.warmup) || self.warmup.all(w, w.replicas <= self.maxReplicas)",
        .message = "a warm-up asks for more replicas than maxReplicas: raise maxReplicas",
    },
    {
        .path = "spec.model",
        .member = "uri",
        .reason = "FieldValueInvalid",
        .holds = uri_scheme_is_known,
        .cel = "self.uri.startsWith('file://') || self.uri.startsWith('pvc://') || "
               "self.uri.startsWith('oci://')",
        .message = "this scheme is not supported by this version: name the model's folder by "
                   "file:///absolute/path or pvc://CLAIM/path, or an image by oci://HOST/NAME:TAG",
    },
    {
        .path = "spec.model",
        .member = "uri",
        .reason = "FieldValueInvalid",
        .holds = file_path_is_plain,
        .cel = "!self.uri.startsWith('file://') || (self.uri.startsWith('file:///') && "
               "!self.uri.matches('/[.][.](/|$)'))",
        .message = "the path after file:// must be absolute and without '..': write "
                   "file:///absolute/path",
    },
};
