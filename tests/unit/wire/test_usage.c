/* SPDX-License-Identifier: Apache-2.0 */
/* Usage records: the rule of charging, the merge, the round trip. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/usage.h"

static struct usage_record record(uint32_t attempt, uint64_t start, uint64_t output,
                                  uint64_t reasoning, uint64_t delivered, enum usage_end end)
{
    struct usage_record r = {
        .attempt = attempt,
        .tenant = "acme",
        .key_id = "k1",
        .model = "default/brook",
        .pod = "brook-1",
        .start_position = start,
        .counts = {.input_computed = 10,
                   .input_cached = 6,
                   .output = output,
                   .reasoning = reasoning},
        .charge_end = start + output,
        .delivered = delivered,
        .counts_final = true,
        .delivered_final = true,
        .ended_by = end,
    };

    memset(r.request_id.bytes, 7, sizeof(r.request_id.bytes));
    memset(r.run_id.bytes, (int)attempt, sizeof(r.run_id.bytes));
    return r;
}

static void model_and_client_ends_charge_all_that_was_computed(void **state)
{
    struct usage_cursor cursor = {0};
    struct usage_charge charge;
    struct usage_record r = record(1, 0, 20, 12, 5, USAGE_END_CLIENT);

    (void)state;
    usage_charge_attempt(&charge, &cursor, &r);
    assert_int_equal(charge.reasoning, 12);
    assert_int_equal(charge.visible, 8);
    assert_int_equal(charge.input_computed, 10);
    assert_int_equal(charge.input_cached, 6);
    assert_int_equal(cursor.position, 20);
}

static void our_end_charges_what_was_delivered(void **state)
{
    struct usage_cursor cursor = {0};
    struct usage_charge charge;
    struct usage_record first = record(1, 0, 8, 8, 6, USAGE_END_OURS);
    struct usage_record second = record(2, 6, 14, 3, 20, USAGE_END_MODEL);

    (void)state;
    usage_charge_attempt(&charge, &cursor, &first);
    assert_int_equal(charge.from, 0);
    assert_int_equal(charge.to, 6);
    assert_int_equal(charge.reasoning, 6);
    assert_int_equal(charge.input_computed, 10);
    usage_charge_attempt(&charge, &cursor, &second);
    assert_int_equal(charge.from, 6);
    assert_int_equal(charge.to, 20);
    assert_int_equal(charge.reasoning, 3);
    assert_int_equal(charge.visible, 11);
    assert_int_equal(charge.input_computed, 0); /* once */
}

static void nothing_delivered_charges_nothing(void **state)
{
    struct usage_cursor cursor = {0};
    struct usage_charge charge;
    struct usage_record first = record(1, 0, 8, 8, 0, USAGE_END_OURS);
    struct usage_record second = record(2, 0, 9, 8, 9, USAGE_END_MODEL);

    (void)state;
    usage_charge_attempt(&charge, &cursor, &first);
    assert_int_equal(charge.to - charge.from, 0);
    assert_int_equal(charge.input_computed, 0);
    usage_charge_attempt(&charge, &cursor, &second);
    assert_int_equal(charge.to - charge.from, 9);
    assert_int_equal(charge.input_computed, 10);
}

static void positions_after_a_stop_string_are_waste(void **state)
{
    struct usage_cursor cursor = {0};
    struct usage_charge charge;
    struct usage_record r = record(1, 0, 12, 2, 10, USAGE_END_MODEL);

    (void)state;
    r.charge_end = 10;
    usage_charge_attempt(&charge, &cursor, &r);
    assert_int_equal(charge.to, 10);
    assert_int_equal(charge.visible, 8);
}

static void without_the_gateways_word_an_end_is_ours(void **state)
{
    struct usage_cursor cursor = {0};
    struct usage_charge charge;
    struct usage_record r = record(1, 0, 12, 2, 7, USAGE_END_MODEL);

    (void)state;
    r.delivered_final = false;
    usage_charge_attempt(&charge, &cursor, &r);
    assert_int_equal(charge.to, 7);
}

