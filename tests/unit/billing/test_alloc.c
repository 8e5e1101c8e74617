/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts with the n-th allocation failing, for every n: an error, nothing half-done. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "billing/meter/segment.h"
#include "billing/report/report.h"
#include "records.h"
#include "wire/ingest.h"
#include "wire/prices.h"

enum { ALLOCATIONS_MAX = 200 };

/* Each returns 0 or a failure, and frees all it made. */
typedef int (*step_fn)(struct err *err);

static int ingest_step(struct err *err)
{
    struct usage_record record = records_final(1);
    struct ingest_batch batch = {0};
    struct json_writer w;
    struct buf json;
    struct buf body;
    int r;

    buf_init(&json, USAGE_RECORD_BYTES_MAX);
    buf_init(&body, INGEST_BYTES_MAX);
    json_writer_init(&w, &json);
    usage_write(&w, &record);
    ingest_begin(&body);
    ingest_add(&body, buf_str(&json));
    ingest_end(&body);
    r = buf_check(&json, "record", err);
    if (r == 0)
        r = buf_check(&body, "body", err);
    if (r == 0)
        r = ingest_read(&batch, buf_str(&body), err);
    if (r == 0)
        assert_int_equal(batch.count, 1);
    if (r == 0)
        assert_false(batch.answers[0].refused);
    ingest_fini(&batch);
    buf_fini(&json);
    buf_fini(&body);
    return r;
}

static int prices_step(struct err *err)
{
    static const char text[] = "{\"id\":3,\"name\":\"standard\",\"effective_ms\":5,\"prices\":["
                               "{\"model\":\"a/*\",\"input\":1},{\"model\":\"*\",\"output\":2}]}";
    struct prices prices = {0};
    json_t *tree = NULL;
    int r = json_read(&tree, str_of(text), &json_limits_default, "prices", err);

    if (r == 0)
        r = prices_read(&prices, tree, err);
    if (r == 0)
        assert_int_equal(prices.line_count, 2);
    prices_fini(&prices);
    json_decref(tree);
    return r;
}

static int segment_step(struct err *err)
{
    struct buf bytes;
    int r;

    buf_init(&bytes, 1 << 16);
    r = segment_entry_append(&bytes, 1, STR("{}"));
    if (r == 0)
        r = segment_entry_append(&bytes, 2, STR("{\"a\":1}"));
    if (r < 0)
        err_no_memory(err);
    else
        assert_int_equal(bytes.len, 2 * SEGMENT_ENTRY_BYTES + 9);
    buf_fini(&bytes);
    return r;
}

static int report_step(struct err *err)
{
    struct report report = {.by = REPORT_BY_TENANT, .row_count = 1};
    struct buf out;
    int r = 0;

    report.rows = mem_array(1, sizeof(*report.rows));
    if (report.rows == NULL)
        return err_no_memory(err);
    report.rows[0].product = 2500000;
    buf_init(&out, REPORT_BYTES_MAX);
    r = report_finish(&report, err);
    for (int format = REPORT_JSON; format <= REPORT_CSV && r == 0; format++)
        report_render(&out, &report, (enum report_format)format);
    if (r == 0)
        r = buf_check(&out, "the report", err);
    buf_fini(&out);
    report_fini(&report);
    return r;
}

static void every_allocation_may_fail(void **state)
{
    static const step_fn steps[] = {ingest_step, prices_step, segment_step, report_step};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        for (int64_t n = 0;; n++) {
            struct err err = {0};
            int failed;
            int r;

            mem_fail_after(n);
            r = steps[i](&err);
            failed = mem_fail_seen();
            mem_fail_after(-1);
            if (!failed) {
                assert_int_equal(r, 0);
                assert_true(n > 0);
                break;
            }
            assert_true(r == -ERR_NO_MEMORY || r == -ERR_LIMIT);
            assert_true(n < ALLOCATIONS_MAX);
        }
    }
}

static void money_is_rounded_half_to_even(void **state)
{
    static const struct {
        int64_t product;
        int64_t nano_usd;
    } cases[] = {
        {0, 0},        {499999, 0},    {500000, 0},       {500001, 1},
        {1500000, 2},  {2500000, 2},   {2500001, 3},      {-500000, 0},
        {-500001, -1}, {-1500000, -2}, {999999999, 1000}, {-2500000, -2},
    };
    static const struct {
        int64_t nano_usd;
        int decimals;
        const char *text;
    } texts[] = {
        {0, 2, "0.00"},
        {1, 9, "0.000000001"},
        {5000000, 2, "0.00"},
        {15000000, 2, "0.02"},
        {25000000, 2, "0.02"},
        {-1234567890, 6, "-1.234568"},
        {INT64_MAX, 9, "9223372036.854775807"},
        {INT64_MIN, 9, "-9223372036.854775808"},
        {86280, 6, "0.000086"},
    };
    char text[MONEY_TEXT_MAX];
    int64_t rounded;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_true(money_round(cases[i].product, &rounded));
        assert_int_equal(rounded, cases[i].nano_usd);
    }
    assert_false(money_round((__int128)INT64_MAX * 2000000, &rounded));
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        money_format(texts[i].nano_usd, texts[i].decimals, text);
        assert_string_equal(text, texts[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(money_is_rounded_half_to_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
