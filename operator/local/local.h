/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platform local: this machine. Objects in a state folder, pods as child processes, agents asked
 * over loopback. STATE holds
 *
 *     installation   id of this Spate, made once        epoch      raised at each start
 *     objects/       one file each (store.h)            pods/      one folder each (pods.h)
 *     gateways/      a file named as each gateway that should be alive: made by `spate up`, or when
 *                    a gateway with the right secret comes for the first time
 *     token.key, token.pub, admin-token, gateway-secret (secrets of mode 0600)
 *
 * One operator per folder (STATE/operator.lock). Loop thread.
 */
#ifndef SPATE_OPERATOR_LOCAL_H
#define SPATE_OPERATOR_LOCAL_H

#include "base/buf.h"
#include "base/fetch.h"
#include "operator/common/signer.h"
#include "operator/local/pods.h"
#include "operator/local/store.h"
#include "operator/platform.h"

struct local;

struct local_options {
    struct loop *loop;
    const char *state;
    const char *agent_binary;
    const char *ledger_url;          /* NULL: see ledger_address_file */
    const char *ledger_address_file; /* NULL: "ledger" in STATE/endpoints.json */
    /* Where route snapshots go: takes them over. */
    void (*on_routes)(void *user, struct routes *routes);
    void *user;
};

int local_new(struct local **out, const struct local_options *options, struct err *err);
/* Agents run on. */
void local_free(struct local *local);
struct platform *local_platform(struct local *local);
/* Tells the bound handler everything: leadership, gateways, objects, pods. */
void local_start(struct local *local);

struct store *local_store(struct local *local);
struct local_pods *local_pods(struct local *local);

/* Told each change of a pod, after the handler. The watcher is the caller's. */
struct local_pod_watcher {
    void (*fn)(void *user, enum platform_change change, const struct local_pod *pod);
    void *user;
    struct local_pod_watcher *next;
};
void local_watch_pods(struct local *local, struct local_pod_watcher *w);
void local_unwatch_pods(struct local *local, struct local_pod_watcher *w);

/* A gateway came with the right secret: it counts as one that should be alive from now on. */
int local_gateway_register(struct local *local, struct str name, struct err *err);

/* What gateways say, passed on to the handler. */
void local_load(struct local *local, const struct load_report *report);
void local_ack(struct local *local, struct str gateway, struct id128 run,
               const struct routes_version *have);

/* Secrets, read at the start. */
struct signer *local_signer(struct local *local);
struct str local_admin_token(const struct local *local);
struct str local_gateway_secret(const struct local *local);

/* "http://127.0.0.1:7002", read anew; -ERR_NOT_FOUND: no ledger is known. */
int local_ledger_url(const struct local *local, struct buf *out, struct err *err);
struct fetcher *local_fetcher(struct local *local);

/* Events, newest last: "kind", name and namespace of what they are about. */
struct local_event {
    char *name_space, *name, *uid, *kind, *event_name, *reason, *note;
    bool warning;
    int count;
    int64_t first_ms, last_ms;
    uint64_t version;
};
enum { LOCAL_EVENTS_MAX = 1000, LOCAL_EVENT_MERGE_MS = 120 * 1000 };
size_t local_event_count(const struct local *local);
const struct local_event *local_event_at(const struct local *local, size_t index);

#endif
