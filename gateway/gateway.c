/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's life: start, sweep, drain. See gateway.h. */
#include "gateway/gateway.h"

#include <signal.h>
#include <stdio.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing/meter/ship.h"
#include "gateway/collector.h"
#include "gateway/control.h"

void gateway_load_changed(struct gateway *g, struct gw_model *m)
{
    (void)m; /* reports are absolute: one mark for all */
    control_load_changed(g->control);
}

static void on_durable(void *user, uint64_t sequence)
{
    struct gateway *g = user;

    flight_on_durable(g, sequence);
    collector_on_durable(g->collector, sequence);
}

/* Flights may end under the walk, but only the one that is looked at. */
static void on_sweep(void *object)
{
    struct gateway *g = object;
    int64_t now_ms = gateway_now_ms(g);
    struct map_entry *e;

    for (struct flight *f = g->flights; f != NULL;) {
        struct flight *next = f->next;

        flight_sweep(f, now_ms);
        f = next;
    }
    for (size_t at = 0; (e = map_next(&g->table.models, &at)) != NULL;) {
        struct gw_model *m = e->value;

        if (m->queued > 0)
            flight_dispatch(g, m); /* holds may have run out */
    }
    loop_timer_start(&g->loop, &g->sweep, GATEWAY_SWEEP_MS);
}

/* --- going away ----------------------------------------------------------------------------- */

void gateway_check_drained(struct gateway *g)
{
    if (g->draining && g->flight_count == 0 && http_server_connection_count(g->server) == 0)
        loop_quit(&g->loop);
}

static void on_drain_end(void *object)
{
    struct gateway *g = object;

    log_warn("leaving before all clients were served", LOG_I64("requests", g->flight_count),
             LOG_I64("connections", http_server_connection_count(g->server)));
    loop_quit(&g->loop);
}

static void on_connections_gone(void *object)
{
    gateway_check_drained(object);
}

static void on_signal(void *object, int signum)
{
    struct gateway *g = object;

    if (g->draining) {
        loop_quit(&g->loop); /* asked twice */
        return;
    }
    log_info("draining", LOG_I64("signal", signum), LOG_I64("requests", g->flight_count));
    g->draining = true;
    loop_timer_start(&g->loop, &g->drain, (uint64_t)g->settings->drain_ms);
    http_server_drain(g->server, (uint64_t)g->settings->drain_ms, on_connections_gone, g);
    gateway_check_drained(g);
}

/* --- start ---------------------------------------------------------------------------------- */

static int open_meter(struct gateway *g, struct err *err)
{
    CLEANUP(mem_freep) char *folder = path_join(g->settings->state, "usage");
    struct meter_options options = {
        .folder = folder,
        .clock = g->clock,
        .max_bytes = (uint64_t)g->settings->log_bytes,
        .loop = &g->loop,
        .durable = on_durable,
        .user = g,
    };

    return folder == NULL ? err_no_memory(err) : meter_open(&g->meter, &options, err);
}

static const char *ledger_token(void *user)
{
    const struct gateway *g = user;

    return control_token(g->control, TOKEN_AUDIENCE_LEDGER);
}

static int start_shipping(struct gateway *g, struct err *err)
{
    struct ship_options options = {
        .meter = g->meter,
        .loop = &g->loop,
        .fetcher = g->fetcher,
        .ledger_url = g->settings->ledger_url,
        .token = ledger_token,
        .user = g,
    };

    return ship_new(&g->ship, &options, err);
}

static int listen_for_metrics(struct gateway *g, struct err *err)
{
    const struct http_server_options options = {.handler = gateway_handle_metrics, .user = g};
    int r;

    if (g->settings->metrics_listen == NULL)
        return 0;
    r = http_server_new(&g->metrics_server, &g->loop, &options, err);
    if (r == 0)
        r = http_server_listen(g->metrics_server, g->settings->metrics_listen, err);
    if (r < 0)
        return r;
    log_info("metrics are served", LOG_STR("listen", g->settings->metrics_listen),
             LOG_I64("port", r));
    return 0;
}

