/* SPDX-License-Identifier: Apache-2.0 */
/* The rig for scheduler tests: see engine_rig.h. */
#include "engine_rig.h"

#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/sample.h"

void rig_open(struct rig *rig, const struct engine_config *config)
{
    struct engine_config full = *config;
    struct err err = {0};

    snprintf(rig->folder, sizeof(rig->folder), "engine-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->counters_path, sizeof(rig->counters_path), "%s/counters", rig->folder);
    full.model_path = "tiny";
    full.counters_path = rig->counters_path;
    if (engine_open(&rig->engine, &full, NULL, &err) < 0)
        fail_msg("engine_open: %s", err.message);
}

void rig_close(struct rig *rig)
{
    engine_close(rig->engine);
    assert_int_equal(file_remove_tree(rig->folder, NULL), 0);
}

struct engine_request rig_request(uint64_t handle, const int32_t *prompt, int prompt_count)
{
    return (struct engine_request){
        .handle = handle,
        .tag = {.bytes = {(uint8_t)handle, (uint8_t)(handle >> 8)}},
        .prompt = prompt,
        .prompt_count = prompt_count,
        .sampling = {.top_p = 1, .repetition_penalty = 1, .logprobs = -1},
    };
}

void rig_fill(int32_t *tokens, int count, uint32_t seed)
{
    for (int i = 0; i < count; i++)
        tokens[i] = (int32_t)(sample_uniform(seed, (uint64_t)i) * TINY_VOCAB);
}

static void collect(struct rig_answer *a, const struct engine_event *event)
{
    assert_int_equal(a->finish, ENGINE_FINISH_NONE);
    assert_true(event->id_count > 0 || event->finish != ENGINE_FINISH_NONE);
    if (a->count == 0)
        a->first_position = event->position;
    else
        assert_int_equal(event->cached_tokens, a->cached_tokens);
    assert_int_equal(event->position, a->first_position + a->count);
    for (int i = 0; i < event->id_count; i++) {
        if (event->logprob_count >= 0)
            a->chosen[a->count] = event->chosen[i];
        a->ids[a->count++] = event->ids[i];
    }
    a->finish = event->finish;
    a->counts = event->counts;
    a->cached_tokens = event->cached_tokens;
}

int rig_step(struct rig *rig, struct rig_answer *answers, bool *idle)
{
    struct err err = {0};
    int count = engine_step(rig->engine, rig->events, RIG_EVENTS_MAX, idle, &err);

    if (count < 0)
        fail_msg("engine_step: %s", err.message);
    for (int i = 0; i < count; i++)
        collect(&answers[rig->events[i].handle], &rig->events[i]);
    return count;
}

void rig_run(struct rig *rig, struct rig_answer *answers)
{
    bool idle = false;

    while (!idle)
        rig_step(rig, answers, &idle);
}

static bool is_stop(const struct engine_request *request, int32_t id)
{
    for (int i = 0; i < request->stop_id_count && !request->ignore_stop_ids; i++) {
        if (request->stop_ids[i] == id)
            return true;
    }
    return false;
}

void rig_expect(struct rig_answer *out, const struct engine_request *request, int context_max)
{
    static int32_t tokens[RIG_TOKENS_MAX];
    struct sample_scratch *scratch = NULL;
    int prompt = request->prompt_count;
    int length = prompt + request->output_count;
    float row[TINY_ROWS];

    assert_int_equal(sample_scratch_new(&scratch, TINY_VOCAB, NULL), 0);
    memset(out, 0, sizeof(*out));
    memcpy(tokens, request->prompt, (size_t)prompt * sizeof(*tokens));
    for (int i = 0; i < request->output_count; i++)
        tokens[prompt + i] = request->output[i];
    out->first_position = request->output_count;
    while (out->finish == ENGINE_FINISH_NONE) {
        bool ban = !request->ignore_stop_ids && length - prompt < request->min_output;
        struct sample_input input = {.sampling = &request->sampling,
                                     .prompt = tokens,
                                     .prompt_count = prompt,
                                     .output = tokens + prompt,
                                     .output_count = length - prompt,
                                     .banned = request->stop_ids,
                                     .banned_count = ban ? request->stop_id_count : 0};
        struct sample_output sampled;

        tiny_logits(row, tokens, length);
        assert_int_equal(sample_row(&sampled, row, &input, scratch, NULL), 0);
        out->chosen[out->count] = sampled.chosen;
        out->ids[out->count++] = sampled.id;
        tokens[length++] = sampled.id;
        if (is_stop(request, sampled.id))
            out->finish = ENGINE_FINISH_STOP;
        else if (length == context_max || length - prompt == request->max_output)
            out->finish = ENGINE_FINISH_LENGTH;
    }
    sample_scratch_free(scratch);
}

void counts_sum(struct engine_counts *sum, const struct engine_counts *counts)
{
    sum->input_computed += counts->input_computed;
    sum->input_cached += counts->input_cached;
    sum->output += counts->output;
    sum->recomputed += counts->recomputed;
}

bool counts_equal(const struct engine_counts *a, const struct engine_counts *b)
{
    return a->input_computed == b->input_computed && a->input_cached == b->input_cached &&
           a->output == b->output && a->recomputed == b->recomputed;
}

void rig_check_counters(const struct rig *rig, const struct engine_counts *released)
{
    struct engine_counts sum = *released;
    struct counters_view view;
    struct err err = {0};

    if (counters_read(&view, rig->counters_path, &err) < 0)
        fail_msg("counters_read: %s", err.message);
    for (int i = 0; i < view.row_count; i++)
        counts_sum(&sum, &view.rows[i].counts);
    assert_true(counts_equal(&sum, &view.total));
    counters_view_fini(&view);
}

struct engine_stats rig_stats(const struct rig *rig)
{
    struct engine_stats stats;

    engine_stats(rig->engine, &stats);
    return stats;
}
