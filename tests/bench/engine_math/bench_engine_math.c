/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a model runs, and how fast it could: tokens/s of decode (1, 4 and 16 sequences) and of
 * prefill, with the bytes of weights that a step reads, as a share of the read bandwidth that the
 * same threads reach in a plain loop, measured before and after. The best of a few rounds counts:
 * other processes on the machine only ever slow things down.
 *
 *     bench_engine_math --model PATH [--threads N] [--isa NAME] [--context N]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "base/err.h"
#include "base/mem.h"
#include "engine/load/weights.h"
#include "engine/model.h"
#include "tests/bench/common/bench.h"

enum {
    PREFILL_TOKENS = 512,
    CHUNK_TOKENS = 256,
    SEQS_MAX = 16,
    ROUNDS = 5,
    ROUND_MS = 400,
    SWEEP_BYTES = 256 << 20, /* far beyond any cache */
    SWEEPS = 4,
    THREADS_MAX = 64,
};

struct settings {
    bool json;
    struct arg_list models;
    int64_t threads;
    int64_t context;
    const char *isa;
};

static const char *const isa_names[] = {"auto", "scalar", "avx2", NULL};

static const struct arg_option options[] = {
    BENCH_OPTION_JSON(struct settings),
    {"model", 'm', ARG_LIST, offsetof(struct settings, models), "PATH", NULL,
     "folder or GGUF file of a model; may be given more than once"},
    {"threads", 't', ARG_INT, offsetof(struct settings, threads), "N", "2", "threads", .min = 1,
     .max = THREADS_MAX},
    {"isa", 0, ARG_TEXT, offsetof(struct settings, isa), "NAME", "auto",
     "kernels: auto, scalar or avx2", .choices = isa_names},
    {"context", 'c', ARG_INT, offsetof(struct settings, context), "TOKENS", "0",
     "tokens of each sequence before the measured ones", .min = 0, .max = 1 << 20},
};

static const struct arg_command command = {
    .name = "bench_engine_math",
    .summary = "Measures decode and prefill beside the memory bandwidth.",
    .usage = "[options] --model PATH",
    .examples = "bench_engine_math --model models/brook\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static double now_s(void)
{
    return bench_now_ms() / 1000;
}

/* One thread's part of the bandwidth loop: adds up its share of the memory. */
struct sweep {
    const uint64_t *from;
    size_t count;
    uint64_t sum;
};

static void *sweep_main(void *arg)
{
    struct sweep *s = arg;
    uint64_t sums[8] = {0};

    for (int round = 0; round < SWEEPS; round++) {
        for (size_t i = 0; i + 8 <= s->count; i += 8) {
            for (int k = 0; k < 8; k++)
                sums[k] += s->from[i + (size_t)k];
        }
    }
    for (int k = 0; k < 8; k++)
        s->sum += sums[k];
    return NULL;
}

/* Bytes per second that `threads` threads read. */
static double read_bandwidth(int threads)
{
    CLEANUP(mem_freep) uint64_t *memory = mem_alloc(SWEEP_BYTES);
    struct sweep sweeps[THREADS_MAX] = {{0}};
    pthread_t ids[THREADS_MAX];
    size_t share = SWEEP_BYTES / sizeof(*memory) / (size_t)threads;
    double start;

    if (memory == NULL)
        return 0;
    memset(memory, 1, SWEEP_BYTES);
    start = now_s();
    for (int i = 0; i < threads; i++) {
        sweeps[i] = (struct sweep){memory + (size_t)i * share, share, 0};
        if (pthread_create(&ids[i], NULL, sweep_main, &sweeps[i]) != 0)
            return 0;
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return (double)SWEEPS * (double)share * sizeof(*memory) * threads / (now_s() - start);
}

struct run {
    struct bench bench;
    const char *name; /* of the model */
    struct model *model;
    int context; /* tokens before the measured ones */
    int blocks_each;
    int32_t *tables; /* [SEQS_MAX][blocks_each] */
    int32_t tokens[CHUNK_TOKENS];
    float *logits;
};

static void forward(struct run *b, const struct batch *batch)
{
    struct err err = {0};

    if (model_forward(b->model, batch, b->logits, &err) < 0) {
        fprintf(stderr, "bench_engine_math: %s\n", err.message);
        exit(1);
    }
}

static void prefill(struct run *b, int seq_index, int from, int count)
{
    for (int done = 0; done < count; done += CHUNK_TOKENS) {
        int part = count - done < CHUNK_TOKENS ? count - done : CHUNK_TOKENS;
        const struct batch_seq seq = {0, part, from + done, b->tables + seq_index * b->blocks_each,
                                      done + part == count ? 0 : -1};

        forward(b, &(struct batch){b->tokens, part, &seq, 1});
    }
}

/* Tokens per second of decode steps of `seq_count` sequences, best round. */
static double decode(struct run *b, int seq_count)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double start = now_s();
        int steps = 0;

        do {
            struct batch_seq seqs[SEQS_MAX];

            for (int i = 0; i < seq_count; i++)
                seqs[i] = (struct batch_seq){i, 1, b->context + steps % KV_BLOCK_TOKENS,
                                             b->tables + i * b->blocks_each, i};
            forward(b, &(struct batch){b->tokens, seq_count, seqs, seq_count});
            steps++;
        } while (now_s() - start < ROUND_MS / 1000.0);
        if (steps * seq_count / (now_s() - start) > best)
            best = steps * seq_count / (now_s() - start);
    }
    return best;
}

static double prefill_rate(struct run *b)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double start = now_s();
        int tokens = 0;

        do {
            prefill(b, 0, b->context, PREFILL_TOKENS);
            tokens += PREFILL_TOKENS;
        } while (now_s() - start < ROUND_MS / 1000.0);
        if (tokens / (now_s() - start) > best)
            best = tokens / (now_s() - start);
    }
    return best;
}

