/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over the wire: paths, refusals, metadata, watch streams and list pages, cut anywhere.
 */
#include "cmocka_plain.h"

#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_limit.h"
#include "operator/kube/client/kube_list.h"
#include "operator/kube/client/kube_path.h"
#include "operator/kube/client/kube_status.h"
#include "operator/kube/client/kube_watch.h"

enum { TEXT_MAX = 32 << 20 };

static const struct kube_resource pods = {"", "v1", "pods", true};
static const struct kube_resource models = {"spate.dev", "v1alpha1", "modeldeployments", true};
static const struct kube_resource tenants = {"spate.dev", "v1alpha1", "tenants", false};

/* --- paths ------------------------------------------------------------------------------------ */

static void builds_paths(void **state)
{
    static const struct {
        const struct kube_resource *resource;
        const char *name_space, *name, *subresource, *path;
    } cases[] = {
        {&pods, "", "", NULL, "/api/v1/pods"},
        {&pods, "a", "", NULL, "/api/v1/namespaces/a/pods"},
        {&pods, "a", "b.c-1", "status", "/api/v1/namespaces/a/pods/b.c-1/status"},
        {&models, "team-a", "r1", "scale",
         "/apis/spate.dev/v1alpha1/namespaces/team-a/modeldeployments/r1/scale"},
        {&tenants, "", "acme", NULL, "/apis/spate.dev/v1alpha1/tenants/acme"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct kube_target target = {cases[i].resource, str_of(cases[i].name_space),
                                           str_of(cases[i].name), cases[i].subresource};
        CLEANUP(buf_fini) struct buf path = {0};

        buf_init(&path, KUBE_PATH_MAX);
        assert_int_equal(kube_path(&path, &target, NULL), 0);
        assert_string_equal(buf_cstr(&path), cases[i].path);
    }
}

static void hostile_names_meet_no_url(void **state)
{
    static const char *const hostile[] = {
        "..",       ".",    "../b", "a/b",        "a%2fb", "a?watch=1", "a#b",
        "a b",      "A",    "a\nb", "a\r\nHost:", "-a",    "a-",        "a_b",
        "\xc3\xa4", "a\\b", "a;b",  "a&b=c",      "$(id)", "`id`",      "'",
        "\"",       "a@b",  "a:b",  "a..b/../..", "%00",   "*",         "{a}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(hostile); i++) {
        const struct kube_target names[] = {
            {&pods, STR("a"), str_of(hostile[i]), NULL},
            {&pods, str_of(hostile[i]), STR("b"), NULL},
            {&pods, STR("a"), STR("b"), hostile[i]},
        };

        for (size_t k = 0; k < ARRAY_COUNT(names); k++) {
            CLEANUP(buf_fini) struct buf path = {0};
            struct err err = {0};

            buf_init(&path, KUBE_PATH_MAX);
            assert_int_equal(kube_path(&path, &names[k], &err), -ERR_INVALID);
            assert_int_equal(path.len, 0);
            assert_null(strchr(err.message, '\n'));
        }
    }
}

static void impossible_targets_are_refused(void **state)
{
    const struct kube_target bad[] = {
        {&pods, STR_NONE, STR("b"), NULL},
        {&tenants, STR("a"), STR("b"), NULL},
        {&pods, STR("a"), STR_NONE, "status"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CLEANUP(buf_fini) struct buf path = {0};

        buf_init(&path, KUBE_PATH_MAX);
        assert_int_equal(kube_path(&path, &bad[i], NULL), -ERR_INVALID);
    }
}

static void escapes_queries(void **state)
{
    CLEANUP(buf_fini) struct buf path = {0};

    (void)state;
    buf_init(&path, KUBE_PATH_MAX);
    buf_append_text(&path, "/p");
    assert_int_equal(kube_query(&path, "labelSelector", STR("a in (b,c)&x=#")), 0);
    assert_int_equal(kube_query(&path, "limit", STR("5")), 0);
    assert_string_equal(buf_cstr(&path), "/p?labelSelector=a%20in%20%28b%2Cc%29%26x%3D%23&limit=5");
}

/* --- objects ---------------------------------------------------------------------------------- */

/* An escaped NUL is one by the number of backslashes before it. */
static void reads_a_nul_as_a_replacement(void **state)
{
#define MARK "\xef\xbf\xbd"
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"a\\u0000b", "a" MARK "b"},
        {"\\u0000", MARK},
        {"\\u0000\\u0000", MARK MARK},
        {"\\\\u0000", "\\u0000"},
        {"\\\\\\u0000", "\\" MARK},
        {"\\\\\\\\u0000\\u0000", "\\\\u0000" MARK},
        {"\\u00000", MARK "0"},
        {"\\u0001\\u0009", "\1\t"},
        {"u0000", "u0000"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(buf_fini) struct buf text = {0};
        json_auto_t *tree = NULL;
        char *dumped;
        json_t *again;

        buf_init(&text, TEXT_MAX);
        buf_printf(&text, "{\"metadata\":{\"annotations\":{\"n\":\"%s\"}}}", cases[i].json);
        assert_int_equal(kube_object_read(&tree, buf_str(&text), "a test", NULL), 0);
        assert_true(str_is(kube_annotation(tree, "n"), cases[i].text));
        /* What keeps trees as text writes and reads them so. */
        dumped = json_dumps(tree, JSON_COMPACT);
        again = json_loads(dumped, 0, NULL);
        assert_true(json_equal(tree, again));
        json_decref(again);
        mem_free(dumped);
    }
#undef MARK
}

static void a_name_with_a_nul_is_no_obstacle(void **state)
{
    json_auto_t *tree = NULL;

    (void)state;
    assert_int_equal(kube_object_read(&tree, STR("{\"a\\u0000\":\"\\u0000\"}"), "a test", NULL), 0);
    assert_string_equal(json_string_value(json_object_get(tree, "a\xef\xbf\xbd")), "\xef\xbf\xbd");
}

/* --- refusals --------------------------------------------------------------------------------- */

static void reads_refusals(void **state)
{
    static const struct {
        int http;
        const char *body;
        enum kube_reason reason;
        int64_t retry_s;
        const char *message;
        int code;
    } cases[] = {
        {409,
         "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"pods \\\"a\\\" already "
         "exists\",\"code\":409}",
         KUBE_REASON_ALREADY_EXISTS, -1, "pods \"a\" already exists", -ERR_EXISTS},
        {409, "{\"kind\":\"Status\",\"reason\":\"Conflict\"}", KUBE_REASON_CONFLICT, -1, "",
         -ERR_CONFLICT},
        {410, "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"too old\"}",
         KUBE_REASON_EXPIRED, -1, "too old", -ERR_CONFLICT},
        {429,
         "{\"kind\":\"Status\",\"reason\":\"TooManyRequests\",\"details\":{\"retryAfterSeconds\":3}"
         "}",
         KUBE_REASON_TOO_MANY_REQUESTS, 3, "", -ERR_BUSY},
        {429,
         "{\"kind\":\"Status\",\"reason\":\"TooManyRequests\",\"details\":{\"retryAfterSeconds\":"
         "999999999}}",
         KUBE_REASON_TOO_MANY_REQUESTS, KUBE_RETRY_AFTER_MAX_S, "", -ERR_BUSY},
        {422, "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"spec: bad\\nthing\"}",
         KUBE_REASON_INVALID, -1, "spec: bad thing", -ERR_INVALID},
        {404, "404 page not found\n", KUBE_REASON_NOT_FOUND, -1, "404 page not found",
         -ERR_NOT_FOUND},
        {502, "<html>\x1b[31mBad Gateway", KUBE_REASON_SERVICE_UNAVAILABLE, -1,
         "<html> [31mBad Gateway", -ERR_BUSY},
        {503, "", KUBE_REASON_SERVICE_UNAVAILABLE, -1, "", -ERR_BUSY},
        {418, "[1,2", KUBE_REASON_BAD_REQUEST, -1, "[1,2", -ERR_INVALID},
        {403, "{\"kind\":\"Status\",\"reason\":7,\"message\":[],\"details\":1}",
         KUBE_REASON_FORBIDDEN, -1, "", -ERR_DENIED},
        {403,
         "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"pods \\\"a\\\" is forbidden: "
         "exceeded quota: gpus, requested: pods=1, used: pods=3, limited: pods=3\"}",
         KUBE_REASON_FORBIDDEN, -1,
         "pods \"a\" is forbidden: exceeded quota: gpus, requested: pods=1, used: pods=3, limited: "
         "pods=3",
         -ERR_LIMIT},
        {302, "", KUBE_REASON_NONE, -1, "", -ERR_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct kube_status s;
        struct err err = {0};

        kube_status_read(&s, cases[i].http, str_of(cases[i].body));
        assert_int_equal(s.http_status, cases[i].http);
        assert_int_equal(s.reason, cases[i].reason);
        assert_int_equal(s.retry_after_s, cases[i].retry_s);
        assert_string_equal(s.message, cases[i].message);
        assert_int_equal(kube_status_err(&s, "GET", &err), cases[i].code);
        assert_non_null(strstr(err.message, "GET: the API server answers"));
        assert_int_equal(kube_status_expired(&s), cases[i].http == 410);
    }
}

/* --- watch streams ---------------------------------------------------------------------------- */

static int log_event(void *user, const struct kube_watch_event *event)
{
    struct buf *log = user;

    buf_printf(log, "%s", kube_watch_type_name(event->type));
    if (event->type == KUBE_WATCH_ERROR)
        buf_printf(log, " %d %s;", event->status.http_status,
                   kube_reason_name(event->status.reason));
    else
        buf_printf(log, " %.*s/%.*s %.*s%s%s;", STR_ARG(event->meta.name_space),
                   STR_ARG(event->meta.name), STR_ARG(event->meta.resource_version),
                   event->initial_end ? " end" : "", event->meta.deleting ? " deleting" : "");
    if (event->type != KUBE_WATCH_ERROR && event->type != KUBE_WATCH_BOOKMARK)
        assert_null(json_object_get(json_object_get(event->object, "metadata"), "managedFields"));
    return 0;
}

static int log_item(void *user, const json_t *object, const struct kube_meta *meta)
{
    struct buf *log = user;

    buf_printf(log, "%.*s %.*s;", STR_ARG(meta->name), STR_ARG(meta->resource_version));
    assert_null(json_object_get(json_object_get(object, "metadata"), "managedFields"));
    return 0;
}

static const char stream[] =
    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":"
    "\"u\","
    "\"resourceVersion\":\"5\",\"managedFields\":[{\"manager\":\"x\"}],\"labels\":{\"k\":"
    "\"\xe2\x82\xac\\n\"}}}}\n"
    "\n"
    "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\","
    "\"resourceVersion\":\"6\",\"deletionTimestamp\":\"2026-11-22T15:04:05Z\"}}}\r\n"
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\",\"annotations\":"
    "{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
    "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\","
    "\"resourceVersion\":\"10\"}}}\n"
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}";

static const char stream_events[] = "ADDED n/a 5;MODIFIED n/a 6 deleting;BOOKMARK / 9 end;"
                                    "DELETED n/a 10;ERROR 410 Expired;";

static void decodes_a_watch_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof(stream) + 1; step = step < 40 ? step + 1 : step * 2) {
        CLEANUP(buf_fini) struct buf log = {0};
        struct kube_watch w;

        buf_init(&log, TEXT_MAX);
        kube_watch_init(&w, log_event, &log);
        for (size_t at = 0; at < sizeof(stream) - 1; at += step) {
            size_t end = at + step < sizeof(stream) - 1 ? at + step : sizeof(stream) - 1;

            assert_int_equal(kube_watch_feed(&w, (struct str){stream + at, end - at}, NULL), 0);
        }
        assert_int_equal(kube_watch_end(&w, NULL), 0);
        assert_string_equal(buf_cstr(&log), stream_events);
        assert_int_equal(w.events, 5);
        kube_watch_fini(&w);
    }
}

