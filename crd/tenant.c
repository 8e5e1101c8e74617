/* SPDX-License-Identifier: Apache-2.0 */
/* Tenant: its tables of fields, its columns and its typed readers. */
#include "crd/tenant.h"

#include "base/mem.h"
#include "crd/kinds.h"

#define SPEC(member) CRD_PLACE(struct crd_tenant_spec, member)
#define KEY(member)  CRD_PLACE(struct crd_tenant_key, member)

static const struct crd_field spec_fields[] = {
    {
        .path = "spec",
        .type = CRD_OBJECT,
        .default_json = "{}",
        .describe = "Who the tenant is to Spate.",
    },
    {
        .path = "spec.keys",
        .type = CRD_LIST,
        .max_length = CRD_TENANT_KEYS_MAX,
        .list_keys = {"id"},
        CRD_PLACE_LIST(struct crd_tenant_spec, keys, key_count),
        .describe = "The API keys of the tenant, as digests. A key itself is shown once, when it "
                    "is made, and kept nowhere.",
    },
    {
        .path = "spec.keys[]",
        .type = CRD_OBJECT,
        .describe = "One key. Taken out of the list, it is refused within seconds.",
    },
    {
        .path = "spec.keys[].id",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = CRD_DNS_LABEL,
        .pattern_means = CRD_DNS_LABEL_MEANS,
        KEY(id),
        .describe = "What logs and reports call the key by.",
    },
    {
        .path = "spec.keys[].sha256",
        .type = CRD_SHA256,
        .required = true,
        .max_length = SHA256_HEX_LEN,
        KEY(sha256),
        .describe = "SHA-256 of the whole key text, as 64 lower-case hexadecimal digits.",
    },
    {
        .path = "spec.namespaces",
        .type = CRD_LIST,
        .max_length = CRD_TENANT_NAMES_MAX,
        .is_set = true,
        CRD_PLACE_LIST(struct crd_tenant_spec, namespaces, namespace_count),
        .describe = "The namespaces whose models the tenant may use. A lone star means all.",
    },
    {
        .path = "spec.namespaces[]",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = "^(\\*|" CRD_LABEL_PART ")$",
        .pattern_means = "the name of a namespace, or a star for all",
        CRD_PLACE(struct crd_name, text),
        .describe = "One namespace.",
    },
    {
        .path = "spec.models",
        .type = CRD_LIST,
        .max_length = CRD_TENANT_NAMES_MAX,
        .is_set = true,
        CRD_PLACE_LIST(struct crd_tenant_spec, models, model_count),
        .describe = "If not empty, the only models of those namespaces that the tenant may use.",
    },
    {
        .path = "spec.models[]",
        .type = CRD_STRING,
        .min_length = 3,
        .max_length = 127,
        .pattern = "^" CRD_LABEL_PART "/" CRD_LABEL_PART "$",
        .pattern_means = "a model as namespace/name",
        CRD_PLACE(struct crd_name, text),
        .describe = "One model, as namespace/name.",
    },
    {
        .path = "spec.limits",
        .type = CRD_OBJECT,
        .default_json = "{}",
        .describe = "What the tenant may use at most, in each gateway.",
    },
    {
        .path = "spec.limits.requestsPerMinute",
        .type = CRD_INTEGER,
        .default_json = "0",
        .min = 0,
        .max = 1000000000,
        SPEC(requests_per_minute),
        .describe = "Requests a minute; 0: no limit. More are refused with status 429.",
    },
    {
        .path = "spec.limits.concurrency",
        .type = CRD_INTEGER,
        .default_json = "0",
        .min = 0,
        .max = 1000000,
        SPEC(concurrency),
        .describe = "Requests at once; 0: no limit. More are refused with status 429.",
    },
    {
        .path = "spec.priority",
        .type = CRD_INTEGER,
        .default_json = "0",
        .min = -1000,
        .max = 1000,
        SPEC(priority),
        .describe = "Larger goes first where memory of an engine runs short.",
    },
    {
        .path = "spec.priceBook",
        .type = CRD_STRING,
        .min_length = 1,
        .max_length = CRD_NAME_MAX,
        .pattern = CRD_DNS_LABEL,
        .pattern_means = CRD_DNS_LABEL_MEANS,
        SPEC(price_book),
        .describe = "Name of the PriceBook that the tenant's tokens are charged by. Without one "
                    "they are counted and shown as unpriced.",
    },
};

static const struct crd_field status_fields[] = {
    CRD_STATUS_ROWS(struct crd_tenant_status),
    {
        .path = "status.conditions",
        .type = CRD_LIST,
        .max_length = CRD_CONDITIONS_MAX,
        .list_keys = {"type"},
        CRD_PLACE_LIST(struct crd_tenant_status, conditions, condition_count),
        .describe = "Statements about the state, each with its reason: Ready (the tenant is "
                    "served, and charged as it says).",
    },
};

static const struct crd_rows spec_rows = {spec_fields, ARRAY_COUNT(spec_fields)};
static const struct crd_rows status_rows = {status_fields, ARRAY_COUNT(status_fields)};

static const struct crd_column columns[] = {
    {"READY", ".status.conditions[?(@.type==\"Ready\")].status", false},
    {"PRIORITY", ".spec.priority", false},
    {"REQUESTS/MIN", ".spec.limits.requestsPerMinute", false},
    {"CONCURRENCY", ".spec.limits.concurrency", false},
    {"PRICE-BOOK", ".spec.priceBook", false},
    {"REASON", ".status.conditions[?(@.type==\"Ready\")].reason", false},
    {"NAMESPACES", ".spec.namespaces[*]", true},
};

const struct crd_kind crd_kind_tenant = {
    .id = CRD_TENANT,
    .kind = "Tenant",
    .plural = "tenants",
    .singular = "tenant",
    .short_name = "tn",
    .namespaced = false,
    .describe = "Somebody who uses models and pays for them: keys, rights, limits and prices.",
    .spec = &spec_rows,
    .status = &status_rows,
    .has_conditions = true,
    .columns = columns,
    .column_count = ARRAY_COUNT(columns),
};

int crd_tenant_spec_read(struct crd_tenant_spec *out, const struct crd_object *object,
                         struct arena *arena, struct err *err)
{
    struct crd_tenant_spec spec = {0};
    int r = crd_object_decode(object, "spec", &spec, arena, err);

    if (r == 0)
        *out = spec;
    return r;
}

int crd_tenant_status_read(struct crd_tenant_status *out, const struct crd_object *object,
                           struct arena *arena, struct err *err)
{
    struct crd_tenant_status status = {0};
    int r = crd_object_decode(object, "status", &status, arena, err);

    if (r == 0)
        *out = status;
    return r;
}

int crd_tenant_status_write(const struct crd_tenant_status *status, json_t **out, struct err *err)
{
    return crd_encode(&crd_kind_tenant, "status", status, out, err);
}
