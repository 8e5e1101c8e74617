/* SPDX-License-Identifier: Apache-2.0 */
/* The usage log: order, acknowledging, restarts, threads, a full disk, quarantine. */
#include "cmocka_plain.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "billing/meter/meter.h"
#include "records.h"
#include "simdisk.h"

enum { FLUSH_MS = 10000, SEGMENT = 4096 };

static struct meter *open_log(const struct meter_io *io, const char *folder, uint64_t max_bytes)
{
    struct meter_options options = {
        .folder = folder, .io = io, .segment_bytes = SEGMENT, .max_bytes = max_bytes};
    struct meter *m = NULL;
    struct err err;

    if (meter_open(&m, &options, &err) < 0)
        fail_msg("%s", err_message(&err));
    return m;
}

static void append(struct meter *m, uint64_t request)
{
    struct usage_record record = records_final(request);

    assert_int_equal(meter_append(m, &record, NULL, NULL), 0);
}

static int count_one(void *user, uint64_t sequence, struct str json)
{
    uint64_t *last = user;

    assert_true(json.len > 0);
    assert_true(sequence > *last);
    *last = sequence;
    return 0;
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static bool wait_admission(struct meter *m, bool wanted)
{
    for (int i = 0; i < 1000; i++) {
        if (meter_admission_open(m) == wanted)
            return true;
        sleep_ms(5);
    }
    return false;
}

static void acknowledged_segments_go_and_numbers_go_on(void **state)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct meter *m = open_log(&io, "log", 1 << 20);
    struct meter_cursor cursor = {0};
    struct meter_stats stats;
    uint64_t last = 0;

    (void)state;
    for (uint64_t i = 1; i <= 50; i++)
        append(m, i);
    assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
    meter_stats(m, &stats);
    assert_true(stats.segments > 4);
    assert_int_equal(meter_read(m, &cursor, 20, count_one, &last, NULL), 20);
    assert_int_equal(meter_read(m, &cursor, 100, count_one, &last, NULL), 30);
    assert_int_equal(meter_read(m, &cursor, 100, count_one, &last, NULL), 0);
    meter_ack(m, 45);
    append(m, 51);
    assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
    meter_close(m);

    m = open_log(&io, "log", 1 << 20);
    meter_stats(m, &stats);
    assert_int_equal(stats.acked, 45);
    assert_int_equal(stats.appended, 51);
    assert_true(stats.segments <= 3);
    cursor = (struct meter_cursor){0};
    last = 0;
    assert_int_equal(meter_read(m, &cursor, 100, count_one, &last, NULL), 6);
    assert_int_equal(last, 51);
    meter_close(m);
    simdisk_free(d);
}

static void admission_stops_at_the_ceiling_and_opens_again(void **state)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct meter *m = open_log(&io, "log", SEGMENT * 4);
    struct meter_cursor cursor = {0};
    struct meter_stats stats;
    uint64_t last = 0;
    uint64_t count = 0;

    (void)state;
    while (meter_admission_open(m)) {
        append(m, ++count);
        assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
        assert_true(count < 100);
    }
    append(m, ++count); /* of a request that was admitted before: still fits */
    assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
    meter_stats(m, &stats);
    assert_true(stats.bytes <= SEGMENT * 4);
    for (int i = 0; i < 20; i++) /* more than fits: queued, not dropped */
        append(m, ++count);
    assert_int_equal(meter_flush(m, 50, NULL), -ERR_TIMEOUT);
    assert_true(meter_durable(m) < count);
    meter_ack(m, meter_durable(m));
    assert_true(wait_admission(m, true));
    assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
    cursor = (struct meter_cursor){0};
    last = 0;
    assert_true(meter_read(m, &cursor, 1000, count_one, &last, NULL) >= 10);
    assert_int_equal(last, count);
    meter_close(m);
    simdisk_free(d);
}

/* Nothing is admitted, so nothing is appended or acknowledged that would wake the log. */
static void an_idle_log_sees_space_come_back(void **state)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct meter *m;

    (void)state;
    simdisk_set_capacity(d, 100);
    m = open_log(&io, "log", 1 << 20);
    assert_false(meter_admission_open(m));
    simdisk_set_capacity(d, 0);
    assert_true(wait_admission(m, true));
    meter_close(m);
    simdisk_free(d);
}