static void a_cut_event_is_dropped(void **state)
{
    const char *lines = strchr(stream, '\n');
    size_t first = (size_t)(lines - stream);

    (void)state;
    /* In the middle of an object, of a UTF-8 character, of an escape, just before the end. */
    for (size_t cut = 1; cut < first; cut++) {
        CLEANUP(buf_fini) struct buf log = {0};
        struct kube_watch w;

        buf_init(&log, TEXT_MAX);
        kube_watch_init(&w, log_event, &log);
        assert_int_equal(kube_watch_feed(&w, (struct str){stream, cut}, NULL), 0);
        assert_int_equal(kube_watch_end(&w, NULL), 0);
        assert_int_equal(log.len, 0);
        kube_watch_reset(&w);
        assert_int_equal(kube_watch_feed(&w, (struct str){stream, first + 1}, NULL), 0);
        assert_string_equal(buf_cstr(&log), "ADDED n/a 5;");
        kube_watch_fini(&w);
    }
}

/* What any tenant may write into an object of theirs, however the bytes are cut. */
static void a_nul_ends_no_watch_and_no_page(void **state)
{
    static const char event[] =
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\","
        "\"resourceVersion\":\"5\",\"annotations\":{\"x\":\"a\\u0000b\"}}}}\n";
    static const char page[] =
        "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"metadata\":{\"name\":\"a\","
        "\"resourceVersion\":\"5\",\"annotations\":{\"x\":\"a\\u0000b\"}}}]}";

    (void)state;
    for (size_t step = 1; step < 2 * sizeof(event); step *= 2) {
        CLEANUP(buf_fini) struct buf log = {0};
        struct kube_watch w;
        struct kube_list l;

        buf_init(&log, TEXT_MAX);
        kube_watch_init(&w, log_event, &log);
        kube_list_init(&l, log_item, &log);
        for (size_t at = 0; at < sizeof(event) - 1; at += step)
            assert_int_equal(kube_watch_feed(&w, str_slice(STR(event), at, at + step), NULL), 0);
        for (size_t at = 0; at < sizeof(page) - 1; at += step)
            assert_int_equal(kube_list_feed(&l, str_slice(STR(page), at, at + step), NULL), 0);
        assert_int_equal(kube_list_end(&l, NULL), 0);
        assert_string_equal(buf_cstr(&log), "ADDED n/a 5;a 5;");
        kube_watch_fini(&w);
        kube_list_fini(&l);
    }
}

