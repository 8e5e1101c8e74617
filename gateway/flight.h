/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight: one request of a client, from its key to its last byte, over as many attempts on pods
 * as it takes.
 *
 *     flight_start -> QUEUED -> RUNNING -> ENDING -> gone
 *                       ^          |  \-> CANCELLING -> gone      (the client left)
 *                       +----------+  the pod refused, died, fell silent: the ids so far go along
 *
 * ENDING waits until the final usage records are durable; only then does the client get its last
 * byte. Loop thread.
 */
#ifndef SPATE_GATEWAY_FLIGHT_H
#define SPATE_GATEWAY_FLIGHT_H

#include "base/http_client.h"
#include "base/http_server.h"
#include "base/sse.h"
#include "gateway/admit.h"
#include "gateway/table.h"
#include "wire/openai.h"
#include "wire/stream.h"
#include "wire/usage.h"

struct gateway;

enum {
    FLIGHT_ATTEMPTS_MAX = 64,  /* on pods; then our side gives up */
    FLIGHT_BARREN_MAX = 8,     /* of them in a row that began, gave no token and broke */
    FLIGHT_WAIT_MS = 600000,   /* in the queue, at most */
    FLIGHT_QUIET_MS = 5000,    /* nothing is sent before, so that an error can have its status */
    FLIGHT_COMMENT_MS = 5000,  /* between comments of a waiting stream */
    FLIGHT_SNAPSHOT_MS = 1000, /* between usage snapshots of a running attempt */
    FLIGHT_HOLD_FULL_MS = 20,  /* a pod that was full is left alone for this long */
    FLIGHT_HOLD_DRAINING_MS = 500, /* or going away, or not ready yet */
    FLIGHT_HOLD_FIRST_MS = 50, /* or broke or fell silent: at first, doubling with each failure */
    FLIGHT_HOLD_MAX_MS = 2000,
    FLIGHT_CANCEL_MS = 3000,     /* for the agent's word after a cancel */
    FLIGHT_OUT_MAX = 16 << 20,   /* an assembled answer */
    FLIGHT_UNSENT_MAX = 1 << 20, /* to a slow client, before the pod is paused */
};

enum flight_state { FLIGHT_QUEUED, FLIGHT_RUNNING, FLIGHT_CANCELLING, FLIGHT_ENDING };

struct flight {
    struct gateway *g;
    struct flight *previous, *next; /* of all flights */
    enum flight_state state;
    struct http_exchange *x; /* until it is ended */

    /* What was asked. */
    struct id128 id;
    char completion_id[48];
    enum openai_endpoint endpoint;
    struct str body; /* the exchange's */
    char *public_model;
    struct gw_model *model;
    char *route_name;  /* namespace/name of the route that led to the model; NULL: none did */
    int fallback_next; /* which of its fallbacks comes next */
    struct gw_tenant *tenant;
    struct ticket ticket;
    char key_id[USAGE_KEY_MAX + 1];
    uint64_t price_version;
    int64_t admitted_ms; /* wall */
    int64_t arrived_mono_ms;
    uint64_t seed;
    bool stream;
    bool include_usage;

    /* Waiting. */
    struct gw_line *line;
    struct flight *queue_previous, *queue_next;
    bool in_front;
    int64_t waiting_since_ms;
    int64_t joined_ms; /* when it came to its model */
    int64_t last_comment_ms;

    /* The answer so far. */
    int32_t *ids;
    int id_count;
    int id_cap;
    char digest[65];       /* of the pod that began it */
    int64_t cached_tokens; /* of the attempt that is charged for input; -1: none yet */
    bool client_begun;     /* status and head are sent */
    bool client_gone;
    struct openai_assembler *assembler;

    /* Attempts. The last one is the running one. */
    struct usage_record *records;
    int record_count;
    uint32_t attempt; /* number of the last one */
    int tries;
    int barren;      /* attempts in a row that broke without a token */
    int first_count; /* id_count when the running attempt began */