/* Bytes of weights that a step reads: all, but of an embedding that is not the head as well only
 * the rows that are looked up. */
static double step_bytes(const char *path)
{
    CLEANUP(weights_closep) struct weights *w = NULL;
    const struct model_config *c;
    struct tensor embedding = {0};

    if (weights_open(&w, path, NULL) < 0)
        return 0;
    c = weights_config(w);
    if (!c->tied)
        (void)weights_take(w, "model.embed_tokens.weight", 2,
                           (const int64_t[]){c->vocab_rows, c->hidden}, &embedding, NULL);
    return (double)(weights_resident_bytes(w) - embedding.size);
}

static void report(const struct run *b, const char *what, double rate, const char *aim,
                   const char *workload)
{
    char text[160];

    snprintf(text, sizeof(text), "%s, %s", what, b->name);
    bench_report(
        &b->bench,
        &(struct bench_figure){
            .what = text, .value = rate, .unit = "tokens/s", .workload = workload, .aim = aim});
}

/* Decode of one sequence is bound by the memory: its share of what the loop reads. */
static void report_share(const struct run *b, double rate, double bytes, double before,
                         double after)
{
    double bandwidth = before > after ? before : after;
    char text[160];
    char workload[160];

    snprintf(text, sizeof(text), "decode 1, weights read, %s", b->name);
    snprintf(workload, sizeof(workload),
             "read bandwidth %.1f GB/s before, %.1f after; %.0f %% of the better", before / 1e9,
             after / 1e9, 100 * bytes * rate / bandwidth);
    bench_report(&b->bench, &(struct bench_figure){.what = text,
                                                   .value = bytes * rate / 1e9,
                                                   .unit = "GB/s",
                                                   .workload = workload,
                                                   .aim = ">= 90 % of the read bandwidth",
                                                   .peer = "plain read loop",
                                                   .peer_value = bandwidth / 1e9});
}

static void run_all(struct run *b, const char *path, int threads)
{
    const struct model_info *info = model_info_of(b->model);
    double bytes = step_bytes(path);
    double before = read_bandwidth(threads);
    double single = 0;
    char workload[256];

    snprintf(workload, sizeof(workload),
             "%s, %d layers, %.1f MB of weights, kernels %s, %d threads, context %d, best of %d",
             info->architecture, info->layers, (double)info->weights_bytes / 1e6, info->isa,
             threads, b->context, ROUNDS);
    for (int seqs = 1; seqs <= SEQS_MAX; seqs *= 4) {
        double rate = decode(b, seqs);
        char what[32];

        if (seqs == 1)
            single = rate;
        snprintf(what, sizeof(what), "decode %d", seqs);
        report(b, what, rate, NULL, workload);
    }
    report(b, "prefill 512", prefill_rate(b), NULL, workload);
    report_share(b, single, bytes, before, read_bandwidth(threads));
}

static enum engine_isa parse_isa(const char *name)
{
    if (strcmp(name, "scalar") == 0)
        return ENGINE_ISA_SCALAR;
    return strcmp(name, "avx2") == 0 ? ENGINE_ISA_AVX2 : ENGINE_ISA_AUTO;
}

static int run_model(const struct bench *bench, const struct settings *settings, const char *path,
                     struct err *err)
{
    const char *slash = strrchr(path, '/');
    struct run b = {
        .bench = *bench,
        .name = slash == NULL ? path : slash + 1,
        .context = (int)settings->context,
        .blocks_each = (int)(settings->context + PREFILL_TOKENS) / KV_BLOCK_TOKENS + 1,
    };
    struct model_options model_options = {
        .threads = (int)settings->threads,
        .isa = parse_isa(settings->isa),
        .batch_tokens_max = CHUNK_TOKENS,
        .logits_rows_max = SEQS_MAX,
        .kv_blocks = b.blocks_each * SEQS_MAX,
    };
    double start = bench_now_ms();
    char what[160];
    int r = 0;

    if (model_open(&b.model, path, &model_options, NULL, err) < 0)
        return -ERR_IO;
    snprintf(what, sizeof(what), "opening, %s", b.name);
    bench_report(&b.bench, &(struct bench_figure){
                               .what = what, .value = bench_now_ms() - start, .unit = "ms"});
    b.tables = mem_array((size_t)model_options.kv_blocks, sizeof(*b.tables));
    b.logits =
        mem_array((size_t)SEQS_MAX * (size_t)model_info_of(b.model)->vocab_rows, sizeof(*b.logits));
    if (b.tables != NULL && b.logits != NULL) {
        for (int i = 0; i < model_options.kv_blocks; i++)
            b.tables[i] = i;
        for (int i = 0; b.context > 0 && i < SEQS_MAX; i++)
            prefill(&b, i, 0, b.context);
        run_all(&b, path, model_options.threads);
    }
    if (b.tables == NULL || b.logits == NULL)
        r = err_no_memory(err);
    model_close(b.model);
    mem_free(b.tables);
    mem_free(b.logits);
    return r;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct bench bench = {.name = "engine_math"};
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!bench_parse(&command, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    if (settings.models.count == 0) {
        (void)err_set(&err, ERR_INVALID, "no model given; name one: --model models/brook");
        return bench_fail(&bench, &err);
    }
    bench.json = settings.json;
    bench_begin(&bench);
    for (int i = 0; i < settings.models.count; i++) {
        if (run_model(&bench, &settings, settings.models.items[i], &err) < 0)
            return bench_fail(&bench, &err);
    }
    return 0;
}
