/* SPDX-License-Identifier: Apache-2.0 */
/* One reconciler on a calm simulated cluster, for tests of each behaviour alone. Models are in the
 * namespace "team". */
#ifndef SPATE_TESTS_RECONCILE_PLAY_H
#define SPATE_TESTS_RECONCILE_PLAY_H

#include "cmocka_plain.h"

#include "crd/model_deployment.h"
#include "operator/reconcile/reconciler.h"
#include "operator/sim/sim.h"

enum { SECOND = 1000, MINUTE = 60 * 1000 };

#define WEIGHTS "\"uri\":\"file:///models/brook\""
#define SCALING                                                                      \
    "\"maxReplicas\":4,\"idle\":{\"afterSeconds\":60},\"scaleDownDelaySeconds\":30," \
    "\"targetUtilizationPercent\":100"

#define BOOK(price)                                                                         \
    "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"PriceBook\",\"metadata\":{\"name\":" \
    "\"list\"},\"spec\":{\"prices\":[{\"model\":\"*\",\"input\":\"" price "\",\"output\":"  \
    "\"2.19\"}]}}"

struct fixture {
    struct sim *sim;
    struct reconciler *r;
    struct arena arena;
};

void play_begin(struct fixture *f);
/* Of the pods every second one is on a spot machine. */
void play_begin_on(struct fixture *f, bool spot);
/* stream_ms: as in sim_options. */
void play_begin_with(struct fixture *f, bool spot, int64_t stream_ms);
/* Fails if a promise was broken on the way. */
void play_end(struct fixture *f);

/* Members of spec.model and of spec.scaling, as JSON. */
void play_apply(struct fixture *f, const char *name, const char *model, const char *scaling);
struct crd_model_status play_status(struct fixture *f, const char *key);
const struct crd_condition *play_condition(struct fixture *f, const char *key, const char *type);

/* Set-ups of a group: everything holds as well where status writes that nobody waits for are held
 * back. */
int play_writes_at_once(void **state);
int play_writes_held_back(void **state);

#endif
