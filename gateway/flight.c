/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a flight: see flight.h. */
#include "gateway/flight.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/control.h"
#include "gateway/gateway.h"
#include "gateway/queue.h"

static void link_flight(struct flight *f)
{
    struct gateway *g = f->g;

    f->next = g->flights;
    if (f->next != NULL)
        f->next->previous = f;
    g->flights = f;
    g->flight_count++;
}

static void unlink_flight(struct flight *f)
{
    if (f->previous == NULL)
        f->g->flights = f->next;
    else
        f->previous->next = f->next;
    if (f->next != NULL)
        f->next->previous = f->previous;
    f->g->flight_count--;
}

void flight_free(struct flight *f)
{
    struct gateway *g = f->g;

    unlink_flight(f);
    settle(&f->ticket);
    f->model->busy_ms = gateway_now_ms(g);
    gateway_load_changed(g, f->model);
    table_model_unref(&g->table, f->model);
    table_tenant_unref(&g->table, f->tenant);
    openai_assembler_free(f->assembler);
    buf_fini(&f->error_body);
    mem_free(f->public_model);
    mem_free(f->route_name);
    mem_free(f->ids);
    mem_free(f->records);
    mem_free(f);
    gateway_check_drained(g);
}

/* --- the client leaves ---------------------------------------------------------------------- */

static void on_client_gone(struct http_exchange *x)
{
    struct flight *f = x->user;

    f->client_gone = true;
    switch (f->state) {
    case FLIGHT_QUEUED:
        gw_queue_remove(&f->g->table, f);
        flight_abandon(f);
        break;
    case FLIGHT_RUNNING:
        f->state = FLIGHT_CANCELLING;
        f->cancel_deadline_ms = gateway_now_ms(f->g) + FLIGHT_CANCEL_MS;
        flight_attempt_cancel(f);
        break;
    case FLIGHT_CANCELLING:
    case FLIGHT_ENDING:
        break;
    }
}

/* --- ends ----------------------------------------------------------------------------------- */

static void wait_durable(struct flight *f, uint64_t sequence)
{
    struct gateway *g = f->g;

    f->durable_sequence = sequence;
    f->durable_next = NULL;
    if (g->durable_last == NULL)
        g->durable_first = f;
    else
        g->durable_last->durable_next = f;
    g->durable_last = f;
}

/* The last step of every flight: the records are durable (or there were none). */
static void end_now(struct flight *f)
{
    if (f->client_gone) {
        if (f->x != NULL)
            http_abort(f->x);
        f->x = NULL;
    } else if (f->x != NULL) {
        flight_out_finish(f);
    }
    flight_free(f);
}

void flight_end(struct flight *f, enum usage_end ended_by)
{
    uint64_t sequence;

    if (f->record_count == 0) {
        end_now(f);
        return;
    }
    f->ended_by = ended_by;
    f->state = FLIGHT_ENDING;
    sequence = flight_finalise(f, ended_by);
    if (sequence != 0)
        wait_durable(f, sequence); /* else the sweep offers the records again */
}

void flight_complete(struct flight *f)
{
    if (f->assembler != NULL && openai_assembler_is_broken(f->assembler)) {
        flight_fail(f, OPENAI_SERVER, "the answer is too long to be sent whole: ask for a stream");
        return;
    }
    gateway_metrics_done(&f->g->counters, f, "ok");
    flight_end(f, USAGE_END_MODEL);
}

void flight_abandon(struct flight *f)
{
    gateway_metrics_done(&f->g->counters, f, "client_gone");
    flight_end(f, USAGE_END_CLIENT);
}

/* Our side gives up. The client hears of it at once: what it got is charged, or nothing. */
void flight_fail(struct flight *f, enum openai_error_code code, const char *message)
{
    struct openai_error error;

    gateway_metrics_done(&f->g->counters, f, "failed");
    void_ticket(&f->ticket);
    openai_error_set(&error, code, NULL, "%s", message);
    flight_out_error(f, &error, 1000);
    flight_end(f, USAGE_END_OURS);
}

void flight_on_durable(struct gateway *g, uint64_t sequence)
{
    while (g->durable_first != NULL && g->durable_first->durable_sequence <= sequence) {
        struct flight *f = g->durable_first;

        g->durable_first = f->durable_next;
        if (g->durable_first == NULL)
            g->durable_last = NULL;
        end_now(f);
    }
}

/* --- queue and dispatch --------------------------------------------------------------------- */

struct dispatch_look {
    struct gw_model *model;
    int64_t now_ms;
    struct gw_pod *pod;
};

static bool may_start(const struct flight *f, void *user)
{
    struct dispatch_look *look = user;

    look->pod = table_pick(look->model, f->id_count > 0 ? f->digest : "", look->now_ms);
    return look->pod != NULL;
}

void flight_dispatch(struct gateway *g, struct gw_model *m)
{
    struct dispatch_look look = {.model = m, .now_ms = gateway_now_ms(g)};
    struct flight *f;

    m->refs++; /* the last flight of an unlisted model must not take it away */
    while ((f = gw_queue_take(&g->table, m, may_start, &look)) != NULL)
        flight_attempt_start(f, look.pod);
    table_model_unref(&g->table, m);
}

void flight_requeue(struct flight *f)
{
    /* Put back by a pod that did not begin it: it has waited all the while. */
    if (f->started) {
        f->waiting_since_ms = gateway_now_ms(f->g);
        f->last_comment_ms = f->waiting_since_ms;
    }
    f->state = FLIGHT_QUEUED;
    f->started = false;
    gw_queue_put_back(&f->g->table, f);
    gateway_load_changed(f->g, f->model);
}

