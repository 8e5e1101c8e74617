/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine against transformers: every model folder under tests/parity/data, teacher-forced, its
 * logits compared with the golden ones at each stored position. Both kernels must pass; limits are
 * those of the design (error energy over signal energy). `test_parity FOLDER` reads another folder.
 */
#include "cmocka_plain.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/load/safetensors.h"
#include "engine/model.h"

enum { CHUNK = 200, FOLDERS_MAX = 64 };

static const struct {
    const char *name;
    enum engine_isa isa;
    double nmse_max;
} limits[] = {
    {"scalar", ENGINE_ISA_SCALAR, 1e-10},
    {"auto", ENGINE_ISA_AUTO, 1e-7},
};

static const char *data_folder = SPATE_SOURCE_DIR "/tests/parity/data";

struct golden {
    struct file_map map;
    struct safetensors *file;
    const int32_t *ids;
    int id_count;
    const int32_t *positions;
    int position_count;
    const float *logits; /* [position_count][vocab_rows] */
    int vocab_rows;
};

static const struct tensor *need(const struct golden *g, const char *name, enum tensor_type type,
                                 int dim_count)
{
    const struct tensor *t = safetensors_find(g->file, str_of(name));

    assert_non_null(t);
    assert_int_equal(t->type, type);
    assert_int_equal(t->dim_count, dim_count);
    assert_int_equal((uintptr_t)t->data % 4, 0);
    return t;
}

static void golden_open(struct golden *g, const char *folder)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "golden.safetensors");
    const struct tensor *ids, *positions, *logits;
    struct err err = {0};

    *g = (struct golden){0};
    if (file_map_open(&g->map, path, &err) < 0 ||
        safetensors_read(&g->file, g->map.ptr, g->map.size, path, &err) < 0)
        fail_msg("%s", err.message);
    ids = need(g, "ids", TENSOR_I32, 1);
    positions = need(g, "positions", TENSOR_I32, 1);
    logits = need(g, "logits", TENSOR_F32, 2);
    g->ids = (const int32_t *)(const void *)ids->data;
    g->id_count = (int)ids->shape[0];
    g->positions = (const int32_t *)(const void *)positions->data;
    g->position_count = (int)positions->shape[0];
    g->logits = (const float *)(const void *)logits->data;
    g->vocab_rows = (int)logits->shape[1];
    assert_int_equal(logits->shape[0], positions->shape[0]);
}

static void golden_close(struct golden *g)
{
    safetensors_free(g->file);
    file_map_close(&g->map);
}

static double nmse(const float *actual, const float *expected, int count)
{
    double error = 0, energy = 0;

    for (int i = 0; i < count; i++) {
        double difference = (double)actual[i] - (double)expected[i];

        error += difference * difference;
        energy += (double)expected[i] * (double)expected[i];
    }
    return error / energy;
}

/* Feeds the ids in chunks and returns the worst error over the stored positions. */
static double run(struct model *m, const struct golden *g)
{
    int blocks = (g->id_count + KV_BLOCK_TOKENS - 1) / KV_BLOCK_TOKENS;
    CLEANUP(mem_freep) int32_t *table = mem_array((size_t)blocks, sizeof(*table));
    CLEANUP(mem_freep) float *logits =
        mem_array((size_t)CHUNK * (size_t)g->vocab_rows, sizeof(*logits));
    double worst = 0;
    int next = 0;

    assert_true(table != NULL && logits != NULL);
    for (int i = 0; i < blocks; i++)
        table[i] = blocks - 1 - i; /* any order will do */
    for (int from = 0; from < g->id_count; from += CHUNK) {
        int count = g->id_count - from < CHUNK ? g->id_count - from : CHUNK;
        const struct batch_seq seq = {0, count, from, table, -1};
        const struct batch batch = {g->ids + from, count, &seq, 1};
        struct err err = {0};

        if (model_forward_all(m, &batch, logits, &err) < 0)
            fail_msg("%s", err.message);
        for (; next < g->position_count && g->positions[next] < from + count; next++) {
            const float *row = logits + (size_t)(g->positions[next] - from) * (size_t)g->vocab_rows;
            double error =
                nmse(row, g->logits + (size_t)next * (size_t)g->vocab_rows, g->vocab_rows);

            worst = error > worst ? error : worst;
        }
    }
    assert_int_equal(next, g->position_count);
    return worst;
}

/* A folder may hold its model as a GGUF file. */
static const char *model_path(const char *folder, char **owned)
{
    *owned = path_join(folder, "model.gguf");
    assert_non_null(*owned);
    return file_exists(*owned) ? *owned : folder;
}

static int check_folder(const char *folder, const char *name)
{
    CLEANUP(mem_freep) char *gguf = NULL;
    const char *path = model_path(folder, &gguf);
    struct golden g;
    int failures = 0;

    golden_open(&g, folder);
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        const struct model_options options = {
            .threads = 2,
            .isa = limits[i].isa,
            .batch_tokens_max = CHUNK,
            .logits_rows_max = 1,
            .kv_blocks = g.id_count / KV_BLOCK_TOKENS + 1,
        };
        struct model *m = NULL;
        struct err err = {0};
        double worst;

        if (model_open(&m, path, &options, NULL, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(model_info_of(m)->vocab_rows, g.vocab_rows);
        worst = run(m, &g);
        print_message("%-28s %-7s up to position %5d: NMSE %.2e (limit %.0e)\n", name,
                      model_info_of(m)->isa, g.positions[g.position_count - 1], worst,
                      limits[i].nmse_max);
        failures += !(worst <= limits[i].nmse_max);
        model_close(m);
    }
    golden_close(&g);
    return failures;
}

static int is_model_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strchr(entry->d_name, '.') == NULL;
}

static void logits_match_the_reference(void **state)
{
    struct dirent **entries = NULL;
    int count = scandir(data_folder, &entries, is_model_folder, alphasort);
    int failures = 0;

    (void)state;
    assert_in_range(count, 1, FOLDERS_MAX);
    for (int i = 0; i < count; i++) {
        CLEANUP(mem_freep) char *folder = path_join(data_folder, entries[i]->d_name);

        failures += check_folder(folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_match_the_reference)};

    if (argc > 1)
        data_folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
