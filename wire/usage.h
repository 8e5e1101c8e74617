/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage record: a cumulative snapshot of one attempt of one request. Agents send snapshots
 * inside the stream and keep final ones until acknowledged; the gateway adds what it delivered,
 * appends them to its durable log and ships them; the ledger keeps, per attempt, the highest of
 * each number.
 *
 * Positions are output positions of the request, counted from 0 over all its attempts:
 *
 *     attempt 1:  0 ........ 7          (delivered 6: position 6 and 7 were lost with the pod)
 *     attempt 2:            6 ....... 20 (start_position 6)
 *
 * Charging (the ledger applies it; written here since every field exists for it). Attempts in
 * order, cursor = 0. An attempt's end is charge_end if `ended_by` is MODEL or CLIENT, else
 * `delivered`. Positions from max(cursor, start_position) to end are charged, cursor moves to end.
 * Input is charged once, from the first attempt with a charged position. The rest of the counts is
 * waste.
 */
#ifndef SPATE_WIRE_USAGE_H
#define SPATE_WIRE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"

enum {
    USAGE_TENANT_MAX = 63,
    USAGE_KEY_MAX = 63,
    USAGE_MODEL_MAX = 127, /* namespace/name */
    USAGE_POD_MAX = 127,
    USAGE_RECORD_BYTES_MAX = 2048, /* of one record as JSON */
};

/* Who ended the attempt. Only a gateway says MODEL or CLIENT in a record that it ships as its own:
 * it knows that the client got the end, or left. Without a gateway's word it is OURS. */
#define USAGE_ENDS(X)                                                \
    X(USAGE_END_NONE, "none")     /* it goes on */                   \
    X(USAGE_END_MODEL, "model")   /* stop, length */                 \
    X(USAGE_END_CLIENT, "client") /* the client left or cancelled */ \
    X(USAGE_END_OURS, "ours")     /* crash, drain, hand-over, fault */
enum usage_end {
#define USAGE_END_ENUM(name, text) name,
    USAGE_ENDS(USAGE_END_ENUM)
#undef USAGE_END_ENUM
        USAGE_END_COUNT
};

/* All cumulative for the attempt. reasoning is part of output. */
struct usage_counts {
    uint64_t input_computed;
    uint64_t input_cached;
    uint64_t output;
    uint64_t reasoning;
    uint64_t recomputed;
};

struct usage_record {
    struct id128 request_id; /* minted by the gateway, never the client's */
    uint32_t attempt;        /* from 1 */
    struct id128 run_id;     /* the engine run; zero while no pod has answered */
    char tenant[USAGE_TENANT_MAX + 1];
    char key_id[USAGE_KEY_MAX + 1];
    char model[USAGE_MODEL_MAX + 1];
    char pod[USAGE_POD_MAX + 1];
    uint64_t price_version; /* in force at admission; for the whole request */
    int64_t admitted_ms;    /* Unix time of admission: decides the billing bucket */
    int64_t updated_ms;     /* Unix time of this snapshot, by its maker */
    uint64_t start_position;
    struct usage_counts counts;
    uint64_t charge_end;  /* position after the last one that may be charged: start + output, less
                             what  came after a completed stop string */
    uint64_t delivered;   /* position after the last one sent to the client; gateway only, else 0 */
    bool counts_final;    /* the agent (or its successor) said these counts are the last */
    bool delivered_final; /* the gateway will deliver nothing more of this attempt */
    bool request_final;   /* the gateway: this was the request's last attempt */
    bool recovered;       /* read from the counter file of a crashed run: knows the identity and the
                             counts but reasoning; names are empty, times and prices are 0 */
    enum usage_end ended_by;
};

const char *usage_end_name(enum usage_end end);

/* Writes one JSON object. */
void usage_write(struct json_writer *w, const struct usage_record *record);
/* Reads one; every field is checked (names printable, counts consistent: reasoning <= output ...).
 */
int usage_read(struct usage_record *out, const json_t *object, struct err *err);

/*
 * Merges a snapshot into what is known of the attempt: the highest of each number, flags by or, the
 * gateway's ended_by over the agent's. -ERR_INVALID (and *known untouched) if they contradict:
 * other tenant, key, model, run, price version, admission or start; or final counts that would
 * change. Returns 1 if something changed, 0 if the snapshot brought nothing new.
 */
int usage_merge(struct usage_record *known, const struct usage_record *snapshot, struct err *err);

/* What of one attempt is charged; `cursor` (0 before the first attempt) moves on. The waste is the
 * counts less the charged ones. */
struct usage_charge {
    uint64_t input_computed;
    uint64_t input_cached;
    uint64_t visible; /* output positions outside of reasoning */
    uint64_t reasoning;
    uint64_t from; /* charged positions: [from, to) */
    uint64_t to;
};
struct usage_cursor {
    uint64_t position;
    bool input_charged;
};
void usage_charge_attempt(struct usage_charge *out, struct usage_cursor *cursor,
                          const struct usage_record *record);

#endif
