/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: what is loopback, what is free, what is refused. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/ports.h"
#include "cmocka_plain.h"

static void loopback_is_told_apart(void **state)
{
    static const struct {
        const char *address;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:80", true},
        {"127.9.9.9:80", true},
        {"[::1]:80", true},
        {"localhost:80", true},
        {"0.0.0.0:80", false},
        {"10.0.0.1:80", false},
        {"[::]:80", false},
        {"example.org:80", false},
        {"127.0.0.1", false},
        {"1270.0.1:80", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(ports_is_loopback(cases[i].address), cases[i].loopback);
}

static void bad_addresses_are_refused(void **state)
{
    static const char *const bad[] = {
        "",           ":",       "127.0.0.1:",  "127.0.0.1:65536", "127.0.0.1:-1",
        "nowhere:80", "[::1:80", "127.0.0.1:8o"};
    char out[PORTS_ADDRESS_MAX] = "untouched";

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(ports_pick(bad[i], out, NULL), -ERR_INVALID);
    assert_string_equal(out, "untouched");
}

static void free_ports_are_found(void **state)
{
    char first[PORTS_ADDRESS_MAX];
    char second[PORTS_ADDRESS_MAX];

    (void)state;
    assert_int_equal(ports_pick("127.0.0.1:0", first, NULL), 0);
    assert_int_equal(strncmp(first, "127.0.0.1:", 10), 0);
    assert_string_not_equal(first, "127.0.0.1:0");
    assert_true(ports_is_free(first));
    assert_int_equal(ports_pick("localhost:0", second, NULL), 0);
    assert_int_equal(strncmp(second, "127.0.0.1:", 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_told_apart),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(free_ports_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
