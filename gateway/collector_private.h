/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the collector share: see collector.h. */
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
    struct doubt *doubts;
    int doubt_count;
};

/* A call to an agent, under the gateway's token. */
int collector_call(struct collector *c, struct http_call **out,
                   const struct http_call_options *call);

/* What an agent answers; the first member of whatever is the user of its call. */
struct collector_answer {
    int status;
    struct buf body;
};
void collector_on_head(struct http_call *call, void *user, int status,
                       const struct http_headers *headers);
void collector_on_data(struct http_call *call, void *user, struct str bytes);

/* A record as its agent wrote it: to the log, and to be acknowledged. False: the log has it not. */
bool collector_take_record(struct collector *c, const char *address, const json_t *object);

/* --- collector_acks.c ------------------------------------------------------------------------- */

void collector_acks_init(struct collector *c);
void collector_acks_fini(struct collector *c);

/* --- collector_doubts.c ----------------------------------------------------------------------- */

void collector_doubts_tick(struct collector *c);
void collector_doubts_fini(struct collector *c);

#endif