static void refuses_what_is_no_watch(void **state)
{
    static const char *const bad[] = {
        "<html>\n",
        "{\"type\":\"ADDED\"}\n",
        "{\"type\":\"NEWS\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n", /* no version */
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":1,\"resourceVersion\":\"1\"}}}\n",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}\n",
        "5\nd1\n", /* chunk sizes are not ours to read */
        "[]\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CLEANUP(buf_fini) struct buf log = {0};
        struct kube_watch w;
        struct err err = {0};

        buf_init(&log, TEXT_MAX);
        kube_watch_init(&w, log_event, &log);
        assert_true(kube_watch_feed(&w, str_of(bad[i]), &err) < 0);
        assert_true(err.message[0] != '\0');
        assert_true(kube_watch_feed(&w, STR("\n"), &err) < 0); /* it stays failed */
        assert_int_equal(log.len, 0);
        kube_watch_fini(&w);
    }
}

static void bounds_an_event(void **state)
{
    static char piece[1 << 20];
    struct kube_watch w;
    struct err err = {0};
    int r = 0;

    (void)state;
    memset(piece, ' ', sizeof(piece));
    piece[0] = '{';
    kube_watch_init(&w, log_event, NULL);
    for (int i = 0; i < 100 && r == 0; i++)
        r = kube_watch_feed(&w, (struct str){piece, sizeof(piece)}, &err);
    assert_int_equal(r, -ERR_LIMIT);
    assert_true(w.line.cap <= 2 * KUBE_WATCH_LINE_MAX);
    kube_watch_fini(&w);
}

