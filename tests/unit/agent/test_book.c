/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book of final records: what was added is there after any restart until it is acknowledged,
 * and what a crashed run computed is found in its counter file. Each test has a folder of its own.
 */
#include "cmocka_plain.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/book.h"
#include "agent/tag.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/counters.h"
#include "wire/usage.h"

enum { TURNS_MAX = 2000, TURN_MS = 5, TEXT_BYTES = 1 << 20 };

struct rig {
    struct loop loop;
    struct metrics *metrics;
    struct clock_manual clock;
    struct book *book;
    char folder[64];
    uint64_t released; /* sum of the handles that were said to be durable */
    int released_count;
};

static void on_durable(void *user, uint64_t handle)
{
    struct rig *r = user;

    r->released += handle;
    r->released_count++;
}

static void open_book(struct rig *r)
{
    struct book_options options = {
        .loop = &r->loop,
        .clock = &r->clock.clock,
        .data_folder = r->folder,
        .pod_name = "pod-7",
        .durable = on_durable,
        .user = r,
    };
    struct err err = {0};

    assert_int_equal(metrics_new(&r->metrics, &err), 0);
    options.metrics = r->metrics;
    if (book_open(&r->book, &options, &err) < 0)
        fail_msg("%s", err_message(&err));
}

static void close_book(struct rig *r)
{
    book_close(r->book);
    r->book = NULL;
    metrics_free(r->metrics);
}

static void rig_init(struct rig *r)
{
    struct err err = {0};

    *r = (struct rig){.folder = "book-XXXXXX"};
    assert_non_null(mkdtemp(r->folder));
    clock_manual_init(&r->clock, 1700000000000);
    assert_int_equal(loop_init(&r->loop, &err), 0);
    open_book(r);
}

static void rig_fini(struct rig *r)
{
    struct err err = {0};

    close_book(r);
    loop_fini(&r->loop);
    assert_int_equal(file_remove_tree(r->folder, &err), 0);
}

static void turn_until(struct rig *r, int released)
{
    for (int i = 0; i < TURNS_MAX && r->released_count < released; i++)
        loop_turn(&r->loop, TURN_MS);
    assert_int_equal(r->released_count, released);
}

static struct id128 id_of(uint8_t number)
{
    struct id128 id = {{0}};

    id.bytes[0] = 1;
    id.bytes[15] = number;
    return id;
}

static void add(struct rig *r, uint8_t number, uint64_t handle)
{
    struct usage_record record = {
        .request_id = id_of(number),
        .attempt = 1,
        .run_id = id_of(200),
        .tenant = "acme",
        .key_id = "k",
        .model = "team/r1",
        .pod = "pod-7",
        .admitted_ms = 1,
        .updated_ms = 2,
        .counts = {.input_computed = 10, .output = number},
        .charge_end = number,
        .counts_final = true,
        .ended_by = USAGE_END_MODEL,
    };
    struct err err = {0};

    assert_int_equal(book_add(r->book, &record, handle, &err), 0);
}

/* The records that a gateway would collect, as a JSON tree. */
static json_t *collect(struct rig *r, int64_t older_than_ms, int max)
{
    json_auto_t *tree = NULL;
    struct json_writer w;
    struct err err = {0};
    struct buf text;
    json_t *records;

    buf_init(&text, TEXT_BYTES);
    json_writer_init(&w, &text);
    book_write(r->book, older_than_ms, max, &w);
    assert_int_equal(json_read(&tree, buf_str(&text), &json_limits_default, "records", &err), 0);
    buf_fini(&text);
    records = json_incref(json_object_get(tree, "records"));
    assert_true(json_is_array(records));
    return records;
}

static void a_record_stays_until_acknowledged(void **state)
{
    json_t *records;
    struct rig r;

    (void)state;
    rig_init(&r);
    for (uint8_t i = 1; i <= 3; i++)
        add(&r, i, 100U * i);
    assert_int_equal(book_count(r.book), 3);
    turn_until(&r, 3);
    assert_int_equal(r.released, 600);
    assert_non_null(book_find(r.book, id_of(2), 1));
    assert_null(book_find(r.book, id_of(2), 2));
    clock_manual_advance_ms(&r.clock, 1000);
    add(&r, 4, 1);
    turn_until(&r, 4);
    records = collect(&r, 500, 10);
    assert_int_equal(json_array_size(records), 3);
    json_decref(records);
    records = collect(&r, 0, 2);
    assert_int_equal(json_array_size(records), 2); /* the oldest first */
    for (size_t i = 0; i < 2; i++) {
        char id[ID_TEXT_LEN + 1];

        id_format(id_of((uint8_t)(i + 1)), id);
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(records, i), "request_id")), id);
    }
    json_decref(records);
    book_acknowledge(r.book, id_of(1), 1);
    book_acknowledge(r.book, id_of(1), 1); /* twice, or unknown: ignored */
    book_acknowledge(r.book, id_of(9), 1);
    assert_int_equal(book_count(r.book), 3);
    assert_null(book_find(r.book, id_of(1), 1));
    rig_fini(&r);
}

