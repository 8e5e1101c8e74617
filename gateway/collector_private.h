/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the collector share: see collector.h. */
#ifndef SPATE_GATEWAY_COLLECTOR_PRIVATE_H
#define SPATE_GATEWAY_COLLECTOR_PRIVATE_H

#include "gateway/collector.h"
#include "gateway/gateway.h"

/* An attempt whose record is on its way to the disk. */
struct release {
    struct release *next;
    char address[TABLE_ADDRESS_MAX];
    struct id128 request_id;
    uint32_t attempt;
    uint64_t sequence;
};

struct collector {
    struct gateway *g;
    struct http_client *client; /* beside that of the streams: see CONNECTION_IDLE_MS */
    struct map agents;          /* address -> known_agent */
    struct loop_timer tick;
    struct loop_timer flush;
    unsigned ticks;                 /* of the round */
    size_t round_at;                /* pods that were asked in it */
    struct collection *collections; /* under way */
    struct release *waiting;        /* newest first */
    struct release *ready;
};

/* A call to an agent, under the gateway's token. */
int collector_call(struct collector *c, struct http_call **out,
                   const struct http_call_options *call);

/* --- collector_acks.c ------------------------------------------------------------------------- */

void collector_acks_init(struct collector *c);
void collector_acks_fini(struct collector *c);

#endif
