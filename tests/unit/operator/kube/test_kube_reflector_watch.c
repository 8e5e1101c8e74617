/* SPDX-License-Identifier: Apache-2.0 */
/* The reflector's watches: what it asks for, when, and that its store follows. The same rules over
 * real sockets: see test_conformance.py. */
#include "reflector_play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { DAY_EVENTS = 1000000 };

static void a_410_costs_one_list(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct play p;

        play_watching(&p);
        if (way == 0)
            play_refused(&p, 410, "Expired", 0);
        else
            play_error_event(&p, 410, "Gone");
        assert_string_equal(kube_reflector_version(p.reflector), "");
        assert_int_equal(play_wait(&p), 0);
        play_page(&p, "b@15", "20", "");
        play_changed(&p, "+b@15 -a@1? ");
        play_wait(&p);
        play_asks(&p, "resourceVersion=20");
        assert_int_equal(play_counts(&p)->lists, 2);
        assert_int_equal(play_counts(&p)->expiries, 1);
        assert_int_equal(p.troubles, 0);
        play_end(&p);
    }
}

static void relists_do_not_spam(void **state)
{
    struct play p;
    int64_t total = 0;

    (void)state;
    play_watching(&p);
    /* Each list works, each watch of its version is 410 at once: an API server gone mad. */
    for (int i = 0; i < 20; i++) {
        char version[16];

        play_refused(&p, 410, "Expired", 0);
        total += play_wait(&p);
        snprintf(version, sizeof(version), "%d", 20 + i);
        play_page(&p, "a@1", version, "");
        play_wait(&p);
    }
    assert_true(total > 200000); /* 30 s apart in the end */
    assert_int_equal(play_counts(&p)->lists, 21);
    clock_manual_advance_ms(&p.clock, 10000); /* a healthy watch makes it forgotten */
    play_event(&p, "MODIFIED", "a", "100");
    play_refused(&p, 410, "Expired", 0);
    assert_int_equal(play_wait(&p), 0);
    play_end(&p);
}

static void bookmarks_move_the_version(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    for (int i = 11; i < 200; i++) {
        char version[16];

        snprintf(version, sizeof(version), "%d", i);
        play_bookmark(&p, version, false);
    }
    play_broken(&p);
    play_wait(&p);
    play_asks(&p, "resourceVersion=199");
    play_changed(&p, "");
    play_refused(&p, 410, "Expired", 0); /* an expired bookmark */
    assert_int_equal(play_wait(&p), 0);
    play_asks(&p, "limit=2");
    play_end(&p);
}

static void cut_events_come_again(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    play_event(&p, "ADDED", "b", "11");
    assert_int_equal(
        play_say(&p, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"c\xe2\x82"), 0);
    play_broken(&p);
    play_wait(&p);
    play_asks(&p, "resourceVersion=11");
    play_event(&p, "ADDED", "c", "12");
    play_changed(&p, "+b@11 +c@12 ");
    play_end(&p);
}

static void silence_is_found(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    clock_manual_advance_ms(&p.clock, 60000);
    play_event(&p, "ADDED", "b", "11");
    play_wait(&p); /* as if nothing had come: but something has, so it waits on */
    assert_int_equal(p.cancels, 0);
    play_wait(&p);
    assert_int_equal(p.cancels, 1);
    assert_int_equal(play_counts(&p)->silences, 1);
    assert_int_equal(clock_mono_ms(&p.clock.clock), 150000);
    play_wait(&p);
    play_asks(&p, "resourceVersion=11");
    assert_int_equal(play_counts(&p)->lists, 1);
    play_end(&p);
}

/* A server that keeps talking but never ends the watch, as it was asked to. */
static void time_is_up_in_the_end(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    for (int i = 0; i < 10000 && p.cancels == 0; i++) {
        char version[16];

        snprintf(version, sizeof(version), "%d", 11 + i);
        play_bookmark(&p, version, false);
        clock_manual_advance_ms(&p.clock, 1000);
        if (clock_mono_ms(&p.clock.clock) >= p.wake_ms)
            kube_reflector_on_wake(p.reflector);
    }
    assert_int_equal(p.cancels, 1);
    assert_in_range(clock_mono_ms(&p.clock.clock), 300000, 611000);
    assert_int_equal(play_counts(&p)->failures, 0);
    assert_int_equal(play_wait(&p), 0);
    play_asks(&p, "resourceVersion=");
    play_end(&p);
}

static void a_clock_that_jumps_only_reconnects(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    clock_manual_advance_ms(&p.clock, 24LL * 3600 * 1000); /* the machine was suspended */
    kube_reflector_on_wake(p.reflector);
    assert_int_equal(p.cancels, 1);
    assert_true(play_wait(&p) < 2000);
    play_asks(&p, "resourceVersion=10");
    play_event(&p, "MODIFIED", "a", "11");
    play_changed(&p, "~a@11 ");
    assert_int_equal(play_counts(&p)->lists, 1);
    play_end(&p);
}

