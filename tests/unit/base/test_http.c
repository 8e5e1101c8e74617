/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of HTTP: headers, targets, queries, addresses; and the parser without memory. */
#include "cmocka_plain.h"

#include <string.h>

#include "base/http_parse.h"
#include "base/mem.h"

enum { ARENA_MAX = 1 << 20 };

static void headers_are_found(void **state)
{
    static const struct http_header items[] = {
        {STR("Authorization"), STR("bearer  key-1 ")},
        {STR("connection"), STR("keep-alive, Upgrade")},
        {STR("CONNECTION"), STR("x")},
    };
    static const struct http_header basic = {STR("Authorization"), STR("Basic abc")};
    static const struct http_header bare = {STR("Authorization"), STR("Bearer")};
    struct http_headers headers = {items, ARRAY_COUNT(items)};

    (void)state;
    assert_true(str_is(http_header_get(&headers, "Connection"), "keep-alive, Upgrade"));
    assert_null(http_header_get(&headers, "host").ptr);
    assert_int_equal(http_header_count(&headers, "connection"), 2);
    assert_true(http_header_has_token(&headers, "connection", "upgrade"));
    assert_true(http_header_has_token(&headers, "connection", "X"));
    assert_false(http_header_has_token(&headers, "connection", "keep"));
    assert_true(str_is(http_bearer_token(&headers), "key-1"));
    assert_null(http_bearer_token(&(struct http_headers){&basic, 1}).ptr);
    assert_null(http_bearer_token(&(struct http_headers){&bare, 1}).ptr);
    assert_null(http_bearer_token(&(struct http_headers){NULL, 0}).ptr);
    assert_string_equal(http_status_text(429), "Too Many Requests");
    assert_string_equal(http_status_text(299), "Unknown");
    assert_true(http_header_name_valid(STR("x-request-id")));
    assert_false(http_header_name_valid(STR("x y")));
    assert_false(http_header_name_valid(STR("")));
    assert_false(http_header_value_valid(STR("a\nb")));
}

static void targets_are_split(void **state)
{
    static const struct {
        const char *target;
        const char *path; /* NULL: refused */
        const char *query;
    } cases[] = {
        {"/", "/", ""},
        {"/v1/models?x=1&y=%20", "/v1/models", "x=1&y=%20"},
        {"/a%20b%C3%A9", "/a b\xc3\xa9", ""},
        {"//a//b/", "//a//b/", ""},
        {"/?", "/", ""},
        {"http://h", "/", ""},
        {"http://h:80/a?b", "/a", "b"},
        {"HTTPS://h/a", NULL, NULL},
        {"https://h/a", "/a", ""},
        {"", NULL, NULL},
        {"a", NULL, NULL},
        {"*", NULL, NULL},
        {"/..", NULL, NULL},
        {"/a/..", NULL, NULL},
        {"/a/../b", NULL, NULL},
        {"/.", NULL, NULL},
        {"/%2E%2e/", NULL, NULL},
        {"/...", "/...", ""},
        {"/a%2Fb", "/a%2Fb", ""},
        {"/a%2fb", "/a%2Fb", ""},
        {"/a%252fb", NULL, NULL},
        {"/a\\b", NULL, NULL},
        {"/a%5Cb", NULL, NULL},
        {"/a%", NULL, NULL},
        {"/a%4", NULL, NULL},
        {"/a%4g", NULL, NULL},
        {"/a%0a", NULL, NULL},
        {"/a%7f", NULL, NULL},
        {"/a%c0%af", NULL, NULL},
        {"/a#b", NULL, NULL},
        {"/a?b#c", NULL, NULL},
        {"/a b", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct str path = STR_NONE;
        struct str query = STR_NONE;
        struct arena arena;
        struct err err = {0};
        int r;

        arena_init(&arena, ARENA_MAX);
        r = http_target_parse(str_of(cases[i].target), &arena, &path, &query, &err);
        if (cases[i].path == NULL) {
            if (r != -ERR_INVALID || strlen(err.message) == 0)
                fail_msg("case %zu: %.*s", i, STR_ARG(path));
        } else if (r != 0 || !str_is(path, cases[i].path) || !str_is(query, cases[i].query)) {
            fail_msg("case %zu: %s", i, err.message);
        }
        arena_fini(&arena);
    }
}

static void queries_are_looked_up(void **state)
{
    static const struct {
        const char *query;
        const char *name;
        const char *value; /* NULL: absent */
    } cases[] = {
        {"a=1&b=2", "b", "2"},
        {"a=1&a=2", "a", "1"},
        {"a", "a", ""},
        {"a=", "a", ""},
        {"a=x+y%26z", "a", "x y&z"},
        {"%61=1", "a", "1"},
        {"b=1", "a", NULL},
        {"", "a", NULL},
        {"a=%zz", "a", NULL},
        {"a=1=2", "a", "1=2"},
        {"&&a=1", "a", "1"},
        {"%zz=1&a=2", "a", "2"},
    };
    CLEANUP(buf_fini) struct buf escaped = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct str value = STR_NONE;
        struct arena arena;
        bool found;

        arena_init(&arena, ARENA_MAX);
        found = http_query_get(str_of(cases[i].query), cases[i].name, &arena, &value);
        assert_int_equal(found, cases[i].value != NULL);
        if (found)
            assert_true(str_is(value, cases[i].value));
        arena_fini(&arena);
    }
    buf_init(&escaped, 100);
    assert_int_equal(http_escape(&escaped, STR("a b/\xc3\xa9~")), 0);
    assert_string_equal(buf_cstr(&escaped), "a%20b%2F%C3%A9~");
}

