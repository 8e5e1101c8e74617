/* SPDX-License-Identifier: Apache-2.0 */
/* What a message says of a place where nothing can be written. */
#include <string.h>
#include <unistd.h>

#include "base/disk.h"
#include "cmocka_plain.h"

static void expect(int result, const char *path, uint64_t needed, const char *const *parts)
{
    struct err err = {0};

    (void)err_set(&err, ERR_IO, "cannot write");
    assert_int_equal(disk_explain(&err, result, path, needed), result);
    for (int i = 0; parts[i] != NULL; i++) {
        if (strstr(err.message, parts[i]) == NULL)
            fail_msg("no '%s' in: %s", parts[i], err.message);
    }
}

/* The nearest folder that is there is named, and who we are. */
static void names_the_owner(void **state)
{
    static const char *const parts[] = {
        "cannot write; / is user 0's", "mode 0", "this is user ", "chown", "fsGroup", NULL};

    (void)state;
    expect(-ERR_DENIED, "/no-such-folder/below/it", 0, parts);
}

static void names_the_room(void **state)
{
    static const char *const parts[] = {"cannot write; ", " KiB are free at /tmp",
                                        "8 KiB are needed", "make room", NULL};

    (void)state;
    expect(-ERR_NO_SPACE, "/tmp", 8192, parts);
}

static void leaves_other_failures_alone(void **state)
{
    struct err err = {0};

    (void)state;
    (void)err_set(&err, ERR_CORRUPT, "damaged");
    assert_int_equal(disk_explain(&err, -ERR_CORRUPT, "/tmp", 1), -ERR_CORRUPT);
    assert_string_equal(err.message, "damaged");
    assert_int_equal(disk_explain(&err, 0, "/tmp", 1), 0);
    assert_string_equal(err.message, "damaged");
    assert_int_equal(disk_explain(NULL, -ERR_DENIED, "/tmp", 1), -ERR_DENIED);
    assert_int_equal(disk_explain(&err, -ERR_DENIED, NULL, 1), -ERR_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_owner),
        cmocka_unit_test(names_the_room),
        cmocka_unit_test(leaves_other_failures_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
