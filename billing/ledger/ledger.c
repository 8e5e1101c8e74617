/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's transactions: see ledger.h. */
#include "billing/ledger/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "billing/ledger/ledger_private.h"

static const char *const sql_texts[LEDGER_SQL_COUNT] = {
#define LEDGER_SQL_TEXT(name, text) [name] = text,
    LEDGER_SQL(LEDGER_SQL_TEXT)
#undef LEDGER_SQL_TEXT
};

/* --- opening -------------------------------------------------------------------------------- */

static int make_schema(struct db *db, struct err *err)
{
    char version[64];
    int r = db_exec(db, "BEGIN IMMEDIATE;" SQL_SCHEMA, err);

    snprintf(version, sizeof(version), "PRAGMA user_version = %d; COMMIT", LEDGER_SCHEMA_VERSION);
    if (r == 0)
        r = db_exec(db, version, err);
    if (r < 0)
        db_exec(db, "ROLLBACK", NULL);
    return r;
}

static int check_schema(struct db *db, struct err *err)
{
    int64_t version = 0;
    int r = db_number(db, "PRAGMA user_version", &version, err);

    if (r < 0)
        return r;
    if (version == 0)
        return make_schema(db, err);
    if (version != LEDGER_SCHEMA_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "the ledger's store has schema %" PRId64 ", this program knows %d; use the "
                       "version of Spate that wrote it, or a newer one",
                       version, LEDGER_SCHEMA_VERSION);
    return 0;
}

static int find_newest(struct ledger *l, struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_ATTEMPT_NEWEST);
    int r = db_step(&l->db, s, err);

    if (r > 0 && sqlite3_column_bytes(s, 0) == (int)sizeof(l->newest.bytes))
        memcpy(l->newest.bytes, sqlite3_column_blob(s, 0), sizeof(l->newest.bytes));
    sqlite3_reset(s);
    return r < 0 ? r : 0;
}

int ledger_open(struct ledger **out, const struct ledger_options *options, struct err *err)
{
    struct ledger *l = mem_alloc(sizeof(*l));
    int r;

    if (l == NULL)
        return err_no_memory(err);
    l->clock = options->clock != NULL ? options->clock : clock_system();
    l->settle_ms = options->settle_ms != 0 ? options->settle_ms : LEDGER_SETTLE_MS;
    l->merge = options->merge != NULL ? options->merge : usage_merge;
    r = db_open(&l->db, options->path, options->vfs, err);
    if (r == 0)
        r = check_schema(&l->db, err);
    if (r == 0)
        r = db_prepare(&l->db, sql_texts, LEDGER_SQL_COUNT, err);
    if (r == 0)
        r = dims_init(&l->dims, &l->db, err);
    if (r == 0)
        r = find_newest(l, err);
    if (r == 0)
        r = db_number(&l->db, sql_texts[SQL_PENDING_COUNT], &l->pending, err);
    if (r < 0) {
        ledger_close(l);
        return r;
    }
    l->counters.pending = (uint64_t)l->pending;
    *out = l;
    return 0;
}

void ledger_close(struct ledger *l)
{
    if (l == NULL)
        return;
    request_fini(&l->request);
    sums_fini(&l->rollups);
    sums_fini(&l->runs);
    dims_fini(&l->dims);
    db_close(&l->db);
    mem_free(l);
}

const char *ledger_path(const struct ledger *l)
{
    return sqlite3_db_filename(l->db.handle, "main");
}

struct ledger_counters *ledger_counters(struct ledger *l)
{
    return &l->counters;
}

/* --- transactions --------------------------------------------------------------------------- */

static int begin(struct ledger *l, struct err *err)
{
    sums_clear(&l->rollups);
    sums_clear(&l->runs);
    l->change = (struct ledger_change){0};
    return db_run(&l->db, db_use(&l->db, SQL_BEGIN), err);
}

static void bind_tally(sqlite3_stmt *s, int at, const struct tally *tally)
{
    for (int i = 0; i < TALLY_COUNT; i++)
        sqlite3_bind_int64(s, at + i, tally->v[i]);
}

