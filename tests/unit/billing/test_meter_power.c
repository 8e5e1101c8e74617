/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage log on a disk that loses power at every change: what was called durable is there
 * afterwards, once, and nothing else is. With sync switched off the same check goes red.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "billing/meter/meter.h"
#include "records.h"
#include "simdisk.h"

enum { RECORDS = 24, FLUSH_EACH = 3, ACK_EACH = 9, FLUSH_MS = 2000 };

struct run {
    uint64_t appended;
    uint64_t durable; /* highest that the log called durable */
    uint64_t acked;
};

static struct meter *open_log(struct simdisk *d, const struct meter_io *io)
{
    struct meter_options options = {
        .folder = "log", .io = io, .segment_bytes = 4096, .max_bytes = 1 << 20};
    struct meter *m = NULL;

    (void)d;
    return meter_open(&m, &options, NULL) == 0 ? m : NULL;
}

/* Waits for durability, but not on a disk that lost its power. */
static bool flush(struct simdisk *d, struct meter *m)
{
    for (int i = 0; i < FLUSH_MS; i++) {
        if (meter_flush(m, 1, NULL) == 0)
            return true;
        if (simdisk_is_dead(d))
            return false;
    }
    fail_msg("the log took longer than %d ms", FLUSH_MS);
    return false;
}

static void work(struct simdisk *d, const struct meter_io *io, struct run *run)
{
    struct meter *m = open_log(d, io);

    if (m == NULL)
        return;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct usage_record record = records_final(i);
        uint64_t sequence = 0;

        assert_int_equal(meter_append(m, &record, &sequence, NULL), 0);
        assert_int_equal(sequence, i);
        run->appended = i;
        if (i % FLUSH_EACH == 0 && !flush(d, m))
            break;
        if (i % ACK_EACH == 0) {
            run->acked = i - 2;
            meter_ack(m, run->acked);
        }
    }
    run->durable = meter_durable(m);
    meter_close(m);
}

struct seen {
    int count[RECORDS + 1];
    bool wrong;
};

static int see(void *user, uint64_t sequence, struct str json)
{
    struct seen *seen = user;
    struct usage_record expected;
    struct usage_record found;
    json_t *tree = NULL;

    if (sequence < 1 || sequence > RECORDS ||
        json_read(&tree, json, &json_limits_default, "record", NULL) < 0 ||
        usage_read(&found, tree, NULL) < 0) {
        seen->wrong = true;
        json_decref(tree);
        return 0;
    }
    expected = records_final(sequence);
    if (memcmp(&expected.request_id, &found.request_id, sizeof(found.request_id)) != 0)
        seen->wrong = true;
    seen->count[sequence]++;
    json_decref(tree);
    return 0;
}

/* After the power came back: 0 when all is well. */
static int faults_after(struct simdisk *d, const struct meter_io *io, const struct run *run)
{
    struct meter_cursor cursor = {0};
    struct seen seen = {.wrong = false};
    struct meter *m = open_log(d, io);
    uint64_t sequence = 0;
    struct usage_record record = records_final(RECORDS + 1);
    int faults = 0;

    assert_non_null(m);
    assert_true(meter_read(m, &cursor, 1000, see, &seen, NULL) >= 0);
    faults += seen.wrong ? 1 : 0;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        bool must_be_there = i > run->acked && i <= run->durable;

        if ((must_be_there && seen.count[i] != 1) || seen.count[i] > 1 ||
            (i > run->appended && seen.count[i] > 0))
            faults++;
    }
    /* New numbers follow everything that was called durable. */
    assert_int_equal(meter_append(m, &record, &sequence, NULL), 0);
    if (sequence <= run->durable)
        faults++;
    meter_close(m);
    return faults;
}

/* Loses the power at every change in turn; returns all faults. */
static int faults_at_every_change(uint64_t seed, bool lie)
{
    int faults = 0;

    for (int64_t steps = 1;; steps++) {
        struct simdisk *d = simdisk_new(seed * 1000003 + (uint64_t)steps);
        struct meter_io io = simdisk_meter_io(d);
        struct run run = {0};
        bool lost;

        simdisk_lie_about_sync(d, lie);
        simdisk_lose_power_after(d, steps);
        work(d, &io, &run);
        lost = simdisk_is_dead(d);
        simdisk_lie_about_sync(d, false);
        simdisk_reboot(d);
        faults += faults_after(d, &io, &run);
        simdisk_free(d);
        if (!lost)
            return faults;
    }
}

static void nothing_durable_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        assert_int_equal(faults_at_every_change(seed, false), 0);
}

static void without_sync_the_check_goes_red(void **state)
{
    (void)state;
    assert_true(faults_at_every_change(1, true) > 0);
}

static void a_full_disk_at_every_change_loses_nothing(void **state)
{
    (void)state;
    for (int64_t steps = 1;; steps++) {
        struct simdisk *d = simdisk_new((uint64_t)steps);
        struct meter_io io = simdisk_meter_io(d);
        struct run run = {0};
        bool reached;

        simdisk_fail_after(d, steps);
        work(d, &io, &run);
        reached = simdisk_steps(d) >= (uint64_t)steps;
        if (run.appended > 0) { /* else the folder could not even be opened */
            assert_int_equal(run.appended, RECORDS);
            assert_int_equal(run.durable, RECORDS);
        }
        simdisk_reboot(d);
        assert_int_equal(faults_after(d, &io, &run), 0);
        simdisk_free(d);
        if (!reached)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_durable_is_lost),
        cmocka_unit_test(without_sync_the_check_goes_red),
        cmocka_unit_test(a_full_disk_at_every_change_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
