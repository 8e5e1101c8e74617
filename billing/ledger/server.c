/* SPDX-License-Identifier: Apache-2.0 */
/* Routes, tokens and metrics of the ledger: see server.h. */
#include "billing/ledger/server.h"

#include <string.h>

#include "base/mem.h"
#include "wire/token.h"

enum { KEY_REREAD_MS = 1000 };

/* --- metrics -------------------------------------------------------------------------------- */

enum { RECORDS, SETTLED, CORRECTIONS, COMMITS, ROLLBACKS, PENDING, QUEUED };
enum {
    SERIES_OK,
    SERIES_DUPLICATE,
    SERIES_REFUSED,
    SERIES_COMPLETE,
    SERIES_ESTIMATED,
    SERIES_CORRECTIONS,
    SERIES_COMMITS,
    SERIES_ROLLBACKS,
    SERIES_PENDING,
    SERIES_QUEUED,
};

const struct metric_info ledger_metric_table[LEDGER_METRIC_COUNT] = {
    [RECORDS] = {"spate_ledger_records_total",
                 METRIC_COUNTER,
                 "Usage records by result; ALARM when refused ones rise.",
                 {"result"}},
    [SETTLED] = {"spate_ledger_requests_settled_total",
                 METRIC_COUNTER,
                 "Requests settled, by their last word (complete) or by time (estimated).",
                 {"by"}},
    [CORRECTIONS] = {"spate_ledger_corrections_total", METRIC_COUNTER,
                     "Correction rows written for news after settlement."},
    [COMMITS] = {"spate_ledger_commits_total", METRIC_COUNTER, "Durable transactions."},
    [ROLLBACKS] = {"spate_ledger_rollbacks_total", METRIC_COUNTER,
                   "Transactions taken back, as for a full disk; their senders offer them again."},
    [PENDING] = {"spate_ledger_requests_pending", METRIC_GAUGE, "Requests not settled yet."},
    [QUEUED] = {"spate_ledger_jobs_queued", METRIC_GAUGE, "Jobs that wait for the writer."},
};

static void collect(void *object)
{
    struct ledger_server *s = object;
    const struct ledger_counters *c = ledger_counters(s->ledger);

    metric_set(s->series[SERIES_OK], (double)c->records);
    metric_set(s->series[SERIES_DUPLICATE], (double)c->duplicates);
    metric_set(s->series[SERIES_REFUSED], (double)c->refused);
    metric_set(s->series[SERIES_COMPLETE], (double)c->settled);
    metric_set(s->series[SERIES_ESTIMATED], (double)c->estimated);
    metric_set(s->series[SERIES_CORRECTIONS], (double)c->corrections);
    metric_set(s->series[SERIES_COMMITS], (double)c->commits);
    metric_set(s->series[SERIES_ROLLBACKS], (double)c->rollbacks);
    metric_set(s->series[SERIES_PENDING], (double)c->pending);
    metric_set(s->series[SERIES_QUEUED], (double)writer_queued(s->writer));
}

static struct metric_series *labelled(struct metric *metric, const char *value)
{
    return metric_series(metric, (const char *[]){value});
}

int ledger_server_init(struct ledger_server *s, struct err *err)
{
    struct metric *m[LEDGER_METRIC_COUNT];
    int r = metrics_declare(s->metrics, ledger_metric_table, LEDGER_METRIC_COUNT, m, err);

    if (r < 0)
        return r;
    s->series[SERIES_OK] = labelled(m[RECORDS], "ok");
    s->series[SERIES_DUPLICATE] = labelled(m[RECORDS], "duplicate");
    s->series[SERIES_REFUSED] = labelled(m[RECORDS], "refused");
    s->series[SERIES_COMPLETE] = labelled(m[SETTLED], "complete");
    s->series[SERIES_ESTIMATED] = labelled(m[SETTLED], "estimated");
    s->series[SERIES_CORRECTIONS] = metric_series(m[CORRECTIONS], NULL);
    s->series[SERIES_COMMITS] = metric_series(m[COMMITS], NULL);
    s->series[SERIES_ROLLBACKS] = metric_series(m[ROLLBACKS], NULL);
    s->series[SERIES_PENDING] = metric_series(m[PENDING], NULL);
    s->series[SERIES_QUEUED] = metric_series(m[QUEUED], NULL);
    if (metrics_on_collect(s->metrics, collect, s) < 0)
        return err_no_memory(err);
    return 0;
}

/* --- tokens --------------------------------------------------------------------------------- */

/* The operator may make its key after we started, or anew: the file is read again when a token does
 * not fit, at most once a second. */
static bool reread_key(struct ledger_server *s)
{
    int64_t now_ms = clock_mono_ms(s->clock);

    if (s->key_read_ms != 0 && now_ms - s->key_read_ms < KEY_REREAD_MS)
        return false;
    s->key_read_ms = now_ms;
    if (token_public_load(s->public_key, s->public_key_path, NULL) < 0)
        return false;
    s->has_key = true;
    return true;
}

