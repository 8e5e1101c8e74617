/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning and the end of an attempt: checks, copies, rows, cancelling. */
#include <string.h>

#include "base/mem.h"
#include "engine/core.h"
#include "engine/counters_file.h"

static int check_ids(const char *what, const int32_t *ids, int count, int vocab_size,
                     struct err *err)
{
    for (int i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= vocab_size)
            return err_set(err, ERR_INVALID, "id %d at %d of the %s is not one of 0 to %d", ids[i],
                           i, what, vocab_size - 1);
    }
    return 0;
}

static int check_lengths(int context, const struct engine_request *request, struct err *err)
{

    if (request->prompt_count < 1)
        return err_set(err, ERR_INVALID, "the prompt has no tokens");
    if (request->output_count < 0 || request->max_output < 0 || request->min_output < 0)
        return err_set(err, ERR_INVALID, "output_count, max_output and min_output must be >= 0");
    if (request->prompt_count >= context)
        return err_set(err, ERR_INVALID,
                       "the prompt has %d tokens; this model serves at most %d, and one of them "
                       "must be left for the output",
                       request->prompt_count, context);
    if (request->output_count > context - request->prompt_count ||
        (request->max_output > 0 && request->output_count > request->max_output))
        return err_set(err, ERR_INVALID,
                       "the earlier output of %d tokens is longer than could have been made",
                       request->output_count);
    if (request->stop_id_count < 0 || request->stop_id_count > ENGINE_STOP_IDS_MAX)
        return err_set(err, ERR_INVALID, "there are %d stop ids; at most %d are allowed",
                       request->stop_id_count, ENGINE_STOP_IDS_MAX);
    return 0;
}

int engine_check(const struct engine_plan *plan, const struct engine_request *request,
                 struct err *err)
{
    int vocab_size = plan->vocab_size;
    int r = check_lengths(plan->context_max, request, err);

    if (r == 0)
        r = check_ids("prompt", request->prompt, request->prompt_count, vocab_size, err);
    if (r == 0)
        r = check_ids("output", request->output, request->output_count, vocab_size, err);
    if (r == 0)
        r = check_ids("stop ids", request->stop_ids, request->stop_id_count, vocab_size, err);
    if (r == 0)
        r = sample_check(&request->sampling, vocab_size, err);
    return r;
}

static void copy_tokens(struct seq *s, const struct engine_request *request)
{
    memcpy(s->tokens, request->prompt, (size_t)request->prompt_count * sizeof(*s->tokens));
    if (request->output_count > 0)
        memcpy(&s->tokens[request->prompt_count], request->output,
               (size_t)request->output_count * sizeof(*s->tokens));
    s->prompt_count = request->prompt_count;
    s->given_count = request->output_count;
    s->length = request->prompt_count + request->output_count;
}

static void copy_request(struct engine *e, struct seq *s, const struct engine_request *request)
{
    int left = e->plan.context_max - request->prompt_count;

    *s = (struct seq){.handle = request->handle,
                      .serial = ++e->last_serial,
                      .priority = request->priority,
                      .tokens = s->tokens,
                      .blocks = s->blocks,
                      .min_output = request->min_output,
                      .sampling = request->sampling,
                      .cache_salt = request->cache_salt,
                      .parent = KV_ROOT};
    copy_tokens(s, request);
    s->length_max =
        request->prompt_count +
        (request->max_output > 0 && request->max_output < left ? request->max_output : left);
    if (request->sampling.bias_count > 0)
        memcpy(s->bias, request->sampling.bias,
               (size_t)request->sampling.bias_count * sizeof(s->bias[0]));
    s->sampling.bias = s->bias;
    if (!request->ignore_stop_ids) {
        memcpy(s->stop_ids, request->stop_ids, sizeof(s->stop_ids));
        s->stop_id_count = request->stop_id_count;
    }
}

enum engine_finish submit_finish_of(const struct seq *s)
{
    int output_count = s->length - s->prompt_count;

    /* The last token was sampled when there were output_count - 1. */
    for (int i = 0; i < s->stop_id_count && output_count > s->min_output; i++) {
        if (s->tokens[s->length - 1] == s->stop_ids[i])
            return ENGINE_FINISH_STOP;
    }
    return s->length >= s->length_max ? ENGINE_FINISH_LENGTH : ENGINE_FINISH_NONE;
}

static void end_later(struct engine *e, struct seq *s, enum engine_finish finish)
{
    s->ending = finish;
    e->ending[e->ending_count++] = (int)(s - e->seqs);
}

int engine_submit(struct engine *e, const struct engine_request *request, struct err *err)
{
    struct seq *s;
    int row;
    int r = engine_check(&e->plan, request, err);

    if (r < 0)
        return r;
    if (handles_find(&e->handles, request->handle) >= 0)
        return err_set(err, ERR_INVALID, "the handle is in use until it is released");
    if (e->free_seq_count == 0)
        return err_set(err, ERR_BUSY, "%d requests run or wait already", e->seq_max);
    row = counters_row_take(e->counters, request->tag, (uint32_t)request->output_count);
    if (row < 0)
        return err_set(err, ERR_BUSY, "%d attempts are not released yet", e->row_max);
    s = &e->seqs[e->free_seqs[--e->free_seq_count]];
    copy_request(e, s, request);
    s->row = row;
    e->row_seq[row] = (int)(s - e->seqs);
    handles_put(&e->handles, request->handle, row);
    e->uncommitted = true;
    sched_enqueue(e, s);
    /* An earlier attempt may have made the last token without living to say so. */
    if (request->output_count > 0 && submit_finish_of(s) != ENGINE_FINISH_NONE)
        end_later(e, s, submit_finish_of(s));
    return 0;
}

void engine_cancel(struct engine *e, uint64_t handle)
{
    int row = handles_find(&e->handles, handle);

    if (row < 0 || e->row_seq[row] < 0 || e->seqs[e->row_seq[row]].ending != ENGINE_FINISH_NONE)
        return;
    end_later(e, &e->seqs[e->row_seq[row]], ENGINE_FINISH_CANCELLED);
}

void engine_release(struct engine *e, uint64_t handle)
{
    int row = handles_find(&e->handles, handle);

    if (row < 0 || e->row_seq[row] >= 0)
        return;
    handles_remove(&e->handles, handle);
    counters_row_free(e->counters, row);
    e->uncommitted = true;
}

void submit_fill_event(struct engine *e, const struct seq *s, struct engine_event *event)
{
    event->handle = s->handle;
    event->position = s->length - s->prompt_count;
    event->id_count = 0;
    event->finish = ENGINE_FINISH_NONE;
    account_counts(e, s, &event->counts);
    event->cached_tokens = (int)event->counts.input_cached;
    event->logprob_count = s->sampling.logprobs;
}

void submit_finish(struct engine *e, struct seq *s, enum engine_finish finish,
                   struct engine_event *event)
{
    event->finish = finish;
    counters_row_at(e->counters, s->row)->state = COUNTERS_STATE_FINISHED;
    e->row_seq[s->row] = -1;
    sched_remove(e, s);
    sched_release_blocks(e, s);
    e->free_seqs[e->free_seq_count++] = (int)(s - e->seqs);
}

int submit_end_pending(struct engine *e, struct engine_event *events)
{
    int count = e->ending_count;

    for (int i = 0; i < count; i++) {
        struct seq *s = &e->seqs[e->ending[i]];

        submit_fill_event(e, s, &events[i]);
        submit_finish(e, s, s->ending, &events[i]);
    }
    e->ending_count = 0;
    return count;
}
