/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler under random load: requests, cancels, priorities, shared prefixes, salts and
 * resumed answers over a KV store so small that preemption is common. Whatever happens, each
 * request gets what it would get alone, and every token is counted once.
 */
#include "cmocka_plain.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine_rig.h"

enum { CONTEXT = 96, LIVE_MAX = 24, PROMPT_MAX = 60, PREFIXES = 3 };

/* One request and its place among the handles. */
struct entry {
    bool live;
    bool cancelled;
    int32_t prompt[PROMPT_MAX];
    int32_t output[CONTEXT];
    struct engine_bias bias[2];
    struct engine_request request;
};

static struct rig rig;
static struct rig_answer answers[LIVE_MAX];
static struct entry entries[LIVE_MAX];
static int32_t prefixes[PREFIXES][PROMPT_MAX];
static struct engine_counts released;
static struct rng_seeded chance;

static int below(int bound)
{
    return (int)rng_below(&chance.rng, (uint64_t)bound);
}

static struct engine_sampling random_sampling(struct entry *entry)
{
    struct engine_sampling s = {.top_p = 1, .repetition_penalty = 1, .logprobs = -1};

    s.seed = rng_u64(&chance.rng);
    if (below(2) == 0)
        return s;
    s.temperature = 0.5F + (float)below(10) / 8.0F;
    s.top_p = below(2) ? 1 : 0.8F;
    s.top_k = below(2) ? 0 : 10;
    s.presence_penalty = below(3) ? 0 : 0.5F;
    s.frequency_penalty = below(3) ? 0 : 0.25F;
    s.repetition_penalty = below(3) ? 1 : 1.2F;
    s.logprobs = below(3) ? -1 : below(5);
    entry->bias[0] = (struct engine_bias){below(TINY_VOCAB), 2};
    entry->bias[1] = (struct engine_bias){below(TINY_VOCAB), -2};
    s.bias = entry->bias;
    s.bias_count = below(3);
    return s;
}

/* Prompts share a few long beginnings, so that the prefix cache has work. */
static void random_request(int slot)
{
    struct entry *entry = &entries[slot];
    int count = 1 + below(PROMPT_MAX);
    int shared = below(count + 1);

    memset(entry, 0, sizeof(*entry));
    rig_fill(entry->prompt, count, (uint32_t)rng_u64(&chance.rng));
    memcpy(entry->prompt, prefixes[below(PREFIXES)], (size_t)shared * sizeof(int32_t));
    entry->request = rig_request((uint64_t)slot, entry->prompt, count);
    entry->request.max_output = below(8) ? 1 + below(30) : 0;
    entry->request.min_output = below(4) ? 0 : below(10);
    entry->request.stop_id_count = below(3);
    for (int i = 0; i < entry->request.stop_id_count; i++)
        entry->request.stop_ids[i] = below(TINY_VOCAB);
    entry->request.ignore_stop_ids = below(4) == 0;
    entry->request.priority = below(3) == 0 ? below(3) : 0;
    entry->request.cache_salt = (uint64_t)below(2);
    entry->request.sampling = random_sampling(entry);
    if (below(4) == 0) { /* go on where another attempt ended */
        struct rig_answer whole;

        rig_expect(&whole, &entry->request, CONTEXT);
        memcpy(entry->output, whole.ids, sizeof(entry->output));
        entry->request.output = entry->output;
        entry->request.output_count = below(whole.count);
    }
}

static void submit_some(int slots)
{
    for (int slot = 0; slot < slots; slot++) {
        int r;

        if (entries[slot].live || below(3) > 0)
            continue;
        random_request(slot);
        r = engine_submit(rig.engine, &entries[slot].request, NULL);
        assert_true(r == 0 || r == -ERR_BUSY);
        entries[slot].live = r == 0;
        memset(&answers[slot], 0, sizeof(answers[slot]));
    }
}

static void check_counts(const struct entry *entry, const struct rig_answer *got)
{
    const struct engine_counts *c = &got->counts;

    assert_int_equal(c->output, got->count);
    assert_int_equal(c->input_cached, got->cached_tokens);
    if (got->count > 0)
        assert_int_equal(c->input_computed + c->input_cached, entry->request.prompt_count);
    assert_true(c->input_computed + c->input_cached <= (uint64_t)entry->request.prompt_count);
}

