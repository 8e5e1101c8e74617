/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ledger's writer share. */
#ifndef SPATE_LEDGER_PRIVATE_H
#define SPATE_LEDGER_PRIVATE_H

#include "billing/ledger/db.h"
#include "billing/ledger/dims.h"
#include "billing/ledger/ledger.h"
#include "billing/ledger/sql.h"
#include "billing/ledger/sums.h"

/* Where a row's numbers are summed, and what they are. */
struct contribution {
    int64_t bucket;
    int64_t account;
    int64_t run;
    struct tally tally;
};

/* One attempt while its request is worked on. */
struct attempt_row {
    struct usage_record record;
    int64_t pod;
    bool stored;                /* it was in the store before */
    bool changed;               /* must be written */
    struct contribution before; /* in the sums now (zero if not stored) */
    struct contribution after;
};

/* All of one request. */
struct request {
    struct id128 id;
    struct attempt_row *rows; /* by attempt number */
    size_t count;
    size_t cap;
    bool stored;  /* any row was */
    bool settled; /* before this transaction */
    bool changed;
};

/* What a transaction will add to the counters when it commits. */
struct ledger_change {
    uint64_t records;
    uint64_t duplicates;
    uint64_t refused;
    uint64_t settled;
    uint64_t estimated;
    uint64_t corrections;
    int64_t pending;
};

struct ledger {
    struct db db;
    struct dims dims;
    struct sums rollups;
    struct sums runs;
    struct request request; /* reused */
    const struct clock *clock;
    int64_t settle_ms;
    int (*merge)(struct usage_record *known, const struct usage_record *snapshot, struct err *err);
    struct ledger_change change;
    int64_t pending;     /* requests */
    struct id128 newest; /* no id in the store is higher: what is beyond it needs no look-up */
    struct ledger_counters counters;
};

/* request.c: load, apply any number of snapshots, finish. */
int request_load(struct ledger *l, struct id128 id, struct err *err);
/* A refusal goes to the answer and is no failure. */
int request_apply(struct ledger *l, const struct usage_record *record, struct ingest_answer *answer,
                  struct err *err);
int request_finish(struct ledger *l, int64_t now_ms, struct err *err);
/* Settles the loaded request as it stands, if it is pending. */
int request_settle_by_time(struct ledger *l, int64_t now_ms, struct err *err);
void request_fini(struct request *q);

/* charge.c: writes what settlement makes of the loaded request, and sets each row's `after`. */
int charge_request(struct ledger *l, bool complete, int64_t now_ms, struct err *err);
/* The sums of a row that is not settled. */
void charge_pending(struct tally *out, const struct usage_record *record);

int64_t ledger_bucket(int64_t admitted_ms);

#endif
