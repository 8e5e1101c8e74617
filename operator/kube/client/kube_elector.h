/* SPDX-License-Identifier: Apache-2.0 */
/* A lease joined to a kube_api and its loop: see kube_lease.h. Loop thread only. */
#ifndef SPATE_OPERATOR_KUBE_ELECTOR_H
#define SPATE_OPERATOR_KUBE_ELECTOR_H

#include "base/metrics.h"
#include "operator/kube/client/kube_api.h"
#include "operator/kube/client/kube_lease.h"

/* What kube_elector_new declares, for the reference page. */
enum { KUBE_ELECTOR_METRIC_COUNT = 1 };
extern const struct metric_info kube_elector_metric_table[KUBE_ELECTOR_METRIC_COUNT];

struct kube_elector;

/* `lease` without its io, clock and rng, which are set here. metrics NULL: none; else
 * leader_election_master_status{name}. */
int kube_elector_new(struct kube_elector **out, struct kube_api *api, struct loop *loop,
                     const struct clock *clock, const struct rng *rng, struct metrics *metrics,
                     const struct kube_lease_options *lease, struct err *err);
struct kube_lease *kube_elector_lease(struct kube_elector *e);
void kube_elector_free(struct kube_elector *e); /* NULL is allowed */

#endif