static void check_answer(const struct entry *entry, const struct rig_answer *got)
{
    static struct rig_answer expected;

    rig_expect(&expected, &entry->request, CONTEXT);
    if (got->finish == ENGINE_FINISH_CANCELLED)
        assert_true(entry->cancelled && got->count <= expected.count);
    else
        assert_int_equal(got->finish, expected.finish);
    if (got->finish != ENGINE_FINISH_CANCELLED)
        assert_int_equal(got->count, expected.count);
    if (got->count > 0)
        assert_int_equal(got->first_position, entry->request.output_count);
    assert_memory_equal(got->ids, expected.ids, (size_t)got->count * sizeof(got->ids[0]));
    for (int i = 0; i < got->count && entry->request.sampling.logprobs >= 0; i++)
        assert_memory_equal(&got->chosen[i], &expected.chosen[i], sizeof(got->chosen[i]));
    check_counts(entry, got);
}

/* Checks and releases what has ended; returns how many. */
static int reap(int slots)
{
    int count = 0;

    for (int slot = 0; slot < slots; slot++) {
        if (!entries[slot].live || answers[slot].finish == ENGINE_FINISH_NONE)
            continue;
        check_answer(&entries[slot], &answers[slot]);
        counts_sum(&released, &answers[slot].counts);
        engine_release(rig.engine, (uint64_t)slot);
        entries[slot].live = false;
        count++;
    }
    return count;
}

static int run_until(int requests, int slots, bool check_every_step)
{
    int done = 0;
    bool idle = false;

    while (done < requests || !idle) {
        if (done < requests)
            submit_some(slots);
        if (below(10) == 0) {
            int slot = below(slots);

            entries[slot].cancelled = entries[slot].live;
            engine_cancel(rig.engine, (uint64_t)slot);
        }
        rig_step(&rig, answers, &idle);
        done += reap(slots);
        if (check_every_step)
            assert_true(rig_stats(&rig).running <= 6);
    }
    return done;
}

static void start(uint64_t seed, int kv_blocks)
{
    tiny_reset();
    tiny.context_max = CONTEXT;
    rng_seeded_init(&chance, seed);
    released = (struct engine_counts){0};
    memset(entries, 0, sizeof(entries));
    for (int i = 0; i < PREFIXES; i++)
        rig_fill(prefixes[i], PROMPT_MAX, (uint32_t)(seed * 10 + (uint64_t)i));
    rig_open(&rig, &(struct engine_config){.slots = 6,
                                           .queue_max = 10,
                                           .chunk_tokens = 6 + below(40),
                                           .kv_bytes = (uint64_t)kv_blocks * tiny.kv_block_bytes,
                                           .prefix_reuse = below(4) > 0});
}

static void finish(void)
{
    struct engine_stats stats;
    bool idle;

    rig_step(&rig, answers, &idle); /* commits the releases */
    assert_true(idle);
    assert_int_equal(rig_stats(&rig).kv_blocks_used, 0);
    assert_int_equal(rig_stats(&rig).running + rig_stats(&rig).waiting, 0);
    rig_check_counters(&rig, &released);
    stats = rig_stats(&rig);
    assert_true(counts_equal(&released, &stats.total));
    rig_close(&rig);
}

static void gives_each_request_what_it_gets_alone(void **state)
{
    uint64_t preemptions = 0;
    uint64_t hits = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        start(seed, 6 + (int)(seed % 12));
        run_until(150, LIVE_MAX, true);
        preemptions += rig_stats(&rig).preemptions;
        hits += rig_stats(&rig).prefix_hits;
        finish();
    }
    assert_true(preemptions > 500);
    assert_true(hits > 1000);
}

static void keeps_its_books_over_a_long_run(void **state)
{
    const char *text = getenv("SPATE_SOAK_REQUESTS");
    int64_t count = 10000;

    (void)state;
    if (text != NULL)
        assert_true(str_to_i64(str_of(text), &count) && count > 0 && count <= INT_MAX);
    start(4711, 14);
    run_until((int)count, LIVE_MAX, false);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_request_what_it_gets_alone),
        cmocka_unit_test(keeps_its_books_over_a_long_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
