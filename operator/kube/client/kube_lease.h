/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election by a Lease of coordination.k8s.io/v1. A state machine without sockets: requests
 * go out by kube_lease_io, answers and wake-ups come in. kube_elector.h joins it to a kube_api.
 *
 *     FOLLOWING: read each retry_ms; whoever holds it is believed for as long as its record says,
 *                counted on our own clock from when we saw the record change. Times of other
 *                machines are written for people and never compared.
 *     LEADING:   write each retry_ms with resourceVersion. Without a successful write for renew_ms
 *                (counted from when that write was sent) we stop leading, before lease_ms is over
 *                and anyone else may begin.
 *
 *     sent     +0.5 s    ...     +2.5 s            +3.6 s        +4 s
 *      |--- renew, renew ---------| stops leading    |            | others may begin
 *      '--- kube_lease_sure_ms() > 0 ----------------'
 *
 * No clock check can stop a process that is paused between check and send: writes carry
 * preconditions, and pods are fenced by status.pendingCreates. The check narrows the window.
 */
#ifndef SPATE_OPERATOR_KUBE_LEASE_H
#define SPATE_OPERATOR_KUBE_LEASE_H

#include "base/clock.h"
#include "operator/kube/client/kube_path.h"
#include "operator/kube/client/kube_status.h"

enum {
    KUBE_LEASE_MS = 4000,
    KUBE_LEASE_RENEW_MS = 2500,
    KUBE_LEASE_RETRY_MS = 500,
    KUBE_LEASE_MARGIN_PERCENT = 10, /* of lease_ms: how much faster another's clock may run */
    KUBE_LEASE_IDENTITY_MAX = 128,
};

extern const struct kube_resource kube_lease_resource;

struct kube_lease;

struct kube_lease_io {
    /* One request at a time: GET (body empty), POST or PATCH (JSON merge patch); its end comes by
     * kube_lease_on_done, never inside. */
    int (*send)(void *context, const char *method, const char *target, struct str body,
                struct err *err);
    void (*cancel)(void *context);
    void (*wake_at)(void *context, int64_t mono_ms); /* replaces the last; INT64_MAX: never */
    void *context;
};

struct kube_lease_options {
    struct str name_space;
    struct str name;
    struct str identity;       /* unlike any other process's: pod name and a random part */
    const char *field_manager; /* in whose name it is written; must outlive it */
    uint64_t lease_ms, renew_ms, retry_ms; /* 0: the defaults; lease > renew > retry is checked */
    struct kube_lease_io io;
    const struct clock *clock;
    const struct rng *rng;
    /* `term` rises with each leadership, also of the same process (leaseTransitions): durable as
     * long as the Lease object is not deleted. */
    void (*on_started)(void *user, uint64_t term);
    void (*on_stopped)(void *user);
    /* Another process leads; empty: nobody. May be NULL. */
    void (*on_leader)(void *user, struct str identity);
    void (*on_trouble)(void *user, const struct err *err); /* may be NULL */
    void *user;
};

int kube_lease_new(struct kube_lease **out, const struct kube_lease_options *options,
                   struct err *err);
void kube_lease_free(struct kube_lease *l); /* does not release; NULL is allowed */
void kube_lease_start(struct kube_lease *l);
/* Stops (on_stopped comes first, if we lead) and gives the lease up, so that another need not wait
 * for its end. done(user) once, when the answer came or after renew_ms; it may free the lease. */
void kube_lease_release(struct kube_lease *l, void (*done)(void *user), void *user);

void kube_lease_on_done(struct kube_lease *l, const struct kube_answer *answer);
void kube_lease_on_wake(struct kube_lease *l);

/* Whether there may be something to give up: we lead, or what we wrote in order to may count yet.
 */
bool kube_lease_may_be_ours(const struct kube_lease *l);
/* For how long from now no other process can have begun to lead (margin taken off); 0 if we do not
 * lead. The fence: send a write only if this is longer than the write may take. Reads the clock. */
int64_t kube_lease_sure_ms(const struct kube_lease *l);
bool kube_lease_is_leader_for_sure(const struct kube_lease *l, int64_t need_ms);
/* metadata.uid of the Lease as last read; empty: never read. With `term` it makes an epoch that
 * never goes back: a Lease that was deleted and made again has another uid. */
struct str kube_lease_uid(const struct kube_lease *l);
/* Who held it when it was last read; empty: nobody, or never read. */
struct str kube_lease_holder(const struct kube_lease *l);

#endif
