/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates for one lease, on a server that is played by hand and clocks that are set by hand.
 */
#ifndef SPATE_TESTS_LEASE_PLAY_H
#define SPATE_TESTS_LEASE_PLAY_H

#include "cmocka_plain.h"

#include "base/json.h"
#include "operator/kube/client/kube_lease.h"

enum { BODY_MAX = 4096 };

struct server {
    json_t *lease; /* NULL: not there */
    int version;
    int uid;
};

struct candidate {
    struct server *server;
    struct kube_lease *lease;
    struct clock_manual clock;
    struct rng_seeded random;
    char method[8]; /* of the request under way; "": none */
    char body[BODY_MAX];
    int64_t wake_ms;
    bool leading;
    uint64_t term;
    int starts, stops, troubles, releases;
    char leader[64];
};

void server_touch(struct server *s);
const char *server_holder(const struct server *s);
void candidate_begin(struct candidate *c, struct server *s, const char *identity, int64_t wall_ms);
void candidate_end(struct candidate *c);
int64_t candidate_now(const struct candidate *c);
void candidate_wake(struct candidate *c);
/* The request reaches the server; its answer comes back, or is lost. */
void candidate_serve_and(struct candidate *c, bool answer_arrives);
void candidate_serve(struct candidate *c);
void candidate_broken(struct candidate *c);
/* Lets a time pass, in small steps, with a server that answers at once. */
void candidate_run(struct candidate *c, int64_t ms);
void server_free(struct server *s);

#endif
