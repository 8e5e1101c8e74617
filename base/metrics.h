/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in Prometheus' text format 0.0.4. A program declares a table (from which its reference
 * page is made), gets one handle per row, and counts on series. Counting is safe from any thread
 * and lock-free; finding a labelled series takes a lock, so hot paths keep the pointer.
 *
 *     static const struct metric_info table[] = {
 *         [REQUESTS] = {"spate_gateway_requests_total", METRIC_COUNTER, "Requests.", {"code"}},
 *     };
 *     metrics_declare(m, table, ARRAY_COUNT(table), handles, err);
 *     metric_add(metric_series(handles[REQUESTS], (const char *[]){"200"}), 1);
 */
#ifndef SPATE_BASE_METRICS_H
#define SPATE_BASE_METRICS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum {
    METRIC_LABELS_MAX = 4,
    METRIC_BUCKETS_MAX = 32,
    METRIC_SERIES_DEFAULT = 100, /* label sets per metric; the rest falls into "other" */
    METRIC_LABEL_BYTES_MAX = 128 /* longer label values are cut */
};

struct metric_info {
    const char *name; /* spate_*, base units; vllm:* for compatibility */
    enum metric_type type;
    const char *help; /* one sentence */
    const char *labels[METRIC_LABELS_MAX];
    const double *buckets; /* histograms: upper bounds, rising, without +Inf */
    int bucket_count;
    int max_series; /* 0: METRIC_SERIES_DEFAULT */
};

struct metrics;
struct metric;
struct metric_series;

int metrics_new(struct metrics **out, struct err *err);
void metrics_free(struct metrics *m); /* NULL is allowed; handles and series go with it */

/* Declares the rows; out[i] is the handle of row i. The table must live as long as `m`. Series
 * without labels exist, at zero, from now on. A name that is declared already with an equal row
 * gives the same handle; with another one -ERR_EXISTS. */
int metrics_declare(struct metrics *m, const struct metric_info *table, size_t count,
                    struct metric **out, struct err *err);

/* The series of these label values (as many as the row has labels; NULL if it has none). Never
 * NULL: over the cap, or without memory, it is the series whose values are all "other". Lives as
 * long as the registry. Creating it makes it visible, at zero. */
struct metric_series *metric_series(struct metric *metric, const char *const *values);

/* All three accept NULL and do nothing: metrics are optional everywhere. */
void metric_add(struct metric_series *s, double by); /* counters: by >= 0; gauges: any */
void metric_set(struct metric_series *s, double value);
void metric_observe(struct metric_series *s, double value);
double metric_value(const struct metric_series *s); /* histograms: the count */

/* fn(object) runs before each exposition, to bring gauges up to date; counters too, by metric_set
 * of a total that another part keeps. Declare everything before other threads expose. -ERR_LIMIT.
 */
int metrics_on_collect(struct metrics *m, void (*fn)(void *object), void *object);

/* Memory that is freed with the registry: for what a collector needs. NULL without memory. */
void *metrics_keep(struct metrics *m, size_t size);

/* Appends the exposition; the content type is METRICS_CONTENT_TYPE. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
int metrics_expose(struct metrics *m, struct buf *out);

/* Appends the rows as a Markdown table: for the reference page. */
int metrics_document(const struct metric_info *table, size_t count, struct buf *out);

/* What the two below declare, for the reference page. */
enum { METRICS_PROCESS_COUNT = 4, METRICS_LOOP_COUNT = 3 };
extern const struct metric_info metrics_process_table[METRICS_PROCESS_COUNT];
extern const struct metric_info metrics_loop_table[METRICS_LOOP_COUNT];

struct loop;
/* spate_loop_* of this loop, collected at each exposition; the loop must outlive `m`. */
int metrics_declare_loop(struct metrics *m, struct loop *loop, struct err *err);
/* spate_process_* : CPU seconds, resident bytes, open descriptors, start time. */
int metrics_declare_process(struct metrics *m, struct err *err);

#endif