    /* The running attempt. */
    struct gw_pod *pod;
    struct http_call *call;
    struct sse_parser sse;
    bool sse_open;
    int status;
    struct buf error_body; /* of an answer that is no stream */
    bool started;          /* START was seen */
    bool paused;           /* the client is slower than the pod */
    bool ended;            /* END was seen */
    struct stream_event end;
    char end_address[TABLE_ADDRESS_MAX]; /* of the pod that said it */
    int64_t last_byte_ms;
    uint64_t last_steps;
    int64_t last_step_ms;
    int64_t next_snapshot_ms;
    int64_t cancel_deadline_ms;

    /* ENDING: waits for this sequence of the usage log; 0: the log has not taken the records yet.
     */
    struct flight *durable_next;
    uint64_t durable_sequence;
    enum usage_end ended_by;
};

/* Takes the exchange over: authenticated already. */
void flight_start(struct gateway *g, struct http_exchange *x, enum openai_endpoint endpoint,
                  const struct gw_key *key);
/* Sends what waits for this model to its pods, as far as they have room. */
void flight_dispatch(struct gateway *g, struct gw_model *m);
/* flight_sweep.c: time-outs, comments, snapshots; called a few times a second. */
void flight_sweep(struct flight *f, int64_t now_ms);
/* The usage log is durable up to here: ends the flights that waited for it. */
void flight_on_durable(struct gateway *g, uint64_t sequence);

/* --- between the flight's files -------------------------------------------------------------- */

/* flight_attempt.c: one attempt on a pod. */
void flight_attempt_start(struct flight *f, struct gw_pod *pod);
/* Cuts the call and gives the pod's place back. */
void flight_attempt_drop(struct flight *f);
/* The same of an attempt that may have reached its pod. */
void flight_attempt_give_up(struct flight *f);
/* The pod is given up: its record is closed, the flight goes back to the queue. */
void flight_attempt_broken(struct flight *f, const char *reason);

/* flight_stream.c: what the pod says. An sse_fn; an error breaks the attempt. */
int flight_stream_event(void *object, const struct sse_event *event);

/* flight_cancel.c: tells the pod that nobody waits. May be called again. */
void flight_attempt_cancel(struct flight *f);

/* flight_usage.c: the records. */
int flight_record_add(struct flight *f);
void flight_snapshot(struct flight *f);
/* All records, final; returns the sequence to wait for, or 0 if the log did not take them all (it
 * has no room at the moment): then offer them again. */
uint64_t flight_finalise(struct flight *f, enum usage_end ended_by);

/* flight_out.c: to the client. */
void flight_out_data(struct flight *f, const struct sse_event *event, bool is_usage);
void flight_out_comment(struct flight *f);
void flight_out_error(struct flight *f, const struct openai_error *error, int64_t retry_after_ms);
void flight_out_finish(struct flight *f);
/* Passes an agent's refusal of the request on. */
void flight_out_agent_error(struct flight *f);

/* flight_route.c: to which model. */
struct flight_choice {
    struct id128 id; /* given: of the request */
    struct gw_model *model;
    const struct routes_route *route; /* NULL: the model was named itself */
    int fallback_next;
};
/* What the tenant means by this name; < 0: the error is set. */
int flight_choose(const struct table *t, const struct gw_tenant *tenant, struct str name,
                  struct flight_choice *out, struct openai_error *error);
/* Moves a queued flight to the next fallback of its route, if its time has come. True: it moved (or
 * ended, as there was no room). */
bool flight_fall_back(struct flight *f, int64_t now_ms);

/* flight.c */
bool flight_can_wait(const struct flight *f);
void flight_requeue(struct flight *f);
void flight_fail(struct flight *f, enum openai_error_code code, const char *message);
/* The answer is whole: final records, then the last byte. */
void flight_complete(struct flight *f);
/* The client left: final records, nothing to send. */
void flight_abandon(struct flight *f);
/* Final records; when they are durable, the last byte to a client that still waits for it. */
void flight_end(struct flight *f, enum usage_end ended_by);
void flight_free(struct flight *f);

#endif