static void a_full_disk_stops_admission_until_space_comes_back(void **state)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct meter_cursor cursor = {0};
    uint64_t last = 0;
    struct meter *m;

    (void)state;
    simdisk_set_capacity(d, 100); /* full from the start: the log opens all the same */
    m = open_log(&io, "log", 1 << 20);
    assert_false(meter_admission_open(m));
    for (uint64_t i = 1; i <= 30; i++)
        append(m, i);
    assert_int_equal(meter_flush(m, 30, NULL), -ERR_TIMEOUT);
    simdisk_set_capacity(d, 0);
    assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
    assert_true(wait_admission(m, true));
    assert_int_equal(meter_read(m, &cursor, 100, count_one, &last, NULL), 30);
    meter_close(m);
    simdisk_free(d);
}

static void refused_records_are_kept_with_the_reason(void **state)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct meter *m = open_log(&io, "log", 1 << 20);
    struct meter_stats stats;
    const char *bytes;
    size_t size;

    (void)state;
    assert_int_equal(meter_quarantine(m, STR("{\"a\":1}"), "contradicts", NULL), 0);
    assert_int_equal(meter_quarantine(m, STR("{\"a\":2}"), "again", NULL), 0);
    meter_stats(m, &stats);
    assert_int_equal(stats.quarantined, 2);
    meter_close(m);
    assert_true(simdisk_content(d, "log/quarantine.jsonl", &bytes, &size));
    assert_non_null(memmem(bytes, size, "contradicts", 11));
    assert_non_null(memmem(bytes, size, "{\\\"a\\\":2}", 9));
    simdisk_free(d);
}

static void *append_many(void *argument)
{
    for (uint64_t i = 0; i < 500; i++)
        append(argument, i);
    return NULL;
}

static void threads_share_a_log_on_a_real_disk(void **state)
{
    char folder[] = "meter-XXXXXX";
    struct meter_options options = {.folder = folder, .segment_bytes = 65536};
    struct meter_cursor cursor = {0};
    struct meter *second = NULL;
    struct meter *m = NULL;
    struct meter_stats stats;
    pthread_t threads[4];
    uint64_t last = 0;
    int count = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(meter_open(&m, &options, NULL), 0);
    assert_int_equal(meter_open(&second, &options, NULL), -ERR_BUSY);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, m), 0);
    for (int i = 0; count < 2000 && i < 100000; i++) {
        int r = meter_read(m, &cursor, 64, count_one, &last, NULL);

        assert_true(r >= 0);
        count += r;
        meter_ack(m, last);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
    count += meter_read(m, &cursor, 2000, count_one, &last, NULL);
    assert_int_equal(count, 2000);
    assert_int_equal(last, 2000);
    meter_stats(m, &stats);
    assert_true(stats.commits <= 2000);
    assert_int_equal(stats.damaged, 0);
    meter_close(m);
    file_remove_tree(folder, NULL);
}

struct told {
    struct loop *loop;
    uint64_t durable;
};

static void told(void *user, uint64_t sequence)
{
    struct told *told = user;

    told->durable = sequence;
    if (sequence == 3)
        loop_quit(told->loop);
}

static void the_loop_is_told_what_is_durable(void **state)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct loop loop;
    struct told seen = {.loop = &loop};
    struct meter_options options = {
        .folder = "log", .io = &io, .loop = &loop, .durable = told, .user = &seen};
    struct meter *m = NULL;

    (void)state;
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(meter_open(&m, &options, NULL), 0);
    for (uint64_t i = 0; i < 3; i++)
        append(m, i);
    loop_run(&loop);
    assert_int_equal(seen.durable, 3);
    meter_close(m);
    loop_fini(&loop);
    simdisk_free(d);
}

static void memory_failures_are_errors(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct simdisk *d = simdisk_new(1);
        struct meter_io io = simdisk_meter_io(d);
        struct meter_options options = {.folder = "log", .io = &io, .segment_bytes = SEGMENT};
        struct usage_record record = records_final(1);
        struct meter *m = NULL;
        struct err err;
        int r;

        mem_fail_after(n);
        r = meter_open(&m, &options, &err);
        if (r == 0)
            r = meter_append(m, &record, NULL, &err);
        mem_fail_after(-1);
        if (m != NULL && r == 0)
            assert_int_equal(meter_flush(m, FLUSH_MS, NULL), 0);
        assert_true(r == 0 || r == -ERR_NO_MEMORY || r == -ERR_LIMIT);
        meter_close(m);
        simdisk_free(d);
        if (n > 60)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_segments_go_and_numbers_go_on),
        cmocka_unit_test(admission_stops_at_the_ceiling_and_opens_again),
        cmocka_unit_test(an_idle_log_sees_space_come_back),
        cmocka_unit_test(a_full_disk_stops_admission_until_space_comes_back),
        cmocka_unit_test(refused_records_are_kept_with_the_reason),
        cmocka_unit_test(threads_share_a_log_on_a_real_disk),
        cmocka_unit_test(the_loop_is_told_what_is_durable),
        cmocka_unit_test(memory_failures_are_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
