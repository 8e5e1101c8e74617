/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Final usage records between agents and this gateway's log. An agent keeps each final record until
 * a gateway says that it has it durably:
 *
 *     the gateway's own flights   END event -> own final record -> durable -> acknowledged
 *     everything else             collected from the agent after a while -> log -> durable ->
 * acknowledged
 *
 * The second way covers gateways that died, streams that broke and successors of crashed agents. A
 * pod that gets no more work is a leaver in the routes until all that it computed was taken; one
 * that left them is asked for a while longer, since the operator may have been slow to say so.
 *
 * Of an attempt that broke before its pod said that it began, the agent is asked whether it did:
 * collector_doubts.c.
 */
#ifndef SPATE_GATEWAY_COLLECTOR_H
#define SPATE_GATEWAY_COLLECTOR_H

#include "base/err.h"
#include "base/id.h"
#include "wire/usage.h"

struct collector;
struct gateway;
struct gw_pod;

enum {
    COLLECTOR_TICK_MS = 1000,
    COLLECTOR_EVERY_TICKS = 5,   /* a round of the pods that are not draining ... */
    COLLECTOR_TICK_CALLS = 200,  /* ... or longer: so many of them in a tick */
    COLLECTOR_LINGER_MS = 20000, /* after a pod left the routes: an agent is gone by then */
    COLLECTOR_FLUSH_MS = 100,
    COLLECTOR_ACKS_MAX = 500, /* in one call */
};

int collector_new(struct collector **out, struct gateway *g, struct err *err);
void collector_free(struct collector *c); /* let the loop turn afterwards; NULL is allowed */

/* The pod is being sent an attempt: it is asked for records also if it leaves the routes right
 * away. */
void collector_expect(struct collector *c, const struct gw_pod *pod);
/* The record with this sequence covers the attempt: acknowledge it to the agent once durable. */
void collector_release(struct collector *c, const char *address, struct id128 request_id,
                       uint32_t attempt, uint64_t sequence);
/* The attempt was given up before its pod said that it began: whether it did is found out, so that
 * its request need not wait for that. */
void collector_doubt(struct collector *c, const struct gw_pod *pod,
                     const struct usage_record *record);
void collector_on_durable(struct collector *c, uint64_t sequence);

#endif
