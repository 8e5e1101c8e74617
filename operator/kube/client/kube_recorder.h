/* SPDX-License-Identifier: Apache-2.0 */
/* Events joined to a kube_api and its loop: see kube_event.h. Loop thread only. */
#ifndef SPATE_OPERATOR_KUBE_RECORDER_H
#define SPATE_OPERATOR_KUBE_RECORDER_H

#include "operator/kube/client/kube_api.h"
#include "operator/kube/client/kube_event.h"

struct kube_recorder;

/* `events` without its io, clock and rng, which are set here. */
int kube_recorder_new(struct kube_recorder **out, struct kube_api *api, struct loop *loop,
                      const struct clock *clock, const struct rng *rng,
                      const struct kube_events_options *events, struct err *err);
struct kube_events *kube_recorder_events(struct kube_recorder *r);
void kube_recorder_free(struct kube_recorder *r); /* NULL is allowed */

#endif
