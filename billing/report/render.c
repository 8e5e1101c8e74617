/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renderings of a report. The table is kubectl's: capitals, columns three blanks apart, numbers
 * right-aligned. In CSV a text that a spreadsheet would take for a formula is made harmless.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "billing/report/report.h"

enum {
    CELL_MAX = USAGE_MODEL_MAX + 1,
    COLUMNS_MAX = 12,
    NAMES = 4,
    TABLE_DECIMALS = 6,
    EXACT_DECIMALS = 9,
};

static void day_text(int64_t day_ms, char out[CLOCK_TEXT_MAX])
{
    enum { DATE_LENGTH = 10 };

    clock_format_utc(day_ms, out);
    out[DATE_LENGTH] = '\0';
}

static int64_t sum_of(const struct tally *t, enum tally_index first, enum tally_index last)
{
    int64_t sum = 0;

    for (int i = (int)first; i <= (int)last; i++)
        sum += t->v[i];
    return sum;
}

/* --- JSON ----------------------------------------------------------------------------------- */

/* Members first..last under their names without the prefix. */
static void put_group(struct json_writer *w, const char *key, const char *prefix,
                      const struct tally *t, enum tally_index first, enum tally_index last)
{
    json_key(w, key);
    json_open(w, '{');
    for (int i = (int)first; i <= (int)last; i++)
        json_put_i64(w, tally_names[i] + strlen(prefix), t->v[i]);
    json_close(w, '}');
}

void report_tally_write(struct json_writer *w, const struct tally *t)
{
    for (int i = (int)TALLY_REQUESTS; i <= (int)TALLY_REASONING; i++)
        json_put_i64(w, tally_names[i], t->v[i]);
    put_group(w, "waste", "waste_", t, TALLY_WASTE_INPUT, TALLY_WASTE_RECOMPUTED);
    put_group(w, "pending", "pending_", t, TALLY_PENDING_INPUT, TALLY_PENDING_RECOMPUTED);
}

static void put_cost(struct json_writer *w, const struct report_row *row)
{
    char text[MONEY_TEXT_MAX];

    if (row->unpriced) {
        json_put_null(w, "cost_nano_usd");
        json_put_null(w, "cost_usd");
        return;
    }
    money_format(row->cost_nano_usd, EXACT_DECIMALS, text);
    json_put_i64(w, "cost_nano_usd", row->cost_nano_usd);
    json_put_text(w, "cost_usd", text);
}

static void put_row(struct json_writer *w, unsigned by, const struct report_row *row)
{
    char day[CLOCK_TEXT_MAX];

    json_open(w, '{');
    if (by & REPORT_BY_TENANT)
        json_put_text(w, "tenant", row->tenant);
    if (by & REPORT_BY_MODEL)
        json_put_text(w, "model", row->model);
    if (by & REPORT_BY_KEY)
        json_put_text(w, "key", row->key_id);
    day_text(row->day_ms, day);
    if (by & REPORT_BY_DAY)
        json_put_text(w, "day", day);
    json_put_bool(w, "unpriced", row->unpriced);
    report_tally_write(w, &row->tally);
    put_cost(w, row);
    json_close(w, '}');
}

static void render_json(struct buf *out, const struct report *report)
{
    char text[CLOCK_TEXT_MAX];
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    clock_format_utc(report->from_ms, text);
    json_put_text(&w, "from", text);
    clock_format_utc(report->to_ms, text);
    json_put_text(&w, "to", text);
    json_key(&w, "rows");
    json_open(&w, '[');
    for (size_t i = 0; i < report->row_count; i++)
        put_row(&w, report->by, &report->rows[i]);
    json_close(&w, ']');
    json_key(&w, "total");
    json_open(&w, '{');
    report_tally_write(&w, &report->total.tally);
    put_group(&w, "unpriced", "", &report->unpriced, TALLY_INPUT, TALLY_REASONING);
    put_cost(&w, &report->total);
    json_close(&w, '}');
    json_close(&w, '}');
    buf_append_char(out, '\n');
}

/* --- table ---------------------------------------------------------------------------------- */

struct line {
    char cells[COLUMNS_MAX][CELL_MAX];
    bool right[COLUMNS_MAX];
    int count;
};

static void add_cell(struct line *line, bool right, const char *text)
{
    snprintf(line->cells[line->count], CELL_MAX, "%s", text);
    line->right[line->count++] = right;
}

static void add_number(struct line *line, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    add_cell(line, true, text);
}

/* The name columns of the groups asked for. */
static void add_names(struct line *line, unsigned by, const char *const names[NAMES])
{
    for (int i = 0; i < NAMES; i++) {
        if (by & (1U << i))
            add_cell(line, false, names[i]);
    }
}

static void add_numbers(struct line *line, const struct report_row *row)
{
    char cost[MONEY_TEXT_MAX] = "<unpriced>";

    add_number(line, row->tally.v[TALLY_REQUESTS]);
    for (int i = (int)TALLY_INPUT; i <= (int)TALLY_REASONING; i++)
        add_number(line, row->tally.v[i]);
    add_number(line, sum_of(&row->tally, TALLY_WASTE_INPUT, TALLY_WASTE_RECOMPUTED));
    add_number(line, sum_of(&row->tally, TALLY_PENDING_INPUT, TALLY_PENDING_RECOMPUTED));
    if (!row->unpriced)
        money_format(row->cost_nano_usd, TABLE_DECIMALS, cost);
    add_cell(line, true, cost);
}

