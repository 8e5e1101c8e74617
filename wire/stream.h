/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between gateway and agent: the OpenAI API plus an extension. Always streamed.
 *
 * Request: POST /v1/chat/completions or /v1/completions with an operator-signed token (wire/token),
 * Content-Type STREAM_CONTENT_TYPE and the body
 *
 *     {"spate": <attempt>, "request": <the client's body, byte for byte>}
 *
 * Answer: an OpenAI error (status 400...; 503 with a STREAM_REFUSE_* code: take it elsewhere), or
 * 200 and server-sent events. An event has a `spate:` line, a `data:` line for the client, or both:
 *
 *     spate: {"start":{...}}                      first: who answers, how long the prompt is
 *
 *     data: {"id":"chatcmpl-..","choices":[...]}  passed on to the client byte for byte
 *     spate: {"p":13,"ids":[271],"c":[9,0,13,8,0]}
 *
 *     spate: {"hb":[1207,3,0]}                    each second, with the engine's step number
 *
 *     data: {...,"choices":[],"usage":{...}}      the usage chunk: always sent, passed on if wanted
 *     spate: {"usage":true}
 *
 *     spate: {"end":{"by":"model","finish":"stop","charge_end":13,"c":[9,0,13,8,0]}}
 *
 *     data: [DONE]
 *
 * Positions and counts never fall within an attempt. A stream that ends without an `end` was broken
 * by our side. Other calls of the agent, under the same kind of token, are listed at the end.
 */
#ifndef SPATE_WIRE_STREAM_H
#define SPATE_WIRE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "wire/usage.h"

#define STREAM_CONTENT_TYPE    "application/vnd.spate.attempt+json"
#define STREAM_REFUSE_BUSY     "pod_busy"     /* no slot: put it back at the head of the queue */
#define STREAM_REFUSE_DRAINING "pod_draining" /* going away */
#define STREAM_REFUSE_LOADING  "pod_loading"  /* not ready yet */

enum {
    STREAM_HEARTBEAT_MS = 1000,
    STREAM_SILENCE_MS = 2000, /* a pod silent for longer is given up */
    STREAM_STALL_MS = 5000,   /* no engine step for longer with work queued: the same */
    STREAM_RESUME_IDS_MAX = 1 << 20,
    STREAM_LINE_MAX = 1 << 20, /* of one event line */
};

/* The attempt, as the gateway states it. */
struct stream_attempt {
    struct id128 request_id;
    uint32_t attempt;
    struct str tenant;
    struct str key_id;
    struct str model;         /* namespace/name: what is billed */
    struct str public_model;  /* what the client asked for: echoed in "model" */
    struct str completion_id; /* "chatcmpl-...": equal in all chunks of all attempts */
    int64_t created_s;
    uint64_t seed; /* the client's, or picked by the gateway */
    uint64_t price_version;
    int64_t admitted_ms;
    uint64_t cache_salt; /* prefixes are shared within a tenant only */
    int priority;
    struct str digest;     /* hex; the model digest that a resumed answer needs; empty: any */
    int64_t cached_tokens; /* of the attempt that was charged for input; -1: this one's own */
    const int32_t *output; /* ids so far */
    int output_count;
};

/* Writes the object. */
void stream_attempt_write(struct json_writer *w, const struct stream_attempt *attempt);
/* Reads it; strings and ids live in the arena. */
int stream_attempt_read(struct stream_attempt *out, const json_t *object, struct arena *arena,
                        struct err *err);

enum stream_kind {
    STREAM_START,
    STREAM_CHUNK,
    STREAM_HEARTBEAT,
    STREAM_USAGE,
    STREAM_END,
};

enum { STREAM_IDS_MAX = 1024 }; /* in one event */

/* One `spate:` line. Which fields count depends on the kind. */
struct stream_event {
    enum stream_kind kind;
    /* START */
    struct id128 run_id;
    uint64_t prompt_tokens;
    char digest[65];
    /* CHUNK */
    uint64_t position; /* reached: start + output so far */
    int32_t ids[STREAM_IDS_MAX];
    int id_count;
    /* CHUNK, END */
    struct usage_counts counts;
    /* HEARTBEAT */
    uint64_t steps;
    uint64_t running;
    uint64_t waiting;
    /* END */
    enum usage_end ended_by;
    char finish[24]; /* OpenAI's finish_reason, or empty */
    uint64_t charge_end;
};

/* Appends "spate: {...}\n". */
void stream_event_write(struct buf *out, const struct stream_event *event);
/* Parses what follows "spate: ". Hand-written for CHUNK and HEARTBEAT: once a token. */
int stream_event_read(struct stream_event *out, struct str json, struct err *err);

/*
 * The agent's other internal calls, all under a token with audience agent:
 *
 *   POST STREAM_PATH_CANCEL {"request_id","attempt"}  -> the final usage record, when it is final
 *   POST STREAM_PATH_ABANDON {"request_id","attempt"} -> the same, or {}: it never began here, and
 *                                                        never will; 404: a gateway has its record
 *   GET  STREAM_PATH_USAGE?older_than_ms=N            -> {"records":[...]}: final, not acknowledged
 *   POST STREAM_PATH_ACK {"attempts":[{"request_id","attempt"}]} -> {}
 *   POST STREAM_PATH_DRAIN {}                         -> {}; refuses new work from now on
 *   GET  STREAM_PATH_STATUS                           -> struct stream_status
 */
#define STREAM_PATH_CANCEL  "/internal/v1/cancel"
#define STREAM_PATH_ABANDON "/internal/v1/abandon"
#define STREAM_PATH_USAGE   "/internal/v1/usage"
#define STREAM_PATH_ACK     "/internal/v1/usage/ack"
#define STREAM_PATH_DRAIN   "/internal/v1/drain"
#define STREAM_PATH_STATUS  "/internal/v1/status"

enum { STREAM_NAME_MAX = 96 };
/* {"request_id","attempt"}: what names one attempt. */
void stream_name_format(char out[STREAM_NAME_MAX], struct id128 request_id, uint32_t attempt);
int stream_name_read(const json_t *object, struct id128 *request_id, uint32_t *attempt,
                     struct err *err);

/* The exit status of an agent that had to leave before everything it computed was acknowledged: its
 * data folder still holds usage, and whoever runs on it next reports that. 0 means that nothing is
 * left there. */
enum { STREAM_EXIT_UNREPORTED = 3 };

struct stream_status {
    char state[16];   /* "loading", "ready", "draining", "failed" */
    char detail[256]; /* for people: what failed, or is not as wished */
    struct id128 run_id;
    char digest[65];
    uint64_t bytes_done; /* loading progress */
    uint64_t bytes_total;
    uint64_t slots;
    uint64_t context_max;
    uint64_t running;
    uint64_t waiting;
    uint64_t unacknowledged; /* final usage records that no gateway has acknowledged */
    int64_t started_ms;      /* Unix time of the process start */
    int64_t ready_ms;        /* Unix time when ready; 0 before */
};
void stream_status_write(struct json_writer *w, const struct stream_status *status);
int stream_status_read(struct stream_status *out, const json_t *object, struct err *err);

#endif
