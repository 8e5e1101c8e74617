/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant cost report as data, and its renderings: table for people, CSV for spreadsheets, JSON
 * for programs. Money is exact until a line is done: the product of tokens and price is summed in
 * 128 bits, then rounded once, half to even, to nano-USD; a total is the sum of its lines.
 */
#ifndef SPATE_REPORT_H
#define SPATE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "billing/ledger/tally.h"
#include "wire/usage.h"

enum {
    REPORT_BY_TENANT = 1,
    REPORT_BY_MODEL = 2,
    REPORT_BY_KEY = 4,
    REPORT_BY_DAY = 8,
    REPORT_ROWS_MAX = 200000,
    REPORT_BYTES_MAX = 256 << 20,
};

enum report_format { REPORT_JSON, REPORT_TABLE, REPORT_CSV };

struct report_row {
    char tenant[USAGE_TENANT_MAX + 1]; /* empty where not grouped by it */
    char model[USAGE_MODEL_MAX + 1];
    char key_id[USAGE_KEY_MAX + 1];
    int64_t day_ms; /* start of the UTC day; 0 where not grouped by it */
    bool unpriced;  /* tokens of classes without a price: they have no cost, not a cost of 0 */
    struct tally tally;
    __int128 product; /* tokens times nano-USD per million tokens */
    int64_t cost_nano_usd;
};

struct report {
    int64_t from_ms;
    int64_t to_ms;
    unsigned by;             /* REPORT_BY_* */
    struct report_row *rows; /* owned; sorted */
    size_t row_count;
    struct report_row total; /* tokens of all rows, money of the priced ones */
    struct tally unpriced;   /* tokens of the unpriced rows */
};

/* "tenant,model,key,day" in any order, at least one. */
int report_by_parse(unsigned *out, struct str text, struct err *err);
int report_format_parse(enum report_format *out, struct str text, struct err *err);
const char *report_content_type(enum report_format format);

/* Sorts the rows, rounds each line once, sums the total. -ERR_LIMIT if a cost leaves int64. */
int report_finish(struct report *report, struct err *err);
void report_fini(struct report *report); /* also of a zeroed one */

void report_render(struct buf *out, const struct report *report, enum report_format format);
/* The numbers of a tally as members of the object that is open. */
void report_tally_write(struct json_writer *w, const struct tally *t);

/* product / 1,000,000, half to even. False if it leaves int64. */
bool money_round(__int128 product, int64_t *nano_usd);
/* "-12.345678": nano-USD as USD with `decimals` (2 to 9) digits, half to even. */
enum { MONEY_TEXT_MAX = 40 };
void money_format(int64_t nano_usd, int decimals, char out[MONEY_TEXT_MAX]);

#endif
