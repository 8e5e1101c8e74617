/* SPDX-License-Identifier: Apache-2.0 */
/* The reflector's lists: what it asks for, when, and that its store follows. The same rules over
 * real sockets: see test_conformance.py. */
#include "reflector_play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void lists_by_pages_then_watches(void **state)
{
    struct play p;

    (void)state;
    play_begin(&p);
    play_wait(&p);
    assert_string_equal(p.asked, "/api/v1/namespaces/n/pods?labelSelector=a%3Db&limit=2");
    play_page(&p, "a@9 b@2", "10", "more=");
    play_changed(&p, ""); /* not before the whole is there */
    assert_int_equal(play_wait(&p), 0);
    play_asks(&p, "&limit=2&continue=more%3D");
    assert_int_equal(p.synced, 0);
    play_page(&p, "c@3", "10", "");
    assert_int_equal(p.synced, 1);
    assert_int_equal(kube_store_count(p.store), 3);
    assert_int_equal(play_wait(&p), 0);
    /* From the list's version, not from the last or highest of its items (9). */
    play_asks(&p, "watch=true");
    play_asks(&p, "allowWatchBookmarks=true");
    play_asks(&p, "resourceVersion=10");
    play_event(&p, "ADDED", "d", "11");
    play_event(&p, "DELETED", "a", "12");
    assert_int_equal(kube_store_count(p.store), 3);
    assert_string_equal(kube_reflector_version(p.reflector), "12");
    play_ended(&p);
    assert_int_equal(play_wait(&p), 0);
    play_asks(&p, "resourceVersion=12");
    assert_int_equal(play_counts(&p)->lists, 1);
    play_end(&p);
}

static void streams_a_list(void **state)
{
    struct play p;

    (void)state;
    play_begin_with(&p, false);
    play_wait(&p);
    play_asks(&p, "sendInitialEvents=true");
    play_asks(&p, "resourceVersionMatch=NotOlderThan");
    play_asks(&p, "allowWatchBookmarks=true");
    play_event(&p, "ADDED", "a", "1");
    play_event(&p, "ADDED", "b", "2");
    play_event(&p, "ADDED", "c", "3");
    play_event(&p, "DELETED", "b", "9");
    play_changed(&p, "");
    play_bookmark(&p, "10", true);
    assert_int_equal(p.synced, 1);
    assert_int_equal(p.wake_ms, clock_mono_ms(&p.clock.clock) + 90000);
    assert_int_equal(kube_store_count(p.store), 2);
    play_event(&p, "MODIFIED", "a", "11"); /* the same stream goes on as the watch */
    assert_int_equal(p.gets, 1);
    assert_string_equal(kube_reflector_version(p.reflector), "11");
    play_broken(&p);
    play_wait(&p);
    play_asks(&p, "resourceVersion=11");
    assert_null(strstr(p.asked, "sendInitialEvents"));
    play_end(&p);
}

/* Each way in which a streaming list fails before its end mark. */
static void falls_back_to_pages(void **state)
{
    (void)state;
    for (int way = 0; way < 5; way++) {
        struct play p;

        play_begin_with(&p, false);
        play_wait(&p);
        play_event(&p, "ADDED", "ghost", "1");
        if (way == 0)
            play_refused(&p, 422, "Invalid", 0);
        else if (way == 1)
            play_error_event(&p, 410, "Expired");
        else if (way == 2)
            play_error_event(&p, 500, "InternalError");
        else if (way == 3)
            play_ended(&p);
        else
            assert_int_equal(play_wait(&p), 10000); /* no end mark in time: it is cancelled */
        assert_int_equal(play_wait(&p), 0);
        play_asks(&p, "limit=2");
        assert_null(strstr(p.asked, "sendInitialEvents"));
        play_page(&p, "a@1", "10", "");
        play_changed(&p, "+a@1 ");
        assert_int_equal(p.cancels, way == 4 ? 1 : 0);
        play_end(&p);
    }
}