/* --- list pages ------------------------------------------------------------------------------- */

static const char *const pages[] = {
    "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"7\","
    "\"continue\""
    ":\"t\\u006bn\",\"remainingItemCount\":3},\"items\":[{\"metadata\":{\"name\":\"a\","
    "\"resourceVersion\":\"3\",\"managedFields\":[{}]},\"spec\":{\"x\":\"]}\\\"{[\"}},\n"
    "{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"2\"}}]}\n",
    " { \"items\" : [ {\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"3\"}} , "
    "{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"2\"}} ] , \"extra\":[[{}],\"}\"], \"n\" : "
    "-1.5e3 , \"metadata\" : {\"resourceVersion\":\"7\",\"continue\":\"tkn\"}, \"z\":null }",
};

static void decodes_pages_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        size_t size = strlen(pages[i]);

        for (size_t step = 1; step <= size; step = step < 40 ? step + 1 : step * 2) {
            CLEANUP(buf_fini) struct buf log = {0};
            struct kube_list l;

            buf_init(&log, TEXT_MAX);
            kube_list_init(&l, log_item, &log);
            for (size_t at = 0; at < size; at += step) {
                size_t end = at + step < size ? at + step : size;

                if (at < size - 1) /* the last byte of the first page is a line end */
                    assert_int_equal(kube_list_end(&l, NULL), -ERR_PROTOCOL);
                assert_int_equal(kube_list_feed(&l, (struct str){pages[i] + at, end - at}, NULL),
                                 0);
            }
            assert_int_equal(kube_list_end(&l, NULL), 0);
            assert_string_equal(buf_cstr(&log), "a 3;b 2;");
            assert_string_equal(l.resource_version, "7");
            assert_string_equal(l.continue_token, "tkn");
            assert_int_equal(l.items, 2);
            kube_list_fini(&l);
        }
    }
}

static void reads_empty_pages(void **state)
{
    static const char *const empty[] = {
        "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}",
        "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"\"},\"items\":null}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(empty); i++) {
        struct kube_list l;

        kube_list_init(&l, log_item, NULL);
        assert_int_equal(kube_list_feed(&l, str_of(empty[i]), NULL), 0);
        assert_int_equal(kube_list_end(&l, NULL), 0);
        assert_int_equal(l.items, 0);
        assert_string_equal(l.continue_token, "");
        kube_list_fini(&l);
    }
}

