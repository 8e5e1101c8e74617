/* SPDX-License-Identifier: Apache-2.0 */
/* PriceBook: its table of fields, its rule, its columns and its typed reader. */
#include "base/clock.h"
#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/tenant.h"

#define PRICE(member)  CRD_PLACE(struct crd_price, member)
#define STATUS(member) CRD_PLACE(struct crd_price_book_status, member)

static const char *const currency_values[] = {"USD", NULL};

static const struct crd_field rows[] = {
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
        .max_length = 40,
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

    {
        .path = "status",
        .type = CRD_OBJECT,
        .describe = "What is; written by the operator.",
    },
    {
        .path = "status.observedGeneration",
        .type = CRD_INTEGER,
        .min = 0,
        .max = INT64_MAX,
        STATUS(observed_generation),
        .describe = "The generation of spec that this status answers to.",
    },
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
};

static int64_t effective_ms(const json_t *price)
{
    struct str text = json_str(json_object_get(price, "effectiveFrom"));
    int64_t ms = 0;

    if (text.len > 0 && clock_parse_utc(text.ptr, text.len, &ms) < 0)
        return -1;
    return ms;
}

static bool prices_are_unique(const json_t *spec)
{
    const json_t *prices = json_object_get(spec, "prices");
    const json_t *price;
    size_t i;

    json_array_foreach (prices, i, price) {
        struct str model = json_str(json_object_get(price, "model"));

        for (size_t k = 0; k < i; k++) {
            const json_t *other = json_array_get(prices, k);

            if (str_eq(model, json_str(json_object_get(other, "model"))) &&
                effective_ms(price) == effective_ms(other))
                return false;
        }
    }
    return true;
}

static const struct crd_rule rules[] = {
    {
        "spec",
        prices_are_unique,
        "self.prices.all(a, self.prices.filter(b, a.model == b.model && "
        "(has(a.effectiveFrom) ? a.effectiveFrom : timestamp(0)) == "
        "(has(b.effectiveFrom) ? b.effectiveFrom : timestamp(0))).size() == 1)",
        "two prices have the same model and effectiveFrom: remove one of them",
    },
};

static const struct crd_column columns[] = {
    {"CURRENCY", ".spec.currency", false},
    {"MODELS", ".spec.prices[*].model", false},
};

const struct crd_kind crd_kind_price_book = {
    .id = CRD_PRICE_BOOK,
    .kind = "PriceBook",
    .plural = "pricebooks",
    .singular = "pricebook",
    .short_name = "pb",
    .namespaced = false,
    .describe = "What tokens cost, by model, kind of token and time.",
    .fields = rows,
    .field_count = ARRAY_COUNT(rows),
    .rules = rules,
    .rule_count = ARRAY_COUNT(rules),
    .columns = columns,
    .column_count = ARRAY_COUNT(columns),
};

int crd_price_book_spec_read(struct crd_price_book_spec *out, const struct crd_object *object,
                             struct arena *arena, struct err *err)
{
    struct crd_price_book_spec spec = {0};
    int r = crd_decode(object->kind, "spec", object->spec, &spec, arena, err);

    if (r < 0)
        return r;
    for (int i = 0; i < spec.price_count; i++) {
        const json_t *row = json_array_get(json_object_get(object->spec, "prices"), (size_t)i);

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
    int r = crd_decode(object->kind, "status", object->status, &status, arena, err);

    if (r == 0)
        *out = status;
    return r;
}

int crd_price_book_status_write(const struct crd_price_book_status *status, json_t **out,
                                struct err *err)
{
    return crd_encode(&crd_kind_price_book, "status", status, out, err);
}
