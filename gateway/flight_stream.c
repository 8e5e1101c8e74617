/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod says in its stream, event by event: see flight.h and wire/stream.h. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/flight.h"
#include "gateway/gateway.h"

static int keep_ids(struct flight *f, const struct stream_event *event, struct err *err)
{
    int need = f->id_count + event->id_count;

    /* First of all: ids that the client does not get must not be resumed from. */
    if (event->position != (uint64_t)need)
        return err_set(err, ERR_PROTOCOL, "the stream is at position %llu, expected %d",
                       (unsigned long long)event->position, need);
    if (need > STREAM_RESUME_IDS_MAX)
        return err_set(err, ERR_LIMIT, "the answer is longer than %d tokens",
                       STREAM_RESUME_IDS_MAX);
    if (need > f->id_cap) {
        int cap = need < 64 ? 64 : need * 2;
        int32_t *ids = mem_resize(f->ids, (size_t)cap, sizeof(*ids));

        if (ids == NULL)
            return err_no_memory(err);
        f->ids = ids;
        f->id_cap = cap;
    }
    memcpy(f->ids + f->id_count, event->ids, (size_t)event->id_count * sizeof(*f->ids));
    f->id_count = need;
    return 0;
}

static int on_start(struct flight *f, const struct stream_event *event, struct err *err)
{
    if (f->id_count > 0 && strcmp(f->digest, event->digest) != 0)
        return err_set(err, ERR_PROTOCOL, "the pod has another model than the answer began with");
    snprintf(f->digest, sizeof(f->digest), "%s", event->digest);
    f->records[f->record_count - 1].run_id = event->run_id;
    f->started = true;
    flight_snapshot(f);
    /* The first call may have come before the agent knew the attempt. */
    if (f->state == FLIGHT_CANCELLING)
        flight_attempt_cancel(f);
    return 0;
}

static int on_chunk(struct flight *f, const struct stream_event *event, struct err *err)
{
    struct usage_record *r = &f->records[f->record_count - 1];
    int code = keep_ids(f, event, err);

    if (code < 0)
        return code;
    if (f->cached_tokens < 0)
        f->cached_tokens = (int64_t)event->counts.input_cached;
    f->pod->failures = 0; /* a stuck engine's pod gets as far as START */
    r->counts = event->counts;
    r->delivered = f->client_gone ? r->delivered : event->position;
    f->last_step_ms = gateway_now_ms(f->g);
    gateway_metrics_tokens(&f->g->counters, f, event->id_count);
    return 0;
}

static void on_heartbeat(struct flight *f, const struct stream_event *event)
{
    if (event->steps != f->last_steps || (event->running == 0 && event->waiting == 0))
        f->last_step_ms = gateway_now_ms(f->g);
    f->last_steps = event->steps;
}

static void on_end(struct flight *f, const struct stream_event *event)
{
    struct usage_record *r = &f->records[f->record_count - 1];

    f->ended = true;
    f->end = *event;
    r->counts = event->counts;
    r->charge_end = event->charge_end;
    r->counts_final = true;
    snprintf(f->end_address, sizeof(f->end_address), "%s", f->pod->address);
}

static int on_extension(struct flight *f, const struct stream_event *event, struct err *err)
{
    if (f->started == (event->kind == STREAM_START) || f->ended)
        return err_set(err, ERR_PROTOCOL, "a stream has one start, before all else, and one end");
    switch (event->kind) {
    case STREAM_START:
        return on_start(f, event, err);
    case STREAM_CHUNK:
        return on_chunk(f, event, err);
    case STREAM_HEARTBEAT:
        on_heartbeat(f, event);
        return 0;
    case STREAM_USAGE:
        return 0;
    case STREAM_END:
        on_end(f, event);
        return 0;
    }
    return 0;
}

int flight_stream_event(void *object, const struct sse_event *event)
{
    struct flight *f = object;
    struct str extension = sse_event_field(event, "spate");
    static struct stream_event parsed; /* large; the loop is one thread */
    struct err err = {0};
    int r;

    parsed.kind = STREAM_CHUNK;
    if (extension.ptr != NULL) {
        r = stream_event_read(&parsed, extension, &err);
        if (r == 0)
            r = on_extension(f, &parsed, &err);
        if (r < 0) {
            log_warn("a pod broke the stream's protocol", LOG_STR("pod", f->pod->name),
                     LOG_ERR(&err));
            return r;
        }
    }
    if (event->has_data && !str_is(event->data, "[DONE]"))
        flight_out_data(f, event, extension.ptr != NULL && parsed.kind == STREAM_USAGE);
    return 0;
}
