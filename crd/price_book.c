/* SPDX-License-Identifier: Apache-2.0 */
/* PriceBook: its tables of fields, its rule, its columns and its typed readers. */
#include "base/clock.h"
#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/tenant.h"

#define PRICE(member)  CRD_PLACE(struct crd_price, member)
#define STATUS(member) CRD_PLACE(struct crd_price_book_status, member)

/* One way to write each instant, so that two rows of one instant have the same text. */
#define WHOLE_SECONDS_UTC "^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"

static const char *const currency_values[] = {"USD", NULL};

static const struct crd_field spec_fields[] = {
    {
        .path = "spec",
        .type = CRD_OBJECT,
        .required = true,
        .describe = "The prices.",
    },
    {
        .path = "spec.currency",
        .type = CRD_ENUM,
        .default_json = "\"USD\"",
        .values = currency_values,
        .describe = "The currency of all prices of the book. Only US dollars are done yet.",
    },
    {
        .path = "spec.prices",
        .type = CRD_LIST,
        .required = true,
        .max_length = CRD_PRICES_MAX,
        .list_keys = {"model", "effectiveFrom"},
        CRD_PLACE_LIST(struct crd_price_book_spec, prices, price_count),
        .describe = "Prices of a million tokens. For a request counts the row with the closest "
                    "model (a whole name before a namespace before the star) and, among those, the "
                    "latest effectiveFrom that is not after its admission.",
    },
    {
        .path = "spec.prices[]",
        .type = CRD_OBJECT,
        .describe = "Prices of one model, or of several, from one time on.",
    },
    {
        .path = "spec.prices[].model",
        .type = CRD_STRING,
        .required = true,
        .min_length = 1,
        .max_length = 127,
        .pattern = "^(\\*|" CRD_LABEL_PART "/(\\*|" CRD_LABEL_PART "))$",
        .pattern_means = "namespace/name, namespace/* or *",
        PRICE(model),
        .describe = "Which models: namespace/name, namespace/* or *.",
    },
    {
        .path = "spec.prices[].effectiveFrom",
        .type = CRD_TIME,
        .default_json = "\"1970-01-01T00:00:00Z\"",
        .min_length = 20,
        .max_length = 20,
        .pattern = WHOLE_SECONDS_UTC,
        .pattern_means = "a time such as 2026-11-22T15:04:05Z, in UTC and whole seconds",
        PRICE(effective_from_ms),
        .describe = "From when on the prices hold; since ever when absent.",
    },
    {
        .path = "spec.prices[].input",
        .type = CRD_USD,
        .required = true,
        .max_length = 20,
        PRICE(input_nano_usd),
        .describe = "Price of a million input tokens, as decimal text: \"0.55\".",
    },
    {
        .path = "spec.prices[].cachedInput",
        .type = CRD_USD,
        .max_length = 20,
        PRICE(cached_input_nano_usd),
        .describe = "Price of a million input tokens that were found in the prefix cache; as input "
                    "when absent.",
    },
    {
        .path = "spec.prices[].output",
        .type = CRD_USD,
        .required = true,
        .max_length = 20,
        PRICE(output_nano_usd),
        .describe = "Price of a million output tokens.",
    },
    {
        .path = "spec.prices[].reasoning",
        .type = CRD_USD,
        .max_length = 20,
        PRICE(reasoning_nano_usd),
        .describe = "Price of a million output tokens that are reasoning; as output when absent.",
    },
};

static const struct crd_field status_fields[] = {
    CRD_STATUS_ROWS(struct crd_price_book_status),
    {
        .path = "status.version",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(version),
        .describe = "The number of the prices in force. Each change gets a new one, also when a "
                    "price comes into force by its effectiveFrom.",
    },
    {
        .path = "status.postedVersion",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(posted_version),
        .describe = "The newest version that the ledger has: the one that requests are charged "
                    "by.",
    },
    {
        .path = "status.digest",
        .type = CRD_STRING,
        .max_length = 64,
        STATUS(digest),
        .describe = "SHA-256 of the prices that the version stands for.",
    },
    {
        .path = "status.conditions",
        .type = CRD_LIST,
        .max_length = CRD_CONDITIONS_MAX,
        .list_keys = {"type"},
        CRD_PLACE_LIST(struct crd_price_book_status, conditions, condition_count),
        .describe = "Statements about the state, each with its reason: Ready (the ledger took the "
                    "prices in force, and requests are charged by them).",
    },
};

