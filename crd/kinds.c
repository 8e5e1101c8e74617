/* SPDX-License-Identifier: Apache-2.0 */
/* The list of kinds, the rows that all of them share, and finding a kind or a row by name. */
#include "crd/kinds.h"

#include <string.h>

#include "base/mem.h"
#include "crd/object.h"

const struct crd_kind *const crd_kinds[CRD_KIND_COUNT] = {
    [CRD_MODEL_DEPLOYMENT] = &crd_kind_model_deployment,
    [CRD_MODEL_ROUTE] = &crd_kind_model_route,
    [CRD_TENANT] = &crd_kind_tenant,
    [CRD_PRICE_BOOK] = &crd_kind_price_book,
};

static const struct crd_field common_rows[] = {
    {
        .path = "apiVersion",
        .type = CRD_STRING,
        .required = true,
        .max_length = 64,
        .pattern = "^spate\\.dev/v1alpha1$",
        .pattern_means = CRD_API_VERSION,
        .describe = "Group and version of the object: spate.dev/v1alpha1.",
    },
    {
        .path = "kind",
        .type = CRD_STRING,
        .required = true,
        .max_length = 63,
        .describe = "What the object is: " CRD_KIND_NAMES ".",
    },
    {
        .path = "metadata",
        .type = CRD_OBJECT,
        .required = true,
        .describe = "Name, namespace and labels.",
    },
    {
        .path = "metadata.name",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = CRD_DNS_LABEL,
        .pattern_means = CRD_DNS_LABEL_MEANS,
        .describe = "Name of the object, unique among its kind (in its namespace).",
    },
    {
        .path = "metadata.namespace",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = CRD_DNS_LABEL,
        .pattern_means = CRD_DNS_LABEL_MEANS,
        .describe = "Namespace of the object; \"default\" when absent. Tenants and price books "
                    "have none.",
    },
    {
        .path = "metadata.labels",
        .type = CRD_MAP,
        .max_length = CRD_MAP_BYTES_MAX,
        .pattern = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        .pattern_means = "letters, digits and inner '-', '_' and '.', at most 63",
        .describe = "Words to find the object by.",
    },
    {
        .path = "metadata.annotations",
        .type = CRD_MAP,
        .max_length = CRD_MAP_BYTES_MAX,
        .describe = "Remarks for people and other tools; Spate reads none of them.",
    },
    {
        .path = "metadata.uid",
        .type = CRD_STRING,
        .max_length = 64,
        .pattern = "^[0-9a-z-]*$",
        .pattern_means = "an identifier made by the server",
        .describe = "Set by the server: tells this object from earlier ones of the same name.",
    },
    {
        .path = "metadata.resourceVersion",
        .type = CRD_STRING,
        .max_length = 64,
        .pattern = "^[0-9a-z]*$",
        .pattern_means = "a version made by the server",
        .describe = "Set by the server at each change. Sent back, it refuses a change of an "
                    "object that was changed meanwhile.",
    },
    {
        .path = "metadata.generation",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        .describe = "Set by the server: counts the changes of spec.",
    },
    {
        .path = "metadata.creationTimestamp",
        .type = CRD_TIME,
        .max_length = 40,
        .describe = "Set by the server: when the object was made.",
    },
};

const struct crd_rows crd_common_rows = {common_rows, ARRAY_COUNT(common_rows)};

const struct crd_field *crd_field_at(const struct crd_kind *kind, size_t index)
{
    const struct crd_rows *tables[] = {&crd_common_rows, kind->spec, kind->status,
                                       kind->has_conditions ? &crd_condition_rows : NULL};

    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        if (tables[i] == NULL)
            continue;
        if (index < tables[i]->count)
            return &tables[i]->rows[index];
        index -= tables[i]->count;
    }
    return NULL;
}

const char *crd_field_name_below(const struct crd_field *field, const char *parent)
{
    size_t length = strlen(parent);
    const char *rest = field->path;

    if (length > 0) {
        if (strncmp(field->path, parent, length) != 0 || field->path[length] != '.')
            return NULL;
        rest = field->path + length + 1;
    }
    return strpbrk(rest, ".[") == NULL ? rest : NULL;
}

const struct crd_kind *crd_kind_find(struct str name)
{
    struct str suffix = STR("." CRD_GROUP);

    if (str_ends(name, suffix))
        name = str_slice(name, 0, name.len - suffix.len);
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        const struct crd_kind *kind = crd_kinds[i];

        if (str_eq_nocase(name, str_of(kind->kind)) || str_eq_nocase(name, str_of(kind->plural)) ||
            str_eq_nocase(name, str_of(kind->short_name)))
            return kind;
    }
    return NULL;
}
