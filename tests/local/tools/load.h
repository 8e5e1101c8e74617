/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-load: many streaming chats at once, each one checked as a strict client would: one id, ids
 * as many as the usage says, a proper end. The questions are sums that brook can do, so that the
 * answers can be checked too.
 */
#ifndef SPATE_TESTS_LOCAL_LOAD_H
#define SPATE_TESTS_LOCAL_LOAD_H

#include <stdio.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/json.h"
#include "base/sse.h"

enum {
    LOAD_ANSWER_BYTES_MAX = 8 << 20,
    LOAD_FAULT_MAX = 256,
    LOAD_ID_MAX = 128,
};

struct load_settings {
    const char *gateway;
    struct arg_list keys;
    const char *model;
    const char *prompt; /* NULL: sums */
    int64_t requests;
    int64_t concurrency;
    int64_t max_tokens;
    int64_t seed;
    int64_t timeout_ms;
    bool ignore_eos;
    bool quiet;
    const char *out;
};

struct load {
    const struct load_settings *settings;
    struct loop loop;
    struct http_client *client;
    struct rng_seeded rng;
    struct str address; /* of the gateway: "127.0.0.1:8080" */
    FILE *out;          /* one JSON line for each request; or NULL */
    int64_t started;
    int64_t finished;
    int64_t good;  /* streams that were whole and well-formed */
    int64_t right; /* sums that were answered rightly */
    int64_t tokens;
    int64_t prompt_tokens;
    int64_t *first_ms; /* of each finished request, for the percentiles */
    int64_t begun_ms;
    int faults_shown;
};

/* One request and what came of it. */
struct load_stream {
    struct load *load;
    struct http_call *call;
    struct sse_parser parser;
    struct buf body;    /* an error's, when the status is not 200 */
    struct buf text;    /* content */
    struct buf thought; /* reasoning_content */
    struct buf ids;     /* of tokens, "1,2,3" */
    int64_t index;
    int64_t id_count;
    int64_t sent_ms;
    int64_t first_ms; /* -1: no token yet */
    int64_t prompt_tokens;
    int64_t completion_tokens; /* -1: no usage yet */
    int status;
    bool done; /* [DONE] came */
    char id[LOAD_ID_MAX];
    char finish[32];
    char question[64];
    char expected[32];          /* "345 + 678 = 1023"; empty: not known */
    char fault[LOAD_FAULT_MAX]; /* the first thing that was wrong */
};

/* Starts the next request. On failure nothing runs. */
int load_stream_start(struct load *load, struct err *err);
/* Called once for each started stream when it is over; then it is freed. */
void load_stream_over(struct load *load, const struct load_stream *stream);

#endif
