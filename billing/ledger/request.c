/* SPDX-License-Identifier: Apache-2.0 */
/* One request at a time: load its attempts, join snapshots to them, settle or leave pending. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "billing/ledger/ledger_private.h"

enum {
    FLAG_COUNTS_FINAL = 1,
    FLAG_DELIVERED_FINAL = 2,
    FLAG_REQUEST_FINAL = 4,
    FLAG_RECOVERED = 8,
    FLAG_ENDED_BY_SHIFT = 4,
};

int64_t ledger_bucket(int64_t admitted_ms)
{
    return admitted_ms - admitted_ms % LEDGER_BUCKET_MS;
}

void request_fini(struct request *q)
{
    mem_free(q->rows);
    *q = (struct request){0};
}

static int64_t flags_of(const struct usage_record *r)
{
    return (r->counts_final ? FLAG_COUNTS_FINAL : 0) |
           (r->delivered_final ? FLAG_DELIVERED_FINAL : 0) |
           (r->request_final ? FLAG_REQUEST_FINAL : 0) | (r->recovered ? FLAG_RECOVERED : 0) |
           (int64_t)r->ended_by << FLAG_ENDED_BY_SHIFT;
}

static void flags_to(struct usage_record *r, int64_t flags)
{
    int64_t ended_by = flags >> FLAG_ENDED_BY_SHIFT;

    r->counts_final = (flags & FLAG_COUNTS_FINAL) != 0;
    r->delivered_final = (flags & FLAG_DELIVERED_FINAL) != 0;
    r->request_final = (flags & FLAG_REQUEST_FINAL) != 0;
    r->recovered = (flags & FLAG_RECOVERED) != 0;
    r->ended_by =
        ended_by >= 0 && ended_by < USAGE_END_COUNT ? (enum usage_end)ended_by : USAGE_END_OURS;
}

/* A place for attempt number `attempt`, in order. NULL: no memory. */
static struct attempt_row *row_insert(struct request *q, uint32_t attempt)
{
    size_t at = q->count;

    if (q->count == q->cap) {
        size_t cap = q->cap == 0 ? 8 : q->cap * 2;
        struct attempt_row *rows = mem_resize(q->rows, cap, sizeof(*rows));

        if (rows == NULL)
            return NULL;
        q->rows = rows;
        q->cap = cap;
    }
    while (at > 0 && q->rows[at - 1].record.attempt > attempt)
        at--;
    memmove(&q->rows[at + 1], &q->rows[at], (q->count - at) * sizeof(q->rows[0]));
    q->rows[at] = (struct attempt_row){0};
    q->count++;
    return &q->rows[at];
}

/* The columns of SQL_ATTEMPT_READ that need no other table. */
static void read_columns(sqlite3_stmt *s, struct attempt_row *row)
{
    struct usage_record *r = &row->record;

    r->attempt = (uint32_t)sqlite3_column_int64(s, 0);
    row->before.account = sqlite3_column_int64(s, 1);
    row->before.run = sqlite3_column_int64(s, 2);
    row->pod = sqlite3_column_int64(s, 3);
    r->admitted_ms = sqlite3_column_int64(s, 4);
    r->updated_ms = sqlite3_column_int64(s, 5);
    r->start_position = (uint64_t)sqlite3_column_int64(s, 6);
    r->counts.input_computed = (uint64_t)sqlite3_column_int64(s, 7);
    r->counts.input_cached = (uint64_t)sqlite3_column_int64(s, 8);
    r->counts.output = (uint64_t)sqlite3_column_int64(s, 9);
    r->counts.reasoning = (uint64_t)sqlite3_column_int64(s, 10);
    r->counts.recomputed = (uint64_t)sqlite3_column_int64(s, 11);
    r->charge_end = (uint64_t)sqlite3_column_int64(s, 12);
    r->delivered = (uint64_t)sqlite3_column_int64(s, 13);
    flags_to(r, sqlite3_column_int64(s, 14));
}

static int load_rows(struct ledger *l, struct err *err)
{
    struct request *q = &l->request;
    sqlite3_stmt *s = db_use(&l->db, SQL_ATTEMPT_READ);
    int r;

    db_bind_blob(s, 1, q->id.bytes, sizeof(q->id.bytes));
    while ((r = db_step(&l->db, s, err)) > 0) {
        struct attempt_row *row = row_insert(q, UINT32_MAX);

        if (row == NULL) {
            sqlite3_reset(s);
            return err_no_memory(err);
        }
        row->record.request_id = q->id;
        row->stored = true;
        read_columns(s, row);
    }
    return r;
}

static int find_pending(struct ledger *l, bool *found, struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_PENDING_FIND);
    int r;

    db_bind_blob(s, 1, l->request.id.bytes, sizeof(l->request.id.bytes));
    r = db_step(&l->db, s, err);
    *found = r > 0;
    sqlite3_reset(s);
    return r < 0 ? r : 0;
}

