/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settlement of one request: the rule of charging (wire/usage.h) over its attempts, compared with
 * the charge rows that exist. The difference becomes rows; rows are never edited.
 *
 *     revision 0   the first settlement
 *     revision k   a correction: the delta that makes the sum right. If the attempt moved to
 * another account (its gateway's record came late): one row that takes back, one that gives
 */
#include <string.h>

#include "base/mem.h"
#include "billing/ledger/ledger_private.h"

/* What the rows of one attempt add up to. */
struct charged {
    int64_t rows;
    int64_t account; /* of the last row: earlier accounts were taken back to zero */
    int64_t bucket;
    int64_t from;
    int64_t to;
    struct tally sum;
};

void charge_pending(struct tally *out, const struct usage_record *r)
{
    *out = (struct tally){{0}};
    out->v[TALLY_PENDING_INPUT] = (int64_t)r->counts.input_computed;
    out->v[TALLY_PENDING_CACHED] = (int64_t)r->counts.input_cached;
    out->v[TALLY_PENDING_VISIBLE] = (int64_t)(r->counts.output - r->counts.reasoning);
    out->v[TALLY_PENDING_REASONING] = (int64_t)r->counts.reasoning;
    out->v[TALLY_PENDING_RECOMPUTED] = (int64_t)r->counts.recomputed;
}

static void tally_of(struct tally *out, const struct usage_record *r, const struct usage_charge *c)
{
    *out = (struct tally){{0}};
    out->v[TALLY_INPUT] = (int64_t)c->input_computed;
    out->v[TALLY_CACHED] = (int64_t)c->input_cached;
    out->v[TALLY_VISIBLE] = (int64_t)c->visible;
    out->v[TALLY_REASONING] = (int64_t)c->reasoning;
    out->v[TALLY_WASTE_INPUT] = (int64_t)(r->counts.input_computed - c->input_computed);
    out->v[TALLY_WASTE_CACHED] = (int64_t)(r->counts.input_cached - c->input_cached);
    out->v[TALLY_WASTE_VISIBLE] =
        (int64_t)(r->counts.output - r->counts.reasoning) - (int64_t)c->visible;
    out->v[TALLY_WASTE_REASONING] = (int64_t)r->counts.reasoning - (int64_t)c->reasoning;
    out->v[TALLY_WASTE_RECOMPUTED] = (int64_t)r->counts.recomputed;
}

static int read_charged(struct ledger *l, const struct usage_record *r, struct charged *out,
                        struct err *err)
{
    enum { FIRST_TALLY = 4 };
    sqlite3_stmt *s = db_use(&l->db, SQL_CHARGE_READ);
    int result;

    *out = (struct charged){0};
    db_bind_blob(s, 1, r->request_id.bytes, sizeof(r->request_id.bytes));
    sqlite3_bind_int64(s, 2, r->attempt);
    while ((result = db_step(&l->db, s, err)) > 0) {
        int64_t account = sqlite3_column_int64(s, 0);
        int64_t bucket = sqlite3_column_int64(s, 1);

        if (account != out->account || bucket != out->bucket)
            out->sum = (struct tally){{0}};
        out->account = account;
        out->bucket = bucket;
        out->from = sqlite3_column_int64(s, 2);
        out->to = sqlite3_column_int64(s, 3);
        for (int i = 0; i < TALLY_CHARGE_COUNT; i++)
            out->sum.v[i] += sqlite3_column_int64(s, FIRST_TALLY + i);
        out->rows++;
    }
    return result;
}

struct charge_row {
    int64_t revision;
    int64_t account;
    int64_t bucket;
    int64_t from;
    int64_t to;
    const struct tally *delta;
};

static int add_row(struct ledger *l, const struct usage_record *r, const struct charge_row *row,
                   int64_t now_ms, struct err *err)
{
    enum { FIRST_TALLY = 9 };
    sqlite3_stmt *s = db_use(&l->db, SQL_CHARGE_ADD);

    db_bind_blob(s, 1, r->request_id.bytes, sizeof(r->request_id.bytes));
    sqlite3_bind_int64(s, 2, r->attempt);
    sqlite3_bind_int64(s, 3, row->revision);
    sqlite3_bind_int64(s, 4, row->account);
    sqlite3_bind_int64(s, 5, row->bucket);
    sqlite3_bind_int64(s, 6, now_ms);
    sqlite3_bind_int64(s, 7, row->from);
    sqlite3_bind_int64(s, 8, row->to);
    for (int i = 0; i < TALLY_CHARGE_COUNT; i++)
        sqlite3_bind_int64(s, FIRST_TALLY + i, row->delta->v[i]);
    if (row->revision > 0)
        l->change.corrections++;
    return db_run(&l->db, s, err);
}

/* Writes what leads from the rows that exist to `wanted`. */
static int write_difference(struct ledger *l, const struct attempt_row *row,
                            const struct charged *known, const struct charged *wanted,
                            int64_t now_ms, struct err *err)
{
    struct charge_row next = {.revision = known->rows,
                              .account = wanted->account,
                              .bucket = wanted->bucket,
                              .from = wanted->from,
                              .to = wanted->to};
    bool moved =
        known->rows > 0 && (known->account != wanted->account || known->bucket != wanted->bucket);
    struct tally delta = wanted->sum;

    if (moved) {
        struct tally back = {{0}};
        struct charge_row taken = {known->rows, known->account, known->bucket, 0, 0, &back};
        int r;

        tally_subtract(&back, &known->sum);
        r = add_row(l, &row->record, &taken, now_ms, err);
        if (r < 0)
            return r;
        next.revision++;
    } else {
        tally_subtract(&delta, &known->sum);
    }
    if (!moved && tally_is_zero(&delta) &&
        (known->rows == 0 || (known->from == wanted->from && known->to == wanted->to)))
        return 0;
    next.delta = &delta;
    return add_row(l, &row->record, &next, now_ms, err);
}

static int charge_attempt(struct ledger *l, struct attempt_row *row, const struct charged *wanted,
                          int64_t now_ms, struct err *err)
{
    struct charged known = {0};
    int r = 0;

    if (l->request.settled && row->stored) {
        r = read_charged(l, &row->record, &known, err);
        if (r < 0)
            return r;
        if (known.rows > 0) {
            row->before.account = known.account;
            row->before.bucket = known.bucket;
        }
        row->before.tally = known.sum;
    }
    row->after.tally = wanted->sum;
    return write_difference(l, row, &known, wanted, now_ms, err);
}

int charge_request(struct ledger *l, bool complete, int64_t now_ms, struct err *err)
{
    struct request *q = &l->request;
    struct usage_cursor cursor = {0};

    for (size_t i = 0; i < q->count; i++) {
        struct attempt_row *row = &q->rows[i];
        struct charged wanted = {.account = row->after.account, .bucket = row->after.bucket};
        struct usage_charge charge;
        int r;

        usage_charge_attempt(&charge, &cursor, &row->record);
        tally_of(&wanted.sum, &row->record, &charge);
        if (i == 0) {
            wanted.sum.v[TALLY_REQUESTS] = 1;
            wanted.sum.v[TALLY_ESTIMATED] = complete ? 0 : 1;
        }
        wanted.from = (int64_t)charge.from;
        wanted.to = (int64_t)charge.to;
        r = charge_attempt(l, row, &wanted, now_ms, err);
        if (r < 0)
            return r;
    }
    return 0;
}
