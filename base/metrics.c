/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics: see metrics.h. A series is created once and never freed before its registry, so a
 * pointer to it may be kept; its cells are atomics. The lock of a metric guards only the finding
 * and making of series.
 *
 *     metrics -> metric (one per row) -> series (one per label set)
 *                                     -> overflow: the series whose values are all "other"
 */
#include "base/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    METRICS_MAX = 512,      /* rows in one registry */
    COLLECTORS_MAX = 16,    /* metrics_on_collect calls */
    LABELS_TEXT_MAX = 4096, /* the label set of one series as text */
    KEPT_MAX = 1024 * 1024, /* metrics_keep */
    EXACT_INTEGER_MAX = 53, /* bits of a double's integers */
};

struct metric_series {
    struct metric *metric;
    struct metric_series *next;
    char *labels;                  /* a="x",b="y"; "" without labels */
    _Atomic double value;          /* counters and gauges; histograms: the sum */
    atomic_uint_fast64_t *buckets; /* histograms: bucket_count + 1, not cumulative */
    bool visible;                  /* the overflow series shows when it is first used */
};

struct metric {
    const struct metric_info *info;
    int label_count;
    pthread_mutex_t lock;
    struct map by_labels;
    struct metric_series *first, *last; /* in the order of their making */
    struct metric_series *overflow;
};

struct collector {
    void (*fn)(void *object);
    void *object;
};

struct metrics {
    pthread_mutex_t lock;
    struct metric *items[METRICS_MAX];
    size_t count;
    struct collector collectors[COLLECTORS_MAX];
    size_t collector_count;
    struct arena kept;
};

/* --- series --------------------------------------------------------------------------------- */

static void series_free(struct metric_series *s)
{
    if (s == NULL)
        return;
    mem_free(s->labels);
    mem_free(s->buckets);
    mem_free(s);
}

static struct metric_series *series_new(struct metric *metric, const char *labels)
{
    const struct metric_info *info = metric->info;
    struct metric_series *s = mem_alloc(sizeof(*s));

    if (s == NULL)
        return NULL;
    s->metric = metric;
    s->labels = mem_strdup(labels);
    if (info->type == METRIC_HISTOGRAM)
        s->buckets = mem_array((size_t)info->bucket_count + 1, sizeof(*s->buckets));
    if (s->labels == NULL || (info->type == METRIC_HISTOGRAM && s->buckets == NULL)) {
        series_free(s);
        return NULL;
    }
    return s;
}

static void append_series(struct metric *metric, struct metric_series *s)
{
    s->visible = true;
    if (metric->last != NULL)
        metric->last->next = s;
    else
        metric->first = s;
    metric->last = s;
}

/* The escaping of the exposition format. Bytes that are no UTF-8 become '?'. */
static void append_label_value(struct buf *out, struct str value)
{
    value = str_slice(value, 0, METRIC_LABEL_BYTES_MAX);
    while (value.len > 0) {
        int length = utf8_length(value);
        char c = value.ptr[0];

        if (length <= 0)
            (void)buf_append_char(out, '?');
        else if (c == '\n')
            (void)buf_append_text(out, "\\n");
        else if (c == '"' || c == '\\')
            (void)buf_printf(out, "\\%c", c);
        else
            (void)buf_append(out, value.ptr, (size_t)length);
        value = str_slice(value, length <= 0 ? 1 : (size_t)length, value.len);
    }
}

/* values NULL: all "other". */
static int labels_text(const struct metric *metric, const char *const *values, struct buf *out)
{
    for (int i = 0; i < metric->label_count; i++) {
        const char *value = values == NULL ? "other" : values[i];

        if (i > 0)
            (void)buf_append_char(out, ',');
        (void)buf_append_text(out, metric->info->labels[i]);
        (void)buf_append_text(out, "=\"");
        append_label_value(out, str_of(value));
        (void)buf_append_char(out, '"');
    }
    return buf_cstr(out) == NULL || out->failed ? -ERR_NO_MEMORY : 0;
}

/* Under the lock: finds or makes the series, or gives the overflow series. */
static struct metric_series *find(struct metric *metric, struct buf *labels)
{
    struct metric_series *s = map_get(&metric->by_labels, buf_str(labels));

    if (s != NULL)
        return s;
    s = series_new(metric, labels->ptr);
    if (s != NULL && map_put(&metric->by_labels, buf_str(labels), s, NULL) == 0) {
        append_series(metric, s);
        return s;
    }
    series_free(s);
    if (!metric->overflow->visible)
        append_series(metric, metric->overflow);
    return metric->overflow;
}

struct metric_series *metric_series(struct metric *metric, const char *const *values)
{
    struct buf labels;
    struct metric_series *s;

