/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: the text exposition to the byte, the cap of label sets, counting from threads. */
#include "cmocka_plain.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { TEXT_MAX = 1 << 20, THREADS = 4, ADDS = 50000 };
enum { REQUESTS, TEMPERATURE, LATENCY, COUNT };

static const double bounds[] = {0.001, 0.5, 1};

static const struct metric_info table[COUNT] = {
    [REQUESTS] = {.name = "spate_requests_total",
                  .type = METRIC_COUNTER,
                  .help = "Requests.",
                  .labels = {"code", "model"},
                  .max_series = 3},
    [TEMPERATURE] = {.name = "vllm:temperature", .type = METRIC_GAUGE, .help = "Heat."},
    [LATENCY] = {.name = "spate_latency_seconds",
                 .type = METRIC_HISTOGRAM,
                 .help = "Latency.",
                 .buckets = bounds,
                 .bucket_count = 3},
};

static const char *expose(struct metrics *m, struct buf *out)
{
    buf_clear(out);
    assert_int_equal(metrics_expose(m, out), 0);
    return buf_cstr(out);
}

static void is_exposed_to_the_byte(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};
    struct metric *handles[COUNT];
    struct metrics *m;

    (void)state;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(metrics_new(&m, NULL), 0);
    assert_int_equal(metrics_declare(m, table, COUNT, handles, NULL), 0);
    assert_string_equal(expose(m, &out), "# HELP spate_requests_total Requests.\n"
                                         "# TYPE spate_requests_total counter\n"
                                         "# HELP vllm:temperature Heat.\n"
                                         "# TYPE vllm:temperature gauge\n"
                                         "vllm:temperature 0\n"
                                         "# HELP spate_latency_seconds Latency.\n"
                                         "# TYPE spate_latency_seconds histogram\n"
                                         "spate_latency_seconds_bucket{le=\"0.001\"} 0\n"
                                         "spate_latency_seconds_bucket{le=\"0.5\"} 0\n"
                                         "spate_latency_seconds_bucket{le=\"1\"} 0\n"
                                         "spate_latency_seconds_bucket{le=\"+Inf\"} 0\n"
                                         "spate_latency_seconds_sum 0\n"
                                         "spate_latency_seconds_count 0\n");
    metric_add(metric_series(handles[REQUESTS], (const char *[]){"200", "a\"b\\c\nd"}), 3);
    metric_set(metric_series(handles[TEMPERATURE], NULL), -1.25);
    metric_observe(metric_series(handles[LATENCY], NULL), 0.5);
    metric_observe(metric_series(handles[LATENCY], NULL), 0.25);
    metric_observe(metric_series(handles[LATENCY], NULL), 7);
    assert_string_equal(expose(m, &out),
                        "# HELP spate_requests_total Requests.\n"
                        "# TYPE spate_requests_total counter\n"
                        "spate_requests_total{code=\"200\",model=\"a\\\"b\\\\c\\nd\"} 3\n"
                        "# HELP vllm:temperature Heat.\n"
                        "# TYPE vllm:temperature gauge\n"
                        "vllm:temperature -1.25\n"
                        "# HELP spate_latency_seconds Latency.\n"
                        "# TYPE spate_latency_seconds histogram\n"
                        "spate_latency_seconds_bucket{le=\"0.001\"} 0\n"
                        "spate_latency_seconds_bucket{le=\"0.5\"} 2\n"
                        "spate_latency_seconds_bucket{le=\"1\"} 2\n"
                        "spate_latency_seconds_bucket{le=\"+Inf\"} 3\n"
                        "spate_latency_seconds_sum 7.75\n"
                        "spate_latency_seconds_count 3\n");
    assert_true(metric_value(metric_series(handles[LATENCY], NULL)) > 2.5);
    metrics_free(m);
}

