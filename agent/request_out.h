/* SPDX-License-Identifier: Apache-2.0 */
/* What a request sends: events of the stream, or the parts of a whole answer. Loop thread. */
#ifndef SPATE_AGENT_REQUEST_OUT_H
#define SPATE_AGENT_REQUEST_OUT_H

#include "agent/request.h"

/* 200 and the head of the stream; for gateways the START event. */
void request_out_begin(struct request *r);
/* Runs the ids of earlier attempts through the text, sending nothing. */
void request_out_replay(struct request *r);
/* The ids of an event: text, logprobs, ids, counts. */
void request_out_ids(struct request *r, const struct engine_event *event);
void request_out_heartbeat(struct request *r, const struct engine_stats *stats);
/* The end: finish chunk, usage, END event, [DONE]; ends the exchange. */
void request_out_end(struct request *r, enum usage_end ended_by, const char *finish);
/* An error instead of an end; ends the exchange. */
void request_out_error(struct request *r, const struct openai_error *error);

/* From request.c: the attempt's counts, and the position after the last one of the answer. */
struct usage_counts request_counts(const struct request *r);
uint64_t request_charge_end(const struct request *r);

#endif