    if (metric->label_count == 0)
        return metric->first;
    assert(values != NULL);
    buf_init(&labels, LABELS_TEXT_MAX);
    if (labels_text(metric, values, &labels) < 0) {
        buf_fini(&labels);
        return metric->overflow;
    }
    pthread_mutex_lock(&metric->lock);
    s = find(metric, &labels);
    pthread_mutex_unlock(&metric->lock);
    buf_fini(&labels);
    return s;
}

/* --- counting ------------------------------------------------------------------------------- */

static void add_double(_Atomic double *cell, double by)
{
    double old = atomic_load_explicit(cell, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(cell, &old, old + by, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void metric_add(struct metric_series *s, double by)
{
    if (s != NULL)
        add_double(&s->value, by);
}

void metric_set(struct metric_series *s, double value)
{
    if (s != NULL)
        atomic_store_explicit(&s->value, value, memory_order_relaxed);
}

void metric_observe(struct metric_series *s, double value)
{
    const struct metric_info *info;
    int at = 0;

    if (s == NULL)
        return;
    info = s->metric->info;
    assert(info->type == METRIC_HISTOGRAM);
    while (at < info->bucket_count && value > info->buckets[at])
        at++;
    atomic_fetch_add_explicit(&s->buckets[at], 1, memory_order_relaxed);
    add_double(&s->value, value);
}

double metric_value(const struct metric_series *s)
{
    uint64_t count = 0;

    if (s == NULL)
        return 0;
    if (s->metric->info->type != METRIC_HISTOGRAM)
        return atomic_load_explicit(&s->value, memory_order_relaxed);
    for (int i = 0; i <= s->metric->info->bucket_count; i++)
        count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
    return (double)count;
}

/* --- the registry --------------------------------------------------------------------------- */

static void metric_free(struct metric *metric)
{
    struct metric_series *next;

    if (metric == NULL)
        return;
    if (metric->overflow != NULL && !metric->overflow->visible)
        series_free(metric->overflow);
    for (struct metric_series *s = metric->first; s != NULL; s = next) {
        next = s->next;
        series_free(s);
    }
    map_fini(&metric->by_labels);
    pthread_mutex_destroy(&metric->lock);
    mem_free(metric);
}

static struct metric *metric_new(const struct metric_info *info)
{
    struct metric *metric = mem_alloc(sizeof(*metric));
    CLEANUP(buf_fini) struct buf labels = {0};
    struct metric_series *s;

    buf_init(&labels, LABELS_TEXT_MAX);
    if (metric == NULL)
        return NULL;
    metric->info = info;
    while (metric->label_count < METRIC_LABELS_MAX && info->labels[metric->label_count] != NULL)
        metric->label_count++;
    map_init(&metric->by_labels,
             info->max_series > 0 ? (size_t)info->max_series : METRIC_SERIES_DEFAULT);
    pthread_mutex_init(&metric->lock, NULL);
    s = labels_text(metric, NULL, &labels) < 0 ? NULL : series_new(metric, labels.ptr);
    if (s == NULL) {
        metric_free(metric);
        return NULL;
    }
    if (metric->label_count > 0)
        metric->overflow = s;
    else
        append_series(metric, s);
    return metric;
}

int metrics_new(struct metrics **out, struct err *err)
{
    struct metrics *m = mem_alloc(sizeof(*m));

    if (m == NULL)
        return err_no_memory(err);
    pthread_mutex_init(&m->lock, NULL);
    arena_init(&m->kept, KEPT_MAX);
    *out = m;
    return 0;
}

void metrics_free(struct metrics *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->count; i++)
        metric_free(m->items[i]);
    arena_fini(&m->kept);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

static bool same_row(const struct metric_info *a, const struct metric_info *b)
{
    if (a == b)
        return true;
    if (a->type != b->type || a->bucket_count != b->bucket_count)
        return false;
    for (int i = 0; i < METRIC_LABELS_MAX; i++) {
        if (!str_eq(str_of(a->labels[i]), str_of(b->labels[i])))
            return false;
    }
    for (int i = 0; i < a->bucket_count; i++) {
        if (a->buckets[i] < b->buckets[i] || a->buckets[i] > b->buckets[i])
            return false;
    }
    return true;
}

static int declare_one(struct metrics *m, const struct metric_info *info, struct metric **out,
                       struct err *err)
{
    struct metric *metric;

    assert(info->bucket_count <= METRIC_BUCKETS_MAX);
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->items[i]->info->name, info->name) != 0)
            continue;
        if (!same_row(m->items[i]->info, info))
            return err_set(err, ERR_EXISTS, "metric %s is declared twice, differently", info->name);
        *out = m->items[i];
        return 0;
    }
    if (m->count >= METRICS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d metrics", METRICS_MAX);
    metric = metric_new(info);
    if (metric == NULL)
        return err_no_memory(err);
    m->items[m->count++] = metric;
    *out = metric;
    return 0;
}

int metrics_declare(struct metrics *m, const struct metric_info *table, size_t count,
                    struct metric **out, struct err *err)
{
    int r = 0;

    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < count && r == 0; i++)
        r = declare_one(m, &table[i], &out[i], err);
    pthread_mutex_unlock(&m->lock);
    return r;
}