static void refuses_what_is_no_page(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{\"kind\":\"Status\"}",
        "{\"items\":{}}",
        "{\"items\":[1]}",
        "{\"items\":[{}]}",
        "{\"items\":[{\"metadata\":{\"name\":\"a\"}}{}]}",
        "{\"items\":[,]}",
        "{\"items\":[],}",
        "{\"items\":[],\"items\":[]}",
        "{\"metadata\":{},\"metadata\":{}}",
        "{\"metadata\":[]}",
        "{\"items\":[{\"metadata\":{\"name\":\"a\"],\"b\":{}}]}",
        "{\"metadata\":{\"resourceVersion\":7}}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"\\u0061\":1}",
        "{\"items\":[],\"metadata\":{}} x",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CLEANUP(buf_fini) struct buf log = {0};
        struct kube_list l;
        struct err err = {0};
        int r;

        buf_init(&log, TEXT_MAX);
        kube_list_init(&l, log_item, &log);
        r = kube_list_feed(&l, str_of(bad[i]), &err);
        if (r == 0)
            r = kube_list_end(&l, &err);
        assert_true(r < 0);
        assert_true(err.message[0] != '\0');
        kube_list_fini(&l);
    }
}

static void bounds_a_page(void **state)
{
    static const char *const begins[] = {"{\"x\":\"", "{\"metadata\":{\"a\":\"", "{\"items\":[{\""};
    static char piece[1 << 20];

    (void)state;
    memset(piece, 'x', sizeof(piece));
    for (size_t i = 0; i < ARRAY_COUNT(begins); i++) {
        struct kube_list l;
        int r;

        kube_list_init(&l, log_item, NULL);
        r = kube_list_feed(&l, str_of(begins[i]), NULL);
        for (int k = 0; k < 100 && r == 0; k++)
            r = kube_list_feed(&l, (struct str){piece, sizeof(piece)}, NULL);
        assert_int_equal(r, -ERR_LIMIT);
        kube_list_fini(&l);
    }
}

/* --- patience --------------------------------------------------------------------------------- */

static void buckets_fill_again(void **state)
{
    struct kube_bucket b;

    (void)state;
    kube_bucket_init(&b, 3, 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(kube_bucket_take(&b, 50000), 0);
    assert_int_equal(kube_bucket_take(&b, 50000), 1000);
    assert_int_equal(kube_bucket_take(&b, 50400), 600);
    assert_int_equal(kube_bucket_take(&b, 51000), 0);
    assert_true(kube_bucket_take(&b, 51000) > 0);
    for (int i = 0; i < 3; i++) /* full again, not fuller */
        assert_int_equal(kube_bucket_take(&b, 90000), 0);
    assert_true(kube_bucket_take(&b, 90000) > 0);
}

static void backoff_doubles_up_to_its_end(void **state)
{
    struct kube_backoff b = {.first_ms = 100, .max_ms = 1000};
    static const int64_t base[] = {100, 200, 400, 800, 1000, 1000};
    struct rng_seeded random;

    (void)state;
    rng_seeded_init(&random, 7);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(base); i++) {
            int64_t delay = kube_backoff_next(&b, &random.rng);

            assert_true(delay >= base[i] && delay <= base[i] + base[i] / 2);
        }
        kube_backoff_reset(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_paths),
        cmocka_unit_test(hostile_names_meet_no_url),
        cmocka_unit_test(impossible_targets_are_refused),
        cmocka_unit_test(escapes_queries),
        cmocka_unit_test(reads_a_nul_as_a_replacement),
        cmocka_unit_test(a_name_with_a_nul_is_no_obstacle),
        cmocka_unit_test(reads_refusals),
        cmocka_unit_test(decodes_a_watch_however_it_is_cut),
        cmocka_unit_test(a_cut_event_is_dropped),
        cmocka_unit_test(a_nul_ends_no_watch_and_no_page),
        cmocka_unit_test(refuses_what_is_no_watch),
        cmocka_unit_test(bounds_an_event),
        cmocka_unit_test(decodes_pages_however_they_are_cut),
        cmocka_unit_test(reads_empty_pages),
        cmocka_unit_test(refuses_what_is_no_page),
        cmocka_unit_test(bounds_a_page),
        cmocka_unit_test(buckets_fill_again),
        cmocka_unit_test(backoff_doubles_up_to_its_end),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
