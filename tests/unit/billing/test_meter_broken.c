/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broken log segments: each is reported by one line (what and where; the bytes are kept), the log
 * opens, and every readable record is still there.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "billing/meter/meter.h"
#include "billing/meter/segment.h"
#include "records.h"
#include "simdisk.h"

enum { RECORDS = 5 };

/* A whole segment of five records; `starts` is where each begins, and the end. */
struct sample {
    struct buf bytes;
    size_t starts[RECORDS + 1];
};

static void make_sample(struct sample *s, uint64_t number)
{
    uint8_t header[SEGMENT_HEADER_BYTES];

    buf_init(&s->bytes, 1 << 20);
    segment_header_make(header, number);
    buf_append(&s->bytes, header, sizeof(header));
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct usage_record record = records_final(i);
        struct json_writer w;
        struct buf json;

        s->starts[i] = s->bytes.len;
        buf_init(&json, USAGE_RECORD_BYTES_MAX);
        json_writer_init(&w, &json);
        usage_write(&w, &record);
        assert_int_equal(segment_entry_append(&s->bytes, i + 1, buf_str(&json)), 0);
        buf_fini(&json);
    }
    s->starts[RECORDS] = s->bytes.len;
}

static void flip(struct sample *s, size_t at)
{
    s->bytes.ptr[at] = (char)(s->bytes.ptr[at] ^ 0x40);
}

static void flip_magic(struct sample *s)
{
    flip(s, 0);
}
static void flip_number(struct sample *s)
{
    flip(s, 9);
}
static void other_number(struct sample *s)
{
    uint8_t header[SEGMENT_HEADER_BYTES];

    segment_header_make(header, 77);
    memcpy(s->bytes.ptr, header, sizeof(header));
}
static void flip_first_marker(struct sample *s)
{
    flip(s, s->starts[0]);
}
static void flip_payload(struct sample *s)
{
    flip(s, s->starts[2] + 100);
}
static void flip_sequence(struct sample *s)
{
    flip(s, s->starts[1] + 8);
}
static void flip_checksum(struct sample *s)
{
    flip(s, s->starts[3] + 16);
}
static void huge_length(struct sample *s)
{
    memset(s->bytes.ptr + s->starts[1] + 4, 0x7f, 4);
}
static void zero_length(struct sample *s)
{
    memset(s->bytes.ptr + s->starts[1] + 4, 0, 4);
}
static void hole_of_zeros(struct sample *s)
{
    memset(s->bytes.ptr + s->starts[1], 0, s->starts[3] - s->starts[1]);
}
static void garbage_middle(struct sample *s)
{
    memset(s->bytes.ptr + s->starts[2], 0xf5, s->starts[3] - s->starts[2]);
}
static void cut_head(struct sample *s)
{
    s->bytes.len = s->starts[4] + 7;
}
static void cut_payload(struct sample *s)
{
    s->bytes.len = s->starts[5] - 1;
}
static void cut_header(struct sample *s)
{
    s->bytes.len = 12;
}
static void flip_last(struct sample *s)
{
    flip(s, s->starts[4] + 40);
}
static void trailing_garbage(struct sample *s)
{
    buf_append_text(&s->bytes, "no entry, but not zeros either");
}
static void trailing_zeros(struct sample *s)
{
    static const char zeros[5000];

    buf_append(&s->bytes, zeros, sizeof(zeros));
}
static void empty_file(struct sample *s)
{
    s->bytes.len = 0;
}

struct broken {
    const char *name;
    void (*breaks)(struct sample *s);
    const char *lost;   /* one letter per record: '1' still there, '0' gone */
    const char *reason; /* in the quarantine line; NULL: nothing to report */
    bool alarm;         /* counted as damage; else as a torn tail, or not at all */
};

static const struct broken broken[] = {
    {"magic", flip_magic, "11111", "not the mark of a usage log segment", true},
    {"number", flip_number, "11111", "the header's checksum", true},
    {"renamed", other_number, "11111", "the file was renamed", true},
    {"first marker", flip_first_marker, "01111", "byte 32: no entry begins here", true},
    {"payload", flip_payload, "11011", "the entry's checksum does not match", true},
    {"sequence", flip_sequence, "10111", "the entry's checksum does not match", true},
    {"checksum", flip_checksum, "11101", "the entry's checksum does not match", true},
    {"huge length", huge_length, "10111", "impossible length", true},
    {"zero length", zero_length, "10111", "impossible length 0", true},
    {"hole", hole_of_zeros, "10011", "no entry begins here", true},
    {"garbage", garbage_middle, "11011", "no entry begins here", true},
    {"cut head", cut_head, "11110", "the entry's head is cut", false},
    {"cut payload", cut_payload, "11110", "the entry is cut", false},
    {"cut header", cut_header, "00000", "the header is cut: 12 of 32 bytes", true},
    {"last entry", flip_last, "11110", "the entry's checksum does not match", false},
    {"trailing garbage", trailing_garbage, "11111", "no entry begins here", false},
    {"trailing zeros", trailing_zeros, "11111", NULL, false},
    {"empty file", empty_file, "00000", NULL, false},
};