int metrics_on_collect(struct metrics *m, void (*fn)(void *object), void *object)
{
    int r = 0;

    pthread_mutex_lock(&m->lock);
    if (m->collector_count < COLLECTORS_MAX)
        m->collectors[m->collector_count++] = (struct collector){fn, object};
    else
        r = -ERR_LIMIT;
    pthread_mutex_unlock(&m->lock);
    return r;
}

void *metrics_keep(struct metrics *m, size_t size)
{
    void *kept;

    pthread_mutex_lock(&m->lock);
    kept = arena_alloc(&m->kept, size);
    pthread_mutex_unlock(&m->lock);
    return kept;
}

/* --- exposition ----------------------------------------------------------------------------- */

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static void append_number(struct buf *out, double value)
{
    const double exact = (double)(1LL << EXACT_INTEGER_MAX);
    char text[40];

    if (__builtin_isnan(value)) {
        (void)buf_append_text(out, "NaN");
        return;
    }
    if (__builtin_isinf(value)) {
        (void)buf_append_text(out, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    if (value > -exact && value < exact && !((double)(int64_t)value < value) &&
        !((double)(int64_t)value > value)) {
        (void)buf_printf(out, "%lld", (long long)value);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        double back;

        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (str_to_f64(str_of(text), &back) && !(back < value) && !(back > value))
            break;
    }
    (void)buf_append_text(out, text);
}

/* name suffix{labels,extra} */
static void append_name(struct buf *out, const struct metric_series *s, const char *suffix,
                        const char *extra)
{
    bool both = s->labels[0] != '\0' && extra[0] != '\0';

    (void)buf_append_text(out, s->metric->info->name);
    (void)buf_append_text(out, suffix);
    if (s->labels[0] != '\0' || extra[0] != '\0')
        (void)buf_printf(out, "{%s%s%s}", s->labels, both ? "," : "", extra);
    (void)buf_append_char(out, ' ');
}

static void append_histogram(struct buf *out, const struct metric_series *s)
{
    const struct metric_info *info = s->metric->info;
    uint64_t count = 0;

    for (int i = 0; i <= info->bucket_count; i++) {
        CLEANUP(buf_fini) struct buf bound = {0};

        buf_init(&bound, 64);
        count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        (void)buf_append_text(&bound, "le=\"");
        append_number(&bound, i < info->bucket_count ? info->buckets[i] : __builtin_inf());
        (void)buf_append_char(&bound, '"');
        if (buf_cstr(&bound) == NULL || bound.failed) {
            out->failed = true;
            return;
        }
        append_name(out, s, "_bucket", bound.ptr);
        (void)buf_printf(out, "%llu\n", (unsigned long long)count);
    }
    append_name(out, s, "_sum", "");
    append_number(out, atomic_load_explicit(&s->value, memory_order_relaxed));
    (void)buf_append_char(out, '\n');
    append_name(out, s, "_count", "");
    (void)buf_printf(out, "%llu\n", (unsigned long long)count);
}

static void expose_metric(struct metric *metric, struct buf *out)
{
    const struct metric_info *info = metric->info;

    (void)buf_printf(out, "# HELP %s %s\n", info->name, info->help);
    (void)buf_printf(out, "# TYPE %s %s\n", info->name, type_names[info->type]);
    pthread_mutex_lock(&metric->lock);
    for (const struct metric_series *s = metric->first; s != NULL; s = s->next) {
        if (info->type == METRIC_HISTOGRAM) {
            append_histogram(out, s);
            continue;
        }
        append_name(out, s, "", "");
        append_number(out, atomic_load_explicit(&s->value, memory_order_relaxed));
        (void)buf_append_char(out, '\n');
    }
    pthread_mutex_unlock(&metric->lock);
}

int metrics_expose(struct metrics *m, struct buf *out)
{
    for (size_t i = 0; i < m->collector_count; i++)
        m->collectors[i].fn(m->collectors[i].object);
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->count; i++)
        expose_metric(m->items[i], out);
    pthread_mutex_unlock(&m->lock);
    return out->failed ? -ERR_LIMIT : 0;
}

int metrics_document(const struct metric_info *table, size_t count, struct buf *out)
{
    (void)buf_append_text(out, "| name | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++) {
        (void)buf_printf(out, "| `%s` | %s |", table[i].name, type_names[table[i].type]);
        for (int k = 0; k < METRIC_LABELS_MAX && table[i].labels[k] != NULL; k++)
            (void)buf_printf(out, " `%s`", table[i].labels[k]);
        (void)buf_printf(out, " | %s |\n", table[i].help);
    }
    return out->failed ? -ERR_LIMIT : 0;
}