static void records_survive_a_restart(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r);
    for (uint8_t i = 1; i <= 5; i++)
        add(&r, i, i);
    turn_until(&r, 5);
    book_acknowledge(r.book, id_of(1), 1);
    book_acknowledge(r.book, id_of(4), 1);
    loop_turn(&r.loop, TURN_MS);
    close_book(&r);
    open_book(&r);
    /* Those behind the oldest one may come again: an acknowledgement of a hole is not kept. */
    assert_null(book_find(r.book, id_of(1), 1));
    for (uint8_t i = 2; i <= 5; i++) {
        if (i != 4)
            assert_int_equal(book_find(r.book, id_of(i), 1)->counts.output, i);
        book_acknowledge(r.book, id_of(i), 1);
    }
    assert_int_equal(book_count(r.book), 0);
    loop_turn(&r.loop, TURN_MS);
    close_book(&r);
    open_book(&r);
    assert_int_equal(book_count(r.book), 0);
    assert_true(book_admission_open(r.book));
    rig_fini(&r);
}

/* The engine's row is freed by whichever word comes first, once. */
static void an_early_acknowledgement_releases_once(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r);
    add(&r, 1, 41);
    book_acknowledge(r.book, id_of(1), 1);
    assert_int_equal(r.released_count, 1);
    add(&r, 2, 42);
    turn_until(&r, 2);
    for (int i = 0; i < 20; i++)
        loop_turn(&r.loop, TURN_MS);
    assert_int_equal(r.released_count, 2);
    assert_int_equal(r.released, 83);
    rig_fini(&r);
}

/* --- counter files --------------------------------------------------------------------------- */

static void file_name(const struct rig *r, struct id128 run, const char *suffix, char out[128])
{
    char id[ID_TEXT_LEN + 1];

    id_format(run, id);
    snprintf(out, 128, "%s/runs/%s%s", r->folder, id, suffix);
}

/* What a run leaves that was killed: two attempts of a gateway, one request of nobody. */
static void leave_counters(struct rig *r, struct id128 run)
{
    struct engine_tag tags[] = {tag_make(id_of(11), 1), tag_make(id_of(12), 3),
                                tag_make(id_of(0), 0)};
    struct counters *c = NULL;
    struct err err = {0};
    char path[128];

    file_name(r, run, ".counters", path);
    if (counters_create(&c, path, run.bytes, 8, &err) < 0)
        fail_msg("%s", err_message(&err));
    for (size_t i = 0; i < ARRAY_COUNT(tags); i++) {
        int row = counters_row_take(c, tags[i], (uint32_t)i * 5);

        assert_true(row >= 0);
        counters_row_at(c, row)->state = 1;
        counters_row_at(c, row)->counts =
            (struct engine_counts){.input_computed = 7, .input_cached = 16, .output = 3 + i};
        counters_total(c)->input_computed += 7;
        counters_total(c)->input_cached += 16;
        counters_total(c)->output += 3 + i;
    }
    counters_commit(c, 9);
    counters_close(c);
}

static void a_crashed_run_is_reported(void **state)
{
    const struct usage_record *record;
    struct rig r;
    char path[128];

    (void)state;
    rig_init(&r);
    close_book(&r);
    leave_counters(&r, id_of(50));
    open_book(&r);
    assert_int_equal(book_count(r.book), 2); /* nobody is billed for the third */
    record = book_find(r.book, id_of(12), 3);
    assert_non_null(record);
    assert_true(record->recovered && record->counts_final && !record->request_final);
    assert_int_equal(record->ended_by, USAGE_END_OURS);
    assert_int_equal(record->start_position, 5);
    assert_int_equal(record->counts.output, 4);
    assert_int_equal(record->counts.input_cached, 16);
    assert_string_equal(record->pod, "pod-7");
    assert_int_equal(id_compare(record->run_id, id_of(50)), 0);
    file_name(&r, id_of(50), ".counters", path);
    assert_int_not_equal(access(path, F_OK), 0);
    file_name(&r, id_of(50), ".done", path);
    assert_int_equal(access(path, F_OK), 0);
    rig_fini(&r);
}

/* The attempt's own final record was in the log when the run died: that one counts. */
static void a_final_record_beats_the_counters(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r);
    add(&r, 11, 1);
    turn_until(&r, 1);
    close_book(&r);
    leave_counters(&r, id_of(50));
    open_book(&r);
    assert_int_equal(book_count(r.book), 2);
    assert_false(book_find(r.book, id_of(11), 1)->recovered);
    assert_true(book_find(r.book, id_of(12), 3)->recovered);
    rig_fini(&r);
}

