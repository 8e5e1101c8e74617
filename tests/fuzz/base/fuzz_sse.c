/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events: the same events whole and cut; what is written reads back. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/sse.h"
#include "fuzz_target.h"

enum { LOG_MAX = 64 * 1024 * 1024, BACK_MAX = 1024 * 1024 };

static const struct sse_limits limits = {.line_bytes = 500, .event_bytes = 2000};

static int log_event(void *object, const struct sse_event *event)
{
    struct buf *log = object;

    if (event->data.len > limits.event_bytes || event->field_count > SSE_FIELDS_MAX)
        abort();
    buf_printf(log, "%zu:%zu:%zu;", event->event.len, event->data.len, event->field_count);
    buf_append_str(log, event->event);
    buf_append_str(log, event->data);
    for (size_t i = 0; i < event->field_count; i++) {
        buf_append_str(log, event->fields[i].name);
        buf_append_char(log, '=');
        buf_append_str(log, event->fields[i].value);
    }
    return 0;
}

static int parse(struct buf *log, const uint8_t *data, size_t size, size_t step)
{
    struct sse_parser p;
    int r = 0;

    buf_init(log, LOG_MAX);
    sse_init(&p, &limits, log_event, log);
    for (size_t at = 0; at < size && r == 0; at += step) {
        size_t length = size - at < step ? size - at : step;
        char *piece = mem_dup(data + at, length);

        if (piece == NULL)
            abort();
        r = sse_feed(&p, (struct str){piece, length}, NULL);
        mem_free(piece);
    }
    sse_fini(&p);
    return r;
}

static int compare_data(void *object, const struct sse_event *event)
{
    const struct str *expected = object;

    if (!str_eq(event->data, *expected))
        abort();
    return 0;
}

/* Written with CR and CRLF as LF, which is all that the format can carry. */
static void check_writer(const uint8_t *data, size_t size)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(buf_fini) struct buf expected = {0};
    struct sse_parser p;
    struct str wanted;

    buf_init(&text, LOG_MAX);
    buf_init(&expected, LOG_MAX);
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\r')
            buf_append_char(&expected, (char)data[i]);
        else if (i + 1 >= size || data[i + 1] != '\n')
            buf_append_char(&expected, '\n');
    }
    wanted = buf_str(&expected);
    if (size > BACK_MAX || sse_append(&text, NULL, (struct str){(const char *)data, size}) < 0)
        return;
    sse_init(&p, NULL, compare_data, &wanted);
    if (sse_feed(&p, buf_str(&text), NULL) != 0 || p.event_count != 1)
        abort();
    sse_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole;
    struct buf cut;
    int whole_result = parse(&whole, data, size, size > 0 ? size : 1);
    int cut_result = parse(&cut, data, size, 1);

    if (whole_result != cut_result || !str_eq(buf_str(&whole), buf_str(&cut)))
        abort();
    buf_fini(&whole);
    buf_fini(&cut);
    check_writer(data, size);
    return 0;
}