static int listen_and_tell(struct gateway *g, struct err *err)
{
    struct http_server_options options = {
        .handler = gateway_handle, .user = g, .metrics = g->metrics};
    struct http_server_limits limits = http_server_limits_default;
    char address[PROGRAM_ADDRESS_MAX];
    int port;
    int r;

    limits.connections = 20000;
    options.limits = &limits;
    r = http_server_new(&g->server, &g->loop, &options, err);
    if (r < 0)
        return r;
    port = http_server_listen(g->server, g->settings->listen, err);
    if (port < 0)
        return port;
    r = program_tell_address(&g->settings->program, g->settings->listen, port, address, err);
    if (r == 0)
        log_info("listening", LOG_STR("address", address));
    return r;
}

static int start_metrics(struct gateway *g, struct err *err)
{
    int r;

    if ((r = metrics_new(&g->metrics, err)) < 0 ||
        (r = gateway_metrics_init(&g->counters, g->metrics, err)) < 0 ||
        (r = metrics_declare_loop(g->metrics, &g->loop, err)) < 0 ||
        (r = metrics_declare_process(g->metrics, err)) < 0)
        return r;
    return meter_declare_metrics(g->meter, g->metrics, err);
}

static int start(struct gateway *g, struct err *err)
{
    struct http_client_options client = {.connections_per_origin = 256, .connections = 20000};
    int r;

    if ((r = file_make_folder(g->settings->state, err)) < 0 || (r = open_meter(g, err)) < 0 ||
        (r = file_sweep_temporaries(g->settings->state, err)) < 0)
        return disk_explain(err, r, g->settings->state, METER_SEGMENT_BYTES);
    if ((r = start_metrics(g, err)) < 0 || (r = table_init(&g->table)) < 0 ||
        (r = loop_on_signal(&g->loop, SIGTERM, on_signal, g, err)) < 0 ||
        (r = loop_on_signal(&g->loop, SIGINT, on_signal, g, err)) < 0 ||
        (r = http_client_new(&g->client, &g->loop, &client, err)) < 0 ||
        (r = fetcher_new(&g->fetcher, &g->loop, err)) < 0 ||
        (r = collector_new(&g->collector, g, err)) < 0 ||
        (r = control_new(&g->control, g, err)) < 0 || (r = start_shipping(g, err)) < 0)
        return r;
    loop_timer_start(&g->loop, &g->sweep, GATEWAY_SWEEP_MS);
    r = listen_for_metrics(g, err);
    return r < 0 ? r : listen_and_tell(g, err);
}

/* What is still in flight is cut off: its clients see a broken connection, its agents keep the
 * records for the next gateway. The process ends right after, so only what must last is done. */
static void stop(struct gateway *g)
{
    enum { LAST_FLUSH_MS = 5000 };
    struct err err = {0};

    if (g->control != NULL)
        control_finish(g->control);
    if (g->meter != NULL && meter_flush(g->meter, LAST_FLUSH_MS, &err) < 0)
        log_warn("the last usage snapshots may not be on the disk", LOG_ERR(&err));
}

int gateway_run(const struct gateway_settings *settings)
{
    static struct gateway gateway;
    struct gateway *g = &gateway;
    struct err err = {0};
    int status = 0;

    *g = (struct gateway){
        .settings = settings,
        .clock = clock_system(),
        .rng = rng_system(),
        .run_id = id_make(clock_system(), rng_system()),
        .started_mono_ms = clock_mono_ms(clock_system()),
    };
    if (loop_init(&g->loop, &err) < 0) {
        log_error("cannot start", LOG_ERR(&err));
        return 1;
    }
    loop_timer_init(&g->sweep, on_sweep, g);
    loop_timer_init(&g->drain, on_drain_end, g);
    if (start(g, &err) < 0) {
        log_error("cannot start", LOG_ERR(&err));
        status = 1;
    } else {
        loop_run(&g->loop);
        log_info("stopped");
    }
    stop(g);
    return status;
}
