/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reflector against a server that is played by hand, on a clock that is set by hand: what it
 * asks for, when, and that its store follows. The same rules over real sockets: see conformance.py.
 */
#include "cmocka_plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_reflector.h"

enum { LOG_MAX = 1 << 22, TEXT_MAX = 1 << 16, DAY_EVENTS = 1000000 };

static const struct kube_resource pods = {"", "v1", "pods", true};

struct play {
    struct kube_store *store;
    struct kube_reflector *reflector;
    struct clock_manual clock;
    struct rng_seeded random;
    char asked[KUBE_PATH_MAX]; /* the request under way; "": none */
    int gets, cancels, synced, listed, troubles;
    bool relist_at_change; /* once, inside the next change */
    int get_fails;         /* so many gets fail */
    int64_t again_ms;
    int64_t wake_ms;
    uint64_t changes;
    struct buf log;
};

/* --- the driver ------------------------------------------------------------------------------- */

static int get(void *context, const char *target, struct err *err)
{
    struct play *p = context;

    assert_string_equal(p->asked, ""); /* one at a time */
    if (p->get_fails > 0) {
        p->get_fails--;
        return err_set(err, ERR_BUSY, "not now");
    }
    p->gets++;
    snprintf(p->asked, sizeof(p->asked), "%s", target);
    return 0;
}

static void cancel(void *context)
{
    struct play *p = context;

    assert_true(p->asked[0] != '\0');
    p->cancels++;
    p->asked[0] = '\0';
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct play *p = context;

    p->wake_ms = mono_ms;
}

static void on_synced(void *user)
{
    struct play *p = user;

    p->synced++;
}

static void on_listed(void *user)
{
    struct play *p = user;

    p->listed++;
}

static void on_trouble(void *user, const struct err *err, int64_t again_in_ms)
{
    struct play *p = user;

    assert_true(err->message[0] != '\0');
    p->troubles++;
    p->again_ms = again_in_ms;
}

static int decode(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                  struct err *err)
{
    (void)user;
    (void)object;
    (void)err;
    *out = mem_strndup(meta->name.ptr, meta->name.len);
    return *out == NULL ? -ERR_NO_MEMORY : 0;
}

static void release(void *user, void *object)
{
    (void)user;
    mem_free(object);
}

static const struct kube_store_type type = {decode, release, {NULL}};

static void on_change(void *user, enum kube_change change, const struct kube_entry *entry,
                      const void *before, bool unseen)
{
    static const char signs[] = "+~-";
    struct play *p = user;

    (void)before;
    p->changes++;
    if (p->changes < 1000)
        buf_printf(&p->log, "%c%.*s@%s%s ", signs[change], STR_ARG(entry->name),
                   entry->resource_version, unseen ? "?" : "");
    if (p->relist_at_change) {
        p->relist_at_change = false;
        kube_reflector_relist(p->reflector);
    }
}

static void begin_with(struct play *p, bool no_streaming)
{
    const struct kube_store_options store = {&type, p, on_change, NULL};
    struct kube_reflector_options options = {
        .resource = &pods,
        .name_space = STR("n"),
        .label_selector = STR("a=b"),
        .page_items = 2,
        .no_streaming = no_streaming,
        .io = {get, cancel, wake_at, p},
        .on_synced = on_synced,
        .on_listed = on_listed,
        .on_trouble = on_trouble,
        .user = p,
    };

    *p = (struct play){.wake_ms = INT64_MAX};
    buf_init(&p->log, LOG_MAX);
    clock_manual_init(&p->clock, 1000);
    rng_seeded_init(&p->random, 3);
    options.clock = &p->clock.clock;
    options.rng = &p->random.rng;
    assert_int_equal(kube_store_new(&p->store, &store, NULL), 0);
    options.store = p->store;
    assert_int_equal(kube_reflector_new(&p->reflector, &options, NULL), 0);
    kube_reflector_start(p->reflector);
}

static void begin(struct play *p)
{
    begin_with(p, true);
}

static void end(struct play *p)
{
    kube_reflector_free(p->reflector);
    kube_store_free(p->store);
    buf_fini(&p->log);
}

/* --- the play --------------------------------------------------------------------------------- */

