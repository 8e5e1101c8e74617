/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a work queue, under the names and labels that controller-runtime uses. */
#ifndef SPATE_OPERATOR_KUBE_QUEUE_METRICS_H
#define SPATE_OPERATOR_KUBE_QUEUE_METRICS_H

#include "base/clock.h"
#include "base/metrics.h"

/* What each queue declares, for the reference page. */
enum { KUBE_QUEUE_METRIC_COUNT = 7 };
extern const struct metric_info kube_queue_metric_table[KUBE_QUEUE_METRIC_COUNT];

/* One key that is worked on: inside its owner. */
struct kube_queue_work {
    int64_t begun_ns;
    struct kube_queue_work *next, *back;
};

struct kube_queue_metrics {
    struct metric_series *depth, *adds, *waited, *worked, *unfinished, *longest, *retries;
    struct kube_queue_work *running;
    const struct clock *clock;
    struct kube_queue_metrics **collected; /* what the registry's collector looks through */
};

/* metrics NULL: nothing is counted. The registry may outlive `m`, after kube_queue_metrics_fini. */
int kube_queue_metrics_init(struct kube_queue_metrics *m, struct metrics *metrics, const char *name,
                            const struct clock *clock, struct err *err);
void kube_queue_metrics_fini(struct kube_queue_metrics *m);

void kube_queue_metrics_depth(struct kube_queue_metrics *m, size_t depth);
void kube_queue_metrics_add(struct kube_queue_metrics *m);
void kube_queue_metrics_retry(struct kube_queue_metrics *m);
void kube_queue_metrics_begin(struct kube_queue_metrics *m, struct kube_queue_work *work,
                              int64_t added_ns, int64_t now_ns);
void kube_queue_metrics_end(struct kube_queue_metrics *m, struct kube_queue_work *work,
                            int64_t now_ns);

#endif
