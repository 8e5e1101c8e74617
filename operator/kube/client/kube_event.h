/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events (events.k8s.io/v1) about objects, for people. Equal ones within KUBE_EVENT_TTL_MS become
 * one Event with a series; each object may have a burst of them, then a few; what is too much is
 * dropped and counted. Best effort: an Event never holds up anything else. A state machine without
 * sockets; kube_recorder.h joins it to a kube_api.
 */
#ifndef SPATE_OPERATOR_KUBE_EVENT_H
#define SPATE_OPERATOR_KUBE_EVENT_H

#include "base/clock.h"
#include "operator/kube/client/kube_path.h"
#include "operator/kube/client/kube_status.h"

enum {
    KUBE_EVENT_TTL_MS = 120 * 1000,
    KUBE_EVENT_SERIES_MS = 10 * 1000, /* a growing series is written at most so often */
    KUBE_EVENT_KEPT_MAX = 2000,       /* series remembered; the oldest is forgotten */
    KUBE_EVENT_BURST = 25,            /* new Events per object, then one each ... */
    KUBE_EVENT_INTERVAL_MS = 60 * 1000,
    KUBE_EVENT_TRIES_MAX = 3,
    KUBE_EVENT_REASON_MAX = 128,
    KUBE_EVENT_NOTE_MAX = 1024,
};

extern const struct kube_resource kube_event_resource;

struct kube_events;

struct kube_events_io {
    /* One request at a time; its end comes by kube_events_on_done, never inside. */
    int (*send)(void *context, const char *method, const char *target, struct str body,
                struct err *err);
    void (*cancel)(void *context);
    void (*wake_at)(void *context, int64_t mono_ms); /* replaces the last; INT64_MAX: never */
    void *context;
};

struct kube_events_options {
    const char *controller;    /* "spate.dev/operator": must outlive it */
    struct str instance;       /* the pod's name; copied */
    const char *field_manager; /* in whose name they are written; must outlive it */
    struct kube_events_io io;
    const struct clock *clock;
    const struct rng *rng;
    void (*on_trouble)(void *user, const struct err *err); /* may be NULL */
    void *user;
};

/* What an Event is about. Copied. */
struct kube_event_about {
    const char *api_version; /* "spate.dev/v1alpha1" */
    const char *kind;
    struct str name_space; /* empty: cluster-scoped; its Events live in "default" */
    struct str name;
    struct str uid;
};

struct kube_event_counts {
    uint64_t recorded; /* calls */
    uint64_t created, updated;
    uint64_t merged;  /* became part of a series */
    uint64_t dropped; /* too many, refused, or failed KUBE_EVENT_TRIES_MAX times */
};

int kube_events_new(struct kube_events **out, const struct kube_events_options *options,
                    struct err *err);
void kube_events_free(struct kube_events *e); /* NULL is allowed */

/* reason: one CamelCase word; action: what we did or tried, CamelCase. The note is cut to
 * KUBE_EVENT_NOTE_MAX. Never fails: without memory it is dropped and counted. */
void kube_events_record(struct kube_events *e, const struct kube_event_about *about, bool warning,
                        const char *reason, const char *action, struct str note);

void kube_events_on_done(struct kube_events *e, const struct kube_answer *answer);
void kube_events_on_wake(struct kube_events *e);
const struct kube_event_counts *kube_events_counts(const struct kube_events *e);

#endif