static void addresses_are_parsed(void **state)
{
    static const char *const bad[] = {
        "", ":", "h", "h:", ":80", "h:x", "h:65536", "h:-1", "::1:80", "[::1]", "h:80 ",
    };
    struct http_address a;

    (void)state;
    assert_int_equal(http_address_parse(STR("127.0.0.1:80"), &a, NULL), 0);
    assert_string_equal(a.host, "127.0.0.1");
    assert_int_equal(a.port, 80);
    assert_int_equal(http_address_parse(STR("[::1]:0"), &a, NULL), 0);
    assert_string_equal(a.host, "::1");
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        if (http_address_parse(str_of(bad[i]), &a, NULL) != -ERR_INVALID)
            fail_msg("%s", bad[i]);
    }
}

static int count_head(void *object, const struct http_head *head)
{
    (void)head;
    ++*(int *)object;
    return 0;
}

static int take_body(void *object, struct str bytes)
{
    (void)object;
    (void)bytes;
    return 0;
}

static int count_end(void *object)
{
    ++*(int *)object;
    return 0;
}

static void parsing_survives_failing_allocations(void **state)
{
    static const struct http_parse_limits limits = {1000, 10000, 50, 1000};
    static const struct http_parse_callbacks callbacks = {count_head, take_body, count_end};
    CLEANUP(buf_fini) struct buf request = {0};

    (void)state;
    buf_init(&request, 10000);
    buf_append_text(&request, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n");
    for (int i = 0; i < 40; i++)
        buf_append_text(&request, "a-name-of-some-length: a value of some length\r\n");
    buf_append_text(&request, "\r\nx");
    for (int64_t n = 0;; n++) {
        struct http_parser p;
        struct err err = {0};
        size_t used;
        int calls = 0;
        int r;

        http_parser_init(&p, HTTP_PARSE_REQUEST, &limits, &callbacks, &calls);
        mem_fail_after(n);
        r = http_parser_feed(&p, buf_str(&request), &used, &err);
        if (mem_fail_seen()) {
            assert_int_equal(r, -ERR_NO_MEMORY);
            assert_int_equal(p.status, 500);
        } else {
            assert_int_equal(r, 1);
            assert_int_equal(calls, 2);
        }
        http_parser_fini(&p);
        if (!mem_fail_seen())
            break;
    }
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found),
        cmocka_unit_test(targets_are_split),
        cmocka_unit_test(queries_are_looked_up),
        cmocka_unit_test(addresses_are_parsed),
        cmocka_unit_test(parsing_survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
