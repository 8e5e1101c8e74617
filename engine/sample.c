/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling: see sample.h, which gives the steps in their order. */
#include "engine/sample.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

/* e^-44 < 2^-63: below this share of the best, an id cannot be drawn. */
static const double weight_exponent_min = -44.0;

struct candidate {
    double weight; /* relative to the best, 0 < weight <= 1 */
    int32_t id;
};

struct sample_scratch {
    int vocab_size;
    double *values; /* [vocab_size] the logits as changed by bias and penalties */
    uint32_t *seen; /* [vocab_size] times in the output, plus SEEN_PROMPT; all 0 between calls */
    struct candidate *heap; /* [vocab_size] */
};

enum { SEEN_PROMPT = 1 << 30 };

int sample_scratch_new(struct sample_scratch **out, int vocab_size, struct err *err)
{
    struct sample_scratch *s = mem_alloc(sizeof(*s));

    if (s == NULL)
        return err_no_memory(err);
    s->vocab_size = vocab_size;
    s->values = mem_array((size_t)vocab_size, sizeof(*s->values));
    s->seen = mem_array((size_t)vocab_size, sizeof(*s->seen));
    s->heap = mem_array((size_t)vocab_size, sizeof(*s->heap));
    if (s->values == NULL || s->seen == NULL || s->heap == NULL) {
        sample_scratch_free(s);
        return err_no_memory(err);
    }
    *out = s;
    return 0;
}

uint64_t sample_scratch_bytes(int vocab_size)
{
    struct sample_scratch *s = NULL;

    return (uint64_t)vocab_size * (sizeof(*s->values) + sizeof(*s->seen) + sizeof(*s->heap));
}

void sample_scratch_free(struct sample_scratch *scratch)
{
    if (scratch == NULL)
        return;
    mem_free(scratch->values);
    mem_free(scratch->seen);
    mem_free(scratch->heap);
    mem_free(scratch);
}