static const struct crd_rows spec_rows = {spec_fields, ARRAY_COUNT(spec_fields)};
static const struct crd_rows status_rows = {status_fields, ARRAY_COUNT(status_fields)};

static bool times_are_since_1970(const json_t *spec)
{
    const json_t *price;
    size_t i;

    json_array_foreach (json_object_get(spec, "prices"), i, price) {
        struct str text = json_str(json_object_get(price, "effectiveFrom"));
        int64_t ms;

        if (clock_parse_utc(text.ptr, text.len, &ms) < 0 || ms < 0)
            return false;
    }
    return true;
}

/* As it speaks of the time, this rule also refuses what is no text: the schema alone lets a list
 * pass where the format is date-time (seen with API server 1.36.3). */
static const struct crd_rule rules[] = {
    {
        .path = "spec",
        .member = "prices",
        .reason = "FieldValueInvalid",
        .holds = times_are_since_1970,
        .cel = "self.prices.all(p, p.effectiveFrom >= timestamp('1970-01-01T00:00:00Z'))",
        .message = "an effectiveFrom lies before 1970: leave it out, which means since ever",
    },
};

static const struct crd_column columns[] = {
    {"READY", ".status.conditions[?(@.type==\"Ready\")].status", false},
    {"CURRENCY", ".spec.currency", false},
    {"MODELS", ".spec.prices[*].model", false},
    {"REASON", ".status.conditions[?(@.type==\"Ready\")].reason", false},
};

const struct crd_kind crd_kind_price_book = {
    .id = CRD_PRICE_BOOK,
    .kind = "PriceBook",
    .plural = "pricebooks",
    .singular = "pricebook",
    .short_name = "pb",
    .namespaced = false,
    .describe = "What tokens cost, by model, kind of token and time.",
    .spec = &spec_rows,
    .status = &status_rows,
    .has_conditions = true,
    .rules = rules,
    .rule_count = ARRAY_COUNT(rules),
    .columns = columns,
    .column_count = ARRAY_COUNT(columns),
};

int crd_price_book_spec_read(struct crd_price_book_spec *out, const struct crd_object *object,
                             struct arena *arena, struct err *err)
{
    struct crd_price_book_spec spec = {0};
    json_auto_t *tree = NULL;
    int r = crd_tree(&tree, object, "spec", err);

    if (r == 0)
        r = crd_decode(object->kind, "spec", tree, &spec, arena, err);
    if (r < 0)
        return r;
    for (int i = 0; i < spec.price_count; i++) {
        const json_t *row = json_array_get(json_object_get(tree, "prices"), (size_t)i);

        if (json_object_get(row, "cachedInput") == NULL)
            spec.prices[i].cached_input_nano_usd = spec.prices[i].input_nano_usd;
        if (json_object_get(row, "reasoning") == NULL)
            spec.prices[i].reasoning_nano_usd = spec.prices[i].output_nano_usd;
    }
    *out = spec;
    return 0;
}

int crd_price_book_status_read(struct crd_price_book_status *out, const struct crd_object *object,
                               struct arena *arena, struct err *err)
{
    struct crd_price_book_status status = {0};
    int r = crd_object_decode(object, "status", &status, arena, err);

    if (r == 0)
        *out = status;
    return r;
}

int crd_price_book_status_write(const struct crd_price_book_status *status, json_t **out,
                                struct err *err)
{
    return crd_encode(&crd_kind_price_book, "status", status, out, err);
}
