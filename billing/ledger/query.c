/* SPDX-License-Identifier: Apache-2.0 */
/* Runs and prices as JSON: see query.h. Reports: query_report.c. */
#include "billing/ledger/query.h"

#include <string.h>

#include "base/mem.h"
#include "billing/ledger/query_private.h"

static const char *const query_texts[QUERY_COUNT] = {
#define QUERY_TEXT(name, text) [name] = text,
    QUERIES(QUERY_TEXT)
#undef QUERY_TEXT
};

int query_open(struct query **out, const char *path, const char *vfs, struct err *err)
{
    struct query *q = mem_alloc(sizeof(*q));
    int r;

    if (q == NULL)
        return err_no_memory(err);
    pthread_mutex_init(&q->lock, NULL);
    r = db_open_reader(&q->db, path, vfs, err);
    if (r == 0)
        r = db_prepare(&q->db, query_texts, QUERY_COUNT, err);
    if (r < 0) {
        query_close(q);
        return r;
    }
    *out = q;
    return 0;
}

void query_close(struct query *q)
{
    if (q == NULL)
        return;
    db_close(&q->db);
    pthread_mutex_destroy(&q->lock);
    mem_free(q);
}

void query_tally(sqlite3_stmt *s, int first_column, struct tally *out)
{
    for (int i = 0; i < TALLY_COUNT; i++)
        out->v[i] = sqlite3_column_int64(s, first_column + i);
}

/* What the counter file had and no record told: per type, total less charged, waste and pending. */
static int put_unreported(struct json_writer *w, struct str lost, const struct tally *t,
                          struct err *err)
{
    const int64_t *v = t->v;
    const struct {
        const char *name;
        int64_t told;
    } types[] = {
        {"input_computed", v[TALLY_INPUT] + v[TALLY_WASTE_INPUT] + v[TALLY_PENDING_INPUT]},
        {"input_cached", v[TALLY_CACHED] + v[TALLY_WASTE_CACHED] + v[TALLY_PENDING_CACHED]},
        {"output", v[TALLY_VISIBLE] + v[TALLY_REASONING] + v[TALLY_WASTE_VISIBLE] +
                       v[TALLY_WASTE_REASONING] + v[TALLY_PENDING_VISIBLE] +
                       v[TALLY_PENDING_REASONING]},
        {"recomputed", v[TALLY_WASTE_RECOMPUTED] + v[TALLY_PENDING_RECOMPUTED]},
    };
    json_auto_t *totals = NULL;
    int r = json_read(&totals, lost, &json_limits_default, "the lost totals", err);

    if (r < 0)
        return r;
    json_key(w, "unreported");
    json_open(w, '{');
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        int64_t total = 0;

        r = json_get_i64(totals, types[i].name, true, 0, INT64_MAX, &total, err);
        if (r < 0)
            return r;
        json_put_i64(w, types[i].name, total - types[i].told);
    }
    json_close(w, '}');
    return 0;
}

static int put_run(struct json_writer *w, sqlite3_stmt *s, struct err *err)
{
    enum { FIRST_TALLY = 2 };
    const void *blob = sqlite3_column_blob(s, 0);
    struct str lost = db_column_str(s, 1);
    char text[ID_TEXT_LEN + 1];
    struct id128 id = {{0}};
    struct tally tally;
    int r = 0;

    if (blob != NULL && sqlite3_column_bytes(s, 0) == (int)sizeof(id.bytes))
        memcpy(id.bytes, blob, sizeof(id.bytes));
    id_format(id, text);
    query_tally(s, FIRST_TALLY, &tally);
    json_open(w, '{');
    json_put_text(w, "run_id", text);
    report_tally_write(w, &tally);
    if (lost.ptr != NULL)
        r = put_unreported(w, lost, &tally, err);
    json_close(w, '}');
    return r;
}

static int list_runs(struct query *q, struct json_writer *w, struct err *err)
{
    sqlite3_stmt *s = db_use(&q->db, QUERY_RUNS);
    int r;

    sqlite3_bind_int(s, 1, QUERY_RUNS_MAX);
    while ((r = db_step(&q->db, s, err)) > 0) {
        r = put_run(w, s, err);
        if (r < 0)
            break;
    }
    sqlite3_reset(s);
    return r;
}

int query_runs(struct query *q, struct buf *out, struct err *err)
{
    struct json_writer w;
    int r;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_key(&w, "runs");
    json_open(&w, '[');
    pthread_mutex_lock(&q->lock);
    r = list_runs(q, &w, err);
    pthread_mutex_unlock(&q->lock);
    json_close(&w, ']');
    json_close(&w, '}');
    return r < 0 ? r : buf_check(out, "the list of runs", err);
}

int query_run(struct query *q, struct id128 run_id, struct buf *out, struct err *err)
{
    struct json_writer w;
    sqlite3_stmt *s;
    int r;

    json_writer_init(&w, out);
    pthread_mutex_lock(&q->lock);
    s = db_use(&q->db, QUERY_RUN);
    db_bind_blob(s, 1, run_id.bytes, sizeof(run_id.bytes));
    r = db_step(&q->db, s, err);
    if (r > 0)
        r = put_run(&w, s, err);
    else if (r == 0)
        r = err_set(err, ERR_NOT_FOUND, "no record of this run ever came; check the id");
    sqlite3_reset(s);
    pthread_mutex_unlock(&q->lock);
    return r < 0 ? r : buf_check(out, "the run", err);
}

int query_prices(struct query *q, struct buf *out, struct err *err)
{
    struct json_writer w;
    sqlite3_stmt *s;
    int r;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_key(&w, "prices");
    json_open(&w, '[');
    pthread_mutex_lock(&q->lock);
    s = db_use(&q->db, QUERY_PRICES);
    while ((r = db_step(&q->db, s, err)) > 0)
        json_add_raw(&w, db_column_str(s, 1));
    pthread_mutex_unlock(&q->lock);
    json_close(&w, ']');
    json_close(&w, '}');
    return r < 0 ? r : buf_check(out, "the price versions", err);
}
