/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of platform local, shared by its files. */
#ifndef SPATE_OPERATOR_LOCAL_PRIVATE_H
#define SPATE_OPERATOR_LOCAL_PRIVATE_H

#include <limits.h>

#include "base/http_client.h"
#include "operator/local/local.h"

enum {
    LOCAL_SECRET_TEXT_MAX = 128,
    LOCAL_GATEWAYS_MAX = 64,
    LOCAL_GATEWAYS_POLL_MS = 1000, /* the folder is looked at */
    LOCAL_PROBE_INTERVAL_MS = 500,
    LOCAL_ANSWER_MAX = 64 << 10, /* bytes of an agent's answer */
};

/* A result on its way back to the handler. */
struct local_result {
    uint64_t ticket;
    int code;
    char message[ERR_MESSAGE_MAX];
    char version[24];
    struct local_result *next;
};

struct local {
    struct platform platform;
    struct local_options options;
    struct loop *loop;
    struct store *store;
    struct store_watcher watcher;
    struct local_pods pods;
    struct local_pod_watcher *pod_watchers;
    struct http_client *agents;
    struct fetcher *fetcher;
    struct agent_call *calls; /* under way to agents */
    bool started;
    bool closing;

    char installation[LOCAL_SECRET_TEXT_MAX];
    uint64_t epoch;
    struct token_key key;
    char public_key_path[PATH_MAX];
    char admin_token[LOCAL_SECRET_TEXT_MAX];
    char gateway_secret[LOCAL_SECRET_TEXT_MAX];
    struct local_token {
        const char *audience;
        char text[TOKEN_TEXT_MAX + 1];
        int64_t made_s;
    } tokens[3];
    int lock_fd;

    char *gateways[LOCAL_GATEWAYS_MAX];
    int gateway_count;
    bool gateways_told; /* the handler knows this set */
    struct loop_timer gateways_timer;

    struct local_result *results_first, *results_last;
    struct loop_deferred results;
    struct loop_timer alarm;

    struct map zones; /* name -> struct tz */
    struct local_event *events[LOCAL_EVENTS_MAX];
    size_t event_count;
    uint64_t event_version;
};

/* local_state.c: secrets, epoch, installation, the lock. Blocks. */
int local_state_open(struct local *local, struct err *err);
int local_gateways_read(struct local *local, bool *changed, struct err *err);
void local_gateways_free(struct local *local);

/* local_ops.c */
extern const struct platform_ops local_ops;
void local_deliver_results(void *object);
void local_answer(struct local *local, uint64_t ticket, int code, const struct err *err,
                  const char *version);
void local_events_free(struct local *local);

/* local_agents.c */
void local_agent_probe(struct platform *p, struct str pod_uid);
void local_agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid);
void local_agents_cancel(struct local *local);

#endif
