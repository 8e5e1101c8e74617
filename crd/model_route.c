/* SPDX-License-Identifier: Apache-2.0 */
/* ModelRoute: its tables of fields, its rule, its columns and its typed readers. */
#include "crd/model_route.h"

#include "base/mem.h"
#include "crd/kinds.h"

#define SPEC(member)   CRD_PLACE(struct crd_route_spec, member)
#define TARGET(member) CRD_PLACE(struct crd_route_target, member)

/* A name, or namespace/name. */
#define MODEL       "^(" CRD_LABEL_PART "/)?" CRD_LABEL_PART "$"
#define MODEL_MEANS "the name of a model, or namespace/name"

static const struct crd_field spec_fields[] = {
    {
        .path = "spec",
        .type = CRD_OBJECT,
        .required = true,
        .describe = "Which requests go where.",
    },
    {
        .path = "spec.name",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = CRD_MODEL_NAME,
        .pattern_means = CRD_MODEL_NAME_MEANS,
        SPEC(name),
        .describe = "The model name that clients send; metadata.name when absent. Models and "
                    "routes share these names: the oldest claim wins. Namespace, slash and "
                    "metadata.name work as well, unless a model is called so.",
    },
    {
        .path = "spec.targets",
        .type = CRD_LIST,
        .required = true,
        .max_length = CRD_ROUTE_TARGETS_MAX,
        .list_keys = {"model"},
        CRD_PLACE_LIST(struct crd_route_spec, targets, target_count),
        .describe = "The models that share the requests by their weights. A request is given to "
                    "one of them by its id, so that retries stay there. A target that does not "
                    "exist or can not serve has no share.",
    },
    {
        .path = "spec.targets[]",
        .type = CRD_OBJECT,
        .describe = "One model and its share.",
    },
    {
        .path = "spec.targets[].model",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = 127,
        .pattern = MODEL,
        .pattern_means = MODEL_MEANS,
        TARGET(model),
        .describe = "A ModelDeployment of the route's namespace, or namespace/name of another "
                    "whose spec.routing.fromNamespaces permits it.",
    },
    {
        .path = "spec.targets[].weight",
        .type = CRD_INTEGER,
        .default_json = "1",
        .min = 0,
        .max = CRD_ROUTE_WEIGHT_MAX,
        TARGET(weight),
        .describe = "Its share of the sum of all weights; 0: no requests.",
    },
    {
        .path = "spec.fallback",
        .type = CRD_OBJECT,
        .default_json = "{}",
        .describe = "Where requests go when their target does not serve them.",
    },
    {
        .path = "spec.fallback.models",
        .type = CRD_LIST,
        .max_length = CRD_ROUTE_FALLBACKS_MAX,
        .is_set = true,
        CRD_PLACE_LIST(struct crd_route_spec, fallbacks, fallback_count),
        .describe = "Models as in targets, the first choice first. The next one that has a ready "
                    "replica takes a request that waited for afterSeconds; where no target can "
                    "serve at all, the next one that exists takes it at once. An answer that has "
                    "begun stays with its model.",
    },
    {
        .path = "spec.fallback.models[]",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = 127,
        .pattern = MODEL,
        .pattern_means = MODEL_MEANS,
        CRD_PLACE(struct crd_name, text),
        .describe = "One model.",
    },
    {
        .path = "spec.fallback.afterSeconds",
        .type = CRD_INTEGER,
        .default_json = "10",
        .min = 1,
        .max = 600,
        SPEC(fallback_after_s),
        .describe = "How long a request waits for a replica of its target, which it wakes if it "
                    "sleeps, before it is given to a fallback.",
    },
};

static const struct crd_field status_fields[] = {
    CRD_STATUS_ROWS(struct crd_route_status),
    {
        .path = "status.targets",
        .type = CRD_STRING,
        .max_length = CRD_ROUTE_TEXT_MAX,
        CRD_PLACE(struct crd_route_status, targets),
        .describe = "The targets with their weights in one line, for kubectl get.",
    },
    {
        .path = "status.fallbacks",
        .type = CRD_STRING,
        .max_length = CRD_ROUTE_TEXT_MAX,
        CRD_PLACE(struct crd_route_status, fallbacks),
        .describe = "The fallbacks in one line, for kubectl get.",
    },
    {
        .path = "status.conditions",
        .type = CRD_LIST,
        .max_length = CRD_CONDITIONS_MAX,
        .list_keys = {"type"},
        CRD_PLACE_LIST(struct crd_route_status, conditions, condition_count),
        .describe = "Statements about the state, each with its reason: Ready (requests are taken), "
                    "NameAccepted, TargetsResolved (every target and fallback exists and permits "
                    "this route).",
    },
};

static const struct crd_rows spec_rows = {spec_fields, ARRAY_COUNT(spec_fields)};
static const struct crd_rows status_rows = {status_fields, ARRAY_COUNT(status_fields)};

static bool some_target_has_weight(const json_t *spec)
{
    const json_t *target;
    size_t i;

    json_array_foreach (json_object_get(spec, "targets"), i, target) {
        if (json_integer_value(json_object_get(target, "weight")) > 0)
            return true;
    }
    return false;
}

static const struct crd_rule rules[] = {
    {
        .path = "spec",
        .member = "targets",
        .reason = "FieldValueInvalid",
        .holds = some_target_has_weight,
        .cel = "self.targets.exists(t, t.weight > 0)",
        .message = "no target has a weight: give at least one target a weight of 1 or more",
    },
};

static const struct crd_column columns[] = {
    {"READY", ".status.conditions[?(@.type==\"Ready\")].status", false},
    {"TARGETS", ".status.targets", false}, /* of a list a column would show the first alone */
    {"FALLBACK", ".status.fallbacks", false},
    {"REASON", ".status.conditions[?(@.type==\"Ready\")].reason", false},
    {"MODEL-NAME", ".spec.name", true},
};

const struct crd_kind crd_kind_model_route = {
    .id = CRD_MODEL_ROUTE,
    .kind = "ModelRoute",
    .plural = "modelroutes",
    .singular = "modelroute",
    .short_name = "mr",
    .namespaced = true,
    .describe = "A model name that clients call, in front of several models: shares by weight, as "
                "for a careful change to a new model, and fallbacks.",
    .spec = &spec_rows,
    .status = &status_rows,
    .has_conditions = true,
    .rules = rules,
    .rule_count = ARRAY_COUNT(rules),
    .columns = columns,
    .column_count = ARRAY_COUNT(columns),
};

int crd_route_spec_read(struct crd_route_spec *out, const struct crd_object *object,
                        struct arena *arena, struct err *err)
{
    struct crd_route_spec spec = {0};
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

int crd_route_status_read(struct crd_route_status *out, const struct crd_object *object,
                          struct arena *arena, struct err *err)
{
    struct crd_route_status status = {0};
    int r = crd_object_decode(object, "status", &status, arena, err);

    if (r == 0)
        *out = status;
    return r;
}

int crd_route_status_write(const struct crd_route_status *status, json_t **out, struct err *err)
{
    return crd_encode(&crd_kind_model_route, "status", status, out, err);
}
