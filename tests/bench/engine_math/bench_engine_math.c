/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a model runs, and how fast it could: tokens/s of decode (1, 4 and 16 sequences) and of
 * prefill, with the bytes of weights that a step reads, as a share of the read bandwidth that the
 * same threads reach in a plain loop, measured before and after. The best of a few rounds counts:
 * other processes on the machine only ever slow things down.
 *
 *     bench_engine_math MODEL [threads [isa [context]]]
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pthread.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/load/weights.h"
#include "engine/model.h"

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

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
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

struct bench {
    struct model *model;
    int context; /* tokens before the measured ones */
    int blocks_each;
    int32_t *tables; /* [SEQS_MAX][blocks_each] */
    int32_t tokens[CHUNK_TOKENS];
    float *logits;
};

static void forward(struct bench *b, const struct batch *batch)
{
    struct err err = {0};

    if (model_forward(b->model, batch, b->logits, &err) < 0) {
        fprintf(stderr, "bench_engine_math: %s\n", err.message);
        exit(1);
    }
}

static void prefill(struct bench *b, int seq_index, int from, int count)
{
    for (int done = 0; done < count; done += CHUNK_TOKENS) {
        int part = count - done < CHUNK_TOKENS ? count - done : CHUNK_TOKENS;
        const struct batch_seq seq = {0, part, from + done, b->tables + seq_index * b->blocks_each,
                                      done + part == count ? 0 : -1};

        forward(b, &(struct batch){b->tokens, part, &seq, 1});
    }
}

/* Tokens per second of decode steps of `seq_count` sequences, best round. */
static double decode(struct bench *b, int seq_count)
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

static double prefill_rate(struct bench *b)
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

static void run_all(struct bench *b, const char *path, int threads)
{
    const struct model_info *info = model_info_of(b->model);
    double bandwidth = read_bandwidth(threads);
    double bytes = step_bytes(path);
    double after;

    printf("%s, %d layers, %.1f MB of weights, kernels %s, %d threads, context %d\n",
           info->architecture, info->layers, (double)info->weights_bytes / 1e6, info->isa, threads,
           b->context);
    for (int seqs = 1; seqs <= SEQS_MAX; seqs *= 4) {
        double rate = decode(b, seqs);
        printf("decode %2d: %8.1f tokens/s  %6.2f GB/s of weights\n", seqs, rate,
               bytes * rate / seqs / 1e9);
    }
    printf("prefill %d: %6.1f tokens/s\n", PREFILL_TOKENS, prefill_rate(b));
    after = read_bandwidth(threads);
    printf("read bandwidth: %.1f GB/s before, %.1f after; decode 1 reaches %.0f %% of the better\n",
           bandwidth / 1e9, after / 1e9,
           100 * bytes * decode(b, 1) / (bandwidth > after ? bandwidth : after));
}

static enum engine_isa parse_isa(const char *name)
{
    if (strcmp(name, "scalar") == 0)
        return ENGINE_ISA_SCALAR;
    return strcmp(name, "avx2") == 0 ? ENGINE_ISA_AVX2 : ENGINE_ISA_AUTO;
}

/* The number of argument `index`, or `otherwise`. */
static int number(int argc, char **argv, int index, int otherwise)
{
    int64_t value;

    if (argc <= index || !str_to_i64(str_of(argv[index]), &value) || value < 0 || value > INT_MAX)
        return otherwise;
    return (int)value;
}

int main(int argc, char **argv)
{
    struct bench b = {.context = number(argc, argv, 4, 0)};
    int threads = number(argc, argv, 2, 2);
    struct model_options options = {
        .threads = threads,
        .isa = parse_isa(argc > 3 ? argv[3] : "auto"),
        .batch_tokens_max = CHUNK_TOKENS,
        .logits_rows_max = SEQS_MAX,
    };
    struct err err = {0};
    double start;

    if (argc < 2 || threads < 1 || threads > THREADS_MAX || b.context < 0) {
        fprintf(stderr, "usage: bench_engine_math MODEL [threads [isa [context]]]\n");
        return 2;
    }
    b.blocks_each = (b.context + PREFILL_TOKENS) / KV_BLOCK_TOKENS + 1;
    options.kv_blocks = b.blocks_each * SEQS_MAX;
    start = now_s();
    if (model_open(&b.model, argv[1], &options, NULL, &err) < 0) {
        fprintf(stderr, "bench_engine_math: %s\n", err.message);
        return 1;
    }
    printf("opened in %.1f ms\n", (now_s() - start) * 1e3);
    b.tables = mem_array((size_t)options.kv_blocks, sizeof(*b.tables));
    b.logits =
        mem_array((size_t)SEQS_MAX * (size_t)model_info_of(b.model)->vocab_rows, sizeof(*b.logits));
    if (b.tables == NULL || b.logits == NULL)
        return 1;
    for (int i = 0; i < options.kv_blocks; i++)
        b.tables[i] = i;
    for (int i = 0; b.context > 0 && i < SEQS_MAX; i++)
        prefill(&b, i, 0, b.context);
    run_all(&b, argv[1], threads);
    model_close(b.model);
    mem_free(b.tables);
    mem_free(b.logits);
    return 0;
}