/* Lets time pass until the reflector wants to wake up; returns how long that was. */
static int64_t wait(struct play *p)
{
    int64_t now = clock_mono_ms(&p->clock.clock);
    int64_t delay = p->wake_ms > now ? p->wake_ms - now : 0;

    assert_true(p->wake_ms != INT64_MAX);
    clock_manual_advance_ms(&p->clock, delay);
    kube_reflector_on_wake(p->reflector);
    return delay;
}

static void asks(struct play *p, const char *part)
{
    if (p->asked[0] == '\0' || strstr(p->asked, part) == NULL)
        fail_msg("asked '%s', expected '%s'", p->asked, part);
}

static int say(struct play *p, const char *bytes)
{
    return kube_reflector_on_bytes(p->reflector, str_of(bytes));
}

static void over(struct play *p, const struct kube_answer *answer)
{
    assert_true(p->asked[0] != '\0');
    p->asked[0] = '\0';
    kube_reflector_on_done(p->reflector, answer);
}

static void ended(struct play *p)
{
    over(p, &(struct kube_answer){.http_status = 200});
}

static void broken(struct play *p)
{
    struct err err = {.code = ERR_NETWORK, .message = "connection reset"};

    over(p, &(struct kube_answer){.code = -ERR_NETWORK, .err = &err});
}

static void refused(struct play *p, int http, const char *reason, int retry_s)
{
    char body[256];
    struct kube_status status;
    struct err err = {0};
    int code;

    snprintf(body, sizeof(body),
             "{\"kind\":\"Status\",\"reason\":\"%s\",\"details\":{\"retryAfterSeconds\":%d}}",
             reason, retry_s);
    kube_status_read(&status, http, str_of(body));
    code = kube_status_err(&status, "GET", &err);
    over(p,
         &(struct kube_answer){.code = code, .http_status = http, .status = &status, .err = &err});
}

static void event(struct play *p, const char *what, const char *name, const char *version)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\","
             "\"uid\":\"u-%s\",\"resourceVersion\":\"%s\"}}}\n",
             what, name, name, version);
    assert_int_equal(say(p, text), 0);
}

static void bookmark(struct play *p, const char *version, bool initial_end)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%s\","
             "\"annotations\":{%s}}}}\n",
             version, initial_end ? "\"k8s.io/initial-events-end\":\"true\"" : "");
    assert_int_equal(say(p, text), 0);
}

/* An ERROR event; the driver ends the request then, as kube_api does. */
static void error_event(struct play *p, int code, const char *reason)
{
    struct err err = {.code = ERR_CANCELLED, .message = "stopped by its reader"};
    char text[256];

    snprintf(
        text, sizeof(text),
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":%d,\"reason\":\"%s\"}}\n",
        code, reason);
    assert_true(say(p, text) < 0);
    over(p, &(struct kube_answer){.code = -ERR_CANCELLED, .http_status = 200, .err = &err});
}

/* names: "a@1 b@2" */
static void page(struct play *p, const char *names, const char *version, const char *more)
{
    char text[4096];
    struct str rest = str_of(names);
    int length = snprintf(text, sizeof(text),
                          "{\"metadata\":{\"resourceVersion\":\"%s\",\"continue\":\"%s\"},"
                          "\"items\":[",
                          version, more);
    bool first = true;

    while (rest.ptr != NULL && rest.len > 0) {
        struct str one = str_cut(&rest, ' ');
        struct str name = str_cut(&one, '@');

        length += snprintf(text + length, sizeof(text) - (size_t)length,
                           "%s{\"metadata\":{\"name\":\"%.*s\",\"namespace\":\"n\",\"uid\":"
                           "\"u-%.*s\",\"resourceVersion\":\"%.*s\"}}",
                           first ? "" : ",", STR_ARG(name), STR_ARG(name), STR_ARG(one));
        first = false;
    }
    snprintf(text + length, sizeof(text) - (size_t)length, "]}");
    assert_int_equal(say(p, text), 0);
    ended(p);
}

static void changed(struct play *p, const char *expected)
{
    assert_string_equal(p->log.len > 0 ? buf_cstr(&p->log) : "", expected);
    buf_clear(&p->log);
}

/* Listed a@1 at version 10 and watching from there. */
static void watching(struct play *p)
{
    begin(p);
    wait(p);
    page(p, "a@1", "10", "");
    assert_int_equal(wait(p), 0);
    asks(p, "resourceVersion=10");
    changed(p, "+a@1 ");
}

