/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, buffers, arenas and logs: their ceilings and what they say. */
#include "cmocka_plain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

enum { LOG_BYTES = 65536 };

/* --- err ------------------------------------------------------------------------------------ */

static void errors_carry_code_and_text(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(err_set(&err, ERR_LIMIT, "%s is %d", "x", 7), -ERR_LIMIT);
    assert_string_equal(err_message(&err), "x is 7");
    assert_int_equal(err_wrap(&err, -ERR_LIMIT, "file %s", "f"), -ERR_LIMIT);
    assert_string_equal(err_message(&err), "file f: x is 7");
    assert_int_equal(err_set(NULL, ERR_LIMIT, "unseen"), -ERR_LIMIT);
    assert_int_equal(err_wrap(NULL, -ERR_IO, "unseen"), -ERR_IO);
    assert_string_equal(err_code_name(-ERR_NO_SPACE), "no_space");
    assert_int_equal(err_class_of(-ERR_CONFLICT), ERR_CLASS_CONFLICT);
}

static void system_errors_choose_their_code(void **state)
{
    static const struct {
        int errnum;
        enum err_code code;
    } cases[] = {
        {ENOENT, ERR_NOT_FOUND},
        {ENOSPC, ERR_NO_SPACE},
        {EACCES, ERR_DENIED},
        {EIO, ERR_IO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct err err = {0};

        assert_int_equal(err_errno(&err, cases[i].errnum, "open x"), -(int)cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(strncmp(err.message, "open x: ", 8), 0);
    }
}

static void long_errors_are_cut(void **state)
{
    char text[ERR_MESSAGE_MAX * 2];
    struct err err = {0};

    (void)state;
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)err_set(&err, ERR_IO, "%s", text);
    assert_true(strlen(err.message) < ERR_MESSAGE_MAX);
    assert_string_equal(err.message + strlen(err.message) - 3, "...");
    (void)err_wrap(&err, -ERR_IO, "%s", text);
    assert_true(strlen(err.message) < ERR_MESSAGE_MAX);
}

/* --- buf ------------------------------------------------------------------------------------ */

static void buffers_tell_the_ceiling_from_lack_of_memory(void **state)
{
    struct err err = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    mem_fail_after(0);
    assert_int_equal(buf_append_text(&b, "12345"), -ERR_NO_MEMORY);
    mem_fail_after(-1);
    assert_int_equal(buf_append_text(&b, "12345678901"), -ERR_LIMIT); /* the first one counts */
    assert_int_equal(buf_check(&b, "thing", &err), -ERR_NO_MEMORY);
    assert_non_null(strstr(err.message, "thing"));
    buf_clear(&b);
    assert_int_equal(buf_append_text(&b, "12345678901"), -ERR_LIMIT);
    assert_int_equal(buf_check(&b, "thing", &err), -ERR_LIMIT);
    assert_non_null(strstr(err.message, "10 bytes"));
    buf_fini(&b);
}

static void buffers_have_a_ceiling(void **state)
{
    struct buf b;
    struct err err = {0};

    (void)state;
    buf_init(&b, 10);
    assert_int_equal(buf_append_text(&b, "12345"), 0);
    assert_int_equal(buf_append_text(&b, "678901"), -ERR_LIMIT);
    assert_true(b.failed);
    assert_true(str_is(buf_str(&b), "12345")); /* keeps what was there */
    assert_int_equal(buf_check(&b, "thing", &err), -ERR_LIMIT);
    assert_non_null(strstr(err.message, "thing"));
    buf_clear(&b);
    assert_int_equal(buf_check(&b, "thing", NULL), 0);
    assert_int_equal(buf_printf(&b, "%d-%s", 12, "3456789"), 0);
    assert_string_equal(buf_cstr(&b), "12-3456789");
    assert_int_equal(buf_append_char(&b, 'x'), -ERR_LIMIT);
    buf_consume(&b, 3);
    assert_string_equal(buf_cstr(&b), "3456789");
    buf_clear(&b);
    assert_int_equal(buf_append_u64(&b, UINT64_MAX), -ERR_LIMIT);
    buf_fini(&b);
    buf_init(&b, 20);
    assert_int_equal(buf_append_u64(&b, UINT64_MAX), 0);
    assert_string_equal(buf_cstr(&b), "18446744073709551615");
    buf_fini(&b);
}

static void buffers_survive_failing_allocations(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct buf b;

        buf_init(&b, 100000);
        mem_fail_after(n);
        for (int i = 0; i < 1000; i++)
            (void)buf_append_text(&b, "0123456789");
        assert_int_equal(b.failed, mem_fail_seen());
        assert_true(b.len >= 9990);
        buf_fini(&b);
        if (!mem_fail_seen())
            break;
    }
    mem_fail_after(-1);
}

/* --- arena ---------------------------------------------------------------------------------- */

struct noted {
    int *log;
    int name;
};

static void note(void *object)
{
    struct noted *n = object;

    n->log[n->log[0] + 1] = n->name;
    n->log[0]++;
}

static void arenas_are_bounded_and_clean_up(void **state)
{
    int log[4] = {0};
    struct noted first = {log, 1};
    struct noted second = {log, 2};
    struct arena a;
    char *bytes;

    (void)state;
    arena_init(&a, 100000);
    bytes = arena_alloc(&a, 50000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 50000; i++)
        assert_int_equal(bytes[i], 0);
    assert_null(arena_alloc(&a, 60000));
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
    assert_string_equal(arena_printf(&a, "%d", 42), "42");
    assert_true(str_is(arena_str(&a, STR("abc")), "abc"));
    assert_non_null(arena_str(&a, STR_NONE).ptr);
    assert_int_equal(arena_on_reset(&a, note, &first), 0);
    assert_int_equal(arena_on_reset(&a, note, &second), 0);
    arena_reset(&a);
    assert_int_equal(log[0], 2);
    assert_int_equal(log[1], 2); /* newest first */
    assert_int_equal(log[2], 1);
    assert_non_null(arena_alloc(&a, 60000));
    arena_fini(&a);
    assert_int_equal(log[0], 2);
}