int request_load(struct ledger *l, struct id128 id, struct err *err)
{
    struct request *q = &l->request;
    bool pending = false;
    int r;

    *q = (struct request){.id = id, .rows = q->rows, .cap = q->cap};
    if (id_compare(id, l->newest) > 0)
        return 0;
    r = load_rows(l, err);
    if (r < 0 || q->count == 0)
        return r;
    q->stored = true;
    r = find_pending(l, &pending, err);
    if (r < 0)
        return r;
    q->settled = !pending;
    for (size_t i = 0; i < q->count; i++) {
        struct attempt_row *row = &q->rows[i];

        row->before.bucket = ledger_bucket(row->record.admitted_ms);
        if (pending)
            charge_pending(&row->before.tally, &row->record);
        row->after = row->before;
        r = dims_read(&l->dims, &row->record, row->before.account, row->pod, row->before.run, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- joining a snapshot -----------------------------------------------------------------------
 */

static void refuse(struct ledger *l, struct ingest_answer *answer, const struct err *why)
{
    answer->refused = true;
    snprintf(answer->reason, sizeof(answer->reason), "%.*s", INGEST_REASON_MAX, err_message(why));
    l->change.refused++;
}

static int check_counts(const struct usage_record *r, struct err *why)
{
    const uint64_t counts[] = {
        r->counts.input_computed, r->counts.input_cached, r->counts.output, r->counts.recomputed,
        r->start_position,        r->charge_end,          r->delivered,
    };

    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        if (counts[i] > LEDGER_COUNT_MAX)
            return err_set(why, ERR_INVALID, "a count of %llu tokens is impossible",
                           (unsigned long long)counts[i]);
    }
    if (r->counts.reasoning > r->counts.output)
        return err_set(why, ERR_INVALID, "more reasoning than output tokens");
    if (r->attempt < 1 || r->attempt > LEDGER_ATTEMPTS_MAX)
        return err_set(why, ERR_INVALID, "attempt %u; a request has at most %d", r->attempt,
                       LEDGER_ATTEMPTS_MAX);
    return 0;
}

/* Who pays and when it was admitted belongs to the request: its attempts agree on it. */
static int check_siblings(const struct request *q, const struct usage_record *r, struct err *why)
{
    for (size_t i = 0; i < q->count; i++) {
        const struct usage_record *other = &q->rows[i].record;

        if (other->attempt == r->attempt || other->admitted_ms == 0 || r->admitted_ms == 0)
            continue;
        if (strcmp(other->tenant, r->tenant) != 0 || strcmp(other->key_id, r->key_id) != 0 ||
            other->price_version != r->price_version || other->admitted_ms != r->admitted_ms)
            return err_set(why, ERR_INVALID,
                           "the snapshot contradicts attempt %u of its request: tenant, key, price "
                           "version or admission",
                           other->attempt);
    }
    return 0;
}

static struct attempt_row *row_find(struct request *q, uint32_t attempt)
{
    for (size_t i = 0; i < q->count; i++) {
        if (q->rows[i].record.attempt == attempt)
            return &q->rows[i];
    }
    return NULL;
}

int request_apply(struct ledger *l, const struct usage_record *record, struct ingest_answer *answer,
                  struct err *err)
{
    struct request *q = &l->request;
    struct attempt_row *row = row_find(q, record->attempt);
    struct err why;
    int r = check_counts(record, &why);

    *answer = (struct ingest_answer){.refused = false};
    if (r == 0)
        r = check_siblings(q, record, &why);
    if (r == 0 && row != NULL)
        r = l->merge(&row->record, record, &why);
    if (r < 0) {
        refuse(l, answer, &why);
        return 0;
    }
    if (row == NULL) {
        row = row_insert(q, record->attempt);
        if (row == NULL)
            return err_no_memory(err);
        row->record = *record;
        r = 1;
    }
    if (r == 0) {
        l->change.duplicates++;
        return 0;
    }
    row->changed = true;
    q->changed = true;
    l->change.records++;
    return 0;
}

/* --- finishing ----------------------------------------------------------------------------- */

static bool is_complete(const struct request *q)
{
    uint32_t last = 0;

    for (size_t i = 0; i < q->count; i++) {
        const struct usage_record *r = &q->rows[i].record;

        if (!r->counts_final || !r->delivered_final || r->attempt != i + 1)
            return false;
        if (r->request_final)
            last = r->attempt;
    }
    return last > 0;
}

static int resolve(struct ledger *l, struct attempt_row *row, struct err *err)
{
    struct usage_record *r = &row->record;
    int result;

    if ((result = dims_account(&l->dims, r, &row->after.account, err)) < 0 ||
        (result = dims_run(&l->dims, r->run_id, &row->after.run, err)) < 0 ||
        (result = dims_pod(&l->dims, r->pod, &row->pod, err)) < 0)
        return result;
    row->after.bucket = ledger_bucket(r->admitted_ms);
    return 0;
}

static int write_row(struct ledger *l, const struct attempt_row *row, struct err *err)
{
    const struct usage_record *r = &row->record;
    sqlite3_stmt *s = db_use(&l->db, SQL_ATTEMPT_WRITE);

    if (id_compare(r->request_id, l->newest) > 0)
        l->newest = r->request_id; /* too high after a rollback: costs only a look-up */
    db_bind_blob(s, 1, r->request_id.bytes, sizeof(r->request_id.bytes));
    sqlite3_bind_int64(s, 2, r->attempt);
    sqlite3_bind_int64(s, 3, row->after.account);
    sqlite3_bind_int64(s, 4, row->after.run);
    sqlite3_bind_int64(s, 5, row->pod);
    sqlite3_bind_int64(s, 6, r->admitted_ms);
    sqlite3_bind_int64(s, 7, r->updated_ms);
    sqlite3_bind_int64(s, 8, (int64_t)r->start_position);
    sqlite3_bind_int64(s, 9, (int64_t)r->counts.input_computed);
    sqlite3_bind_int64(s, 10, (int64_t)r->counts.input_cached);
    sqlite3_bind_int64(s, 11, (int64_t)r->counts.output);
    sqlite3_bind_int64(s, 12, (int64_t)r->counts.reasoning);
    sqlite3_bind_int64(s, 13, (int64_t)r->counts.recomputed);
    sqlite3_bind_int64(s, 14, (int64_t)r->charge_end);
    sqlite3_bind_int64(s, 15, (int64_t)r->delivered);
    sqlite3_bind_int64(s, 16, flags_of(r));
    return db_run(&l->db, s, err);
}

static int mark_pending(struct ledger *l, int64_t now_ms, struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_PENDING_WRITE);

    db_bind_blob(s, 1, l->request.id.bytes, sizeof(l->request.id.bytes));
    sqlite3_bind_int64(s, 2, now_ms);
    if (!l->request.stored)
        l->change.pending++;
    return db_run(&l->db, s, err);
}

static int unmark_pending(struct ledger *l, struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_PENDING_REMOVE);

    db_bind_blob(s, 1, l->request.id.bytes, sizeof(l->request.id.bytes));
    l->change.pending--;
    return db_run(&l->db, s, err);
}