static const struct kube_reflector_counts *counts(const struct play *p)
{
    return kube_reflector_counts(p->reflector);
}

/* --- lists ------------------------------------------------------------------------------------ */

static void lists_by_pages_then_watches(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    wait(&p);
    assert_string_equal(p.asked, "/api/v1/namespaces/n/pods?labelSelector=a%3Db&limit=2");
    page(&p, "a@9 b@2", "10", "more=");
    changed(&p, ""); /* not before the whole is there */
    assert_int_equal(wait(&p), 0);
    asks(&p, "&limit=2&continue=more%3D");
    assert_int_equal(p.synced, 0);
    page(&p, "c@3", "10", "");
    assert_int_equal(p.synced, 1);
    assert_int_equal(kube_store_count(p.store), 3);
    assert_int_equal(wait(&p), 0);
    /* From the list's version, not from the last or highest of its items (9). */
    asks(&p, "watch=true");
    asks(&p, "allowWatchBookmarks=true");
    asks(&p, "resourceVersion=10");
    event(&p, "ADDED", "d", "11");
    event(&p, "DELETED", "a", "12");
    assert_int_equal(kube_store_count(p.store), 3);
    assert_string_equal(kube_reflector_version(p.reflector), "12");
    ended(&p);
    assert_int_equal(wait(&p), 0);
    asks(&p, "resourceVersion=12");
    assert_int_equal(counts(&p)->lists, 1);
    end(&p);
}

static void streams_a_list(void **state)
{
    struct play p;

    (void)state;
    begin_with(&p, false);
    wait(&p);
    asks(&p, "sendInitialEvents=true");
    asks(&p, "resourceVersionMatch=NotOlderThan");
    asks(&p, "allowWatchBookmarks=true");
    event(&p, "ADDED", "a", "1");
    event(&p, "ADDED", "b", "2");
    event(&p, "ADDED", "c", "3");
    event(&p, "DELETED", "b", "9");
    changed(&p, "");
    bookmark(&p, "10", true);
    assert_int_equal(p.synced, 1);
    assert_int_equal(p.wake_ms, clock_mono_ms(&p.clock.clock) + 150000);
    assert_int_equal(kube_store_count(p.store), 2);
    event(&p, "MODIFIED", "a", "11"); /* the same stream goes on as the watch */
    assert_int_equal(p.gets, 1);
    assert_string_equal(kube_reflector_version(p.reflector), "11");
    broken(&p);
    wait(&p);
    asks(&p, "resourceVersion=11");
    assert_null(strstr(p.asked, "sendInitialEvents"));
    end(&p);
}

/* Each way in which a streaming list fails before its end mark. */
static void falls_back_to_pages(void **state)
{
    (void)state;
    for (int way = 0; way < 5; way++) {
        struct play p;

        begin_with(&p, false);
        wait(&p);
        event(&p, "ADDED", "ghost", "1");
        if (way == 0)
            refused(&p, 422, "Invalid", 0);
        else if (way == 1)
            error_event(&p, 410, "Expired");
        else if (way == 2)
            error_event(&p, 500, "InternalError");
        else if (way == 3)
            ended(&p);
        else
            assert_int_equal(wait(&p), 10000); /* no end mark in time: it is cancelled */
        assert_int_equal(wait(&p), 0);
        asks(&p, "limit=2");
        assert_null(strstr(p.asked, "sendInitialEvents"));
        page(&p, "a@1", "10", "");
        changed(&p, "+a@1 ");
        assert_int_equal(p.cancels, way == 4 ? 1 : 0);
        end(&p);
    }
}

static void a_refused_streaming_list_is_not_tried_again(void **state)
{
    struct play p;

    (void)state;
    begin_with(&p, false);
    wait(&p);
    refused(&p, 422, "Invalid", 0);
    wait(&p);
    page(&p, "a@1", "10", "");
    wait(&p);
    refused(&p, 410, "Expired", 0);
    wait(&p);
    asks(&p, "limit=2");
    end(&p);
}

static void an_error_falls_back_this_time_only(void **state)
{
    struct play p;

    (void)state;
    begin_with(&p, false);
    wait(&p);
    error_event(&p, 500, "InternalError");
    wait(&p);
    asks(&p, "limit=2");
    page(&p, "a@1", "10", "");
    wait(&p);
    refused(&p, 410, "Expired", 0);
    wait(&p);
    asks(&p, "sendInitialEvents=true");
    end(&p);
}