static void storms_of_errors_back_off(void **state)
{
    struct play p;
    int64_t last = 0;

    (void)state;
    play_watching(&p);
    for (int i = 0; i < 10; i++) {
        int64_t delay;

        play_refused(&p, 500, "InternalError", 0);
        delay = play_wait(&p);
        assert_true(delay >= 800 && delay <= 45000);
        assert_true(i == 0 || i > 5 || delay > last);
        play_asks(&p, "resourceVersion=10"); /* the version is as good as before: no list */
        last = delay;
    }
    assert_true(last >= 30000);
    assert_int_equal(play_counts(&p)->lists, 1);
    play_event(&p, "MODIFIED", "a", "11");
    play_broken(&p);
    assert_in_range(play_wait(&p), 800, 1200); /* forgotten */
    play_end(&p);
}

static void retry_after_is_obeyed(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    play_refused(&p, 429, "TooManyRequests", 7);
    assert_in_range(play_wait(&p), 7000, 8750);
    play_asks(&p, "resourceVersion=10");
    assert_int_equal(play_counts(&p)->lists, 1);
    play_end(&p);
}

static void denied_kinds_are_tried_slowly(void **state)
{
    struct play p;

    (void)state;
    play_begin(&p);
    for (int i = 0; i < 5; i++) {
        play_wait(&p);
        play_asks(&p, "limit=2");
        play_refused(&p, 403, "Forbidden", 0);
    }
    assert_int_equal(p.troubles, 5);
    assert_true(p.again_ms >= 12800);
    assert_int_equal(p.synced, 0);
    play_end(&p);
}

static void useless_watches_end_in_a_list(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    for (int i = 0; i < 3; i++) {
        play_asks(&p, "resourceVersion=10");
        play_error_event(&p, 500, "InternalError");
        assert_true(play_wait(&p) >= 800);
    }
    play_asks(&p, "limit=2");
    play_end(&p);
}

static void nonsense_is_survived(void **state)
{
    struct err err = {.code = ERR_SYNTAX, .message = "stopped by its reader"};
    struct play p;

    (void)state;
    play_watching(&p);
    assert_true(play_say(&p, "<html>down</html>\n") < 0);
    play_over(&p, &(struct kube_answer){.code = -ERR_SYNTAX, .http_status = 200, .err = &err});
    assert_true(play_wait(&p) >= 800);
    play_asks(&p, "resourceVersion=10");
    play_end(&p);
}

static void short_empty_watches_back_off(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    play_ended(&p);
    assert_true(play_wait(&p) >= 800);
    play_ended(&p);
    assert_true(play_wait(&p) >= 1600);
    clock_manual_advance_ms(&p.clock, 1000);
    play_ended(&p); /* lasted a while: an ordinary end */
    assert_int_equal(play_wait(&p), 0);
    play_end(&p);
}

static void requests_that_can_not_be_made_are_retried(void **state)
{
    struct play p;

    (void)state;
    play_begin(&p);
    p.get_fails = 3;
    play_wait(&p);
    play_wait(&p);
    play_wait(&p);
    assert_true(play_wait(&p) >= 3200);
    play_page(&p, "a@1", "10", "");
    assert_int_equal(p.synced, 1);
    play_end(&p);
}

static void doubled_events_change_nothing(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    play_event(&p, "ADDED", "b", "11");
    play_event(&p, "ADDED", "b", "11");
    play_event(&p, "ADDED", "a", "1"); /* replayed from before */
    play_changed(&p, "+b@11 ");
    play_end(&p);
}

static void lists_anew_when_asked(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    assert_int_equal(p.listed, 1);
    kube_reflector_relist(p.reflector);
    assert_int_equal(p.cancels, 1);
    assert_int_equal(play_wait(&p), 0);
    play_asks(&p, "limit=2");
    play_page(&p, "a@1 b@5", "20", "more");
    play_wait(&p);
    kube_reflector_relist(p.reflector); /* in the middle of a list: from the beginning */
    play_wait(&p);
    assert_null(strstr(p.asked, "continue"));
    assert_int_equal(p.listed, 1);
    play_page(&p, "b@5", "30", "");
    play_changed(&p, "+b@5 -a@1? ");
    assert_int_equal(p.listed, 2);
    assert_int_equal(p.synced, 1);
    play_wait(&p);
    play_asks(&p, "resourceVersion=30");
    play_end(&p);
}

