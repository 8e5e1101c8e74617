/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for operator and ledger in the gateway's bench: one tenant, one model with the given
 * pods, every usage record accepted. It says what the real ones say (wire/routes, wire/load,
 * wire/ingest). One loop, one thread.
 */
#ifndef SPATE_TESTS_BENCH_GATEWAY_CONTROL_PLANE_H
#define SPATE_TESTS_BENCH_GATEWAY_CONTROL_PLANE_H

#include "base/buf.h"
#include "base/http_server.h"

#define CONTROL_PLANE_KEY "sk-bench"

struct control_plane {
    struct http_server *server;
    struct http_exchange *waiting; /* the gateway's call for newer routes; NULL: none */
    struct loop_timer timer;       /* answers it */
    struct loop *loop;
    struct buf routes; /* the snapshot, as JSON */
    int port;
    bool acknowledged; /* the routes are in force in the gateway */
    uint64_t records;  /* of usage, taken so far */
};

/* `addresses`: of the pods, one a line. Lives until control_plane_fini. */
int control_plane_init(struct control_plane *p, struct loop *loop, struct str addresses, int slots,
                       struct err *err);
void control_plane_fini(struct control_plane *p);

#endif
