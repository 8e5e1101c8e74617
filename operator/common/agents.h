/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to agents over HTTP, under the operator's token: how are you (on_probe), and drain (a
 * result). Loop thread.
 */
#ifndef SPATE_OPERATOR_COMMON_AGENTS_H
#define SPATE_OPERATOR_COMMON_AGENTS_H

#include "base/http_client.h"
#include "operator/common/results.h"
#include "operator/common/signer.h"

enum { AGENTS_ANSWER_MAX = 64 << 10 /* bytes */ };

struct agents {
    struct loop *loop;
    const struct platform *platform;
    struct results *results;
    struct signer *signer;
    struct http_client *client;
    struct agent_call *calls; /* under way */
};

/* Everything pointed to must outlive it. */
int agents_open(struct agents *agents, struct loop *loop, const struct platform *platform,
                struct results *results, struct signer *signer, struct err *err);
/* Nothing is told any more; let the loop turn afterwards. Harmless if it was never opened. */
void agents_close(struct agents *agents);
/* Cancels what runs, as when leadership is over. */
void agents_cancel(struct agents *agents);

/* An empty address: told as -ERR_NETWORK. `restarts` is the pod's at the moment. */
void agents_probe(struct agents *agents, struct str pod_uid, uint64_t restarts, struct str address);
void agents_drain(struct agents *agents, uint64_t ticket, struct str pod_uid, struct str address);

#endif
