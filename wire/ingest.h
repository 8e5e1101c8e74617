/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage records on their way to the ledger: POST LEDGER_INGEST_PATH under a token with audience
 * ledger.
 *
 *     {"records":[<usage record>, ...]}  ->  {"results":["ok", {"refused":"reason"}, ...]}
 *
 * Results are in the order of the records. "ok" means durably stored, or known already. A refused
 * record will never be accepted: keep it aside. Any other status than 200: nothing was taken, send
 * the batch again.
 */
#ifndef SPATE_WIRE_INGEST_H
#define SPATE_WIRE_INGEST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "wire/usage.h"

#define LEDGER_INGEST_PATH "/internal/v1/usage"

enum {
    INGEST_RECORDS_MAX = 1000,
    INGEST_REASON_MAX = 255,
    INGEST_BYTES_MAX = INGEST_RECORDS_MAX * (USAGE_RECORD_BYTES_MAX + 1) + 64,
};

struct ingest_answer {
    bool refused;
    char reason[INGEST_REASON_MAX + 1];
};

/* Writes the batch around records that are JSON already (as the usage log keeps them). */
void ingest_begin(struct buf *out);
void ingest_add(struct buf *out, struct str record_json);
void ingest_end(struct buf *out);

/*
 * Reads a batch. A record that is not well-formed is refused alone: its answer says so, and
 * records[i] stays zero. Both arrays are heap memory of the caller's, freed with mem_free.
 */
struct ingest_batch {
    struct usage_record *records;
    struct ingest_answer *answers;
    size_t count;
};
int ingest_read(struct ingest_batch *out, struct str body, struct err *err);
void ingest_fini(struct ingest_batch *batch); /* also of a zeroed one */

void ingest_answers_write(struct json_writer *w, const struct ingest_answer *answers, size_t count);
/* Exactly `count` answers into `out`, else -ERR_PROTOCOL. */
int ingest_answers_read(struct ingest_answer *out, size_t count, struct str body, struct err *err);

#endif
