/* SPDX-License-Identifier: Apache-2.0 */
/* One request in the agent, from its exchange to its final usage record. Loop thread, except what
 * prompt_prepare does in the pool. */
#ifndef SPATE_AGENT_REQUEST_H
#define SPATE_AGENT_REQUEST_H

#include "agent/agent.h"
#include "agent/prompt.h"
#include "engine/text/detok.h"

enum { REQUEST_OUT_BYTES_MAX = 8 << 20 };

struct request {
    struct request *previous, *next;
    struct agent *agent;
    struct http_exchange *x; /* NULL once it is ended */
    uint64_t handle;
    int64_t created_s;            /* for answers to others than gateways: as in all chunks, */
    char own_id[ID_TEXT_LEN + 1]; /* and so is this id */
    struct prompt prompt;         /* what was asked, prepared */
    enum openai_endpoint endpoint;
    bool submitted;
    bool cancelled; /* the engine was told */
    bool stopped;   /* a stop string is complete */
    bool stream_begun;
    bool role_sent;
    bool ids_begun; /* the prompt's ids were sent */
    enum usage_end cancelled_by;
    uint64_t position; /* output ids seen, earlier attempts included */
    struct engine_counts counts;
    int cached_tokens;
    int64_t first_token_mono_ns;
    int64_t last_token_mono_ns;
    int64_t arrived_mono_ns;
    struct openai_assembler *assembler;  /* for clients that do not stream */
    struct buf out;                      /* one event being written */
    struct http_exchange *cancel_waiter; /* the cancel call that waits for the final record */
};

/* Takes the exchange over. */
void request_start(struct agent *a, struct http_exchange *x, enum openai_endpoint endpoint);
/* Engine's word. */
void request_on_event(struct request *r, const struct engine_event *event);
void request_on_refused(struct request *r, int code, const struct err *err);
/* Stops the work; the final record follows with the engine's next event. */
void request_cancel(struct request *r, enum usage_end by);
/* The engine broke: everything ends as our fault. */
void request_fail_all(struct agent *a);
struct request *request_by_handle(struct agent *a, uint64_t handle);
struct request *request_by_attempt(struct agent *a, struct id128 request_id, uint32_t attempt);
/* Heartbeats to gateways, keep-alive comments to others. */
void request_heartbeat(struct request *r, const struct engine_stats *stats);

#endif
