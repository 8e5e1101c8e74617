/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's side of the control plane: tokens, routes in, load out. Everything it learns is
 * kept on disk (STATE/routes.json, STATE/tokens.json of mode 0600), so that a gateway serves on
 * without an operator, restarts included. Loop thread.
 */
#ifndef SPATE_GATEWAY_CONTROL_H
#define SPATE_GATEWAY_CONTROL_H

#include "base/err.h"
#include "wire/token.h"

struct control;
struct gateway;

enum {
    CONTROL_RETRY_MS = 500,
    CONTROL_HUNG_MS = 2000,      /* past its time to answer: another operator may be reached */
    CONTROL_TRANSFER_MS = 10000, /* for a large snapshot */
    CONTROL_SUSPECTS_MAX = 256,
};

/* Reads what is on disk and begins to ask the operator. Blocks: at start. */
int control_new(struct control **out, struct gateway *g, struct err *err);
/* Asks no more, and what it learned last goes to the disk. Blocks: when the loop does not run any
 * more. */
void control_finish(struct control *c);
/* After control_finish, or if the loop has not run. NULL is allowed. */
void control_free(struct control *c);

/* The token for that audience, or NULL: none yet. Valid until the loop turns. */
const char *control_token(const struct control *c, const char *audience);
/* Something about the load changed. */
void control_load_changed(struct control *c);
/* This gateway gave the pod up. */
void control_suspect(struct control *c, const char *pod_uid, const char *reason);
/* Whether a route snapshot is in force. */
bool control_has_routes(const struct control *c);

#endif