/* A watch may be dead and nobody knows: the next one goes on where it stood. */
static void watches_anew_when_asked(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    play_event(&p, "ADDED", "b", "15");
    kube_reflector_rewatch(p.reflector);
    assert_int_equal(p.cancels, 1);
    assert_int_equal(play_wait(&p), 0);
    play_asks(&p, "resourceVersion=15");
    play_asks(&p, "watch=true");
    assert_int_equal(p.listed, 1);
    play_broken(&p); /* it waits before it tries again, but not if it is asked to */
    kube_reflector_rewatch(p.reflector);
    assert_int_equal(play_wait(&p), 0);
    play_asks(&p, "resourceVersion=15");
    assert_int_equal(p.cancels, 1);
    play_event(&p, "ADDED", "c", "16");
    play_changed(&p, "+b@15 +c@16 ");
    play_end(&p);
}

/* A list is no older than what is asked for, so it goes on. */
static void no_list_is_cut_for_a_new_watch(void **state)
{
    struct play p;

    (void)state;
    play_watching(&p);
    kube_reflector_relist(p.reflector);
    kube_reflector_rewatch(p.reflector);
    play_wait(&p);
    play_asks(&p, "limit=2");
    play_page(&p, "a@1", "20", "more");
    kube_reflector_rewatch(p.reflector);
    play_wait(&p);
    play_asks(&p, "continue");
    kube_reflector_rewatch(p.reflector);
    assert_int_equal(p.cancels, 1);
    play_page(&p, "b@5", "20", "");
    play_changed(&p, "+b@5 ");
    play_end(&p);
}

/* An owner that asks for another list from inside a change. */
static void lists_anew_from_inside_a_change(void **state)
{
    static const char *const text = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\","
                                    "\"resourceVersion\":\"11\"}}}\n"
                                    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"c\","
                                    "\"resourceVersion\":\"12\"}}}\n";
    struct play p;

    (void)state;
    play_watching(&p);
    p.relist_at_change = true;
    assert_true(play_say(&p, text) < 0); /* nothing more of this watch is wanted */
    play_changed(&p, "+b@11 ");
    assert_string_equal(kube_reflector_version(p.reflector), "");
    play_wait(&p);
    play_asks(&p, "limit=2");
    p.relist_at_change = true;
    play_page(&p, "a@13", "20", ""); /* and again, while this list takes effect */
    assert_int_equal(p.listed, 1);
    play_wait(&p);
    play_asks(&p, "limit=2");
    play_page(&p, "a@14", "21", "");
    assert_int_equal(p.listed, 2);
    play_wait(&p);
    play_asks(&p, "resourceVersion=21");
    assert_int_equal(kube_store_count(p.store), 1);
    play_end(&p);
}

/* A day of churn: the store follows, and nothing grows. */
static void a_day_of_events(void **state)
{
    struct play p;
    bool there[100] = {0};
    size_t expected = 0;

    (void)state;
    play_watching(&p);
    play_event(&p, "DELETED", "a", "11");
    for (int i = 0; i < DAY_EVENTS; i++) {
        size_t which = (size_t)rng_below(&p.random.rng, ARRAY_COUNT(there));
        bool remove = there[which] && i % 3 == 0;
        char name[16], version[16];

        snprintf(name, sizeof(name), "p%zu", which);
        snprintf(version, sizeof(version), "%d", 12 + i);
        play_event(&p, remove ? "DELETED" : there[which] ? "MODIFIED" : "ADDED", name, version);
        there[which] = !remove;
        if (i % 50000 == 0) {
            play_broken(&p);
            play_wait(&p);
            play_asks(&p, version);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(there); i++)
        expected += there[i] ? 1 : 0;
    assert_int_equal(kube_store_count(p.store), expected);
    assert_int_equal(play_counts(&p)->events, DAY_EVENTS + 1);
    assert_int_equal(play_counts(&p)->lists, 1);
    play_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_410_costs_one_list),
        cmocka_unit_test(relists_do_not_spam),
        cmocka_unit_test(bookmarks_move_the_version),
        cmocka_unit_test(cut_events_come_again),
        cmocka_unit_test(silence_is_found),
        cmocka_unit_test(time_is_up_in_the_end),
        cmocka_unit_test(a_clock_that_jumps_only_reconnects),
        cmocka_unit_test(storms_of_errors_back_off),
        cmocka_unit_test(retry_after_is_obeyed),
        cmocka_unit_test(denied_kinds_are_tried_slowly),
        cmocka_unit_test(useless_watches_end_in_a_list),
        cmocka_unit_test(nonsense_is_survived),
        cmocka_unit_test(short_empty_watches_back_off),
        cmocka_unit_test(requests_that_can_not_be_made_are_retried),
        cmocka_unit_test(doubled_events_change_nothing),
        cmocka_unit_test(lists_anew_when_asked),
        cmocka_unit_test(watches_anew_when_asked),
        cmocka_unit_test(no_list_is_cut_for_a_new_watch),
        cmocka_unit_test(lists_anew_from_inside_a_change),
        cmocka_unit_test(a_day_of_events),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
