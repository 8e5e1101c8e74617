/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's rules: merging, settling, charging over attempts, corrections, rollups equal to the
 * raw rows after every step. Ingest that counts duplicates twice, or takes the last snapshot
 * instead of the highest, is noticed.
 */
#include "cmocka_plain.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "billing/ledger/ledger.h"
#include "records.h"

struct bench {
    char folder[32];
    char path[64];
    struct clock_manual clock;
    struct ledger *l;
};

typedef int (*merge_fn)(struct usage_record *known, const struct usage_record *snapshot,
                        struct err *err);

static void open_ledger(struct bench *b, merge_fn merge)
{
    struct ledger_options options = {
        .path = b->path, .clock = &b->clock.clock, .settle_ms = 5000, .merge = merge};
    struct err err;

    if (ledger_open(&b->l, &options, &err) < 0)
        fail_msg("%s", err_message(&err));
}

static void begin(struct bench *b, merge_fn merge)
{
    *b = (struct bench){.folder = "ledger-XXXXXX"};
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof(b->path), "%s/ledger.db", b->folder);
    clock_manual_init(&b->clock, RECORDS_NOON_MS + 60000);
    open_ledger(b, merge);
}

static void end(struct bench *b)
{
    ledger_close(b->l);
    file_remove_tree(b->folder, NULL);
}

static void check_sums(struct bench *b)
{
    struct err err;

    if (ledger_verify(b->l, &err) < 0)
        fail_msg("%s", err_message(&err));
}

/* One record in a batch of its own; the reason of a refusal, or "". */
static const char *give(struct bench *b, const struct usage_record *record)
{
    static struct ingest_answer answer;
    struct err err;

    answer = (struct ingest_answer){0};
    if (ledger_ingest(b->l, record, 1, &answer, &err) < 0)
        fail_msg("%s", err_message(&err));
    check_sums(b);
    assert_true(answer.refused == (answer.reason[0] != '\0'));
    return answer.reason;
}

static int64_t number(struct bench *b, const char *sql)
{
    sqlite3_stmt *s = NULL;
    sqlite3 *db = NULL;
    int64_t value;

    assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return value;
}

static int64_t rollup(struct bench *b, const char *column)
{
    char sql[100];

    snprintf(sql, sizeof(sql), "SELECT coalesce(sum(%s), 0) FROM rollup", column);
    return number(b, sql);
}

static void a_final_record_is_charged_at_once(void **state)
{
    struct bench b;
    struct usage_record record = records_final(1);

    (void)state;
    begin(&b, NULL);
    assert_string_equal(give(&b, &record), "");
    assert_int_equal(rollup(&b, "requests"), 1);
    assert_int_equal(rollup(&b, "input"), 10);
    assert_int_equal(rollup(&b, "cached"), 4);
    assert_int_equal(rollup(&b, "visible"), 4);
    assert_int_equal(rollup(&b, "reasoning"), 2);
    assert_int_equal(rollup(&b, "pending_visible"), 0);
    assert_int_equal(number(&b, "SELECT position_to FROM charge"), 6);
    assert_int_equal(number(&b, "SELECT bucket FROM rollup"), RECORDS_NOON_MS);
    end(&b);
}

static void snapshots_in_any_order_and_number_give_the_same(void **state)
{
    struct bench b;

    (void)state;
    for (int order = 0; order < 24; order++) {
        struct usage_record snapshots[4] = {records_running(1, 0), records_running(1, 3),
                                            records_running(1, 5), records_final(1)};
        bool used[4] = {false};
        int rest = order;

        begin(&b, NULL);
        for (int i = 4; i > 0; i--) {
            int pick = rest % i;

            rest /= i;
            for (int k = 0; k < 4; k++) {
                if (used[k] || pick-- > 0)
                    continue;
                used[k] = true;
                assert_string_equal(give(&b, &snapshots[k]), "");
                assert_string_equal(give(&b, &snapshots[k]), "");
                break;
            }
        }
        assert_int_equal(rollup(&b, "visible + reasoning"), 6);
        assert_int_equal(rollup(&b, "input + cached"), 14);
        assert_int_equal(rollup(&b, "requests"), 1);
        assert_int_equal(number(&b, "SELECT count(*) FROM charge"), 1);
        assert_int_equal(number(&b, "SELECT count(*) FROM pending"), 0);
        end(&b);
    }
}

