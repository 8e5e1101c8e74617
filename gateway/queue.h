/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of a model: one line per tenant, served round-robin, and a front for requests that were
 * put back (refused by a full pod, or in mid-answer when their pod went away).
 */
#ifndef SPATE_GATEWAY_QUEUE_H
#define SPATE_GATEWAY_QUEUE_H

#include "gateway/flight.h"
#include "gateway/table.h"

/* -ERR_LIMIT: the queue is full; -ERR_NO_MEMORY. */
int gw_queue_add(struct table *t, struct flight *f);
/* Cannot fail; served before the lines, in the order of their coming. */
void gw_queue_put_back(struct table *t, struct flight *f);
/* Takes it out from wherever it waits. */
void gw_queue_remove(struct table *t, struct flight *f);
/* The next one that `may` accepts (looks at the front, then at the head of each line, fairly),
 * taken out; NULL: none. */
struct flight *gw_queue_take(struct table *t, struct gw_model *m,
                             bool (*may)(const struct flight *f, void *user), void *user);
/* The one that waits longest, still in its place, or NULL. */
const struct flight *gw_queue_oldest(const struct gw_model *m);

#endif
