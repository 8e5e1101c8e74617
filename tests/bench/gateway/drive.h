/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load of equal streaming chats on one address: so many at once (each ends, the next starts), or
 * so many a second whatever comes back. Every answer is checked to be whole. One loop, one thread.
 */
#ifndef SPATE_TESTS_BENCH_GATEWAY_DRIVE_H
#define SPATE_TESTS_BENCH_GATEWAY_DRIVE_H

#include "base/http_client.h"
#include "base/loop.h"

struct drive_options {
    const char *address;
    const char *key; /* bearer token; NULL: none */
    struct str body; /* of each request; borrowed */
    int tokens;      /* events with data that a whole answer has, without usage and [DONE] */
    int requests;    /* in all */
    int concurrency; /* at once at most; also for a rate */
    int rate;        /* requests a second; 0: as fast as answers come */
};

struct drive_result {
    double seconds;   /* first start to last end */
    double *first_ms; /* each request's start to the first byte of its answer's body; heap */
    double *whole_ms; /* to its end; heap */
    int count;
};
void drive_result_fini(struct drive_result *result); /* also of a zeroed one */

/* Runs `loop` until every answer is there. The first answer that is not whole ends it with an
 * error. */
int drive_run(struct drive_result *out, struct loop *loop, struct http_client *client,
              const struct drive_options *options, struct err *err);

#endif