static int add_to_sums(struct ledger *l, const struct contribution *c, bool subtract)
{
    struct tally *rollup;
    struct tally *run;

    if (tally_is_zero(&c->tally))
        return 0;
    rollup = sums_at(&l->rollups, c->bucket, c->account);
    run = c->run == 0 ? NULL : sums_at(&l->runs, c->run, 0);
    if (rollup == NULL || (run == NULL && c->run != 0))
        return -ERR_NO_MEMORY;
    if (subtract)
        tally_subtract(rollup, &c->tally);
    else
        tally_add(rollup, &c->tally);
    if (run != NULL && subtract)
        tally_subtract(run, &c->tally);
    else if (run != NULL)
        tally_add(run, &c->tally);
    return 0;
}

static int write_rows(struct ledger *l, struct err *err)
{
    struct request *q = &l->request;

    for (size_t i = 0; i < q->count; i++) {
        struct attempt_row *row = &q->rows[i];
        int r = row->changed ? write_row(l, row, err) : 0;

        if (r < 0)
            return r;
        if ((row->stored && add_to_sums(l, &row->before, true) < 0) ||
            add_to_sums(l, &row->after, false) < 0)
            return err_no_memory(err);
    }
    return 0;
}

static int settle(struct ledger *l, bool complete, int64_t now_ms, struct err *err)
{
    struct request *q = &l->request;
    int r = 0;

    if (q->stored && !q->settled)
        r = unmark_pending(l, err);
    if (r == 0)
        r = charge_request(l, complete, now_ms, err);
    if (r < 0 || q->settled)
        return r;
    if (complete)
        l->change.settled++;
    else
        l->change.estimated++;
    return 0;
}

int request_finish(struct ledger *l, int64_t now_ms, struct err *err)
{
    struct request *q = &l->request;
    bool complete;
    int r = 0;

    if (!q->changed)
        return 0;
    for (size_t i = 0; i < q->count && r == 0; i++) {
        if (q->rows[i].changed)
            r = resolve(l, &q->rows[i], err);
    }
    if (r < 0)
        return r;
    complete = is_complete(q);
    if (q->settled || complete) {
        r = settle(l, complete, now_ms, err);
    } else {
        for (size_t i = 0; i < q->count; i++)
            charge_pending(&q->rows[i].after.tally, &q->rows[i].record);
        r = mark_pending(l, now_ms, err);
    }
    return r < 0 ? r : write_rows(l, err);
}

int request_settle_by_time(struct ledger *l, int64_t now_ms, struct err *err)
{
    struct request *q = &l->request;
    int r;

    if (!q->stored || q->settled)
        return 0;
    r = settle(l, is_complete(q), now_ms, err);
    return r < 0 ? r : write_rows(l, err);
}
