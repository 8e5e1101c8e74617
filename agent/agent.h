/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-agent: the program in each pod. One loop for HTTP, one step thread for the engine
 * (runner.h), a pool for rendering and tokenising (prompt.h), one log thread (billing/meter).
 *
 *     exchange -> request_start -> [pool] prompt_prepare -> runner_submit -> events -> chunks
 *                                                                              |
 *                                                        final record -> book -> gateway
 *
 * With a token key (--token-public-key) only gateways are served, and every attempt leaves a usage
 * record; without one the agent is a plain OpenAI server on loopback, and nobody is billed.
 */
#ifndef SPATE_AGENT_AGENT_H
#define SPATE_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent_metrics.h"
#include "agent/book.h"
#include "agent/past.h"
#include "agent/runner.h"
#include "base/hash.h"
#include "base/http_server.h"
#include "base/memory_limit.h"
#include "base/program.h"
#include "engine/text/template.h"
#include "engine/text/tokenizer.h"
#include "wire/openai.h"
#include "wire/stream.h"
#include "wire/token.h"

enum {
    AGENT_SLOTS_SPARE = 2,        /* a gateway may send this many more than there are slots */
    AGENT_QUEUE_ALONE = 256,      /* requests waiting when used alone */
    AGENT_DRAIN_CANCEL_MS = 8000, /* after SIGTERM: what still runs is handed over */
    AGENT_DRAIN_EXIT_MS = 12000,  /* then the process ends, whatever is open */
    AGENT_FLUSH_MS = 100,
};

struct agent_settings {
    const char *model;
    const char *listen;
    const char *data;
    const char *token_public_key;
    const char *pod_name;
    const char *served_model;
    const char *isa;
    int64_t slots;
    int64_t context;
    int64_t kv_mib;
    int64_t memory_mib;
    int64_t threads;
    int64_t chunk_tokens;
    bool prefix_reuse;
    bool reasoning_alias;
    bool report_only; /* no engine: only what earlier runs left in `data` is reported */
    struct program_settings program;
};

enum agent_state { AGENT_LOADING, AGENT_READY, AGENT_DRAINING, AGENT_FAILED };

struct request;

struct agent {
    const struct agent_settings *settings;
    struct loop loop;
    const struct clock *clock;
    struct http_server *server;
    struct metrics *metrics;
    struct agent_metrics counters;
    struct tokenizer *tokenizer;
    struct template *chat_template; /* NULL: the model has none; why: chat_refusal */
    char chat_refusal[ERR_MESSAGE_MAX];
    struct runner *runner;
    struct book *book;    /* NULL: used alone */
    bool trusts_gateways; /* there is a token key */
    uint8_t public_key[TOKEN_KEY_BYTES];
    int64_t key_read_ms; /* monotonic, of the last time that a token did not fit; 0: never */
    enum agent_state state;
    char detail[256]; /* for people: of FAILED why, of READY what is not as it was wished */
    struct memory_limit memory; /* bytes 0: not known */
    struct engine_plan plan;
    struct id128 run_id;
    char digest[SHA256_HEX_LEN + 1];
    const char *model_name; /* what /v1/models says */
    int64_t started_ms;
    int64_t ready_ms;
    struct request *requests; /* all that were admitted, newest first */
    int request_count;
    struct past past;
    uint64_t next_handle;
    struct loop_timer heartbeat;
    struct loop_timer drain_cancel;
    struct loop_timer drain_exit;
};

/* Runs until SIGTERM has drained it, or until all is reported (report_only); returns the exit
 * status: 0, 1 if it could not start, or STREAM_EXIT_UNREPORTED. */
int agent_run(const struct agent_settings *settings);

/* The handler of every request: endpoints.c. */
void agent_handle(struct http_exchange *x, void *user);
/* Refuses new work from now on; what runs goes on. */
void agent_drain(struct agent *a);
/* After the last request of a draining agent. */
void agent_check_drained(struct agent *a);
void agent_status(struct agent *a, struct stream_status *out);

/* agent_memory.c. What we may use: as told, or as the system says; unknown is no reason to refuse
 * anything. */
void agent_memory_find(struct agent *a);
/* It serves, but a shorter context than was asked for: says so in `detail`. */
void agent_memory_tell_context(struct agent *a);
/* Adds the cure to a refusal of the engine, which gives the figures and doesn't know where they
 * are set. */
void agent_memory_explain(const struct agent *a, struct err *err);

/* Answers with an error of the API. */
void agent_respond_error(struct http_exchange *x, const struct openai_error *error);

#endif
