/* SPDX-License-Identifier: Apache-2.0 */
/* The slow sampler: see sample_reference.h. */
#include "sample_reference.h"

#include <math.h>
#include <stdbool.h>

static int times_in(const int32_t *ids, int count, int32_t id)
{
    int times = 0;

    for (int i = 0; i < count; i++)
        times += ids[i] == id;
    return times;
}

static double changed_logit(const float *logits, int32_t id, const struct sample_input *input)
{
    const struct engine_sampling *p = input->sampling;
    double value = (double)logits[id];
    int in_output = times_in(input->output, input->output_count, id);
    int in_prompt = times_in(input->prompt, input->prompt_count, id);

    for (int i = 0; i < p->bias_count; i++) {
        if (p->bias[i].id == id)
            value += (double)p->bias[i].bias;
    }
    if (times_in(input->banned, input->banned_count, id) > 0)
        return -INFINITY;
    if (in_output + in_prompt > 0)
        value = value > 0 ? value / (double)p->repetition_penalty
                          : value * (double)p->repetition_penalty;
    value -= (double)p->frequency_penalty * in_output;
    if (in_output > 0)
        value -= (double)p->presence_penalty;
    return value;
}

/* Ids from the best to the worst, ties by id. */
static void sort_ids(int32_t *order, const double *values, int count)
{
    for (int32_t i = 0; i < count; i++) {
        int at = i;

        for (; at > 0 && values[order[at - 1]] < values[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static double sum_of(const double *chances, int count)
{
    double sum = 0;

    for (int i = 0; i < count; i++)
        sum += chances[i];
    return sum;
}

static void keep_first(double *chances, const int32_t *order, int vocab_size, int keep)
{
    for (int i = keep; i < vocab_size; i++)
        chances[order[i]] = 0;
}

static void cut(double *chances, const int32_t *order, int vocab_size,
                const struct engine_sampling *p)
{
    double best = chances[order[0]];
    double total;
    double sum = 0;
    int keep = 0;

    for (int id = 0; id < vocab_size; id++) {
        if (chances[id] < (double)p->min_p * best)
            chances[id] = 0;
    }
    if (p->top_k > 0)
        keep_first(chances, order, vocab_size, p->top_k);
    if (p->top_p >= 1)
        return;
    total = sum_of(chances, vocab_size);
    do {
        sum += chances[order[keep++]] / total;
    } while (keep < vocab_size && sum < (double)p->top_p);
    keep_first(chances, order, vocab_size, keep);
}

void reference_chances(double *chances, const float *logits, int vocab_size,
                       const struct sample_input *input)
{
    double values[REFERENCE_VOCAB_MAX];
    int32_t order[REFERENCE_VOCAB_MAX] = {0};
    double total;

    for (int32_t id = 0; id < vocab_size; id++)
        values[id] = changed_logit(logits, id, input);
    sort_ids(order, values, vocab_size);
    for (int id = 0; id < vocab_size; id++) {
        if (input->sampling->temperature > 0)
            chances[id] =
                exp((values[id] - values[order[0]]) / (double)input->sampling->temperature);
        else
            chances[id] = id == order[0];
    }
    cut(chances, order, vocab_size, input->sampling);
    total = sum_of(chances, vocab_size);
    for (int id = 0; id < vocab_size; id++)
        chances[id] /= total;
}

double reference_logprob(const float *logits, int vocab_size, int32_t id)
{
    double total = 0;

    for (int i = 0; i < vocab_size; i++)
        total += exp((double)logits[i]);
    return (double)logits[id] - log(total);
}
