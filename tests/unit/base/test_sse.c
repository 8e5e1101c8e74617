/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events: the fields and line ends of the standard, every way of cutting the input. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "base/sse.h"

enum { LOG_MAX = 65536 };

/* Writes each event as "event|data|name=value;" so that a whole stream can be compared. */
static int log_event(void *object, const struct sse_event *event)
{
    struct buf *out = object;

    buf_printf(out, "%.*s|%.*s|", STR_ARG(event->event), STR_ARG(event->data));
    for (size_t i = 0; i < event->field_count; i++)
        buf_printf(out, "%.*s=%.*s;", STR_ARG(event->fields[i].name),
                   STR_ARG(event->fields[i].value));
    buf_append_char(out, '\n');
    return out->failed ? -ERR_NO_MEMORY : 0;
}

static const struct {
    const char *input;
    const char *events;
} cases[] = {
    {"data: a\n\n", "|a|\n"},
    {"data:a\n\n", "|a|\n"},
    {"data:  a\n\n", "| a|\n"},
    {"data: a\ndata: b\n\n", "|a\nb|\n"},
    {"data\n\n", "||\n"},
    {"data: a\r\n\r\n", "|a|\n"},
    {"data: a\r\rdata: b\n\n", "|a|\n|b|\n"},
    {"data: a\r\n\r\ndata: b\r\n\r\n", "|a|\n|b|\n"},
    {"event: x\ndata: a\n\n", "x|a|\n"},
    {"event: x\nevent: y\ndata: a\n\n", "y|a|\n"},
    {"data: a\n\ndata: b\n\n", "|a|\n|b|\n"},
    {": comment\n\ndata: a\n\n", "|a|\n"},
    {"\n\n\ndata: a\n\n\n\n", "|a|\n"},
    {"spate: {\"p\":1}\ndata: a\n\n", "|a|spate={\"p\":1};\n"},
    {"spate: 1\n\n", "||spate=1;\n"},
    {"id: 7\nretry: 1\ndata: a\n\n", "|a|id=7;retry=1;\n"},
    {"data: a:b: c\n\n", "|a:b: c|\n"},
    {"data: cut", ""},
    {"data: no blank line\n", ""},
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "|a|\n"},
    {"\xef\xbb"
     "data: a\n\n",
     "||\xef\xbb"
     "data=a;\n"},
    {"data: {\"x\":\"\xc3\xa9\"}\n\ndata: [DONE]\n\n", "|{\"x\":\"\xc3\xa9\"}|\n|[DONE]|\n"},
};

/* Feeds `input` in pieces of `size` bytes. */
static void parse(const char *input, size_t size, struct buf *out)
{
    struct sse_parser p;

    sse_init(&p, NULL, log_event, out);
    for (size_t at = 0; at < strlen(input); at += size) {
        struct str piece = str_slice(str_of(input), at, at + size);

        assert_int_equal(sse_feed(&p, piece, NULL), 0);
    }
    sse_fini(&p);
}

static void reads_streams_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        for (size_t size = 1; size <= strlen(cases[i].input); size++) {
            CLEANUP(buf_fini) struct buf out = {0};

            buf_init(&out, LOG_MAX);
            parse(cases[i].input, size, &out);
            if (!str_is(buf_str(&out), cases[i].events))
                fail_msg("case %zu by %zu: %s", i, size, buf_cstr(&out));
        }
    }
}

static int ignore_event(void *object, const struct sse_event *event)
{
    int *count = object;

    (void)event;
    return ++*count == 3 ? -ERR_CANCELLED : 0;
}

static void keeps_its_limits(void **state)
{
    static const struct sse_limits limits = {.line_bytes = 16, .event_bytes = 32};
    static const char *const bad[] = {
        "data: 0123456789abcdef\n",
        "data: 0123456789abcdef and no end",
        "data: 012345678\ndata: 012345678\ndata: 012345678\n\n",
        "a:\nb:\nc:\nd:\ne:\nf:\ng:\nh:\ni:\n\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct sse_parser p;
        struct err err = {0};
        int count = 0;

        sse_init(&p, &limits, ignore_event, &count);
        assert_int_equal(sse_feed(&p, str_of(bad[i]), &err), -ERR_LIMIT);
        assert_true(strlen(err.message) > 0);
        assert_int_equal(sse_feed(&p, STR("data: a\n\n"), NULL), -ERR_LIMIT);
        assert_int_equal(count, 0);
        sse_fini(&p);
    }
}

static void stops_when_its_reader_says_so(void **state)
{
    struct sse_parser p;
    int count = 0;

    (void)state;
    sse_init(&p, NULL, ignore_event, &count);
    assert_int_equal(sse_feed(&p, STR("data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"), NULL),
                     -ERR_CANCELLED);
    assert_int_equal(count, 3);
    assert_int_equal(p.comment_count, 0);
    sse_fini(&p);
}

static void counts_comments(void **state)
{
    struct sse_parser p;
    int count = 0;

    (void)state;
    sse_init(&p, NULL, ignore_event, &count);
    assert_int_equal(sse_feed(&p, STR(": a\n:\n\n: b\ndata: x\n\n"), NULL), 0);
    assert_int_equal(p.comment_count, 3);
    assert_int_equal(p.event_count, 1);
    sse_fini(&p);
}

static void written_events_are_read_back(void **state)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(buf_fini) struct buf out = {0};

    (void)state;
    buf_init(&text, LOG_MAX);
    buf_init(&out, LOG_MAX);
    assert_int_equal(sse_append(&text, NULL, STR("one")), 0);
    assert_int_equal(sse_append(&text, "e", STR("one\ntwo\r\nthree\rfour\n")), 0);
    assert_int_equal(sse_append(&text, NULL, STR("")), 0);
    parse(buf_cstr(&text), 1000, &out);
    assert_string_equal(buf_cstr(&out), "|one|\ne|one\ntwo\nthree\nfour\n|\n||\n");
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct sse_parser p;
        int count = 10;
        bool failed = false;

        sse_init(&p, NULL, ignore_event, &count);
        mem_fail_after(n);
        for (int i = 0; i < 4; i++) {
            int r = sse_feed(&p, STR("event: x\nspate: y\ndata: some te"), NULL);

            if (r == 0)
                r = sse_feed(&p, STR("xt\n\n"), NULL);
            failed = failed || r == -ERR_NO_MEMORY;
        }
        sse_fini(&p);
        assert_int_equal(failed, mem_fail_seen());
        if (!mem_fail_seen())
            break;
    }
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_streams_however_they_are_cut),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(stops_when_its_reader_says_so),
        cmocka_unit_test(counts_comments),
        cmocka_unit_test(written_events_are_read_back),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