static void merge_takes_the_highest_in_any_order(void **state)
{
    struct usage_record early = record(1, 0, 4, 4, 3, USAGE_END_NONE);
    struct usage_record late = record(1, 0, 9, 5, 9, USAGE_END_MODEL);
    struct usage_record a;
    struct usage_record b;

    (void)state;
    early.counts_final = early.delivered_final = false;
    early.charge_end = 0;
    a = early;
    b = late;
    assert_int_equal(usage_merge(&a, &late, NULL), 1);
    assert_int_equal(usage_merge(&b, &early, NULL), 0);
    assert_int_equal(a.counts.output, 9);
    assert_int_equal(b.counts.output, 9);
    assert_int_equal(a.delivered, b.delivered);
    assert_int_equal(a.ended_by, b.ended_by);
    assert_int_equal(usage_merge(&a, &late, NULL), 0);
}

static void a_recovered_record_adds_counts_in_any_order(void **state)
{
    struct usage_record seen = record(1, 0, 4, 3, 4, USAGE_END_NONE);
    struct usage_record recovered = record(1, 0, 6, 0, 0, USAGE_END_OURS);
    struct usage_record a;
    struct usage_record b;

    (void)state;
    seen.counts_final = seen.delivered_final = false;
    seen.charge_end = recovered.charge_end = 0;
    seen.admitted_ms = 5000;
    seen.price_version = 3;
    recovered.tenant[0] = recovered.key_id[0] = recovered.model[0] = '\0';
    recovered.delivered_final = false;
    recovered.recovered = true;
    a = seen;
    b = recovered;
    assert_int_equal(usage_merge(&a, &recovered, NULL), 1);
    assert_int_equal(usage_merge(&b, &seen, NULL), 1);
    assert_int_equal(a.counts.output, 6);
    assert_int_equal(b.counts.reasoning, 3);
    assert_int_equal(b.price_version, 3);
    assert_string_equal(b.tenant, "acme");
    assert_int_equal(usage_merge(&b, &recovered, NULL), 0);
}

static void contradictions_are_refused_and_change_nothing(void **state)
{
    struct usage_record known = record(1, 0, 9, 5, 9, USAGE_END_MODEL);
    struct usage_record before = known;
    struct usage_record other = known;
    struct err err;

    (void)state;
    snprintf(other.tenant, sizeof(other.tenant), "evil");
    assert_int_equal(usage_merge(&known, &other, &err), -ERR_INVALID);
    other = before;
    other.counts.output = 10;
    other.charge_end = 10;
    assert_int_equal(usage_merge(&known, &other, &err), -ERR_INVALID);
    other = before;
    other.start_position = 1;
    assert_int_equal(usage_merge(&known, &other, &err), -ERR_INVALID);
    assert_memory_equal(&known, &before, sizeof(known));
}

static void a_record_makes_the_round_trip(void **state)
{
    struct usage_record r = record(3, 2, 12, 2, 7, USAGE_END_CLIENT);
    struct usage_record back;
    struct json_writer w;
    struct buf text;
    json_auto_t *tree = NULL;
    struct err err;

    (void)state;
    buf_init(&text, USAGE_RECORD_BYTES_MAX);
    json_writer_init(&w, &text);
    usage_write(&w, &r);
    assert_false(text.failed);
    assert_int_equal(json_read(&tree, buf_str(&text), &json_limits_default, "record", &err), 0);
    assert_int_equal(usage_read(&back, tree, &err), 0);
    assert_memory_equal(&back, &r, sizeof(r));
    json_object_set_new(tree, "reasoning", json_integer(13));
    assert_int_equal(usage_read(&back, tree, &err), -ERR_INVALID);
    json_object_set_new(tree, "reasoning", json_integer(-1));
    assert_int_equal(usage_read(&back, tree, &err), -ERR_INVALID);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_and_client_ends_charge_all_that_was_computed),
        cmocka_unit_test(our_end_charges_what_was_delivered),
        cmocka_unit_test(nothing_delivered_charges_nothing),
        cmocka_unit_test(positions_after_a_stop_string_are_waste),
        cmocka_unit_test(without_the_gateways_word_an_end_is_ours),
        cmocka_unit_test(merge_takes_the_highest_in_any_order),
        cmocka_unit_test(a_recovered_record_adds_counts_in_any_order),
        cmocka_unit_test(contradictions_are_refused_and_change_nothing),
        cmocka_unit_test(a_record_makes_the_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
