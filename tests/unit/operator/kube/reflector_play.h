/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reflector on a server that is played by hand, on a clock that is set by hand: what it asks for
 * is checked, what it is answered is said, and its store tells what changed.
 */
#ifndef SPATE_TESTS_REFLECTOR_PLAY_H
#define SPATE_TESTS_REFLECTOR_PLAY_H

#include "cmocka_plain.h"

#include "operator/kube/client/kube_reflector.h"

struct play {
    struct kube_store *store;
    struct kube_reflector *reflector;
    struct clock_manual clock;
    struct rng_seeded random;
    char asked[KUBE_PATH_MAX]; /* the request under way; "": none */
    int gets, cancels, synced, listed, troubles;
    bool relist_at_change; /* once, inside the next change */
    int get_fails;         /* so many gets fail */
    int64_t again_ms;
    int64_t wake_ms;
    uint64_t changes;
    struct buf log;
};

void play_begin_with(struct play *p, bool no_streaming);
void play_begin(struct play *p);
void play_end(struct play *p);
/* Lets time pass until the reflector wants to wake up; returns how long that was. */
int64_t play_wait(struct play *p);
void play_asks(struct play *p, const char *part);
int play_say(struct play *p, const char *bytes);
void play_over(struct play *p, const struct kube_answer *answer);
void play_ended(struct play *p);
void play_broken(struct play *p);
void play_refused(struct play *p, int http, const char *reason, int retry_s);
void play_event(struct play *p, const char *what, const char *name, const char *version);
void play_bookmark(struct play *p, const char *version, bool initial_end);
/* An ERROR event; the driver ends the request then, as kube_api does. */
void play_error_event(struct play *p, int code, const char *reason);
/* names: "a@1 b@2" */
void play_page(struct play *p, const char *names, const char *version, const char *more);
void play_changed(struct play *p, const char *expected);
/* Listed a@1 at version 10 and watching from there. */
void play_watching(struct play *p);
const struct kube_reflector_counts *play_counts(const struct play *p);

#endif
