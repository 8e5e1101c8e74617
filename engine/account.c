/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which count a token belongs. Billing rests on it, so here it is in one place:
 *
 *     position    0 ........... prompt_count ......... + given_count ...........
 *                 prompt        | output of earlier    | sampled here
 *                               | attempts             |
 *     computed
 *     first time  input_computed| recomputed           | nothing (counted in `output` when sampled)
 *     again       recomputed    | recomputed           | recomputed
 *     from cache
 *     first time  input_cached  | nothing              | nothing
 *     again       nothing       | nothing              | nothing
 *
 * "First time" means at or beyond `counted`, the highest position ever computed or found here. So
 * once a prompt is processed, input_computed + input_cached = prompt_count, whatever was preempted.
 */
#include "engine/core.h"

static uint64_t *count_of(struct engine_counts *counts, enum count_kind kind)
{
    switch (kind) {
    case COUNT_INPUT_COMPUTED:
        return &counts->input_computed;
    case COUNT_INPUT_CACHED:
        return &counts->input_cached;
    case COUNT_OUTPUT:
        return &counts->output;
    case COUNT_RECOMPUTED:
        break;
    }
    return &counts->recomputed;
}

void account_add(struct engine *e, const struct seq *s, enum count_kind kind, int tokens)
{
    if (tokens <= 0)
        return;
    *count_of(&counters_row_at(e->counters, s->row)->counts, kind) += (uint64_t)tokens;
    *count_of(counters_total(e->counters), kind) += (uint64_t)tokens;
}

/* How many positions from .. to lie below `limit`. */
static int below(int from, int to, int limit)
{
    int end = to < limit ? to : limit;

    return end > from ? end - from : 0;
}

void account_found(struct engine *e, struct seq *s, int found)
{
    account_add(e, s, COUNT_INPUT_CACHED, below(s->counted, found, s->prompt_count));
    if (found > s->counted)
        s->counted = found;
}

void account_computed(struct engine *e, struct seq *s, int from, int count)
{
    int to = from + count;
    int given_end = s->prompt_count + s->given_count;
    int again = below(from, to, s->counted);
    int input;
    int given;

    account_add(e, s, COUNT_RECOMPUTED, again);
    from += again;
    input = below(from, to, s->prompt_count);
    account_add(e, s, COUNT_INPUT_COMPUTED, input);
    from += input;
    given = below(from, to, given_end);
    account_add(e, s, COUNT_RECOMPUTED, given);
    if (to > s->counted)
        s->counted = to;
}

void account_counts(struct engine *e, const struct seq *s, struct engine_counts *out)
{
    *out = counters_row_at(e->counters, s->row)->counts;
}