static int mark(void *user, uint64_t sequence, struct str json)
{
    char *there = user;

    assert_true(sequence >= 1 && sequence <= RECORDS);
    assert_int_equal(json.ptr[0], '{');
    there[sequence - 1] = '1';
    return 0;
}

static void check(const struct broken *c)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct meter_options options = {.folder = "log", .io = &io};
    struct meter_cursor cursor = {0};
    char there[RECORDS + 1] = "00000";
    struct meter_stats stats;
    struct meter *m = NULL;
    struct sample sample;
    const char *bytes = NULL;
    size_t size = 0;

    make_sample(&sample, 3);
    c->breaks(&sample);
    simdisk_put(d, "log/00000003.log", sample.bytes.ptr, sample.bytes.len);
    for (int round = 0; round < 2; round++) { /* the second finds it repaired */
        assert_int_equal(meter_open(&m, &options, NULL), 0);
        meter_stats(m, &stats);
        if (round == 0)
            assert_int_equal(stats.damaged, c->alarm);
        if (round == 0)
            assert_int_equal(stats.torn, c->reason != NULL && !c->alarm);
        if (round == 1)
            assert_int_equal(stats.damaged + stats.torn, 0);
        cursor = (struct meter_cursor){0};
        assert_true(meter_read(m, &cursor, 100, mark, there, NULL) >= 0);
        meter_close(m);
        if (strcmp(there, c->lost) != 0)
            fail_msg("%s: records %s, expected %s", c->name, there, c->lost);
    }
    simdisk_content(d, "log/quarantine.jsonl", &bytes, &size);
    if (c->reason == NULL)
        assert_int_equal(size, 0);
    else if (memmem(bytes, size, c->reason, strlen(c->reason)) == NULL ||
             memchr(bytes, '\n', size) != bytes + size - 1)
        fail_msg("%s: quarantine says %.*s", c->name, (int)size, bytes);
    buf_fini(&sample.bytes);
    simdisk_free(d);
}

static void broken_segments_lose_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++)
        check(&broken[i]);
}

static void a_damaged_watermark_counts_as_none(void **state)
{
    struct simdisk *d = simdisk_new(1);
    struct meter_io io = simdisk_meter_io(d);
    struct meter_options options = {.folder = "log", .io = &io};
    struct meter_stats stats;
    struct meter *m = NULL;

    (void)state;
    simdisk_put(d, "log/acked", "SPATEAK1 and no more", 20);
    assert_int_equal(meter_open(&m, &options, NULL), 0);
    meter_stats(m, &stats);
    assert_int_equal(stats.acked, 0);
    assert_int_equal(stats.damaged, 1);
    meter_close(m);
    simdisk_free(d);
}

static void every_cut_and_flip_is_survived(void **state)
{
    struct sample sample;
    struct segment_entry entry;

    (void)state;
    make_sample(&sample, 1);
    for (size_t at = 0; at < sample.bytes.len; at++) {
        for (int cut = 0; cut < 2; cut++) {
            char *copy = mem_dup(sample.bytes.ptr, cut ? at : sample.bytes.len);
            struct segment_scan scan = {.bytes = {copy, cut ? at : sample.bytes.len}};
            enum segment_found found;
            int entries = 0;

            if (!cut)
                copy[at] = (char)(copy[at] ^ 1);
            scan.at = SEGMENT_HEADER_BYTES;
            while ((found = segment_next(&scan, &entry)) != SEGMENT_FOUND_END)
                entries += found == SEGMENT_FOUND_ENTRY ? 1 : 0;
            if (!cut)
                assert_true(entries >= RECORDS - 1);
            mem_free(copy);
        }
    }
    buf_fini(&sample.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_segments_lose_nothing_else),
        cmocka_unit_test(a_damaged_watermark_counts_as_none),
        cmocka_unit_test(every_cut_and_flip_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
