/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a work queue: see kube_queue_metrics.h. */
#include "operator/kube/client/kube_queue_metrics.h"

#include "base/mem.h"

enum { DEPTH, ADDS, QUEUE_DURATION, WORK_DURATION, UNFINISHED, LONGEST, RETRIES };

#define NS_PER_S 1e9
/* clang-format off */
static const double buckets[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000};
/* clang-format on */
#define QUEUE_LABELS .labels = {"name", "controller"}
#define QUEUE_TIME   .buckets = buckets, .bucket_count = ARRAY_COUNT(buckets)

const struct metric_info kube_queue_metric_table[KUBE_QUEUE_METRIC_COUNT] = {
    [DEPTH] = {.name = "workqueue_depth",
               .type = METRIC_GAUGE,
               .help = "Keys that are ready and not yet worked on.",
               QUEUE_LABELS},
    [ADDS] = {.name = "workqueue_adds_total",
              .type = METRIC_COUNTER,
              .help = "Keys added.",
              QUEUE_LABELS},
    [QUEUE_DURATION] = {.name = "workqueue_queue_duration_seconds",
                        .type = METRIC_HISTOGRAM,
                        .help = "How long a key was ready before it was worked on.",
                        QUEUE_LABELS,
                        QUEUE_TIME},
    [WORK_DURATION] = {.name = "workqueue_work_duration_seconds",
                       .type = METRIC_HISTOGRAM,
                       .help = "How long working on a key took.",
                       QUEUE_LABELS,
                       QUEUE_TIME},
    [UNFINISHED] = {.name = "workqueue_unfinished_work_seconds",
                    .type = METRIC_GAUGE,
                    .help = "Time spent so far on keys that are worked on now, summed up.",
                    QUEUE_LABELS},
    [LONGEST] = {.name = "workqueue_longest_running_processor_seconds",
                 .type = METRIC_GAUGE,
                 .help = "Time spent so far on the key that is worked on longest.",
                 QUEUE_LABELS},
    [RETRIES] = {.name = "workqueue_retries_total",
                 .type = METRIC_COUNTER,
                 .help = "Keys that were put back after a failure.",
                 QUEUE_LABELS},
};

static void collect(void *object)
{
    struct kube_queue_metrics **place = object;
    const struct kube_queue_metrics *m = *place;
    double sum = 0;
    double longest = 0;

    if (m == NULL)
        return; /* the queue is gone */
    for (const struct kube_queue_work *w = m->running; w != NULL; w = w->next) {
        double seconds = (double)(clock_mono_ns(m->clock) - w->begun_ns) / NS_PER_S;

        sum += seconds;
        longest = seconds > longest ? seconds : longest;
    }
    metric_set(m->unfinished, sum);
    metric_set(m->longest, longest);
}

int kube_queue_metrics_init(struct kube_queue_metrics *m, struct metrics *metrics, const char *name,
                            const struct clock *clock, struct err *err)
{
    const char *values[] = {name, name};
    struct metric *handles[KUBE_QUEUE_METRIC_COUNT];
    int r;

    *m = (struct kube_queue_metrics){.clock = clock};
    if (metrics == NULL)
        return 0;
    r = metrics_declare(metrics, kube_queue_metric_table, KUBE_QUEUE_METRIC_COUNT, handles, err);
    if (r < 0)
        return r;
    m->collected = metrics_keep(metrics, sizeof(struct kube_queue_metrics *));
    if (m->collected == NULL)
        return err_no_memory(err);
    if (metrics_on_collect(metrics, collect, m->collected) < 0)
        return err_set(err, ERR_LIMIT, "work queue %s: the registry has too many collectors", name);
    *m->collected = m;
    m->depth = metric_series(handles[DEPTH], values);
    m->adds = metric_series(handles[ADDS], values);
    m->waited = metric_series(handles[QUEUE_DURATION], values);
    m->worked = metric_series(handles[WORK_DURATION], values);
    m->unfinished = metric_series(handles[UNFINISHED], values);
    m->longest = metric_series(handles[LONGEST], values);
    m->retries = metric_series(handles[RETRIES], values);
    return 0;
}

void kube_queue_metrics_fini(struct kube_queue_metrics *m)
{
    if (m->collected != NULL)
        *m->collected = NULL;
}

void kube_queue_metrics_depth(struct kube_queue_metrics *m, size_t depth)
{
    metric_set(m->depth, (double)depth);
}

void kube_queue_metrics_add(struct kube_queue_metrics *m)
{
    metric_add(m->adds, 1);
}

void kube_queue_metrics_retry(struct kube_queue_metrics *m)
{
    metric_add(m->retries, 1);
}

void kube_queue_metrics_begin(struct kube_queue_metrics *m, struct kube_queue_work *work,
                              int64_t added_ns, int64_t now_ns)
{
    metric_observe(m->waited, (double)(now_ns - added_ns) / NS_PER_S);
    work->begun_ns = now_ns;
    work->back = NULL;
    work->next = m->running;
    if (work->next != NULL)
        work->next->back = work;
    m->running = work;
}

void kube_queue_metrics_end(struct kube_queue_metrics *m, struct kube_queue_work *work,
                            int64_t now_ns)
{
    metric_observe(m->worked, (double)(now_ns - work->begun_ns) / NS_PER_S);
    if (work->back != NULL)
        work->back->next = work->next;
    else
        m->running = work->next;
    if (work->next != NULL)
        work->next->back = work->back;
}
