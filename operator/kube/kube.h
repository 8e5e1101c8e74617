/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platform kube: a Kubernetes API server.
 *
 *     objects, pods, nodes, gateways --- watched ---> views ---> the handler
 *     commands -----> requests with preconditions, sent only while we lead for sure
 *     Lease -------> leadership: epoch = its term, installation = its uid
 *     Secret ------> the key that internal tokens are signed with, shared by all replicas
 *
 * A replica that does not lead keeps its views warm and passes what gateways ask on to the leader.
 * Everything runs on the loop's thread.
 */
#ifndef SPATE_OPERATOR_KUBE_H
#define SPATE_OPERATOR_KUBE_H

#include "base/metrics.h"
#include "operator/endpoints/endpoints.h"
#include "operator/kube/client/kube_lease.h"
#include "operator/kube/kube_manifest.h"
#include "operator/platform.h"

struct kube;

enum { KUBE_LEASE_MS_MAX = 60000 };

/* Texts must outlive the platform. NULL: not given. */
struct kube_options {
    struct loop *loop;
    struct metrics *metrics;
    const char *kubeconfig; /* NULL: the service account of the pod that we run in */
    const char *context;
    const char *name_space;       /* our own; NULL: that of the credentials */
    const char *name;             /* of this process, as people see it in the Lease */
    const char *release;          /* prefix of the Lease and the Secret */
    const char *watch_namespaces; /* "a,b"; NULL: all */
    const char *gateway_account;  /* service account of gateways */
    int64_t lease_ms;             /* of the Lease; 0: KUBE_LEASE_MS, which is the least */
    const char *ledger_url;
    const char *state; /* folder for what `spate report` needs beside us; NULL: it can't */
    const char *agent_image, *agent_pull_policy, *agent_pull_secret;
    const bool *ending; /* true once we are to end: kube_new does not wait then */
    /* Where route snapshots go: takes them over. */
    void (*on_routes)(void *user, struct routes *routes);
    /* Leadership is over: who waits for routes here should ask again. */
    void (*on_standby)(void *user);
    void *user;
};

/* Reads the credentials and fetches, or makes, the signing key: blocks, turning the loop.
 * -ERR_CANCELLED if we are to end meanwhile. */
int kube_new(struct kube **out, const struct kube_options *options, struct err *err);
/* Begins to watch and to stand for leadership; `address` is where a standby reaches our endpoint.
 */
int kube_start(struct kube *kube, const char *address, struct err *err);
/* Gives the lease up, so that a successor need not wait; turns the loop. NULL is allowed. */
void kube_free(struct kube *kube);

struct platform *kube_platform(struct kube *kube);
struct endpoints_host kube_host(struct kube *kube);

#endif
