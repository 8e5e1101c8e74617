/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that read the ledger: made in the pool, answered on the loop. */
#include <string.h>

#include "base/mem.h"
#include "billing/ledger/server.h"

enum { DAY_MS = 86400000, REPORT_DEFAULT_DAYS = 30, LIST_BYTES_MAX = 64 << 20 };

enum asked { ASKED_REPORT, ASKED_RUNS, ASKED_RUN, ASKED_PRICES };

struct question {
    struct ledger_server *server;
    struct http_exchange *x;
    enum asked asked;
    struct query_report report;
    enum report_format format;
    struct id128 run_id;
    struct buf body;
    int result;
    struct err err;
};

static int make_report(struct question *q)
{
    struct report report;
    int r = query_report(q->server->query, &q->report, &report, &q->err);

    if (r < 0)
        return r;
    report_render(&q->body, &report, q->format);
    report_fini(&report);
    return buf_check(&q->body, "the report", &q->err);
}

/* In the pool. */
static void look(void *object)
{
    struct question *q = object;
    struct query *query = q->server->query;

    switch (q->asked) {
    case ASKED_REPORT:
        q->result = make_report(q);
        break;
    case ASKED_RUNS:
        q->result = query_runs(query, &q->body, &q->err);
        break;
    case ASKED_RUN:
        q->result = query_run(query, q->run_id, &q->body, &q->err);
        break;
    case ASKED_PRICES:
        q->result = query_prices(query, &q->body, &q->err);
        break;
    }
}

static void answer(void *object)
{
    struct question *q = object;

    if (q->result < 0)
        ledger_respond_failure(q->x, q->result, &q->err);
    else
        http_respond(q->x, 200, report_content_type(q->format), buf_str(&q->body));
    buf_fini(&q->body);
    mem_free(q);
}

static void ask(struct ledger_server *s, struct http_exchange *x, const struct question *what)
{
    struct question *q = mem_dup(what, sizeof(*what));
    struct err err = {0};

    if (q != NULL) {
        q->server = s;
        q->x = x;
        buf_init(&q->body, what->asked == ASKED_REPORT ? REPORT_BYTES_MAX : LIST_BYTES_MAX);
        if (loop_work(s->loop, look, answer, q) == 0)
            return;
        mem_free(q);
    }
    err_set(&err, ERR_BUSY, "too much is going on; try again");
    ledger_respond_failure(x, -ERR_BUSY, &err);
}

/* "2026-11-22" or RFC 3339, on a boundary of the rollups. */
static int parse_time(struct str text, const char *name, int64_t *out, struct err *err)
{
    enum { DATE_LENGTH = 10 };
    struct buf full;
    int r = -1;

    buf_init(&full, 64);
    buf_append_str(&full, text);
    if (text.len == DATE_LENGTH)
        buf_append_text(&full, "T00:00:00Z");
    if (!full.failed)
        r = clock_parse_utc(full.ptr, full.len, out);
    buf_fini(&full);
    if (r < 0)
        return err_set(err, ERR_INVALID, "'%s' is no time; use 2026-11-22 or 2026-11-22T15:00:00Z",
                       name);
    if (*out < 0 || *out % LEDGER_BUCKET_MS != 0)
        return err_set(err, ERR_INVALID, "'%s' must be on a quarter of an hour", name);
    return 0;
}

static int parse_range(struct question *q, const struct http_exchange *x, int64_t now_ms,
                       struct err *err)
{
    struct query_report *report = &q->report;
    struct str text;
    int r = 0;

    report->to_ms = now_ms - now_ms % LEDGER_BUCKET_MS + LEDGER_BUCKET_MS;
    if (http_query_get(x->query, "to", x->arena, &text))
        r = parse_time(text, "to", &report->to_ms, err);
    report->from_ms = report->to_ms - (int64_t)REPORT_DEFAULT_DAYS * DAY_MS;
    if (r == 0 && http_query_get(x->query, "from", x->arena, &text))
        r = parse_time(text, "from", &report->from_ms, err);
    if (r == 0 && report->from_ms >= report->to_ms)
        r = err_set(err, ERR_INVALID, "'from' must be before 'to'");
    return r;
}

static int parse_report(struct question *q, const struct http_exchange *x, int64_t now_ms,
                        struct err *err)
{
    struct str text = STR_NONE;
    int r = parse_range(q, x, now_ms, err);

    q->report.by = REPORT_BY_TENANT | REPORT_BY_MODEL;
    if (r == 0 && http_query_get(x->query, "group_by", x->arena, &text))
        r = report_by_parse(&q->report.by, text, err);
    if (r == 0 && http_query_get(x->query, "format", x->arena, &text))
        r = report_format_parse(&q->format, text, err);
    if (r == 0 && http_query_get(x->query, "tenant", x->arena, &text))
        q->report.tenant = text;
    return r;
}

void ledger_serve_report(struct ledger_server *s, struct http_exchange *x)
{
    struct question q = {.asked = ASKED_REPORT, .format = REPORT_JSON};
    struct err err;
    int r = parse_report(&q, x, clock_wall_ms(s->clock), &err);

    if (r < 0)
        ledger_respond_failure(x, r, &err);
    else
        ask(s, x, &q);
}

void ledger_serve_runs(struct ledger_server *s, struct http_exchange *x, struct str id)
{
    struct question q = {.asked = id.ptr == NULL ? ASKED_RUNS : ASKED_RUN};
    struct err err;

    if (id.ptr != NULL && !id_parse(id, &q.run_id)) {
        err_set(&err, ERR_INVALID, "'%.*s' is not a run's 26-character id", STR_ARG(id));
        ledger_respond_failure(x, -ERR_INVALID, &err);
        return;
    }
    ask(s, x, &q);
}

void ledger_serve_prices(struct ledger_server *s, struct http_exchange *x)
{
    ask(s, x, &(struct question){.asked = ASKED_PRICES});
}
