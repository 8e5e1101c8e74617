/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of platform local, shared by its files. */
#ifndef SPATE_OPERATOR_LOCAL_PRIVATE_H
#define SPATE_OPERATOR_LOCAL_PRIVATE_H

#include <limits.h>

#include "operator/common/agents.h"
#include "operator/common/zones.h"
#include "operator/local/local.h"

enum {
    LOCAL_SECRET_TEXT_MAX = 128,
    LOCAL_GATEWAYS_MAX = 64,
    LOCAL_GATEWAYS_POLL_MS = 1000, /* the folder is looked at */
    LOCAL_PROBE_INTERVAL_MS = 500,
};

struct local {
    struct platform platform;
    struct local_options options;
    struct loop *loop;
    struct store *store;
    struct store_watcher watcher;
    struct local_pods pods;
    struct local_pod_watcher *pod_watchers;
    struct results results;
    struct signer signer;
    struct agents agents;
    struct fetcher *fetcher;
    bool started;
    bool closing;

    char installation[LOCAL_SECRET_TEXT_MAX];
    uint64_t epoch;
    char public_key_path[PATH_MAX];
    char admin_token[LOCAL_SECRET_TEXT_MAX];
    char gateway_secret[LOCAL_SECRET_TEXT_MAX];
    int lock_fd;

    char *gateways[LOCAL_GATEWAYS_MAX];
    int gateway_count;
    bool gateways_told; /* the handler knows this set */
    struct loop_timer gateways_timer;

    struct loop_timer alarm;

    struct zones zones;
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
void local_events_free(struct local *local);

#endif