static void running_requests_show_as_pending(void **state)
{
    struct bench b;
    struct usage_record record = records_running(1, 5);

    (void)state;
    begin(&b, NULL);
    give(&b, &record);
    assert_int_equal(rollup(&b, "pending_visible"), 3);
    assert_int_equal(rollup(&b, "pending_reasoning"), 2);
    assert_int_equal(rollup(&b, "pending_input"), 10);
    assert_int_equal(rollup(&b, "requests"), 0);
    assert_int_equal(ledger_settle_due(b.l, NULL), 0);
    end(&b);
}

static void silence_settles_by_the_highest_and_news_correct(void **state)
{
    struct bench b;
    struct usage_record record = records_running(1, 5);
    struct usage_record final = records_final(1);

    (void)state;
    begin(&b, NULL);
    give(&b, &record);
    clock_manual_advance_ms(&b.clock, 5000);
    assert_int_equal(ledger_settle_due(b.l, NULL), 1);
    check_sums(&b);
    assert_int_equal(rollup(&b, "pending_visible"), 0);
    assert_int_equal(rollup(&b, "visible"), 3);
    assert_int_equal(rollup(&b, "estimated"), 1);
    assert_int_equal(ledger_settle_due(b.l, NULL), 0);

    give(&b, &final);
    assert_int_equal(rollup(&b, "visible"), 4);
    assert_int_equal(rollup(&b, "estimated"), 0);
    assert_int_equal(rollup(&b, "requests"), 1);
    assert_int_equal(number(&b, "SELECT count(*) FROM charge"), 2);
    assert_int_equal(number(&b, "SELECT visible FROM charge WHERE revision = 1"), 1);
    assert_int_equal(number(&b, "SELECT visible FROM charge WHERE revision = 0"), 3);
    end(&b);
}

/* Attempt 1 died after 8 tokens of which 6 were delivered; attempt 2 goes on from position 6. */
static void make_resumed(struct usage_record attempts[2])
{
    attempts[0] = records_running(1, 8);
    attempts[0].delivered = 6;
    attempts[0].charge_end = 8;
    attempts[0].counts.reasoning = 4;
    attempts[0].counts_final = true;
    attempts[0].delivered_final = true;
    attempts[0].ended_by = USAGE_END_OURS;

    attempts[1] = records_running(1, 0);
    attempts[1].attempt = 2;
    attempts[1].start_position = 6;
    attempts[1].run_id.bytes[15] = 8;
    attempts[1].counts.input_computed = 2;
    attempts[1].counts.input_cached = 18;
    attempts[1].counts.output = 15;
    attempts[1].counts.reasoning = 0;
    attempts[1].counts.recomputed = 5;
    attempts[1].charge_end = 20; /* one token after the stop string */
    attempts[1].delivered = 20;
    attempts[1].counts_final = true;
    attempts[1].delivered_final = true;
    attempts[1].request_final = true;
    attempts[1].ended_by = USAGE_END_MODEL;
}

static void positions_are_charged_once_over_attempts(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct usage_record attempts[2];
        struct bench b;

        begin(&b, NULL);
        make_resumed(attempts);
        give(&b, &attempts[first]);
        assert_int_equal(number(&b, "SELECT count(*) FROM charge"), 0);
        give(&b, &attempts[1 - first]);
        assert_int_equal(rollup(&b, "visible + reasoning"), 20);
        assert_int_equal(rollup(&b, "reasoning"), 4);
        assert_int_equal(rollup(&b, "input"), 10);
        assert_int_equal(rollup(&b, "waste_input"), 2);
        assert_int_equal(rollup(&b, "waste_cached"), 18);
        assert_int_equal(rollup(&b, "waste_visible"), 2 + 1);
        assert_int_equal(rollup(&b, "waste_recomputed"), 5);
        assert_int_equal(rollup(&b, "requests"), 1);
        assert_int_equal(number(&b, "SELECT position_to FROM charge WHERE attempt = 1"), 6);
        assert_int_equal(number(&b, "SELECT position_from FROM charge WHERE attempt = 2"), 6);
        assert_int_equal(number(&b, "SELECT position_to FROM charge WHERE attempt = 2"), 20);
        assert_int_equal(number(&b, "SELECT visible + reasoning + waste_visible + waste_reasoning"
                                    " FROM run WHERE substr(run_id, 16) = x'08'"),
                         15);
        end(&b);
    }
}

