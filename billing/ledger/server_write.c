/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that change the ledger. Bodies are parsed in the pool, applied by the writer, answered on
 * the loop; the exchange stays ours all the while, also if the client leaves.
 */
#include <string.h>

#include "base/mem.h"
#include "billing/ledger/server.h"

struct change {
    struct writer_job job;
    struct ledger_server *server;
    struct http_exchange *x;
    int parsed;
};

static void change_free(struct change *c)
{
    ingest_fini(&c->job.batch);
    prices_fini(&c->job.prices);
    mem_free(c);
}

static void respond_answers(struct change *c)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, INGEST_BYTES_MAX);
    json_writer_init(&w, &body);
    ingest_answers_write(&w, c->job.batch.answers, c->job.batch.count);
    http_respond(c->x, body.failed ? 503 : 200, "application/json", buf_str(&body));
    buf_fini(&body);
}

static void job_done(struct writer_job *job)
{
    struct change *c = (struct change *)job->user;

    if (job->result < 0)
        ledger_respond_failure(c->x, job->result, &job->err);
    else if (job->kind == WRITER_INGEST)
        respond_answers(c);
    else
        http_respond(c->x, job->result > 0 ? 201 : 200, "application/json", STR("{}"));
    change_free(c);
}

static int parse_prices(struct change *c, struct err *err)
{
    static const struct json_limits limits = {.max_bytes = PRICES_BYTES_MAX, .max_depth = 8};
    json_auto_t *tree = NULL;
    int r = json_read(&tree, c->x->body, &limits, "the price version", err);

    return r < 0 ? r : prices_read(&c->job.prices, tree, err);
}

static int parse_lost(struct change *c, struct err *err)
{
    json_auto_t *tree = NULL;
    struct usage_counts *lost = &c->job.lost;
    const struct {
        const char *key;
        uint64_t *out;
    } fields[] = {
        {"input_computed", &lost->input_computed},
        {"input_cached", &lost->input_cached},
        {"output", &lost->output},
        {"recomputed", &lost->recomputed},
    };
    int r = json_read(&tree, c->x->body, &json_limits_default, "the totals", err);

    if (r == 0 && !json_is_object(tree))
        r = err_set(err, ERR_INVALID, "the totals must be an object");
    for (size_t i = 0; i < ARRAY_COUNT(fields) && r == 0; i++) {
        int64_t value = 0;

        r = json_get_i64(tree, fields[i].key, true, 0, (int64_t)1 << 53, &value, err);
        *fields[i].out = (uint64_t)value;
    }
    return r;
}

/* In the pool. */
static void parse(void *object)
{
    struct change *c = object;

    switch (c->job.kind) {
    case WRITER_INGEST:
        c->parsed = ingest_read(&c->job.batch, c->x->body, &c->job.err);
        break;
    case WRITER_PRICES:
        c->parsed = parse_prices(c, &c->job.err);
        break;
    case WRITER_LOST:
        c->parsed = parse_lost(c, &c->job.err);
        break;
    }
}

static void submit(void *object)
{
    struct change *c = object;
    int r = c->parsed;

    if (r == 0) {
        r = writer_submit(c->server->writer, &c->job);
        if (r < 0)
            err_set(&c->job.err, ERR_BUSY, "%d jobs wait for the disk; try again", WRITER_JOBS_MAX);
    }
    if (r < 0) {
        ledger_respond_failure(c->x, r, &c->job.err);
        change_free(c);
    }
}

static void start(struct ledger_server *s, struct http_exchange *x, enum writer_kind kind,
                  struct id128 run_id)
{
    struct change *c = mem_alloc(sizeof(*c));
    struct err err = {0};
    int r;

    if (c == NULL) {
        ledger_respond_failure(x, err_no_memory(&err), &err);
        return;
    }
    c->server = s;
    c->x = x;
    c->job.kind = kind;
    c->job.run_id = run_id;
    c->job.done = job_done;
    c->job.user = c;
    r = loop_work(s->loop, parse, submit, c);
    if (r < 0) {
        err_set(&err, ERR_BUSY, "too much is going on; try again");
        ledger_respond_failure(x, -ERR_BUSY, &err);
        change_free(c);
    }
}

void ledger_take_usage(struct ledger_server *s, struct http_exchange *x)
{
    start(s, x, WRITER_INGEST, (struct id128){{0}});
}

void ledger_take_prices(struct ledger_server *s, struct http_exchange *x)
{
    start(s, x, WRITER_PRICES, (struct id128){{0}});
}

void ledger_take_lost(struct ledger_server *s, struct http_exchange *x, struct str id)
{
    struct id128 run_id;
    struct err err;

    if (!id_parse(id, &run_id)) {
        err_set(&err, ERR_INVALID, "'%.*s' is not a run's 26-character id", STR_ARG(id));
        ledger_respond_failure(x, -ERR_INVALID, &err);
        return;
    }
    start(s, x, WRITER_LOST, run_id);
}