static void arenas_survive_failing_allocations(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct arena a;
        int made = 0;

        arena_init(&a, 1000000);
        mem_fail_after(n);
        for (int i = 0; i < 100; i++)
            made += arena_alloc(&a, 1000) != NULL;
        assert_true(made >= 99);
        arena_fini(&a);
        if (!mem_fail_seen())
            break;
    }
    mem_fail_after(-1);
}

/* --- log ------------------------------------------------------------------------------------ */

/* What fields look like as a line, through a pipe. */
static void write_line(enum log_format format, char out[LOG_BYTES], const struct log_field *fields,
                       int count)
{
    int fds[2];
    ssize_t length;

    assert_int_equal(pipe(fds), 0);
    log_setup("prog", LOG_LEVEL_INFO, format, fds[1]);
    log_debug("not shown");
    log_write(LOG_LEVEL_INFO, "an event", fields, count);
    log_setup("prog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, STDERR_FILENO);
    close(fds[1]);
    length = read(fds[0], out, LOG_BYTES - 1);
    assert_true(length > 0);
    out[length] = '\0';
    close(fds[0]);
}

static void logged(enum log_format format, char out[LOG_BYTES])
{
    const struct log_field fields[] = {LOG_STR("text", "a\"b\nc\x01"), LOG_I64("number", -5),
                                       LOG_BOOL("flag", true), LOG_F64("real", 0.5)};

    write_line(format, out, fields, (int)ARRAY_COUNT(fields));
}

static void lines_can_not_be_forged(void **state)
{
    char line[LOG_BYTES];
    json_auto_t *tree = NULL;
    struct str text;
    int64_t number = 0;

    (void)state;
    logged(LOG_FORMAT_TEXT, line);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_null(strchr(line, '\x01'));
    assert_non_null(strstr(line, "an event"));
    assert_non_null(strstr(line, "number=-5"));
    logged(LOG_FORMAT_JSON, line);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_int_equal(json_read(&tree, str_of(line), &json_limits_default, "log", NULL), 0);
    assert_int_equal(json_get_str(tree, "text", true, &text, NULL), 0);
    assert_true(str_is(text, "a\"b\nc\x01"));
    assert_int_equal(json_get_i64(tree, "number", true, -10, 10, &number, NULL), 0);
    assert_int_equal(number, -5);
}

/* Texts that do something to who reads them: none of it is left as it is. */
static void nothing_unseen_reaches_a_line(void **state)
{
    static const char *const texts[] = {
        "\x1b[31mred",
        "a\rb",
        "\xc2\x9b"
        "31m",
        "\xc2\x85next",
        "\xe2\x80\xae"
        "fdp",
        "\xe2\x81\xa6isolated",
        "\xe2\x80\x8bno width",
        "\xe2\x80\xa8line",
        "\xef\xbb\xbfmark",
        "\xd8\x9c"
        "arabic",
        "\x7f",
        "\xc2\xadhyphen",
    };
    char line[LOG_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        const struct log_field field = LOG_STR("text", texts[i]);
        json_auto_t *tree = NULL;
        struct str text;

        for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
            write_line((enum log_format)format, line, &field, 1);
            for (const char *c = line; c[1] != '\0'; c++)
                assert_true(*c >= ' ' && *c < 0x7f);
        }
        assert_int_equal(json_read(&tree, str_of(line), &json_limits_default, "log", NULL), 0);
        assert_int_equal(json_get_str(tree, "text", true, &text, NULL), 0);
        assert_true(str_is(text, texts[i]));
    }
}

/* However long the texts before the cut are, and whatever is cut. */
static void long_lines_are_cut_and_valid(void **state)
{
    static const char *const pieces[] = {"x", "\"", "\n", "\xc3\xa4", "\xe2\x80\xae"};
    static char text[LOG_BYTES], line[LOG_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        for (size_t length = 3900; length < 4200; length++) {
            struct log_field fields[] = {
                {0}, LOG_STR("name", "a text"), LOG_I64("number", 123456789)};
            json_auto_t *tree = NULL;
            size_t used = 0;

            while (used + strlen(pieces[i]) <= length) {
                memcpy(text + used, pieces[i], strlen(pieces[i]));
                used += strlen(pieces[i]);
            }
            fields[0] = LOG_VIEW("a", ((struct str){text, used}));
            write_line(LOG_FORMAT_JSON, line, fields, (int)ARRAY_COUNT(fields));
            assert_true(strlen(line) <= 4096);
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
            assert_int_equal(json_read(&tree, str_of(line), &json_limits_default, "log", NULL), 0);
            write_line(LOG_FORMAT_TEXT, line, fields, (int)ARRAY_COUNT(fields));
            assert_true(strlen(line) <= 4096);
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
            assert_true(utf8_valid(str_of(line)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_code_and_text),
        cmocka_unit_test(system_errors_choose_their_code),
        cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(buffers_have_a_ceiling),
        cmocka_unit_test(buffers_tell_the_ceiling_from_lack_of_memory),
        cmocka_unit_test(buffers_survive_failing_allocations),
        cmocka_unit_test(arenas_are_bounded_and_clean_up),
        cmocka_unit_test(arenas_survive_failing_allocations),
        cmocka_unit_test(lines_can_not_be_forged),
        cmocka_unit_test(nothing_unseen_reaches_a_line),
        cmocka_unit_test(long_lines_are_cut_and_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