static void a_refused_streaming_list_is_not_tried_again(void **state)
{
    struct play p;

    (void)state;
    play_begin_with(&p, false);
    play_wait(&p);
    play_refused(&p, 422, "Invalid", 0);
    play_wait(&p);
    play_page(&p, "a@1", "10", "");
    play_wait(&p);
    play_refused(&p, 410, "Expired", 0);
    play_wait(&p);
    play_asks(&p, "limit=2");
    play_end(&p);
}

static void an_error_falls_back_this_time_only(void **state)
{
    struct play p;

    (void)state;
    play_begin_with(&p, false);
    play_wait(&p);
    play_error_event(&p, 500, "InternalError");
    play_wait(&p);
    play_asks(&p, "limit=2");
    play_page(&p, "a@1", "10", "");
    play_wait(&p);
    play_refused(&p, 410, "Expired", 0);
    play_wait(&p);
    play_asks(&p, "sendInitialEvents=true");
    play_end(&p);
}

static void a_cut_list_begins_again(void **state)
{
    struct play p;

    (void)state;
    play_begin(&p);
    play_wait(&p);
    assert_int_equal(play_say(&p,
                              "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[{\"metadata\":"
                              "{\"name\":\"ghost\",\"namespace\":\"n\",\"uid\":\"g\","
                              "\"resourceVersion\":\"1\"}},"),
                     0);
    play_broken(&p); /* and now the ghost is deleted */
    assert_true(play_wait(&p) >= 800);
    play_page(&p, "a@1", "12", "");
    play_changed(&p, "+a@1 ");
    assert_int_equal(kube_store_count(p.store), 1);
    play_end(&p);
}

static void a_later_page_is_asked_for_again(void **state)
{
    struct play p;

    (void)state;
    play_begin(&p);
    play_wait(&p);
    play_page(&p, "a@1 b@2", "10", "more");
    play_wait(&p);
    play_broken(&p);
    play_wait(&p);
    play_asks(&p, "continue=more");
    play_refused(&p, 503, "ServiceUnavailable", 4);
    assert_in_range(play_wait(&p), 4000, 5000);
    play_asks(&p, "continue=more");
    play_page(&p, "c@3", "10", "");
    assert_int_equal(kube_store_count(p.store), 3);
    assert_int_equal(play_counts(&p)->lists, 1);
    play_end(&p);
}

static void an_expired_continue_lists_unpaged(void **state)
{
    struct play p;

    (void)state;
    play_begin(&p);
    play_wait(&p);
    play_page(&p, "ghost@1 b@2", "10", "more");
    play_wait(&p);
    play_refused(&p, 410, "Expired", 0);
    assert_int_equal(play_wait(&p), 0);
    assert_string_equal(p.asked, "/api/v1/namespaces/n/pods?labelSelector=a%3Db");
    play_page(&p, "a@1 b@2 c@3", "20", "");
    assert_int_equal(kube_store_count(p.store), 3);
    assert_int_equal(play_counts(&p)->lists, 2);
    play_end(&p);
}

static void a_410_to_a_list_does_not_spam(void **state)
{
    struct play p;
    int64_t waited;

    (void)state;
    play_begin(&p);
    play_wait(&p);
    play_refused(&p, 410, "Expired", 0);
    assert_int_equal(play_wait(&p), 0);
    play_refused(&p, 410, "Expired", 0);
    waited = play_wait(&p);
    assert_in_range(waited, 800, 1200);
    play_refused(&p, 410, "Expired", 0);
    assert_in_range(play_wait(&p), 1600, 2400);
    play_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_by_pages_then_watches),
        cmocka_unit_test(streams_a_list),
        cmocka_unit_test(falls_back_to_pages),
        cmocka_unit_test(a_refused_streaming_list_is_not_tried_again),
        cmocka_unit_test(an_error_falls_back_this_time_only),
        cmocka_unit_test(a_cut_list_begins_again),
        cmocka_unit_test(a_later_page_is_asked_for_again),
        cmocka_unit_test(an_expired_continue_lists_unpaged),
        cmocka_unit_test(a_410_to_a_list_does_not_spam),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
