/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform that does nothing by itself, for measuring the operator alone: its pods lie in the
 * store of platform kube, read from the API's JSON, all run and are ready, and every command is
 * answered in the next turn. Its time stands still but for waits.
 */
#ifndef SPATE_TESTS_BENCH_OPERATOR_CLUSTER_H
#define SPATE_TESTS_BENCH_OPERATOR_CLUSTER_H

#include "operator/kube/client/kube_store.h"
#include "operator/platform.h"

enum { CLUSTER_WAITING_MAX = 1 << 16, CLUSTER_UID_MAX = 40 };

/* A model as the API has it. It stays from one operator to the next. */
struct cluster_model {
    json_t *tree;
    uint64_t version;
    struct crd_object *object; /* as the operator of now sees it */
};

/* A command that will be answered. */
struct cluster_put {
    uint64_t ticket;
    size_t model;
    json_t *status;
};

struct cluster {
    struct platform platform; /* the first member */
    struct clock_manual clock;
    struct cluster_model *models;
    size_t model_count, pods_each;
    struct kube_store *pods;

    struct cluster_put puts[CLUSTER_WAITING_MAX];
    uint64_t checks[CLUSTER_WAITING_MAX];
    char probes[CLUSTER_WAITING_MAX][CLUSTER_UID_MAX];
    size_t put_count, check_count, probe_count;
    int64_t alarm_ms; /* 0: none */

    size_t writes;             /* statuses written */
    size_t routed_pods;        /* in the routes of last; 0: none yet */
    const char *fault;         /* something was asked for that should not be; NULL: nothing was */
    double models_ms, pods_ms; /* CPU time that the operator's code took in cluster_list */
};

double cluster_cpu_ms(void); /* of this thread */

/* Of memory that is zero (it is large). Each model has a status that lists its pods. */
void cluster_init(struct cluster *c, size_t models, size_t pods_each);
void cluster_fini(struct cluster *c);

/* What an operator does when it starts: reads the models and the pods from the API's JSON ... */
void cluster_list(struct cluster *c);
/* ... and tells the reconciler, which is bound to c->platform: it leads from the start. */
void cluster_tell(struct cluster *c);
/* Until it has told of routes with all pods; then, if `settle`, until it has nothing to write.
 * Returns what went wrong, or NULL. */
const char *cluster_run(struct cluster *c, bool settle);
/* The operator has ended; its views go. */
void cluster_forget(struct cluster *c);

#endif
