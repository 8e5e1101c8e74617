/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the agent's paths. Each call owns its exchange; what it does is in
 * wire/stream.h. Loop thread. */
#ifndef SPATE_AGENT_ENDPOINTS_H
#define SPATE_AGENT_ENDPOINTS_H

#include "agent/agent.h"

/* Answers with the JSON in the body, 500 if it failed, and frees it. */
void agent_respond_json(struct http_exchange *x, struct buf *body);

/* endpoints_usage.c */
void endpoint_cancel(struct agent *a, struct http_exchange *x);
void endpoint_abandon(struct agent *a, struct http_exchange *x);
void endpoint_collect(struct agent *a, struct http_exchange *x);
void endpoint_acknowledge(struct agent *a, struct http_exchange *x);

#endif
