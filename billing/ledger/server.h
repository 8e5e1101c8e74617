/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's HTTP face. All calls but /health and /metrics need a token with audience ledger.
 *
 *   POST /internal/v1/usage            wire/ingest.h
 *   POST /internal/v1/prices           wire/prices.h: 201 new, 200 known, 409 other content
 *   GET  /internal/v1/prices           {"prices":[...]}
 *   GET  /internal/v1/report           ?from=&to=&group_by=tenant,model,key,day&tenant=&format=
 *   GET  /internal/v1/runs             {"runs":[...]}: what each engine run's tokens became
 *   GET  /internal/v1/runs/<id>
 *   POST /internal/v1/runs/<id>/lost   {"input_computed","input_cached","output","recomputed"}
 */
#ifndef SPATE_LEDGER_SERVER_H
#define SPATE_LEDGER_SERVER_H

#include "base/http_server.h"
#include "base/metrics.h"
#include "billing/ledger/query.h"
#include "billing/ledger/writer.h"

struct ledger_server {
    struct loop *loop;
    struct ledger *ledger; /* the writer's; here only its counters */
    struct writer *writer;
    struct query *query;
    struct metrics *metrics;
    struct metric_series *series[16];
    const char *public_key_path;
    const struct clock *clock;
    uint8_t public_key[32];
    bool has_key;
    int64_t key_read_ms; /* monotonic */
};

/* Fills what is private, declares the metrics. The other members are the caller's. */
int ledger_server_init(struct ledger_server *s, struct err *err);
void ledger_server_handle(struct http_exchange *x, void *server);

/* Private to server*.c: answers with the status that the error's code has. */
void ledger_respond_failure(struct http_exchange *x, int result, const struct err *err);
/* Queries, off the loop (server_query.c). */
void ledger_serve_report(struct ledger_server *s, struct http_exchange *x);
void ledger_serve_runs(struct ledger_server *s, struct http_exchange *x, struct str id);
void ledger_serve_prices(struct ledger_server *s, struct http_exchange *x);
/* Changes, by the writer (server_write.c). */
void ledger_take_usage(struct ledger_server *s, struct http_exchange *x);
void ledger_take_prices(struct ledger_server *s, struct http_exchange *x);
void ledger_take_lost(struct ledger_server *s, struct http_exchange *x, struct str id);

/* The rows of spate_ledger_*, for the reference page. */
enum { LEDGER_METRIC_COUNT = 7 };
extern const struct metric_info ledger_metric_table[LEDGER_METRIC_COUNT];

#endif
