/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A price version: what a PriceBook says from one moment on. The operator posts it to the ledger
 * (POST PRICES_PATH, token with audience ledger) before any gateway is told its number; it never
 * changes: the same id with other content is refused.
 *
 *     {"id": 3, "name": "standard", "effective_ms": 1795305600000, "prices": [
 *       {"model": "team-a/r1", "input": 550000000, "cached_input": 140000000,
 *        "output": 2190000000, "reasoning": 2190000000},
 *       {"model": "*", "output": 3000000000}]}
 *
 * Prices are nano-USD per million tokens, so $0.55 per million is 550000000. The first pattern that
 * fits the model counts ("*" fits everything, "team-a/ *" without the blank every model of team-a).
 * A class left out has no price there: its tokens are reported as unpriced, never as free.
 */
#ifndef SPATE_WIRE_PRICES_H
#define SPATE_WIRE_PRICES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "wire/usage.h"

#define PRICES_PATH "/internal/v1/prices"

enum {
    PRICES_LINES_MAX = 1000,
    PRICES_NAME_MAX = 63,
    PRICES_BYTES_MAX = PRICES_LINES_MAX * 512,
};
/* A million dollars per token is beyond any price, and keeps products within 128 bits. */
#define PRICES_NANO_USD_MAX 1000000000000000000LL

/* X(name, key in JSON) */
#define PRICE_CLASSES(X)            \
    X(PRICE_INPUT, "input")         \
    X(PRICE_CACHED, "cached_input") \
    X(PRICE_VISIBLE, "output")      \
    X(PRICE_REASONING, "reasoning")
enum price_class {
#define PRICE_CLASS_ENUM(name, key) name,
    PRICE_CLASSES(PRICE_CLASS_ENUM)
#undef PRICE_CLASS_ENUM
        PRICE_CLASS_COUNT
};
enum { PRICE_NONE = -1 };

struct price_line {
    char model[USAGE_MODEL_MAX + 1];     /* a pattern */
    int64_t nano_usd[PRICE_CLASS_COUNT]; /* per million tokens; PRICE_NONE: no price */
};

struct prices {
    uint64_t id; /* from 1 */
    char name[PRICES_NAME_MAX + 1];
    int64_t effective_ms;
    struct price_line *lines; /* owned */
    int line_count;
};

const char *price_class_name(enum price_class class);
int prices_read(struct prices *out, const json_t *object, struct err *err);
void prices_write(struct json_writer *w, const struct prices *prices);
void prices_fini(struct prices *prices); /* also of a zeroed one */

/* The line that fits the model, or NULL. */
const struct price_line *prices_find(const struct prices *prices, struct str model);

#endif
