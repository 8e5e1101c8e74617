/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the scheduler: an engine over the toy model in a folder of its own, a caller that
 * keeps what each request got, and an oracle that says what it should have got.
 */
#ifndef SPATE_TESTS_ENGINE_RIG_H
#define SPATE_TESTS_ENGINE_RIG_H

#include <stdbool.h>

#include "engine/counters.h"
#include "engine/engine.h"
#include "tiny_model.h"

enum { RIG_TOKENS_MAX = 512, RIG_EVENTS_MAX = 600 };

/* What a request got so far. */
struct rig_answer {
    int32_t ids[RIG_TOKENS_MAX];
    struct engine_logprob chosen[RIG_TOKENS_MAX];
    int count;
    int first_position;
    int cached_tokens;
    enum engine_finish finish;
    struct engine_counts counts;
};

struct rig {
    char folder[64];
    char counters_path[96];
    struct engine *engine;
    struct engine_event events[RIG_EVENTS_MAX];
};

/* Opens; the config's model and counter paths are filled in. Fails the test on errors. */
void rig_open(struct rig *rig, const struct engine_config *config);
void rig_close(struct rig *rig); /* removes the folder */

/* A greedy request over `prompt`, nothing else set. */
struct engine_request rig_request(uint64_t handle, const int32_t *prompt, int prompt_count);
void rig_fill(int32_t *tokens, int count, uint32_t seed); /* ids 0 .. TINY_VOCAB-1 */

/* One step; answers[handle] collects. Returns the number of events; fails the test on errors. */
int rig_step(struct rig *rig, struct rig_answer *answers, bool *idle);
/* Steps until idle. */
void rig_run(struct rig *rig, struct rig_answer *answers);

/* What the request must get, by the oracle: tokens after the given output, and the finish. */
void rig_expect(struct rig_answer *out, const struct engine_request *request, int context_max);

/* Reads the counter file and checks that totals = sum of rows + `released`. */
void rig_check_counters(const struct rig *rig, const struct engine_counts *released);
struct engine_stats rig_stats(const struct rig *rig);
void counts_sum(struct engine_counts *sum, const struct engine_counts *counts);
bool counts_equal(const struct engine_counts *a, const struct engine_counts *b);

#endif
