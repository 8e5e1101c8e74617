/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greedy runs of a real model against those of transformers: the ids must be equal, except that a
 * run may leave the reference where the reference itself was torn (its two best within 0.125 nats),
 * and then to the second best. What follows such a place is not compared.
 *
 *     test_greedy [MODEL RUNS.json]      without arguments: the model that ships
 */
#include "cmocka_plain.h"

#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/model.h"

enum { CONTEXT = 2048, BLOCKS = CONTEXT / KV_BLOCK_TOKENS, RUNS_BYTES_MAX = 16 << 20 };

#define TORN_NATS 0.125

static const char *model_path = SPATE_SOURCE_DIR "/models/brook";
static const char *runs_path = SPATE_SOURCE_DIR "/tests/parity/data/brook-greedy.json";

struct session {
    struct model *model;
    int32_t table[BLOCKS];
    float *logits; /* [vocab_rows] */
    int position;
};

static void feed(struct session *s, const int32_t *tokens, int count)
{
    const struct batch_seq seq = {0, count, s->position, s->table, 0};
    struct err err = {0};

    assert_in_range(s->position + count, 1, CONTEXT);
    if (model_forward(s->model, &(struct batch){tokens, count, &seq, 1}, s->logits, &err) < 0)
        fail_msg("%s", err.message);
    s->position += count;
}

static int32_t best_id(const struct session *s)
{
    int32_t best = 0;

    for (int32_t id = 1; id < model_info_of(s->model)->vocab_size; id++)
        best = s->logits[id] > s->logits[best] ? id : best;
    return best;
}

static int64_t member(const json_t *object, const char *key)
{
    int64_t value = 0;

    assert_int_equal(json_get_i64(object, key, true, 0, INT32_MAX, &value, NULL), 0);
    return value;
}

/* Returns how many ids agreed; *torn is set where the run left the reference rightly. */
static int follow(struct session *s, const json_t *run, bool *torn)
{
    const json_t *prompt = json_object_get(run, "prompt_ids");
    const json_t *steps = json_object_get(run, "steps");
    int32_t tokens[CONTEXT];
    int count = (int)json_array_size(prompt);
    int agreed = 0;

    assert_in_range(count, 1, CONTEXT);
    for (int i = 0; i < count; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(prompt, (size_t)i));
    s->position = 0;
    feed(s, tokens, count);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        int32_t expected = (int32_t)member(step, "id");
        int32_t id = best_id(s);

        if (id != expected) {
            double gap = json_number_value(json_object_get(step, "gap"));

            if (gap > TORN_NATS || id != member(step, "second"))
                fail_msg("'%s': token %zu is %d where the reference has %d (by %g nats)",
                         json_string_value(json_object_get(run, "question")), i, id, expected, gap);
            *torn = true;
            return agreed;
        }
        agreed++;
        feed(s, &id, 1);
    }
    return agreed;
}

static void session_open(struct session *s, enum engine_isa isa)
{
    const struct model_options options = {.threads = 2,
                                          .isa = isa,
                                          .batch_tokens_max = CONTEXT,
                                          .logits_rows_max = 1,
                                          .kv_blocks = BLOCKS};
    struct err err = {0};

    if (model_open(&s->model, model_path, &options, NULL, &err) < 0)
        fail_msg("%s", err.message);
    for (int i = 0; i < BLOCKS; i++)
        s->table[i] = i;
    s->logits = mem_array((size_t)model_info_of(s->model)->vocab_rows, sizeof(float));
    assert_non_null(s->logits);
}

static void follow_all(enum engine_isa isa)
{
    const struct json_limits limits = {RUNS_BYTES_MAX, 8};
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *runs = NULL;
    struct session s = {0};
    struct err err = {0};
    int agreed = 0, torn_count = 0;

    buf_init(&text, RUNS_BYTES_MAX);
    if (file_read(runs_path, &text, &err) < 0 ||
        json_read(&runs, buf_str(&text), &limits, runs_path, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(json_array_size(runs) > 0);
    session_open(&s, isa);
    for (size_t i = 0; i < json_array_size(runs); i++) {
        bool torn = false;

        agreed += follow(&s, json_array_get(runs, i), &torn);
        torn_count += torn;
    }
    print_message("%s: %zu runs, %d tokens equal, %d runs left a torn reference\n",
                  model_info_of(s.model)->isa, json_array_size(runs), agreed, torn_count);
    assert_true(agreed > 0);
    model_close(s.model);
    mem_free(s.logits);
}

static void scalar_runs_equal_the_reference(void **state)
{
    (void)state;
    follow_all(ENGINE_ISA_SCALAR);
}

static void best_kernels_runs_equal_the_reference(void **state)
{
    (void)state;
    follow_all(ENGINE_ISA_AUTO);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_runs_equal_the_reference),
        cmocka_unit_test(best_kernels_runs_equal_the_reference),
    };

    if (argc == 3) {
        model_path = argv[1];
        runs_path = argv[2];
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