static void a_recovered_record_moves_to_its_tenant(void **state)
{
    struct bench b;
    struct usage_record recovered = records_final(1);
    struct usage_record gateway = records_running(1, 4);

    (void)state;
    begin(&b, NULL);
    recovered.tenant[0] = recovered.key_id[0] = recovered.model[0] = recovered.pod[0] = '\0';
    recovered.price_version = 0;
    recovered.admitted_ms = 0;
    recovered.delivered = 0;
    recovered.counts.reasoning = 0;
    recovered.delivered_final = recovered.request_final = false;
    recovered.ended_by = USAGE_END_OURS;
    recovered.recovered = true;
    give(&b, &recovered);
    clock_manual_advance_ms(&b.clock, 5000);
    assert_int_equal(ledger_settle_due(b.l, NULL), 1); /* waste, of nobody */
    check_sums(&b);
    assert_int_equal(rollup(&b, "waste_visible"), 6);

    gateway.delivered_final = gateway.request_final = true;
    gateway.ended_by = USAGE_END_OURS;
    give(&b, &gateway);
    assert_int_equal(number(&b, "SELECT visible + reasoning FROM rollup JOIN account ON account ="
                                " account.id WHERE tenant = 'acme'"),
                     4);
    assert_int_equal(number(&b, "SELECT requests + visible + waste_visible + waste_input FROM"
                                " rollup JOIN account ON account = account.id WHERE tenant = ''"),
                     0);
    assert_int_equal(rollup(&b, "visible + reasoning + waste_visible + waste_reasoning"), 6);
    end(&b);
}

static void contradictions_are_refused_alone(void **state)
{
    static const struct {
        const char *name;
        const char *reason;
    } cases[] = {
        {"tenant", "contradicts what is known of the attempt: tenant"},
        {"counts", "contradicts what is known of the attempt: final counts"},
        {"sibling", "contradicts attempt 1 of its request"},
        {"huge", "a count of 9007199254740992 tokens is impossible"},
        {"attempt", "a request has at most 256"},
        {"reasoning", "more reasoning than output"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct usage_record batch[3] = {records_final(1), records_final(1), records_final(2)};
        struct ingest_answer answers[3] = {{0}};
        struct bench b;

        begin(&b, NULL);
        if (strcmp(cases[i].name, "tenant") == 0)
            snprintf(batch[1].tenant, sizeof(batch[1].tenant), "other");
        else if (strcmp(cases[i].name, "counts") == 0)
            batch[1].counts.output = batch[1].counts.output + 1;
        else if (strcmp(cases[i].name, "sibling") == 0)
            batch[1].attempt = 2, batch[1].price_version = 2;
        else if (strcmp(cases[i].name, "huge") == 0)
            batch[1].counts.recomputed = 1ULL << 53;
        else if (strcmp(cases[i].name, "attempt") == 0)
            batch[1].attempt = 257;
        else
            batch[1].counts.reasoning = 100;
        assert_int_equal(ledger_ingest(b.l, batch, 3, answers, NULL), 0);
        check_sums(&b);
        assert_false(answers[0].refused || answers[2].refused);
        assert_true(answers[1].refused);
        if (strstr(answers[1].reason, cases[i].reason) == NULL)
            fail_msg("%s: %s", cases[i].name, answers[1].reason);
        assert_int_equal(rollup(&b, "requests"), 2);
        assert_int_equal(ledger_counters(b.l)->refused, 1);
        end(&b);
    }
}

/* --- what must be noticed -------------------------------------------------------------------- */

/* No de-duplication: every delivery counts. */
static int merge_adding(struct usage_record *known, const struct usage_record *s, struct err *err)
{
    (void)err;
    known->counts.output += s->counts.output;
    known->counts.input_computed += s->counts.input_computed;
    known->charge_end = known->delivered = known->counts.output;
    known->counts_final = known->counts_final || s->counts_final;
    known->delivered_final = known->delivered_final || s->delivered_final;
    known->request_final = known->request_final || s->request_final;
    return 1;
}

/* No merge: the last to come wins. */
static int merge_last(struct usage_record *known, const struct usage_record *s, struct err *err)
{
    (void)err;
    *known = *s;
    return 1;
}

/* 100 requests, each record delivered twice and out of order, restarts between; the sum charged. */
static int64_t charged_of_noisy_traffic(merge_fn merge)
{
    struct bench b;
    int64_t charged;

    begin(&b, merge);
    for (uint64_t i = 0; i < 100; i++) {
        struct usage_record snapshots[] = {records_final(i), records_running(i, 2),
                                           records_final(i), records_running(i, 4)};
        struct ingest_answer answers[ARRAY_COUNT(snapshots)] = {{0}};

        assert_int_equal(ledger_ingest(b.l, snapshots, i % 4 + 1, answers, NULL), 0);
        if (i % 25 == 0) {
            ledger_close(b.l);
            open_ledger(&b, merge);
        }
    }
    clock_manual_advance_ms(&b.clock, 5000);
    assert_true(ledger_settle_due(b.l, NULL) >= 0);
    charged = rollup(&b, "visible + reasoning + waste_visible + waste_reasoning");
    end(&b);
    return charged;
}

static void duplicates_and_disorder_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(charged_of_noisy_traffic(NULL), 600);
}

