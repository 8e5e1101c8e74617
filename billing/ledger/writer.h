/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's one writer thread. Jobs come from the loop; usage batches that wait together become
 * one transaction, so a slow disk makes bigger commits, not longer queues. Answers return to the
 * loop. Between jobs it settles what has been silent for the settling time.
 */
#ifndef SPATE_LEDGER_WRITER_H
#define SPATE_LEDGER_WRITER_H

#include "base/loop.h"
#include "billing/ledger/ledger.h"

struct writer;

enum {
    WRITER_JOBS_MAX = 256,     /* waiting; further ones are refused with ERR_BUSY */
    WRITER_RECORDS_MAX = 8000, /* of one transaction */
    WRITER_SETTLE_MS = 500,    /* between looks for what is due */
};

enum writer_kind { WRITER_INGEST, WRITER_PRICES, WRITER_LOST };

struct writer_job {
    enum writer_kind kind;
    struct ingest_batch batch; /* WRITER_INGEST: answers are filled */
    struct prices prices;      /* WRITER_PRICES */
    struct id128 run_id;       /* WRITER_LOST */
    struct usage_counts lost;

    int result; /* of the ledger's call; err says why if negative */
    struct err err;
    void (*done)(struct writer_job *job); /* on the loop; the job is the caller's again */
    void *user;
    struct writer_job *next; /* private */
};

/* The ledger is the writer's until writer_close. */
int writer_new(struct writer **out, struct ledger *ledger, struct loop *loop, struct err *err);
/* On the loop. -ERR_BUSY: the queue is full. */
int writer_submit(struct writer *w, struct writer_job *job);
/* Does what is queued, stops the thread, calls the outstanding `done`s. NULL is allowed. */
void writer_close(struct writer *w);
size_t writer_queued(struct writer *w);

#endif
