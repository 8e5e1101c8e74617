/* SPDX-License-Identifier: Apache-2.0 */
/* One Event, maybe with repeats: what it says, and its JSON. */
#ifndef SPATE_OPERATOR_KUBE_EVENT_SERIES_H
#define SPATE_OPERATOR_KUBE_EVENT_SERIES_H

#include "operator/kube/client/kube_event.h"

enum { KUBE_EVENT_NAME_MAX = 253, KUBE_EVENT_JSON_MAX = 8192 };

struct kube_event_series {
    struct kube_event_series *next; /* all of them, oldest first */
    char *key;                      /* what makes two of them equal */
    char *api_version, *kind, *name_space, *name, *uid, *reason, *action, *note;
    bool warning;
    char event_name[KUBE_EVENT_NAME_MAX + 1];
    int64_t first_ms, last_ms; /* Unix time, for people */
    int64_t seen_ms;           /* of the monotonic clock: the last repeat */
    int64_t due_ms;            /* to be written then; INT64_MAX: nothing to write */
    uint64_t count, written;   /* repeats, and how many of them the server knows */
    int tries;                 /* failures in a row */
};

/* Copies; -ERR_NO_MEMORY. The note is cut between characters. */
int kube_event_series_new(struct kube_event_series **out, const struct kube_event_about *about,
                          bool warning, const char *reason, const char *action, struct str note,
                          struct err *err);
void kube_event_series_free(struct kube_event_series *s); /* NULL is allowed */

/* A name of its own for the Event object. */
void kube_event_series_rename(struct kube_event_series *s, const struct rng *rng);
/* The namespace that the Event lives in. */
struct str kube_event_series_namespace(const struct kube_event_series *s);
/* The body of its POST, and of the merge patch of its repeats. */
void kube_event_series_write(const struct kube_event_series *s, const char *controller,
                             const char *instance, struct buf *out);
void kube_event_series_write_repeats(const struct kube_event_series *s, struct buf *out);

#endif