static int check_token(struct ledger_server *s, const struct http_exchange *x, struct err *err)
{
    struct str token = http_bearer_token(&x->headers);
    int64_t now_s = clock_wall_ms(s->clock) / 1000;
    struct token_claims claims;
    int r = -ERR_DENIED;

    if (token.ptr == NULL)
        return err_set(err, ERR_DENIED, "a token is needed: Authorization: Bearer <token>");
    if (s->has_key)
        r = token_verify(&claims, token, s->public_key, TOKEN_AUDIENCE_LEDGER, now_s, err);
    if (r < 0 && reread_key(s))
        r = token_verify(&claims, token, s->public_key, TOKEN_AUDIENCE_LEDGER, now_s, err);
    if (r < 0 && !s->has_key)
        return err_set(err, ERR_BUSY, "the operator's public key %s is not there yet",
                       s->public_key_path);
    return r;
}

/* --- routes --------------------------------------------------------------------------------- */

void ledger_respond_failure(struct http_exchange *x, int result, const struct err *err)
{
    static const struct {
        enum err_code code;
        int status;
    } statuses[] = {
        {ERR_INVALID, 400},   {ERR_SYNTAX, 400},  {ERR_LIMIT, 413}, {ERR_DENIED, 401},
        {ERR_NOT_FOUND, 404}, {ERR_EXISTS, 409},  {ERR_BUSY, 503},  {ERR_NO_SPACE, 503},
        {ERR_NO_MEMORY, 503}, {ERR_CORRUPT, 500},
    };
    int status = 500;

    for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
        if (result == -(int)statuses[i].code)
            status = statuses[i].status;
    }
    if (status == 503)
        http_add_header(x, "retry-after", STR("1"));
    http_respond_error(x, status, "ledger_error", NULL, err_code_name(result), err_message(err));
}

static void serve_health(struct ledger_server *s, struct http_exchange *x)
{
    (void)s;
    http_respond(x, 200, "text/plain", STR("ok\n"));
}

static void serve_metrics(struct ledger_server *s, struct http_exchange *x)
{
    struct buf text;

    buf_init(&text, 4 << 20);
    metrics_expose(s->metrics, &text);
    http_respond(x, text.failed ? 500 : 200, METRICS_CONTENT_TYPE, buf_str(&text));
    buf_fini(&text);
}

static void serve_all_runs(struct ledger_server *s, struct http_exchange *x)
{
    ledger_serve_runs(s, x, STR_NONE);
}

struct route {
    const char *method;
    const char *path;
    bool open; /* to everyone */
    void (*serve)(struct ledger_server *s, struct http_exchange *x);
};

static const struct route routes[] = {
    {"GET", "/health", true, serve_health},
    {"GET", "/metrics", true, serve_metrics},
    {"POST", LEDGER_INGEST_PATH, false, ledger_take_usage},
    {"POST", PRICES_PATH, false, ledger_take_prices},
    {"GET", PRICES_PATH, false, ledger_serve_prices},
    {"GET", "/internal/v1/report", false, ledger_serve_report},
    {"GET", "/internal/v1/runs", false, serve_all_runs},
};

/* /internal/v1/runs/<id> and /internal/v1/runs/<id>/lost */
static bool serve_run_path(struct ledger_server *s, struct http_exchange *x)
{
    static const struct str prefix = {"/internal/v1/runs/", sizeof("/internal/v1/runs/") - 1};
    struct str rest;
    struct str id;

    if (!str_starts(x->path, prefix))
        return false;
    rest = str_slice(x->path, prefix.len, x->path.len);
    id = str_cut(&rest, '/');
    if (rest.ptr == NULL && str_is(x->method, "GET"))
        ledger_serve_runs(s, x, id);
    else if (str_is(rest, "lost") && str_is(x->method, "POST"))
        ledger_take_lost(s, x, id);
    else
        return false;
    return true;
}

static const struct route *find_route(const struct http_exchange *x)
{
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (str_is(x->path, routes[i].path) && str_is(x->method, routes[i].method))
            return &routes[i];
    }
    return NULL;
}

void ledger_server_handle(struct http_exchange *x, void *server)
{
    struct ledger_server *s = server;
    const struct route *route = find_route(x);
    struct err err = {0};
    int r = route != NULL && route->open ? 0 : check_token(s, x, &err);

    if (r < 0) {
        ledger_respond_failure(x, r, &err);
        return;
    }
    if (route != NULL) {
        route->serve(s, x);
        return;
    }
    if (serve_run_path(s, x))
        return;
    err_set(&err, ERR_NOT_FOUND, "%.*s %.*s is not served here", STR_ARG(x->method),
            STR_ARG(x->path));
    ledger_respond_failure(x, -ERR_NOT_FOUND, &err);
}
