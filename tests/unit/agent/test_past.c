/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent remembers of attempts that are over: the latest word on each, and the latest ones.
 */
#include "cmocka_plain.h"

#include "agent/past.h"

static struct past past; /* large */

static struct id128 id_of(unsigned char number)
{
    return (struct id128){.bytes = {number}};
}

static int set_up(void **state)
{
    (void)state;
    past = (struct past){0};
    return 0;
}

static void attempts_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(past_find(&past, id_of(1), 1), PAST_UNKNOWN);
    past_add(&past, id_of(1), 1, PAST_ABANDONED);
    past_add(&past, id_of(2), 1, PAST_ACKNOWLEDGED);
    assert_int_equal(past_find(&past, id_of(1), 1), PAST_ABANDONED);
    assert_int_equal(past_find(&past, id_of(2), 1), PAST_ACKNOWLEDGED);
    assert_int_equal(past_find(&past, id_of(1), 2), PAST_UNKNOWN);
    assert_int_equal(past_find(&past, id_of(3), 1), PAST_UNKNOWN);
}

static void the_latest_word_holds(void **state)
{
    (void)state;
    past_add(&past, id_of(1), 1, PAST_ACKNOWLEDGED);
    past_add(&past, id_of(1), 1, PAST_ABANDONED);
    assert_int_equal(past_find(&past, id_of(1), 1), PAST_ABANDONED);
}

static void the_oldest_is_forgotten(void **state)
{
    (void)state;
    past_add(&past, id_of(1), 1, PAST_ABANDONED);
    for (uint32_t attempt = 1; attempt < PAST_MAX; attempt++)
        past_add(&past, id_of(2), attempt, PAST_ACKNOWLEDGED);
    assert_int_equal(past_find(&past, id_of(1), 1), PAST_ABANDONED);
    past_add(&past, id_of(2), PAST_MAX, PAST_ACKNOWLEDGED);
    assert_int_equal(past_find(&past, id_of(1), 1), PAST_UNKNOWN);
    assert_int_equal(past_find(&past, id_of(2), 1), PAST_ACKNOWLEDGED);
    assert_int_equal(past_find(&past, id_of(2), PAST_MAX), PAST_ACKNOWLEDGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(attempts_are_told_apart, set_up),
        cmocka_unit_test_setup(the_latest_word_holds, set_up),
        cmocka_unit_test_setup(the_oldest_is_forgotten, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