bool flight_can_wait(const struct flight *f)
{
    return f->model->listed && (f->model->can_wake || f->model->pods != NULL);
}

static void enqueue(struct flight *f)
{
    struct gateway *g = f->g;
    struct openai_error error;

    if (!flight_can_wait(f)) {
        openai_error_set(&error, OPENAI_UNAVAILABLE, "model", "model '%s' has no pods: %s",
                         f->model->name,
                         f->model->hold_reason[0] != '\0' ? f->model->hold_reason
                                                          : "it is scaled to 0 replicas");
        void_ticket(&f->ticket);
        flight_out_error(f, &error, 5000);
        flight_free(f);
        return;
    }
    f->state = FLIGHT_QUEUED;
    f->waiting_since_ms = f->last_comment_ms = f->arrived_mono_ms;
    if (gw_queue_add(&g->table, f) < 0) {
        openai_error_set(&error, OPENAI_QUEUE_FULL, "model",
                         "%llu requests wait for model '%s' already",
                         (unsigned long long)f->model->queued, f->model->name);
        void_ticket(&f->ticket);
        flight_out_error(f, &error, 2000);
        flight_free(f);
        return;
    }
    gateway_load_changed(g, f->model);
    flight_dispatch(g, f->model);
}

/* --- start ---------------------------------------------------------------------------------- */

/* Refuses a request that is no flight yet. */
static void refuse(struct gateway *g, struct http_exchange *x, const struct openai_error *error,
                   int64_t retry_after_ms)
{
    gateway_metrics_refused(&g->counters, openai_error_fact(error->code)->code);
    gateway_respond_error(x, error, retry_after_ms);
}

static struct flight *flight_new(struct gateway *g, struct http_exchange *x,
                                 enum openai_endpoint endpoint, const struct openai_peek *peek,
                                 const struct flight_choice *choice)
{
    struct flight *f = mem_alloc(sizeof(*f));
    char id[ID_TEXT_LEN + 1];

    if (f == NULL)
        return NULL;
    f->public_model = mem_strndup(peek->model.ptr, peek->model.len);
    if (choice->route != NULL)
        f->route_name = mem_strndup(choice->route->name.ptr, choice->route->name.len);
    if (f->public_model == NULL || (choice->route != NULL && f->route_name == NULL)) {
        mem_free(f->public_model);
        mem_free(f->route_name);
        mem_free(f);
        return NULL;
    }
    f->g = g;
    f->x = x;
    f->endpoint = endpoint;
    f->id = choice->id;
    id_format(f->id, id);
    snprintf(f->completion_id, sizeof(f->completion_id), "%s-%s",
             endpoint == OPENAI_CHAT ? "chatcmpl" : "cmpl", id);
    f->body = x->body;
    f->model = choice->model;
    f->fallback_next = choice->fallback_next;
    f->admitted_ms = clock_wall_ms(g->clock);
    f->arrived_mono_ms = f->joined_ms = gateway_now_ms(g);
    f->seed = peek->has_seed ? (uint64_t)peek->seed : rng_u64(g->rng);
    f->stream = peek->stream;
    f->include_usage = peek->include_usage;
    f->cached_tokens = -1;
    buf_init(&f->error_body, 1 << 20);
    return f;
}

static void adopt(struct flight *f, const struct gw_key *key, const struct ticket *ticket)
{
    f->ticket = *ticket;
    f->tenant = ticket->tenant;
    f->tenant->refs++;
    f->model->refs++;
    f->model->arrived++;
    f->model->busy_ms = f->arrived_mono_ms;
    f->price_version = f->tenant->spec->price_version;
    snprintf(f->key_id, sizeof(f->key_id), "%.*s", STR_ARG(key->id));
    f->x->user = f;
    f->x->on_disconnect = on_client_gone;
    link_flight(f);
}

void flight_start(struct gateway *g, struct http_exchange *x, enum openai_endpoint endpoint,
                  const struct gw_key *key)
{
    struct openai_error error = {0};
    struct err err = {0};
    json_auto_t *tree = NULL;
    struct openai_peek peek;
    struct ticket ticket = {0};
    int64_t retry_after_ms = 0;
    struct flight_choice choice = {.id = id_make(g->clock, g->rng)};
    struct flight *f;

    if (json_read_outline(&tree, x->body, &json_limits_default, "the body", &err) < 0)
        (void)openai_error_from(&error, OPENAI_BAD_JSON, NULL, &err);
    else if (openai_peek(&peek, tree, &error) == 0)
        (void)flight_choose(&g->table, key->tenant, peek.model, &choice, &error);
    if (choice.model == NULL) {
        refuse(g, x, &error, 5000);
        return;
    }
    if (!meter_admission_open(g->meter)) {
        openai_error_set(&error, OPENAI_LOG_FULL, NULL,
                         "usage can't be recorded: the disk or the usage log is full");
        refuse(g, x, &error, 5000);
        return;
    }
    if (admit(&ticket, key->tenant, gateway_now_ms(g), &error, &retry_after_ms) < 0) {
        refuse(g, x, &error, retry_after_ms);
        return;
    }
    f = flight_new(g, x, endpoint, &peek, &choice);
    if (f == NULL) {
        void_ticket(&ticket);
        openai_error_set(&error, OPENAI_SERVER, NULL, "out of memory");
        refuse(g, x, &error, 1000);
        return;
    }
    adopt(f, key, &ticket);
    if (!f->stream && openai_assembler_new(&f->assembler, endpoint, FLIGHT_OUT_MAX, &err) < 0) {
        flight_fail(f, OPENAI_SERVER, "out of memory");
        return;
    }
    enqueue(f);
}