static void label_sets_are_capped(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};
    struct metric *handles[COUNT];
    struct metrics *m;
    const char *text;

    (void)state;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(metrics_new(&m, NULL), 0);
    assert_int_equal(metrics_declare(m, table, COUNT, handles, NULL), 0);
    for (int i = 0; i < 10; i++) {
        char model[16];

        snprintf(model, sizeof(model), "m%d", i);
        metric_add(metric_series(handles[REQUESTS], (const char *[]){"200", model}), 1);
    }
    text = expose(m, &out);
    assert_non_null(strstr(text, "{code=\"200\",model=\"m2\"} 1\n"));
    assert_null(strstr(text, "m3"));
    assert_non_null(strstr(text, "{code=\"other\",model=\"other\"} 7\n"));
    assert_ptr_equal(metric_series(handles[REQUESTS], (const char *[]){"200", "m1"}),
                     metric_series(handles[REQUESTS], (const char *[]){"200", "m1"}));
    metrics_free(m);
}

static void rows_are_declared_once(void **state)
{
    static const struct metric_info other = {
        .name = "vllm:temperature", .type = METRIC_COUNTER, .help = "Other."};
    struct metric *handles[COUNT];
    struct metric *again[COUNT];
    struct metrics *m;

    (void)state;
    assert_int_equal(metrics_new(&m, NULL), 0);
    assert_int_equal(metrics_declare(m, table, COUNT, handles, NULL), 0);
    assert_int_equal(metrics_declare(m, table, COUNT, again, NULL), 0);
    assert_ptr_equal(handles[LATENCY], again[LATENCY]);
    assert_int_equal(metrics_declare(m, &other, 1, again, NULL), -ERR_EXISTS);
    metrics_free(m);
}

static void *count(void *object)
{
    struct metric **handles = object;

    for (int i = 0; i < ADDS; i++) {
        metric_add(metric_series(handles[REQUESTS], (const char *[]){"200", "m"}), 1);
        metric_observe(metric_series(handles[LATENCY], NULL), 1);
    }
    return NULL;
}

static void no_count_is_lost_between_threads(void **state)
{
    struct metric *handles[COUNT];
    pthread_t threads[THREADS];
    struct metrics *m;
    double requests;
    double observed;

    (void)state;
    assert_int_equal(metrics_new(&m, NULL), 0);
    assert_int_equal(metrics_declare(m, table, COUNT, handles, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, handles), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    requests = metric_value(metric_series(handles[REQUESTS], (const char *[]){"200", "m"}));
    observed = metric_value(metric_series(handles[LATENCY], NULL));
    assert_int_equal((int)requests, THREADS * ADDS);
    assert_int_equal((int)observed, THREADS * ADDS);
    metrics_free(m);
}

static void process_and_loop_are_shown(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};
    struct metrics *m;
    struct loop loop;
    const char *text;

    (void)state;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(metrics_new(&m, NULL), 0);
    assert_int_equal(metrics_declare_process(m, NULL), 0);
    assert_int_equal(metrics_declare_loop(m, &loop, NULL), 0);
    atomic_store(&loop.slow_callbacks, 5);
    text = expose(m, &out);
    assert_non_null(strstr(text, "\nspate_loop_slow_callbacks_total 5\n"));
    assert_null(strstr(text, "\nspate_process_resident_memory_bytes 0\n"));
    assert_null(strstr(text, "\nspate_process_open_fds 0\n"));
    metrics_free(m);
    loop_fini(&loop);
}

static void is_documented(void **state)
{
    CLEANUP(buf_fini) struct buf out = {0};

    (void)state;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(metrics_document(table, COUNT, &out), 0);
    assert_non_null(strstr(buf_cstr(&out),
                           "| `spate_requests_total` | counter | `code` `model` | Requests. |"));
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct metric *handles[COUNT];
        struct metrics *m = NULL;
        bool seen;

        mem_fail_after(n);
        if (metrics_new(&m, NULL) == 0 && metrics_declare(m, table, COUNT, handles, NULL) == 0) {
            struct metric_series *s =
                metric_series(handles[REQUESTS], (const char *[]){"200", "a"});

            assert_non_null(s); /* in need, the overflow series */
            metric_add(s, 1);
        }
        seen = mem_fail_seen();
        mem_fail_after(-1);
        metrics_free(m);
        if (!seen)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_exposed_to_the_byte),
        cmocka_unit_test(label_sets_are_capped),
        cmocka_unit_test(rows_are_declared_once),
        cmocka_unit_test(no_count_is_lost_between_threads),
        cmocka_unit_test(process_and_loop_are_shown),
        cmocka_unit_test(is_documented),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