/* A crash after the records are durable and before the file is marked: nothing is doubled. */
static void recovering_twice_changes_nothing(void **state)
{
    struct rig r;
    char done[128];
    char counters[128];

    (void)state;
    rig_init(&r);
    close_book(&r);
    leave_counters(&r, id_of(50));
    open_book(&r);
    close_book(&r);
    file_name(&r, id_of(50), ".done", done);
    file_name(&r, id_of(50), ".counters", counters);
    assert_int_equal(rename(done, counters), 0);
    open_book(&r);
    assert_int_equal(book_count(r.book), 2);
    assert_int_equal(access(done, F_OK), 0);
    rig_fini(&r);
}

/* Every damage to the file: the book opens, the file is set aside, nothing is made up. */
static void broken_counter_files_are_set_aside(void **state)
{
    static const long cuts[] = {0, 1, 8, 40, 4095, 4096, 5000};
    struct rig r;
    char path[128];

    (void)state;
    rig_init(&r);
    close_book(&r);
    for (size_t i = 0; i < ARRAY_COUNT(cuts); i++) {
        leave_counters(&r, id_of((uint8_t)(60 + i)));
        file_name(&r, id_of((uint8_t)(60 + i)), ".counters", path);
        assert_int_equal(truncate(path, cuts[i]), 0);
    }
    for (uint8_t i = 0; i < 8; i++) { /* a flipped bit in the header and in both banks */
        FILE *f;

        leave_counters(&r, id_of((uint8_t)(80 + i)));
        file_name(&r, id_of((uint8_t)(80 + i)), ".counters", path);
        f = fopen(path, "r+b");
        assert_non_null(f);
        for (long bank = 0; bank < 3; bank++) {
            fseek(f, bank * 4096 + 16 + i, SEEK_SET);
            fputc(0xa5, f);
        }
        fclose(f);
    }
    open_book(&r);
    assert_int_equal(book_count(r.book), 0);
    for (size_t i = 0; i < ARRAY_COUNT(cuts); i++) {
        file_name(&r, id_of((uint8_t)(60 + i)), ".done", path);
        assert_int_equal(access(path, F_OK), 0);
    }
    rig_fini(&r);
}

static int count_done(const struct rig *r)
{
    char path[128];
    int count = 0;
    DIR *folder;

    snprintf(path, sizeof(path), "%s/runs", r->folder);
    folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder)) != NULL;)
        count += str_ends(str_of(e->d_name), STR(".done"));
    closedir(folder);
    return count;
}

static void old_files_are_bounded(void **state)
{
    struct rig r;
    char path[128];

    (void)state;
    rig_init(&r);
    close_book(&r);
    for (int i = 0; i < BOOK_RUNS_KEPT + 6; i++)
        leave_counters(&r, id_of((uint8_t)(100 + i)));
    open_book(&r);
    assert_int_equal(count_done(&r), BOOK_RUNS_KEPT);
    file_name(&r, id_of(100), ".done", path);
    assert_int_not_equal(access(path, F_OK), 0); /* the oldest went */
    file_name(&r, id_of((uint8_t)(100 + BOOK_RUNS_KEPT + 5)), ".done", path);
    assert_int_equal(access(path, F_OK), 0);
    rig_fini(&r);
}

static void a_tag_carries_the_attempt(void **state)
{
    static const uint32_t attempts[] = {0, 1, 255, 256, 65536, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(attempts); i++) {
        struct engine_tag tag = tag_make(id_of((uint8_t)i), attempts[i]);
        struct id128 id;
        uint32_t attempt;

        tag_read(&tag, &id, &attempt);
        assert_int_equal(attempt, attempts[i]);
        assert_int_equal(id_compare(id, id_of((uint8_t)i)), 0);
        assert_int_equal(tag.bytes[16], attempts[i] & 0xff); /* little-endian, on any machine */
        for (size_t k = 20; k < sizeof(tag.bytes); k++)
            assert_int_equal(tag.bytes[k], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_stays_until_acknowledged),
        cmocka_unit_test(records_survive_a_restart),
        cmocka_unit_test(an_early_acknowledgement_releases_once),
        cmocka_unit_test(a_crashed_run_is_reported),
        cmocka_unit_test(a_final_record_beats_the_counters),
        cmocka_unit_test(recovering_twice_changes_nothing),
        cmocka_unit_test(broken_counter_files_are_set_aside),
        cmocka_unit_test(old_files_are_bounded),
        cmocka_unit_test(a_tag_carries_the_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