static const char *or_none(const char *name)
{
    return name[0] == '\0' ? "<none>" : name;
}

static void make_line(struct line *line, unsigned by, const struct report_row *row)
{
    char day[CLOCK_TEXT_MAX];
    const char *const names[NAMES] = {or_none(row->tenant), or_none(row->model),
                                      or_none(row->key_id), day};

    day_text(row->day_ms, day);
    line->count = 0;
    add_names(line, by, names);
    add_numbers(line, row);
}

static void make_total(struct line *line, unsigned by, const struct report_row *row)
{
    static const char *const names[NAMES] = {"", "", "", ""};

    line->count = 0;
    add_names(line, by, names);
    snprintf(line->cells[0], CELL_MAX, "TOTAL");
    add_numbers(line, row);
}

static void make_heading(struct line *line, unsigned by)
{
    static const char *const names[NAMES] = {"TENANT", "MODEL", "KEY", "DAY"};
    static const char *const numbers[] = {"REQUESTS",  "INPUT", "CACHED",  "VISIBLE",
                                          "REASONING", "WASTE", "PENDING", "COST-USD"};

    line->count = 0;
    add_names(line, by, names);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        add_cell(line, true, numbers[i]);
}

static void widen(int widths[COLUMNS_MAX], const struct line *line)
{
    for (int i = 0; i < line->count; i++) {
        int width = (int)strlen(line->cells[i]);

        if (width > widths[i])
            widths[i] = width;
    }
}

static void print_line(struct buf *out, const int widths[COLUMNS_MAX], const struct line *line)
{
    for (int i = 0; i < line->count; i++) {
        const char *gap = i == 0 ? "" : "   ";

        if (line->right[i])
            buf_printf(out, "%s%*s", gap, widths[i], line->cells[i]);
        else
            buf_printf(out, "%s%-*s", gap, widths[i], line->cells[i]);
    }
    buf_append_char(out, '\n');
}

static void render_table(struct buf *out, const struct report *report)
{
    int widths[COLUMNS_MAX] = {0};
    struct line line;

    make_heading(&line, report->by);
    widen(widths, &line);
    make_total(&line, report->by, &report->total);
    widen(widths, &line);
    for (size_t i = 0; i < report->row_count; i++) {
        make_line(&line, report->by, &report->rows[i]);
        widen(widths, &line);
    }
    make_heading(&line, report->by);
    print_line(out, widths, &line);
    for (size_t i = 0; i < report->row_count; i++) {
        make_line(&line, report->by, &report->rows[i]);
        print_line(out, widths, &line);
    }
    make_total(&line, report->by, &report->total);
    print_line(out, widths, &line);
}

/* --- CSV ------------------------------------------------------------------------------------ */

/* Always quoted; a leading sign of a formula is kept from being one by an apostrophe. */
static void csv_text(struct buf *out, const char *text)
{
    buf_append_char(out, '"');
    if (text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL)
        buf_append_char(out, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"')
            buf_append_char(out, '"');
        buf_append_char(out, *c);
    }
    buf_append_char(out, '"');
}

static void csv_row(struct buf *out, unsigned by, const struct report_row *row)
{
    char text[MONEY_TEXT_MAX];
    char day[CLOCK_TEXT_MAX] = "";

    if (by & REPORT_BY_DAY)
        day_text(row->day_ms, day);
    csv_text(out, row->tenant);
    buf_append_char(out, ',');
    csv_text(out, row->model);
    buf_append_char(out, ',');
    csv_text(out, row->key_id);
    buf_printf(out, ",%s,%s", day, row->unpriced ? "true" : "false");
    for (int i = 0; i < TALLY_COUNT; i++)
        buf_printf(out, ",%" PRId64, row->tally.v[i]);
    if (row->unpriced) {
        buf_append_text(out, ",,\n");
        return;
    }
    money_format(row->cost_nano_usd, EXACT_DECIMALS, text);
    buf_printf(out, ",%" PRId64 ",%s\n", row->cost_nano_usd, text);
}

static void render_csv(struct buf *out, const struct report *report)
{
    buf_append_text(out, "tenant,model,key,day,unpriced");
    for (int i = 0; i < TALLY_COUNT; i++)
        buf_printf(out, ",%s", tally_names[i]);
    buf_append_text(out, ",cost_nano_usd,cost_usd\n");
    for (size_t i = 0; i < report->row_count; i++)
        csv_row(out, report->by, &report->rows[i]);
}

void report_render(struct buf *out, const struct report *report, enum report_format format)
{
    switch (format) {
    case REPORT_JSON:
        render_json(out, report);
        break;
    case REPORT_TABLE:
        render_table(out, report);
        break;
    case REPORT_CSV:
        render_csv(out, report);
        break;
    }
}
