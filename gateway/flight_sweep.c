/* SPDX-License-Identifier: Apache-2.0 */
/* What time does to a flight: see flight.h. */
#include "gateway/flight.h"
#include "gateway/gateway.h"
#include "gateway/queue.h"

/* What a deleted model's clients are told does not depend on whether they came a moment earlier;
 * unless they have the beginning of an answer already. */
static void fail_without_pods(struct flight *f)
{
    bool has_beginning = f->stream && f->id_count > 0;

    if (!f->model->listed && !has_beginning)
        flight_fail(f, OPENAI_NO_MODEL, "the model was deleted");
    else
        flight_fail(f, OPENAI_UNAVAILABLE, "the model was deleted or can't run any more");
}

static void sweep_queued(struct flight *f, int64_t now_ms)
{
    if (flight_fall_back(f, now_ms))
        return;
    if (!flight_can_wait(f)) {
        gw_queue_remove(&f->g->table, f);
        fail_without_pods(f);
        return;
    }
    if (now_ms - f->waiting_since_ms >= FLIGHT_WAIT_MS) {
        gw_queue_remove(&f->g->table, f);
        flight_fail(f, OPENAI_WAIT_TIMEOUT, "no pod became ready within 600 s");
        return;
    }
    if (f->stream && now_ms - f->waiting_since_ms >= FLIGHT_QUIET_MS &&
        now_ms - f->last_comment_ms >= FLIGHT_COMMENT_MS) {
        f->last_comment_ms = now_ms;
        flight_out_comment(f);
    }
}

/* A pod counts as gone if it is silent, or makes no step although there is work. */
static void sweep_running(struct flight *f, int64_t now_ms)
{
    if (!f->paused && now_ms - f->last_byte_ms > STREAM_SILENCE_MS) {
        flight_attempt_broken(f, "silent");
        return;
    }
    if (!f->paused && f->started && now_ms - f->last_step_ms > STREAM_STALL_MS) {
        flight_attempt_broken(f, "stalled");
        return;
    }
    if (now_ms >= f->next_snapshot_ms && f->started) {
        f->next_snapshot_ms = now_ms + FLIGHT_SNAPSHOT_MS;
        flight_snapshot(f);
    }
}

void flight_sweep(struct flight *f, int64_t now_ms)
{
    switch (f->state) {
    case FLIGHT_QUEUED:
        sweep_queued(f, now_ms);
        break;
    case FLIGHT_RUNNING:
        sweep_running(f, now_ms);
        break;
    case FLIGHT_CANCELLING:
        if (now_ms >= f->cancel_deadline_ms) {
            flight_attempt_give_up(f);
            flight_abandon(f);
        }
        break;
    case FLIGHT_ENDING:
        if (f->durable_sequence == 0)
            flight_end(f, f->ended_by);
        break;
    }
}