static uint64_t mix64(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

double sample_uniform(uint64_t seed, uint64_t position)
{
    const uint64_t golden = 0x9e3779b97f4a7c15U;
    uint64_t z = mix64(mix64(seed + golden) + (position + 1) * golden);

    return (double)(z >> 11) * 0x1p-53;
}

/* e^x for x <= 0, without libm: x = k ln 2 + r, |r| <= 0.35, and a Taylor series of degree 13. */
static double exp_of(double x)
{
    static const double inverse_factorial[] = {1.0 / 6227020800,
                                               1.0 / 479001600,
                                               1.0 / 39916800,
                                               1.0 / 3628800,
                                               1.0 / 362880,
                                               1.0 / 40320,
                                               1.0 / 5040,
                                               1.0 / 720,
                                               1.0 / 120,
                                               1.0 / 24,
                                               1.0 / 6,
                                               1.0 / 2,
                                               1.0,
                                               1.0};
    double sum = 0;
    double r;
    int64_t k;
    uint64_t bits;
    double power;

    if (!(x >= weight_exponent_min))
        return 0;
    k = (int64_t)(x * 0x1.71547652b82fep0 - 0.5);
    r = x - (double)k * 0x1.62e42fee00000p-1;
    r -= (double)k * 0x1.a39ef35793c76p-33;
    for (size_t i = 0; i < ARRAY_COUNT(inverse_factorial); i++)
        sum = sum * r + inverse_factorial[i];
    bits = (uint64_t)(1023 + k) << 52;
    memcpy(&power, &bits, sizeof(power));
    return sum * power;
}

/* Copies the row to doubles; anything but finite numbers and minus infinity is a broken model. */
static int load_values(struct sample_scratch *s, const float *logits, struct err *err)
{
    for (int id = 0; id < s->vocab_size; id++) {
        if (!(logits[id] < INFINITY))
            return err_set(err, ERR_INTERNAL, "the model computed %f as the logit of id %d",
                           (double)logits[id], id);
        s->values[id] = (double)logits[id];
    }
    return 0;
}

static int32_t best_id(const struct sample_scratch *s)
{
    int32_t best = 0;

    for (int32_t id = 1; id < s->vocab_size; id++) {
        if (s->values[id] > s->values[best])
            best = id;
    }
    return best;
}

/* The `wanted` best of the row, best first, ties to the lowest id: insertion into a short list. */
static void best_of_row(struct engine_logprob *top, int wanted, const struct sample_scratch *s)
{
    double floor = -INFINITY;
    int count = 0;

    for (int32_t id = 0; id < s->vocab_size && wanted > 0; id++) {
        int at;

        if (count == wanted && s->values[id] <= floor)
            continue;
        at = count < wanted ? count++ : wanted - 1;
        while (at > 0 && s->values[top[at - 1].id] < s->values[id]) {
            top[at] = top[at - 1];
            at--;
        }
        top[at].id = id;
        floor = s->values[top[count - 1].id];
    }
}

/* Logprobs of the raw row. The chosen id is not known yet: `log_total` is for it. */
static double raw_logprobs(struct sample_output *out, int wanted, const struct sample_scratch *s)
{
    double max = s->values[best_id(s)];
    double total = 0;
    double log_total;

    for (int id = 0; id < s->vocab_size; id++)
        total += exp_of(s->values[id] - max);
    log_total = max + log(total);
    best_of_row(out->top, wanted, s);
    for (int i = 0; i < wanted; i++)
        out->top[i].logprob = (float)(s->values[out->top[i].id] - log_total);
    return log_total;
}

static void apply_bias(struct sample_scratch *s, const struct sample_input *input)
{
    const struct engine_sampling *p = input->sampling;

    for (int i = 0; i < p->bias_count; i++)
        s->values[p->bias[i].id] += (double)p->bias[i].bias;
    for (int i = 0; i < input->banned_count; i++)
        s->values[input->banned[i]] = -INFINITY;
}

/* Changes the value of `id` once: clears its count, by which a second visit does nothing. */
static void penalise(struct sample_scratch *s, const struct engine_sampling *p, int32_t id)
{
    uint32_t count = s->seen[id] & ~(uint32_t)SEEN_PROMPT;
    double value = s->values[id];

    if (s->seen[id] == 0)
        return;
    value =
        value > 0 ? value / (double)p->repetition_penalty : value * (double)p->repetition_penalty;
    if (count > 0)
        value -= (double)p->frequency_penalty * count + (double)p->presence_penalty;
    s->values[id] = value;
    s->seen[id] = 0;
}

static void apply_penalties(struct sample_scratch *s, const struct sample_input *input)
{
    const struct engine_sampling *p = input->sampling;
    bool over_prompt = p->repetition_penalty != 1.0F;

    if (!over_prompt && p->frequency_penalty == 0.0F && p->presence_penalty == 0.0F)
        return;
    for (int i = 0; i < input->output_count; i++)
        s->seen[input->output[i]]++;
    for (int i = 0; over_prompt && i < input->prompt_count; i++)
        s->seen[input->prompt[i]] |= SEEN_PROMPT;
    for (int i = 0; i < input->output_count; i++)
        penalise(s, p, input->output[i]);
    for (int i = 0; over_prompt && i < input->prompt_count; i++)
        penalise(s, p, input->prompt[i]);
}

/* Whether `a` stands before `b`: heavier, or as heavy with a lower id. A total order. */
static bool before(struct candidate a, struct candidate b)
{
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

static void sift_down(struct candidate *heap, int count, int at)
{
    struct candidate moving = heap[at];

    for (;;) {
        int child = 2 * at + 1;

        if (child >= count)
            break;
        if (child + 1 < count && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], moving))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/* Candidates in the order of their ids, after temperature and min_p; returns how many. */
static int gather(struct sample_scratch *s, const struct engine_sampling *p, double *total)
{
    double max = s->values[best_id(s)];
    int count = 0;

    *total = 0;
    for (int32_t id = 0; id < s->vocab_size; id++) {
        double weight = exp_of((s->values[id] - max) / (double)p->temperature);

        if (weight == 0 || weight < (double)p->min_p)
            continue;
        s->heap[count++] = (struct candidate){weight, id};
        *total += weight;
    }
    return count;
}

/* Moves the best candidate not taken yet from the top of the heap to the end of the array, before
 * the `taken` better ones that lie there already. */
static void take_best(struct candidate *heap, int count, int taken)
{
    int last = count - 1 - taken;
    struct candidate best = heap[0];

    heap[0] = heap[last];
    sift_down(heap, last, 0);
    heap[last] = best;
}

/* Cuts by top_k and top_p, sorting only as many as stay: afterwards those lie at the end of the
 * array, the best one last. Returns how many; *total becomes the sum of their weights. */
static int cut(struct sample_scratch *s, const struct engine_sampling *p, int count, double *total)
{
    bool by_k = p->top_k > 0 && p->top_k < count;
    int limit = by_k ? p->top_k : count;
    double wanted = INFINITY;
    double sum = 0;
    int kept = 0;

    for (int at = count / 2 - 1; at >= 0; at--)
        sift_down(s->heap, count, at);
    for (int i = 0; by_k && i < limit; i++) {
        take_best(s->heap, count, i);
        sum += s->heap[count - 1 - i].weight;
    }
    if (by_k)
        *total = sum; /* top_p counts within what top_k left */
    if (p->top_p < 1.0F)
        wanted = (double)p->top_p * *total;
    sum = 0;
    while (kept < limit && (kept == 0 || sum < wanted)) {
        if (!by_k)
            take_best(s->heap, count, kept);
        sum += s->heap[count - 1 - kept].weight;
        kept++;
    }
    *total = sum;
    return kept;
}

static int32_t draw(struct sample_scratch *s, const struct sample_input *input)
{
    const struct engine_sampling *p = input->sampling;
    double total;
    int count = gather(s, p, &total);
    int kept = count;
    int first = 0; /* the walk goes from here, by `step` */
    int step = 1;
    double target;
    double sum = 0;

    if ((p->top_k > 0 && p->top_k < count) || p->top_p < 1.0F) {
        kept = cut(s, p, count, &total);
        first = count - 1;
        step = -1;
    }
    target = sample_uniform(p->seed, (uint64_t)input->output_count) * total;
    for (int i = 0; i < kept; i++) {
        sum += s->heap[first + i * step].weight;
        if (sum > target)
            return s->heap[first + i * step].id;
    }
    return s->heap[first + (kept - 1) * step].id; /* u * total was rounded up to the total */
}

int sample_row(struct sample_output *out, const float *logits, const struct sample_input *input,
               struct sample_scratch *scratch, struct err *err)
{
    const struct engine_sampling *p = input->sampling;
    double log_total = 0;
    int32_t best;
    int r = load_values(scratch, logits, err);

    if (r < 0)
        return r;
    if (p->logprobs >= 0)
        log_total = raw_logprobs(out, p->logprobs, scratch);
    apply_bias(scratch, input);
    apply_penalties(scratch, input);
    best = best_id(scratch);
    if (scratch->values[best] == -INFINITY)
        return err_set(err, ERR_INTERNAL, "no id has a chance to be sampled");
    out->id = p->temperature == 0.0F ? best : draw(scratch, input);
    out->chosen.id = out->id;
    out->chosen.logprob = p->logprobs >= 0 ? (float)((double)logits[out->id] - log_total) : 0.0F;
    return 0;
}

static int check_range(const char *name, float value, float low, float high, struct err *err)
{
    if (value >= low && value <= high)
        return 0;
    return err_set(err, ERR_INVALID, "%s is %g; it must be between %g and %g", name, (double)value,
                   (double)low, (double)high);
}

int sample_check(const struct engine_sampling *sampling, int vocab_size, struct err *err)
{
    static const float large = 1e6F;
    const struct {
        const char *name;
        float value;
        float low;
        float high;
    } ranges[] = {
        {"temperature", sampling->temperature, 0, large},
        {"top_p", sampling->top_p, 0, 1},
        {"min_p", sampling->min_p, 0, 1},
        {"presence_penalty", sampling->presence_penalty, -large, large},
        {"frequency_penalty", sampling->frequency_penalty, -large, large},
        {"repetition_penalty", sampling->repetition_penalty, 1 / large, large},
    };

    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        int r = check_range(ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high, err);

        if (r < 0)
            return r;
    }
    if (sampling->top_k < 0)
        return err_set(err, ERR_INVALID, "top_k is %d; it must be 0 (off) or more",
                       sampling->top_k);
    if (sampling->logprobs < -1 || sampling->logprobs > ENGINE_LOGPROBS_MAX ||
        sampling->logprobs > vocab_size)
        return err_set(err, ERR_INVALID, "logprobs is %d; it must be -1 (none) to %d",
                       sampling->logprobs, ENGINE_LOGPROBS_MAX);
    if (sampling->bias_count < 0 || sampling->bias_count > ENGINE_BIAS_MAX)
        return err_set(err, ERR_INVALID, "logit_bias has %d entries; at most %d are allowed",
                       sampling->bias_count, ENGINE_BIAS_MAX);
    for (int i = 0; i < sampling->bias_count; i++) {
        const struct engine_bias *b = &sampling->bias[i];

        if (b->id < 0 || b->id >= vocab_size)
            return err_set(err, ERR_INVALID, "logit_bias names id %d; ids are 0 to %d", b->id,
                           vocab_size - 1);
        if (!(b->bias >= -large && b->bias <= large))
            return err_set(err, ERR_INVALID, "the logit_bias of id %d is not a usable number",
                           b->id);
    }
    return 0;
}