static void a_cut_list_begins_again(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    wait(&p);
    assert_int_equal(say(&p, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[{\"metadata\":"
                             "{\"name\":\"ghost\",\"namespace\":\"n\",\"uid\":\"g\","
                             "\"resourceVersion\":\"1\"}},"),
                     0);
    broken(&p); /* and now the ghost is deleted */
    assert_true(wait(&p) >= 800);
    page(&p, "a@1", "12", "");
    changed(&p, "+a@1 ");
    assert_int_equal(kube_store_count(p.store), 1);
    end(&p);
}

static void a_later_page_is_asked_for_again(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    wait(&p);
    page(&p, "a@1 b@2", "10", "more");
    wait(&p);
    broken(&p);
    wait(&p);
    asks(&p, "continue=more");
    refused(&p, 503, "ServiceUnavailable", 4);
    assert_in_range(wait(&p), 4000, 5000);
    asks(&p, "continue=more");
    page(&p, "c@3", "10", "");
    assert_int_equal(kube_store_count(p.store), 3);
    assert_int_equal(counts(&p)->lists, 1);
    end(&p);
}

static void an_expired_continue_lists_unpaged(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    wait(&p);
    page(&p, "ghost@1 b@2", "10", "more");
    wait(&p);
    refused(&p, 410, "Expired", 0);
    assert_int_equal(wait(&p), 0);
    assert_string_equal(p.asked, "/api/v1/namespaces/n/pods?labelSelector=a%3Db");
    page(&p, "a@1 b@2 c@3", "20", "");
    assert_int_equal(kube_store_count(p.store), 3);
    assert_int_equal(counts(&p)->lists, 2);
    end(&p);
}

static void a_410_to_a_list_does_not_spam(void **state)
{
    struct play p;
    int64_t waited;

    (void)state;
    begin(&p);
    wait(&p);
    refused(&p, 410, "Expired", 0);
    assert_int_equal(wait(&p), 0);
    refused(&p, 410, "Expired", 0);
    waited = wait(&p);
    assert_in_range(waited, 800, 1200);
    refused(&p, 410, "Expired", 0);
    assert_in_range(wait(&p), 1600, 2400);
    end(&p);
}

/* --- watches ---------------------------------------------------------------------------------- */

static void a_410_costs_one_list(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct play p;

        watching(&p);
        if (way == 0)
            refused(&p, 410, "Expired", 0);
        else
            error_event(&p, 410, "Gone");
        assert_string_equal(kube_reflector_version(p.reflector), "");
        assert_int_equal(wait(&p), 0);
        page(&p, "b@15", "20", "");
        changed(&p, "+b@15 -a@1? ");
        wait(&p);
        asks(&p, "resourceVersion=20");
        assert_int_equal(counts(&p)->lists, 2);
        assert_int_equal(counts(&p)->expiries, 1);
        assert_int_equal(p.troubles, 0);
        end(&p);
    }
}

static void relists_do_not_spam(void **state)
{
    struct play p;
    int64_t total = 0;

    (void)state;
    watching(&p);
    /* Each list works, each watch of its version is 410 at once: an API server gone mad. */
    for (int i = 0; i < 20; i++) {
        char version[16];

        refused(&p, 410, "Expired", 0);
        total += wait(&p);
        snprintf(version, sizeof(version), "%d", 20 + i);
        page(&p, "a@1", version, "");
        wait(&p);
    }
    assert_true(total > 200000); /* 30 s apart in the end */
    assert_int_equal(counts(&p)->lists, 21);
    clock_manual_advance_ms(&p.clock, 10000); /* a healthy watch makes it forgotten */
    event(&p, "MODIFIED", "a", "100");
    refused(&p, 410, "Expired", 0);
    assert_int_equal(wait(&p), 0);
    end(&p);
}

static void bookmarks_move_the_version(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    for (int i = 11; i < 200; i++) {
        char version[16];

        snprintf(version, sizeof(version), "%d", i);
        bookmark(&p, version, false);
    }
    broken(&p);
    wait(&p);
    asks(&p, "resourceVersion=199");
    changed(&p, "");
    refused(&p, 410, "Expired", 0); /* an expired bookmark */
    assert_int_equal(wait(&p), 0);
    asks(&p, "limit=2");
    end(&p);
}

static void cut_events_come_again(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    event(&p, "ADDED", "b", "11");
    assert_int_equal(say(&p, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"c\xe2\x82"),
                     0);
    broken(&p);
    wait(&p);
    asks(&p, "resourceVersion=11");
    event(&p, "ADDED", "c", "12");
    changed(&p, "+b@11 +c@12 ");
    end(&p);
}

static void silence_is_found(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    clock_manual_advance_ms(&p.clock, 100000);
    event(&p, "ADDED", "b", "11");
    wait(&p); /* as if nothing had come: but something has, so it waits on */
    assert_int_equal(p.cancels, 0);
    wait(&p);
    assert_int_equal(p.cancels, 1);
    assert_int_equal(counts(&p)->silences, 1);
    assert_int_equal(clock_mono_ms(&p.clock.clock), 250000);
    wait(&p);
    asks(&p, "resourceVersion=11");
    assert_int_equal(counts(&p)->lists, 1);
    end(&p);
}

/* A server that keeps talking but never ends the watch, as it was asked to. */
static void time_is_up_in_the_end(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    for (int i = 0; i < 10000 && p.cancels == 0; i++) {
        char version[16];

        snprintf(version, sizeof(version), "%d", 11 + i);
        bookmark(&p, version, false);
        clock_manual_advance_ms(&p.clock, 1000);
        if (clock_mono_ms(&p.clock.clock) >= p.wake_ms)
            kube_reflector_on_wake(p.reflector);
    }
    assert_int_equal(p.cancels, 1);
    assert_in_range(clock_mono_ms(&p.clock.clock), 300000, 611000);
    assert_int_equal(counts(&p)->failures, 0);
    assert_int_equal(wait(&p), 0);
    asks(&p, "resourceVersion=");
    end(&p);
}

static void a_clock_that_jumps_only_reconnects(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    clock_manual_advance_ms(&p.clock, 24LL * 3600 * 1000); /* the machine was suspended */
    kube_reflector_on_wake(p.reflector);
    assert_int_equal(p.cancels, 1);
    assert_true(wait(&p) < 2000);
    asks(&p, "resourceVersion=10");
    event(&p, "MODIFIED", "a", "11");
    changed(&p, "~a@11 ");
    assert_int_equal(counts(&p)->lists, 1);
    end(&p);
}

static void storms_of_errors_back_off(void **state)
{
    struct play p;
    int64_t last = 0;

    (void)state;
    watching(&p);
    for (int i = 0; i < 10; i++) {
        int64_t delay;

        refused(&p, 500, "InternalError", 0);
        delay = wait(&p);
        assert_true(delay >= 800 && delay <= 45000);
        assert_true(i == 0 || i > 5 || delay > last);
        asks(&p, "resourceVersion=10"); /* the version is as good as before: no list */
        last = delay;
    }
    assert_true(last >= 30000);
    assert_int_equal(counts(&p)->lists, 1);
    event(&p, "MODIFIED", "a", "11");
    broken(&p);
    assert_in_range(wait(&p), 800, 1200); /* forgotten */
    end(&p);
}

static void retry_after_is_obeyed(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    refused(&p, 429, "TooManyRequests", 7);
    assert_in_range(wait(&p), 7000, 8750);
    asks(&p, "resourceVersion=10");
    assert_int_equal(counts(&p)->lists, 1);
    end(&p);
}

static void denied_kinds_are_tried_slowly(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    for (int i = 0; i < 5; i++) {
        wait(&p);
        asks(&p, "limit=2");
        refused(&p, 403, "Forbidden", 0);
    }
    assert_int_equal(p.troubles, 5);
    assert_true(p.again_ms >= 12800);
    assert_int_equal(p.synced, 0);
    end(&p);
}

static void useless_watches_end_in_a_list(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    for (int i = 0; i < 3; i++) {
        asks(&p, "resourceVersion=10");
        error_event(&p, 500, "InternalError");
        assert_true(wait(&p) >= 800);
    }
    asks(&p, "limit=2");
    end(&p);
}

static void nonsense_is_survived(void **state)
{
    struct err err = {.code = ERR_SYNTAX, .message = "stopped by its reader"};
    struct play p;

    (void)state;
    watching(&p);
    assert_true(say(&p, "<html>down</html>\n") < 0);
    over(&p, &(struct kube_answer){.code = -ERR_SYNTAX, .http_status = 200, .err = &err});
    assert_true(wait(&p) >= 800);
    asks(&p, "resourceVersion=10");
    end(&p);
}

static void short_empty_watches_back_off(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    ended(&p);
    assert_true(wait(&p) >= 800);
    ended(&p);
    assert_true(wait(&p) >= 1600);
    clock_manual_advance_ms(&p.clock, 1000);
    ended(&p); /* lasted a while: an ordinary end */
    assert_int_equal(wait(&p), 0);
    end(&p);
}

static void requests_that_can_not_be_made_are_retried(void **state)
{
    struct play p;

    (void)state;
    begin(&p);
    p.get_fails = 3;
    wait(&p);
    wait(&p);
    wait(&p);
    assert_true(wait(&p) >= 3200);
    page(&p, "a@1", "10", "");
    assert_int_equal(p.synced, 1);
    end(&p);
}

static void doubled_events_change_nothing(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    event(&p, "ADDED", "b", "11");
    event(&p, "ADDED", "b", "11");
    event(&p, "ADDED", "a", "1"); /* replayed from before */
    changed(&p, "+b@11 ");
    end(&p);
}

static void lists_anew_when_asked(void **state)
{
    struct play p;

    (void)state;
    watching(&p);
    assert_int_equal(p.listed, 1);
    kube_reflector_relist(p.reflector);
    assert_int_equal(p.cancels, 1);
    assert_int_equal(wait(&p), 0);
    asks(&p, "limit=2");
    page(&p, "a@1 b@5", "20", "more");
    wait(&p);
    kube_reflector_relist(p.reflector); /* in the middle of a list: from the beginning */
    wait(&p);
    assert_null(strstr(p.asked, "continue"));
    assert_int_equal(p.listed, 1);
    page(&p, "b@5", "30", "");
    changed(&p, "+b@5 -a@1? ");
    assert_int_equal(p.listed, 2);
    assert_int_equal(p.synced, 1);
    wait(&p);
    asks(&p, "resourceVersion=30");
    end(&p);
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
    watching(&p);
    p.relist_at_change = true;
    assert_true(say(&p, text) < 0); /* nothing more of this watch is wanted */
    changed(&p, "+b@11 ");
    assert_string_equal(kube_reflector_version(p.reflector), "");
    wait(&p);
    asks(&p, "limit=2");
    p.relist_at_change = true;
    page(&p, "a@13", "20", ""); /* and again, while this list takes effect */
    assert_int_equal(p.listed, 1);
    wait(&p);
    asks(&p, "limit=2");
    page(&p, "a@14", "21", "");
    assert_int_equal(p.listed, 2);
    wait(&p);
    asks(&p, "resourceVersion=21");
    assert_int_equal(kube_store_count(p.store), 1);
    end(&p);
}

/* A day of churn: the store follows, and nothing grows. */
static void a_day_of_events(void **state)
{
    struct play p;
    bool there[100] = {0};
    size_t expected = 0;

    (void)state;
    watching(&p);
    event(&p, "DELETED", "a", "11");
    for (int i = 0; i < DAY_EVENTS; i++) {
        size_t which = (size_t)rng_below(&p.random.rng, ARRAY_COUNT(there));
        bool remove = there[which] && i % 3 == 0;
        char name[16], version[16];

        snprintf(name, sizeof(name), "p%zu", which);
        snprintf(version, sizeof(version), "%d", 12 + i);
        event(&p, remove ? "DELETED" : there[which] ? "MODIFIED" : "ADDED", name, version);
        there[which] = !remove;
        if (i % 50000 == 0) {
            broken(&p);
            wait(&p);
            asks(&p, version);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(there); i++)
        expected += there[i] ? 1 : 0;
    assert_int_equal(kube_store_count(p.store), expected);
    assert_int_equal(counts(&p)->events, DAY_EVENTS + 1);
    assert_int_equal(counts(&p)->lists, 1);
    end(&p);
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
        cmocka_unit_test(lists_anew_from_inside_a_change),
        cmocka_unit_test(a_day_of_events),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
