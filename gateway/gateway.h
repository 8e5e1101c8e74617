/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-gateway: keys, limits, queues, routing, streaming, resuming. One loop; one log thread.
 *
 *     who: key -> tenant -> admit        (table, admit)
 *     where: model -> queue -> pod       (table, queue)
 *     how: stream, retry, resume, settle (flight)
 *     control: routes in, load out       (control)      usage: log -> ledger  (usage)
 */
#ifndef SPATE_GATEWAY_GATEWAY_H
#define SPATE_GATEWAY_GATEWAY_H

#include "base/clock.h"
#include "base/fetch.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/program.h"
#include "billing/meter/meter.h"
#include "gateway/flight.h"
#include "gateway/gateway_metrics.h"
#include "gateway/table.h"
#include "wire/load.h"

struct control;
struct ship;
struct collector;

enum {
    GATEWAY_SWEEP_MS = 250,
    GATEWAY_NAMES_LISTED = 20, /* in the message of a 404 */
};

struct gateway_settings {
    const char *state;
    const char *operator_url;
    const char *credential_file;
    const char *ledger_url;
    const char *listen;
    const char *metrics_listen; /* NULL: /metrics is where clients are */
    const char *name;
    int64_t collect_after_ms;
    int64_t drain_ms;
    int64_t log_bytes;
    struct program_settings program;
};

struct gateway {
    const struct gateway_settings *settings;
    struct loop loop;
    const struct clock *clock;
    const struct rng *rng;
    struct http_server *server;
    struct http_server *metrics_server; /* NULL: see above */
    struct http_client *client;
    struct fetcher *fetcher;
    struct metrics *metrics;
    struct gateway_metrics counters;
    struct meter *meter;
    struct control *control;
    struct ship *ship;
    struct collector *collector;
    struct table table;
    struct id128 run_id;
    int64_t started_mono_ms;
    struct flight *flights;
    size_t flight_count;
    struct flight *durable_first, *durable_last; /* ENDING, in the order of their sequences */
    struct loop_timer sweep;
    struct loop_timer drain;
    bool draining;
};

int gateway_run(const struct gateway_settings *settings);
void gateway_handle(struct http_exchange *x, void *user);
/* Of the address for metrics alone. */
void gateway_handle_metrics(struct http_exchange *x, void *user);
void gateway_respond_error(struct http_exchange *x, const struct openai_error *error,
                           int64_t retry_after_ms);
/* The load of this model changed: the operator hears of it within LOAD_PUSH_MS. */
void gateway_load_changed(struct gateway *g, struct gw_model *m);
static inline int64_t gateway_now_ms(const struct gateway *g)
{
    return clock_mono_ms(g->clock);
}
/* Ends a draining gateway that has no flight left and no connection: a flight that ended may have
 * left much of its answer to be sent, and it is charged in full. */
void gateway_check_drained(struct gateway *g);

#endif
