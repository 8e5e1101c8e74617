/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's book of final usage records: durable (billing/meter), kept until a gateway
 * acknowledges each one, reported again by whoever runs on the same folder next.
 *
 *     DATA/usage/               the durable log
 *     DATA/runs/<run>.counters  the engine's counter file, one a run (engine/counters.h)
 *     DATA/runs/<run>.done      of an earlier run whose open attempts are in the log
 *
 * Everything here is called on the loop's thread.
 */
#ifndef SPATE_AGENT_BOOK_H
#define SPATE_AGENT_BOOK_H

#include "base/clock.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "wire/usage.h"

struct book;

enum {
    BOOK_RECORDS_MAX = 200000, /* not acknowledged; over it nothing is admitted */
    BOOK_RUNS_KEPT = 64,       /* counter files of earlier runs, for audits */
    BOOK_RETRY_MS = 200,       /* until a record that the log could not take is offered again */
};

struct book_options {
    struct loop *loop;
    const struct clock *clock;
    const char *data_folder;
    const char *pod_name;
    struct metrics *metrics;
    /* The record of this handle is durable: the engine may forget the attempt. */
    void (*durable)(void *user, uint64_t handle);
    void *user;
};

/* Opens the log and writes into it what the counter files of crashed runs say. Blocks: at start. */
int book_open(struct book **out, const struct book_options *options, struct err *err);
void book_close(struct book *b); /* NULL is allowed */

/* The counter file that a new run must use; heap memory of the caller, or NULL. */
char *book_counters_path(const struct book *b, struct id128 run_id);

/* Keeps a final record; never loses it: when the log is full it is offered again and again. */
int book_add(struct book *b, const struct usage_record *record, uint64_t handle, struct err *err);
/* The record of an attempt, or NULL. */
const struct usage_record *book_find(const struct book *b, struct id128 request_id,
                                     uint32_t attempt);
/* A gateway has it durably. Unknown attempts are ignored: it may be a repetition. */
void book_acknowledge(struct book *b, struct id128 request_id, uint32_t attempt);

/* {"records":[...]}: those that are older than that, oldest first, at most `max`. */
void book_write(const struct book *b, int64_t older_than_ms, int max, struct json_writer *w);
size_t book_count(const struct book *b);
/* False: no room for further records; admit nothing. */
bool book_admission_open(const struct book *b);

#endif
