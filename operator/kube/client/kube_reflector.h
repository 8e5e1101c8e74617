/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a store equal to the API server's view of one kind: list, then watch, for ever. A state
 * machine without sockets and clocks of its own: requests go out by kube_reflector_io, answers and
 * wake-ups come in by the functions below. kube_informer.h joins it to a kube_api and a loop.
 *
 *               +--- refused, ERROR, no end mark in time ---> LISTING by pages
 *               |                                               |  (last page)
 *     start -> LISTING by stream --- end bookmark ---> WATCHING <
 *               ^                                       |   ^
 *               |                                 cut, silent, 5xx, time is up:
 *               '------- 410, or useless -------- WAITING --' (same version, back-off)
 *
 * - Versions are opaque. The version to go on from is the list's, then that of the last event or
 *   bookmark; it is dropped at a 410, which costs one list. Lists are consistent reads, so the
 *   view of an object never goes back.
 * - The store changes as a whole at the end of a list, and by single events afterwards.
 * - No stream is trusted to say that it is dead: the server is asked to end it (timeoutSeconds), we
 *   end it ourselves soon after that, or when it is silent for idle_ms.
 */
#ifndef SPATE_OPERATOR_KUBE_REFLECTOR_H
#define SPATE_OPERATOR_KUBE_REFLECTOR_H

#include "base/clock.h"
#include "operator/kube/client/kube_path.h"
#include "operator/kube/client/kube_status.h"
#include "operator/kube/client/kube_store.h"

struct kube_reflector;

struct kube_reflector_io {
    /* One GET at a time; its bytes and its end come by kube_reflector_on_bytes and _on_done, never
     * inside this call. A failure here counts as one of the request. */
    int (*get)(void *context, const char *target, struct err *err);
    void (*cancel)(void *context);                   /* nothing of it comes any more */
    void (*wake_at)(void *context, int64_t mono_ms); /* replaces the last; INT64_MAX: never */
    void *context;
};

/* 0: the default. */
struct kube_reflector_times {
    uint64_t watch_ms;       /* asked of the server for a watch: between this and twice it; 300 s */
    uint64_t watch_grace_ms; /* we end it ourselves so long after that; 10 s */
    uint64_t idle_ms;        /* silence after which a watch is opened anew; 90 s */
    uint64_t list_idle_ms;   /* the same for a list; 60 s */
    uint64_t stream_list_ms; /* a streaming list has ended its initial set by then; 10 s */
    uint64_t backoff_first_ms, backoff_max_ms; /* 800 ms, 30 s */
    uint64_t healthy_ms; /* a watch that lasted so long makes failures forgotten; 10 s */
};

struct kube_reflector_options {
    const struct kube_resource *resource;
    struct str name_space;     /* empty: all */
    struct str label_selector; /* empty: none */
    struct str field_selector;
    int page_items;    /* 0: 500 */
    bool no_streaming; /* lists by pages only */
    struct kube_reflector_times times;
    struct kube_store *store; /* borrowed */
    struct kube_reflector_io io;
    const struct clock *clock;
    const struct rng *rng;
    /* The store holds a whole view for the first time. May be NULL. */
    void (*on_synced)(void *user);
    /* A whole list took effect: the first time (then on_synced came before) and each time later.
     * May be NULL. */
    void (*on_listed)(void *user);
    /* A list or watch failed and is tried again: for the log, once per failure. May be NULL. */
    void (*on_trouble)(void *user, const struct err *err, int64_t again_in_ms);
    void *user;
};

/* For metrics and tests; all count up. */
struct kube_reflector_counts {
    uint64_t lists;    /* begun */
    uint64_t watches;  /* opened after a list */
    uint64_t expiries; /* 410s met */
    uint64_t events;   /* applied */
    uint64_t bookmarks;
    uint64_t failures;
    uint64_t silences; /* streams given up because they were silent */
};

int kube_reflector_new(struct kube_reflector **out, const struct kube_reflector_options *options,
                       struct err *err);
void kube_reflector_free(struct kube_reflector *r); /* cancels; NULL is allowed */
void kube_reflector_start(struct kube_reflector *r);

/* Drops the version and the request under way, and makes a new list at once: a consistent read that
 * began after this call. It may be called at any time, also inside a callback. */
void kube_reflector_relist(struct kube_reflector *r);

/* Opens the watch anew at its version, so that no dead connection is trusted: the server first
 * sends what was missed. What is not a watch (a list, a wait before one) goes on. At any time, as
 * above. */
void kube_reflector_rewatch(struct kube_reflector *r);

/* From the driver. A negative result of on_bytes: the reflector has no use for more of this answer;
 * the driver ends the request and reports on_done as it does for any other. */
int kube_reflector_on_bytes(struct kube_reflector *r, struct str bytes);
void kube_reflector_on_done(struct kube_reflector *r, const struct kube_answer *answer);
void kube_reflector_on_wake(struct kube_reflector *r);

bool kube_reflector_synced(const struct kube_reflector *r);
const struct kube_reflector_counts *kube_reflector_counts(const struct kube_reflector *r);
/* The version that a watch would go on from; empty: a list comes next. */
const char *kube_reflector_version(const struct kube_reflector *r);

#endif
