/* SPDX-License-Identifier: Apache-2.0 */
/* A report's rows: order, rounding, total. See report.h. */
#include "billing/report/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int report_by_parse(unsigned *out, struct str text, struct err *err)
{
    static const struct {
        const char *name;
        unsigned bit;
    } words[] = {{"tenant", REPORT_BY_TENANT},
                 {"model", REPORT_BY_MODEL},
                 {"key", REPORT_BY_KEY},
                 {"day", REPORT_BY_DAY}};
    struct str rest = text.ptr == NULL ? STR("") : text;
    unsigned by = 0;

    while (rest.ptr != NULL) {
        struct str word = str_cut(&rest, ',');
        unsigned bit = 0;

        for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
            if (str_is(word, words[i].name))
                bit = words[i].bit;
        }
        if (bit == 0)
            return err_set(err, ERR_INVALID,
                           "group_by has '%.*s'; use any of tenant, model, key, day",
                           STR_ARG(word));
        by |= bit;
    }
    *out = by;
    return 0;
}

int report_format_parse(enum report_format *out, struct str text, struct err *err)
{
    if (str_is(text, "json"))
        *out = REPORT_JSON;
    else if (str_is(text, "table"))
        *out = REPORT_TABLE;
    else if (str_is(text, "csv"))
        *out = REPORT_CSV;
    else
        return err_set(err, ERR_INVALID, "format '%.*s'; use json, table or csv", STR_ARG(text));
    return 0;
}

const char *report_content_type(enum report_format format)
{
    switch (format) {
    case REPORT_TABLE:
        return "text/plain; charset=utf-8";
    case REPORT_CSV:
        return "text/csv; charset=utf-8";
    case REPORT_JSON:
        break;
    }
    return "application/json";
}

void report_fini(struct report *report)
{
    mem_free(report->rows);
    *report = (struct report){0};
}

static int by_names(const void *a, const void *b)
{
    const struct report_row *left = a;
    const struct report_row *right = b;
    int order = strcmp(left->tenant, right->tenant);

    if (order == 0)
        order = strcmp(left->model, right->model);
    if (order == 0)
        order = strcmp(left->key_id, right->key_id);
    if (order == 0)
        order = left->day_ms < right->day_ms ? -1 : left->day_ms > right->day_ms;
    if (order == 0)
        order = (int)left->unpriced - (int)right->unpriced;
    return order;
}

int report_finish(struct report *report, struct err *err)
{
    struct report_row *total = &report->total;

    if (report->row_count > 0)
        qsort(report->rows, report->row_count, sizeof(report->rows[0]), by_names);
    for (size_t i = 0; i < report->row_count; i++) {
        struct report_row *row = &report->rows[i];

        if (!money_round(row->product, &row->cost_nano_usd) ||
            __builtin_add_overflow(total->cost_nano_usd, row->cost_nano_usd, &total->cost_nano_usd))
            return err_set(err, ERR_LIMIT, "a cost is over 9 billion USD; choose a shorter time");
        tally_add(&total->tally, &row->tally);
        if (row->unpriced)
            tally_add(&report->unpriced, &row->tally);
    }
    return 0;
}