static int write_rollups(struct ledger *l, struct err *err)
{
    for (size_t i = 0; i < l->rollups.cap; i++) {
        const struct sums_line *line = &l->rollups.lines[i];
        sqlite3_stmt *s;
        int r;

        if (!line->used || tally_is_zero(&line->tally))
            continue;
        s = db_use(&l->db, SQL_ROLLUP_INCREASE);
        sqlite3_bind_int64(s, 1, line->a);
        sqlite3_bind_int64(s, 2, line->b);
        bind_tally(s, 3, &line->tally);
        r = db_run(&l->db, s, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_runs(struct ledger *l, struct err *err)
{
    for (size_t i = 0; i < l->runs.cap; i++) {
        const struct sums_line *line = &l->runs.lines[i];
        sqlite3_stmt *s;
        int r;

        if (!line->used || tally_is_zero(&line->tally))
            continue;
        s = db_use(&l->db, SQL_RUN_INCREASE);
        bind_tally(s, 1, &line->tally);
        sqlite3_bind_int64(s, TALLY_COUNT + 1, line->a);
        r = db_run(&l->db, s, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void count_change(struct ledger *l)
{
    struct ledger_counters *c = &l->counters;

    l->pending += l->change.pending;
    c->pending = (uint64_t)l->pending;
    c->records += l->change.records;
    c->duplicates += l->change.duplicates;
    c->refused += l->change.refused;
    c->settled += l->change.settled;
    c->estimated += l->change.estimated;
    c->corrections += l->change.corrections;
    c->commits++;
}

/* Commits if `r` is no failure, else takes everything back and returns `r`. */
static int end(struct ledger *l, int r, struct err *err)
{
    if (r >= 0)
        r = write_rollups(l, err);
    if (r >= 0)
        r = write_runs(l, err);
    if (r >= 0)
        r = db_run(&l->db, db_use(&l->db, SQL_COMMIT), err);
    if (r >= 0) {
        count_change(l);
        return 0;
    }
    if (!sqlite3_get_autocommit(l->db.handle))
        db_run(&l->db, db_use(&l->db, SQL_ROLLBACK), NULL);
    dims_forget(&l->dims);
    l->counters.rollbacks++;
    return r;
}

/* --- ingest --------------------------------------------------------------------------------- */

static int by_request(const void *a, const void *b, void *records)
{
    const struct usage_record *all = records;
    const size_t *left = a;
    const size_t *right = b;
    int order = id_compare(all[*left].request_id, all[*right].request_id);

    if (order != 0)
        return order;
    return *left < *right ? -1 : *left > *right;
}

static int ingest_sorted(struct ledger *l, const struct usage_record *records, const size_t *order,
                         size_t count, struct ingest_answer *answers, struct err *err)
{
    int64_t now_ms = clock_wall_ms(l->clock);
    size_t at = 0;

    while (at < count) {
        struct id128 id = records[order[at]].request_id;
        int r = request_load(l, id, err);

        while (r == 0 && at < count && id_compare(records[order[at]].request_id, id) == 0) {
            r = request_apply(l, &records[order[at]], &answers[order[at]], err);
            at++;
        }
        if (r == 0)
            r = request_finish(l, now_ms, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int ledger_ingest(struct ledger *l, const struct usage_record *records, size_t count,
                  struct ingest_answer *answers, struct err *err)
{
    CLEANUP(mem_freep) size_t *order = mem_array(count, sizeof(*order));
    union {
        const struct usage_record *constant;
        void *mutable;
    } argument = {records};
    size_t taken = 0;
    int r;

    if (order == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (!answers[i].refused)
            order[taken++] = i;
    }
    qsort_r(order, taken, sizeof(*order), by_request, argument.mutable);
    r = begin(l, err);
    if (r == 0)
        r = ingest_sorted(l, records, order, taken, answers, err);
    return end(l, r, err);
}

/* --- settling ------------------------------------------------------------------------------- */

static int find_due(struct ledger *l, int64_t now_ms, struct id128 *ids, struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_PENDING_DUE);
    int count = 0;
    int r;

    sqlite3_bind_int64(s, 1, now_ms - l->settle_ms);
    sqlite3_bind_int(s, 2, LEDGER_SETTLE_BATCH);
    while ((r = db_step(&l->db, s, err)) > 0) {
        const void *blob = sqlite3_column_blob(s, 0);

        if (blob != NULL && sqlite3_column_bytes(s, 0) == (int)sizeof(ids->bytes))
            memcpy(ids[count++].bytes, blob, sizeof(ids->bytes));
    }
    return r < 0 ? r : count;
}

int ledger_settle_due(struct ledger *l, struct err *err)
{
    struct id128 ids[LEDGER_SETTLE_BATCH];
    int64_t now_ms = clock_wall_ms(l->clock);
    int count = find_due(l, now_ms, ids, err);
    int r;

    if (count <= 0)
        return count;
    r = begin(l, err);
    for (int i = 0; i < count && r == 0; i++) {
        r = request_load(l, ids[i], err);
        if (r == 0)
            r = request_settle_by_time(l, now_ms, err);
    }
    r = end(l, r, err);
    return r < 0 ? r : count;
}

/* --- prices and lost runs ---------------------------------------------------------------------
 */

/* 1: not known; 0: known, the same; -ERR_EXISTS. */
static int compare_prices(struct ledger *l, const struct prices *p, struct str content,
                          struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_PRICE_READ);
    bool same;
    int r;

    sqlite3_bind_int64(s, 1, (int64_t)p->id);
    r = db_step(&l->db, s, err);
    if (r <= 0)
        return r < 0 ? r : 1;
    same = str_eq(db_column_str(s, 0), content);
    sqlite3_reset(s);
    if (same)
        return 0;
    return err_set(err, ERR_EXISTS,
                   "price version %" PRIu64 " exists with other content; versions never change: "
                   "post the new prices under a new id",
                   p->id);
}

static int insert_prices(struct ledger *l, const struct prices *p, struct str content,
                         struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_PRICE_ADD);

    sqlite3_bind_int64(s, 1, (int64_t)p->id);
    db_bind_str(s, 2, str_of(p->name));
    sqlite3_bind_int64(s, 3, p->effective_ms);
    sqlite3_bind_int64(s, 4, clock_wall_ms(l->clock));
    db_bind_str(s, 5, content);
    return db_run(&l->db, s, err);
}

int ledger_prices_add(struct ledger *l, const struct prices *p, struct err *err)
{
    struct json_writer w;
    struct buf content;
    int r;

    buf_init(&content, PRICES_BYTES_MAX);
    json_writer_init(&w, &content);
    prices_write(&w, p);
    r = buf_check(&content, "the price version", err);
    if (r == 0)
        r = compare_prices(l, p, buf_str(&content), err);
    if (r > 0) {
        r = begin(l, err);
        if (r == 0)
            r = insert_prices(l, p, buf_str(&content), err);
        r = end(l, r, err);
        if (r == 0)
            r = 1;
    }
    buf_fini(&content);
    return r;
}

int ledger_run_lost(struct ledger *l, struct id128 run_id, const struct usage_counts *totals,
                    struct err *err)
{
    sqlite3_stmt *s = db_use(&l->db, SQL_RUN_LOST);
    char text[200];
    int64_t known = 0;
    int r;

    snprintf(text, sizeof(text),
             "{\"input_computed\":%" PRIu64 ",\"input_cached\":%" PRIu64 ",\"output\":%" PRIu64
             ",\"recomputed\":%" PRIu64 "}",
             totals->input_computed, totals->input_cached, totals->output, totals->recomputed);
    db_bind_str(s, 1, str_of(text));
    db_bind_blob(s, 2, run_id.bytes, sizeof(run_id.bytes));
    db_bind_str(s, 3, str_of(text));
    r = db_run(&l->db, s, err);
    if (r < 0 || sqlite3_changes(l->db.handle) > 0)
        return r;
    s = db_use(&l->db, SQL_RUN_FIND);
    db_bind_blob(s, 1, run_id.bytes, sizeof(run_id.bytes));
    r = db_step(&l->db, s, err);
    known = r;
    sqlite3_reset(s);
    if (r < 0)
        return r;
    if (known > 0)
        return err_set(err, ERR_EXISTS, "the totals of this run were told before and differ");
    return err_set(err, ERR_NOT_FOUND, "no record of this run ever came; check the id");
}
