/* SPDX-License-Identifier: Apache-2.0 */
/* Time, ids, digests, JSON and files: against published vectors and round trips. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"

enum { TEXT_MAX = 1 << 20 };

/* --- clock and id --------------------------------------------------------------------------- */

static void times_are_written_and_read(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {1795359845000, "2026-11-22T15:04:05Z"},
        {1795359845123, "2026-11-22T15:04:05.123Z"},
        {951782400000, "2000-02-29T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {253402300799000, "9999-12-31T23:59:59Z"},
    };
    static const char *const bad[] = {
        "",
        "2026-11-22",
        "2026-11-22 15:04:05Z",
        "2026-13-22T15:04:05Z",
        "2026-02-30T15:04:05Z",
        "2026-11-22T24:04:05Z",
        "2026-11-22T15:04:05",
        "2026-11-22T15:04:05+1:00",
        "2026-11-22T15:04:05.Z",
        "2026-11-22T15:04:05Zx",
    };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[CLOCK_TEXT_MAX];

        clock_format_utc(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(clock_parse_utc(text, strlen(text), &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
    assert_int_equal(clock_parse_utc("2026-11-22T16:04:05+01:00", 25, &ms), 0);
    assert_int_equal(ms, 1795359845000);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(clock_parse_utc(bad[i], strlen(bad[i]), &ms), -1);
}

static void every_day_makes_the_round_trip(void **state)
{
    (void)state;
    for (int64_t day = -800000; day < 800000; day += 13) {
        int64_t year;
        int month;
        int day_of_month;

        clock_civil_from_days(day, &year, &month, &day_of_month);
        assert_int_equal(clock_days_from_civil(year, month, day_of_month), day);
    }
}

static void ids_sort_by_time(void **state)
{
    struct clock_manual clock;
    struct rng_seeded rng;
    struct id128 before = {{0}};
    char before_text[ID_TEXT_LEN + 1] = "";

    (void)state;
    clock_manual_init(&clock, 1795359845000);
    rng_seeded_init(&rng, 3);
    assert_true(id_is_zero(before));
    for (int i = 0; i < 1000; i++) {
        struct id128 id;
        struct id128 back;
        char text[ID_TEXT_LEN + 1];

        clock_manual_advance_ms(&clock, 1);
        id = id_make(&clock.clock, &rng.rng);
        id_format(id, text);
        assert_true(id_parse(str_of(text), &back));
        assert_int_equal(id_compare(id, back), 0);
        assert_true(id_compare(before, id) < 0);
        assert_true(strcmp(before_text, text) < 0);
        before = id;
        memcpy(before_text, text, sizeof(text));
    }
    assert_false(id_parse(STR("8zzzzzzzzzzzzzzzzzzzzzzzzz"), &before)); /* 130 bits */
    assert_false(id_parse(STR("7zzzzzzzzzzzzzzzzzzzzzzzzi"), &before));
    assert_false(id_parse(STR("7z"), &before));
}

static void chance_is_bounded(void **state)
{
    struct rng_seeded rng;
    int seen[7] = {0};

    (void)state;
    rng_seeded_init(&rng, 5);
    for (int i = 0; i < 7000; i++)
        seen[rng_below(&rng.rng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(rng_below(&rng.rng, 1), 0);
}

/* --- hash ----------------------------------------------------------------------------------- */

static void digests_match_their_vectors(void **state)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(buf_fini) struct buf back = {0};
    char hex[SHA256_HEX_LEN + 1];
    uint8_t bytes[4];

    (void)state;
    buf_init(&text, TEXT_MAX);
    buf_init(&back, TEXT_MAX);
    sha256_hex(STR("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(crc32c_by_table(0, "123456789", 9), 0xe3069283);
    for (size_t length = 0; length < sizeof(hex); length++)
        assert_int_equal(crc32c(7, hex, length), crc32c_by_table(7, hex, length));
    assert_true(hex_parse(STR("00ff10ab"), bytes, 4));
    assert_false(hex_parse(STR("00ff10AB"), bytes, 4)); /* one spelling only */
    assert_int_equal(bytes[3], 0xab);
    assert_false(hex_parse(STR("00ff10"), bytes, 4));
    assert_false(hex_parse(STR("00ff10ag"), bytes, 4));
    assert_true(bytes_equal_secret("abc", "abc", 3));
    assert_false(bytes_equal_secret("abc", "abd", 3));
    assert_int_not_equal(hash64(1, "a", 1), hash64(2, "a", 1));
    for (size_t length = 0; length < 20; length++) {
        static const char data[20] = "\xff\xfe\x00 binary ~~";

        buf_clear(&text);
        buf_clear(&back);
        assert_int_equal(base64url_append(&text, data, length), 0);
        assert_int_equal(base64url_decode(&back, buf_str(&text), NULL), 0);
        assert_true(str_eq(buf_str(&back), (struct str){data, length}));
    }
    buf_clear(&back);
    assert_true(base64url_decode(&back, STR("a"), NULL) < 0);
    assert_true(base64url_decode(&back, STR("a+/="), NULL) < 0);
}

/* --- json ----------------------------------------------------------------------------------- */

static void json_is_read_with_limits(void **state)
{
    static const struct json_limits limits = {.max_bytes = 100, .max_depth = 3};
    static const char *const bad[] = {
        "",      "{",         "[1,]",        "{\"a\":1,\"a\":2}",     "[NaN]",
        "[1] x", "[[[[1]]]]", "\"\\u0000\"", "[9223372036854775808]", "'a'",
    };
    json_auto_t *tree = NULL;
    char big[200];
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        json_t *none = NULL;

        err.message[0] = '\0';
        assert_true(json_read(&none, str_of(bad[i]), &limits, "input", &err) < 0);
        assert_non_null(strstr(err.message, "input"));
        assert_null(none);
    }
    memset(big, ' ', sizeof(big));
    assert_int_equal(json_read(&tree, (struct str){big, sizeof(big)}, &limits, "input", NULL),
                     -ERR_LIMIT);
    assert_int_equal(json_read(&tree, STR("{\"a\":[[1]],\"s\":\"[[[[\"}"), &limits, "input", NULL),
                     0);
}

static void json_members_are_checked(void **state)
{
    json_auto_t *tree = NULL;
    struct err err = {0};
    struct str text = STR("default");
    int64_t integer = 7;
    bool flag = false;
    double real = 0;
    json_t *child = NULL;

    (void)state;
    assert_int_equal(json_read(&tree,
                               STR("{\"s\":\"x\",\"i\":5,\"r\":1.5,\"b\":true,\"n\":null,"
                                   "\"o\":{},\"a\":[]}"),
                               &json_limits_default, "input", NULL),
                     0);
    assert_int_equal(json_get_str(tree, "missing", false, &text, &err), -ERR_NOT_FOUND);
    assert_true(str_is(text, "default"));
    assert_int_equal(json_get_str(tree, "n", false, &text, &err), -ERR_NOT_FOUND);
    assert_int_equal(json_get_str(tree, "n", true, &text, &err), -ERR_INVALID);
    assert_string_equal(err.message, "'n' is missing");
    assert_int_equal(json_get_str(tree, "i", false, &text, &err), -ERR_INVALID);
    assert_string_equal(err.message, "'i' must be a string, not integer");
    assert_int_equal(json_get_str(tree, "s", true, &text, NULL), 0);
    assert_true(str_is(text, "x"));
    assert_int_equal(json_get_i64(tree, "i", true, 6, 9, &integer, NULL), -ERR_INVALID);
    assert_int_equal(integer, 7);
    assert_int_equal(json_get_i64(tree, "i", true, 0, 9, &integer, NULL), 0);
    assert_int_equal(json_get_i64(tree, "r", true, 0, 9, &integer, NULL), -ERR_INVALID);
    assert_int_equal(json_get_f64(tree, "i", true, 0, 9, &real, NULL), 0);
    assert_int_equal(json_get_bool(tree, "b", true, &flag, NULL), 0);
    assert_true(flag);
    assert_int_equal(json_get_object(tree, "o", true, &child, NULL), 0);
    assert_int_equal(json_get_array(tree, "o", true, &child, NULL), -ERR_INVALID);
    assert_int_equal(json_get_array(tree, "a", true, &child, NULL), 0);
    assert_int_equal(json_get_i64(NULL, "a", false, 0, 1, &integer, NULL), -ERR_NOT_FOUND);
}

static void json_is_written(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};
    struct json_writer w;

    (void)state;
    buf_init(&out, TEXT_MAX);
    json_writer_init(&w, &out);
    json_open(&w, '{');
    json_put_text(&w, "t", "a\"\\\n\x01\xc3\xa9\xff");
    json_put_i64(&w, "i", INT64_MIN);
    json_put_u64(&w, "u", UINT64_MAX);
    json_put_f64(&w, "f", 0.1);
    json_put_f64(&w, "nan", __builtin_nan(""));
    json_put_null(&w, "n");
    json_put_str(&w, "z", (struct str){"a\0b", 3}); /* our readers take no NUL */
    json_key(&w, "a");
    json_open(&w, '[');
    json_add_bool(&w, true);
    json_open(&w, '{');
    json_close(&w, '}');
    json_add_raw(&w, STR("[1,2]"));
    json_close(&w, ']');
    json_close(&w, '}');
    assert_string_equal(buf_cstr(&out),
                        "{\"t\":\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\","
                        "\"i\":-9223372036854775808,\"u\":18446744073709551615,\"f\":0.1,"
                        "\"nan\":null,\"n\":null,\"z\":\"a\xef\xbf\xbd"
                        "b\",\"a\":[true,{},[1,2]]}");
}

/* --- file ----------------------------------------------------------------------------------- */

static void files_are_written_whole(void **state)
{
    char folder[] = "file-XXXXXX";
    CLEANUP(mem_freep) char *path = NULL;
    CLEANUP(mem_freep) char *deep = NULL;
    CLEANUP(buf_fini) struct buf content = {0};
    struct file_map map;
    struct stat st;

    (void)state;
    buf_init(&content, 100);
    assert_non_null(mkdtemp(folder));
    path = path_join(folder, "a");
    deep = path_join(folder, "x/y/z");
    assert_false(file_exists(path));
    assert_int_equal(file_read(path, &content, NULL), -ERR_NOT_FOUND);
    assert_int_equal(file_write_atomic(path, STR("first"), 0600, NULL), 0);
    assert_int_equal(file_write_atomic(path, STR("second"), 0600, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(file_read(path, &content, NULL), 0);
    assert_string_equal(buf_cstr(&content), "second");
    content.max = 8;
    assert_int_equal(file_read(path, &content, NULL), -ERR_LIMIT);
    assert_int_equal(file_map_open(&map, path, NULL), 0);
    assert_int_equal(map.size, 6);
    assert_memory_equal(map.ptr, "second", 6);
    file_map_close(&map);
    assert_int_equal(file_make_folder(deep, NULL), 0);
    assert_int_equal(file_make_folder(deep, NULL), 0);
    assert_int_equal(file_remove_tree(folder, NULL), 0);
    assert_false(file_exists(folder));
    assert_int_equal(file_remove_tree(folder, NULL), 0);
}

static void what_killed_writers_left_is_swept(void **state)
{
    enum whose { NOBODY, OURSELVES, DEAD, ALIVE };
    static const struct {
        const char *before;
        enum whose pid; /* between them; NOBODY: none */
        const char *after;
        bool stays;
    } cases[] = {
        {"epoch.", DEAD, ".tmp", false},
        {"epoch.", OURSELVES, ".tmp", false},
        {"epoch.", ALIVE, ".tmp", true},
        {"a.b.", DEAD, ".tmp", false},
        {"epoch", NOBODY, "", true},
        {"epoch", NOBODY, ".tmp", true},
        {"epoch.", DEAD, ".tmp2", true},
        {"epoch", DEAD, ".tmp", true},
        {".", DEAD, ".tmp", true},
        {"epoch.x", DEAD, ".tmp", true},
        {"epoch.", NOBODY, ".tmp", true},
        {"epoch.0", NOBODY, ".tmp", true},
        {"epoch.99999999999", NOBODY, ".tmp", true},
        {"epoch.99999999999999999999", NOBODY, ".tmp", true},
    };
    char folder[] = "files-XXXXXX";
    long pids[] = {0, (long)getpid(), 0, (long)getppid()};
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    pids[DEAD] = (long)child;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(mem_freep) char *path = NULL;
        char pid[24] = "";
        char name[64];

        if (cases[i].pid != NOBODY)
            snprintf(pid, sizeof(pid), "%ld", pids[cases[i].pid]);
        snprintf(name, sizeof(name), "%s%s%s", cases[i].before, pid, cases[i].after);
        path = path_join(folder, name);
        assert_int_equal(file_write_atomic(path, STR("x"), 0600, NULL), 0);
        assert_int_equal(file_sweep_temporaries(folder, NULL), 0);
        if (file_exists(path) != cases[i].stays)
            fail_msg("%s %s", name, cases[i].stays ? "was removed" : "is still there");
    }
    assert_int_equal(file_remove_tree(folder, NULL), 0);
    assert_int_equal(file_sweep_temporaries(folder, NULL), 0); /* missing: nothing to do */
}

static void removal_does_not_follow_links(void **state)
{
    char kept[] = "kept-XXXXXX";
    char removed[] = "removed-XXXXXX";
    CLEANUP(mem_freep) char *file = NULL;
    CLEANUP(mem_freep) char *link = NULL;
    CLEANUP(mem_freep) char *target = NULL;
    char cwd[4096];

    (void)state;
    assert_non_null(mkdtemp(kept));
    assert_non_null(mkdtemp(removed));
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    target = path_join(cwd, kept);
    file = path_join(kept, "f");
    link = path_join(removed, "link");
    assert_int_equal(file_write_atomic(file, STR("x"), 0600, NULL), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(file_remove_tree(removed, NULL), 0);
    assert_true(file_exists(file));
    assert_int_equal(file_remove_tree(kept, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_and_read),
        cmocka_unit_test(every_day_makes_the_round_trip),
        cmocka_unit_test(ids_sort_by_time),
        cmocka_unit_test(chance_is_bounded),
        cmocka_unit_test(digests_match_their_vectors),
        cmocka_unit_test(json_is_read_with_limits),
        cmocka_unit_test(json_members_are_checked),
        cmocka_unit_test(json_is_written),
        cmocka_unit_test(files_are_written_whole),
        cmocka_unit_test(what_killed_writers_left_is_swept),
        cmocka_unit_test(removal_does_not_follow_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
