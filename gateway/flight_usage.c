/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage records of a flight: one per attempt, made when the attempt is sent, brought up to date
 * by every event of its stream, appended to the durable log each second and at the end.
 *
 * For a client that does not stream nothing is delivered until the whole answer is: so `delivered`
 * stays 0 in the snapshots and is filled in when the answer is complete.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/collector.h"
#include "gateway/flight.h"
#include "gateway/gateway.h"

int flight_record_add(struct flight *f)
{
    struct usage_record *records =
        mem_resize(f->records, (size_t)f->record_count + 1, sizeof(*records));
    struct usage_record *r;

    if (records == NULL)
        return -ERR_NO_MEMORY;
    f->records = records;
    r = &records[f->record_count++];
    *r = (struct usage_record){
        .request_id = f->id,
        .attempt = f->attempt,
        .price_version = f->price_version,
        .admitted_ms = f->admitted_ms,
        .updated_ms = clock_wall_ms(f->g->clock),
        .start_position = (uint64_t)f->id_count,
    };
    snprintf(r->tenant, sizeof(r->tenant), "%s", f->tenant->name);
    snprintf(r->key_id, sizeof(r->key_id), "%s", f->key_id);
    snprintf(r->model, sizeof(r->model), "%s", f->model->name);
    snprintf(r->pod, sizeof(r->pod), "%s", f->pod->name);
    return 0;
}

static uint64_t append(struct flight *f, struct usage_record *r)
{
    struct err err = {0};
    uint64_t sequence = 0;

    r->updated_ms = clock_wall_ms(f->g->clock);
    if (meter_append(f->g->meter, r, &sequence, &err) < 0)
        log_warn("usage snapshot waits for the disk", LOG_ERR(&err));
    return sequence;
}

void flight_snapshot(struct flight *f)
{
    struct usage_record *r = &f->records[f->record_count - 1];
    uint64_t delivered = r->delivered;

    if (!meter_admission_open(f->g->meter))
        return; /* only final snapshots while the log is full */
    if (!f->stream)
        r->delivered = 0;
    (void)append(f, r);
    r->delivered = delivered;
}

uint64_t flight_finalise(struct flight *f, enum usage_end ended_by)
{
    bool delivered = f->stream || ended_by == USAGE_END_MODEL;
    bool all_taken = true;
    uint64_t last = 0;

    for (int i = 0; i < f->record_count; i++) {
        struct usage_record *r = &f->records[i];
        bool is_last = i == f->record_count - 1;
        uint64_t sequence;

        if (!delivered)
            r->delivered = 0;
        r->delivered_final = true;
        r->ended_by = is_last ? ended_by : USAGE_END_OURS;
        r->request_final = is_last;
        sequence = append(f, r);
        all_taken = all_taken && sequence != 0;
        last = sequence > last ? sequence : last;
        if (is_last && r->counts_final && sequence != 0)
            collector_release(f->g->collector, f->end_address, r->request_id, r->attempt, sequence);
    }
    return all_taken ? last : 0;
}
