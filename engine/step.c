/* SPDX-License-Identifier: Apache-2.0 */
/* One step: plan, one forward pass, sampling, counting. */
#include <string.h>

#include "engine/core.h"

/* Appends the share of the sequence with this number to the batch. */
static void batch_add(struct engine *e, struct batch *batch, int number, int *logits_rows)
{
    const struct seq *s = &e->seqs[number];
    bool wants_logits = s->computed + s->take == s->length;

    e->batch_numbers[batch->seq_count] = number;
    e->batch_seqs[batch->seq_count++] = (struct batch_seq){
        .first = batch->token_count,
        .count = s->take,
        .position = s->computed,
        .block_table = s->blocks,
        .logits_row = wants_logits ? (*logits_rows)++ : -1,
    };
    memcpy(&e->batch_tokens[batch->token_count], &s->tokens[s->computed],
           (size_t)s->take * sizeof(*e->batch_tokens));
    batch->token_count += s->take;
}

static void batch_build(struct engine *e, struct batch *batch)
{
    int logits_rows = 0;

    *batch = (struct batch){.tokens = e->batch_tokens, .seqs = e->batch_seqs};
    for (int i = 0; i < e->running_count; i++) {
        if (e->seqs[e->running[i]].take > 0)
            batch_add(e, batch, e->running[i], &logits_rows);
    }
}

static int sample_for(struct engine *e, const struct seq *s, int logits_row,
                      struct sample_output *out, struct err *err)
{
    int output_count = s->length - s->prompt_count;
    struct sample_input input = {
        .sampling = &s->sampling,
        .prompt = s->tokens,
        .prompt_count = s->prompt_count,
        .output = &s->tokens[s->prompt_count],
        .output_count = output_count,
        .banned = s->stop_ids,
        .banned_count = output_count < s->min_output ? s->stop_id_count : 0,
    };

    return sample_row(out, &e->logits[(size_t)logits_row * (size_t)e->vocab_rows], &input,
                      e->scratch, err);
}

/* Adds the token to the sequence and tells it in the event, which may be the last one. */
static void deliver(struct engine *e, struct seq *s, const struct sample_output *sampled,
                    struct engine_event *event)
{
    enum engine_finish finish;

    account_add(e, s, COUNT_OUTPUT, 1);
    submit_fill_event(e, s, event);
    event->ids[0] = sampled->id;
    event->id_count = 1;
    if (s->sampling.logprobs >= 0) {
        event->chosen[0] = sampled->chosen;
        memcpy(event->top[0], sampled->top, (size_t)s->sampling.logprobs * sizeof(sampled->top[0]));
    }
    s->tokens[s->length++] = sampled->id;
    finish = submit_finish_of(s);
    if (finish != ENGINE_FINISH_NONE)
        submit_finish(e, s, finish, event);
}

/* What follows the forward pass; returns the number of events or fails. */
static int batch_finish(struct engine *e, const struct batch *batch, struct engine_event *events,
                        struct err *err)
{
    int count = 0;

    for (int i = 0; i < batch->seq_count; i++) {
        struct seq *s = &e->seqs[e->batch_numbers[i]];
        struct sample_output sampled;
        int r;

        account_computed(e, s, s->computed, s->take);
        s->computed += s->take;
        sched_publish(e, s);
        if (batch->seqs[i].logits_row < 0)
            continue;
        r = sample_for(e, s, batch->seqs[i].logits_row, &sampled, err);
        if (r < 0)
            return err_wrap(err, r, "position %d of a request", s->length);
        deliver(e, s, &sampled, &events[count++]);
    }
    return count;
}

static int run_batch(struct engine *e, struct engine_event *events, struct err *err)
{
    struct batch batch;
    int r;

    batch_build(e, &batch);
    r = model_forward(e->model, &batch, e->logits, err);
    if (r < 0)
        return r;
    return batch_finish(e, &batch, events, err);
}

static void commit(struct engine *e)
{
    counters_commit(e->counters, e->steps);
    e->uncommitted = false;
}

/* All live requests but those just ended get their tokens. Returns the number of events. */
static int step_work(struct engine *e, struct engine_event *events, struct err *err)
{
    if (e->running_count == 0 && e->waiting_count == 0)
        return 0;
    if (sched_plan(e) == 0)
        return err_set(err, ERR_INTERNAL, "no request can be advanced");
    return run_batch(e, events, err);
}

int engine_step(struct engine *e, struct engine_event *events, int capacity, bool *idle,
                struct err *err)
{
    bool had_work = e->running_count > 0 || e->waiting_count > 0;
    int ended;
    int r;

    if (e->broken)
        return err_set(err, ERR_INTERNAL, "an earlier step failed");
    if (capacity < e->seq_max)
        return err_set(err, ERR_INVALID, "there is room for %d events; %d are needed", capacity,
                       e->seq_max);
    e->steps += had_work;
    ended = submit_end_pending(e, events);
    r = step_work(e, events + ended, err);
    if (r < 0)
        e->broken = true;
    if (had_work || e->uncommitted)
        commit(e);
    if (r < 0)
        return r;
    *idle = !had_work;
    return ended + r;
}