static void without_deduplication_the_check_goes_red(void **state)
{
    (void)state;
    assert_int_not_equal(charged_of_noisy_traffic(merge_adding), 600);
}

static void without_the_merge_the_check_goes_red(void **state)
{
    (void)state;
    assert_int_not_equal(charged_of_noisy_traffic(merge_last), 600);
}

static void tampering_is_found(void **state)
{
    static const char *const edits[] = {
        "UPDATE rollup SET visible = visible + 1",
        "DELETE FROM rollup",
        "UPDATE charge SET input = input - 1",
        "UPDATE run SET reasoning = 7",
        "DELETE FROM attempt",
        "INSERT INTO rollup SELECT bucket + 900000, account, requests, estimated, input, cached,"
        " visible, reasoning, waste_input, waste_cached, waste_visible, waste_reasoning,"
        " waste_recomputed, pending_input, pending_cached, pending_visible, pending_reasoning,"
        " pending_recomputed FROM rollup",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(edits); i++) {
        struct usage_record record = records_final(1);
        struct bench b;
        sqlite3 *db = NULL;
        struct err err;

        begin(&b, NULL);
        give(&b, &record);
        assert_int_equal(sqlite3_open(b.path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, edits[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(ledger_verify(b.l, &err), -ERR_CORRUPT);
        end(&b);
    }
}

/* --- prices and lost runs ---------------------------------------------------------------------
 */

static struct prices prices_of(const char *text)
{
    json_t *tree = NULL;
    struct prices p;
    struct err err;

    if (json_read(&tree, str_of(text), &json_limits_default, "prices", &err) < 0 ||
        prices_read(&p, tree, &err) < 0)
        fail_msg("%s", err_message(&err));
    json_decref(tree);
    return p;
}

static void price_versions_never_change(void **state)
{
    struct prices p = prices_of("{\"id\":3,\"name\":\"standard\",\"effective_ms\":5,\"prices\":["
                                "{\"model\":\"*\",\"input\":550000000}]}");
    struct err err;
    struct bench b;

    (void)state;
    begin(&b, NULL);
    assert_int_equal(ledger_prices_add(b.l, &p, NULL), 1);
    assert_int_equal(ledger_prices_add(b.l, &p, NULL), 0);
    p.lines[0].nano_usd[PRICE_INPUT]++;
    assert_int_equal(ledger_prices_add(b.l, &p, &err), -ERR_EXISTS);
    assert_non_null(strstr(err_message(&err), "under a new id"));
    prices_fini(&p);
    end(&b);
}

static void lost_totals_are_told_once(void **state)
{
    struct usage_record record = records_final(1);
    struct usage_counts totals = {.input_computed = 10, .input_cached = 4, .output = 9};
    struct bench b;

    (void)state;
    begin(&b, NULL);
    assert_int_equal(ledger_run_lost(b.l, record.run_id, &totals, NULL), -ERR_NOT_FOUND);
    give(&b, &record);
    assert_int_equal(ledger_run_lost(b.l, record.run_id, &totals, NULL), 0);
    assert_int_equal(ledger_run_lost(b.l, record.run_id, &totals, NULL), 0);
    totals.output++;
    assert_int_equal(ledger_run_lost(b.l, record.run_id, &totals, NULL), -ERR_EXISTS);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_final_record_is_charged_at_once),
        cmocka_unit_test(snapshots_in_any_order_and_number_give_the_same),
        cmocka_unit_test(running_requests_show_as_pending),
        cmocka_unit_test(silence_settles_by_the_highest_and_news_correct),
        cmocka_unit_test(positions_are_charged_once_over_attempts),
        cmocka_unit_test(a_recovered_record_moves_to_its_tenant),
        cmocka_unit_test(contradictions_are_refused_alone),
        cmocka_unit_test(duplicates_and_disorder_change_nothing),
        cmocka_unit_test(without_deduplication_the_check_goes_red),
        cmocka_unit_test(without_the_merge_the_check_goes_red),
        cmocka_unit_test(tampering_is_found),
        cmocka_unit_test(price_versions_never_change),
        cmocka_unit_test(lost_totals_are_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
