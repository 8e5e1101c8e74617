/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend: choice of kernels, memory, threads. The operations are in cpu_*.c. */
#include "engine/cpu/backend_cpu.h"

#include <sched.h>
#include <string.h>

#include "base/mem.h"
#include "engine/cpu/cpu.h"

enum { CACHE_LINE = 64 };

static bool has_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
#else
    return false;
#endif
}

static int choose_kernels(enum engine_isa isa, const struct kernels **out, struct err *err)
{
    switch (isa) {
    case ENGINE_ISA_SCALAR:
        *out = &kernels_scalar;
        return 0;
    case ENGINE_ISA_AUTO:
    case ENGINE_ISA_AVX2:
        break;
    default:
        return err_set(err, ERR_INVALID, "no such instruction set: %d", (int)isa);
    }
#if defined(__x86_64__)
    if (has_avx2()) {
        *out = &kernels_avx2;
        return 0;
    }
#endif
    if (isa == ENGINE_ISA_AVX2)
        return err_set(err, ERR_UNSUPPORTED,
                       "this processor has no AVX2 with FMA and F16C; use scalar or auto");
    *out = &kernels_scalar;
    return 0;
}

int backend_cpu_isa(enum engine_isa isa, const char **name, struct err *err)
{
    const struct kernels *kernels = NULL;
    int r = choose_kernels(isa, &kernels, err);

    if (r == 0)
        *name = kernels->name;
    return r;
}

static int usable_cores(void)
{
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    count = CPU_COUNT(&set);
    return count < POOL_THREADS_MAX ? count : POOL_THREADS_MAX;
}

uint64_t backend_kv_block_bytes(const struct backend_shape *shape)
{
    return (uint64_t)shape->layers * 2 * (uint64_t)shape->kv_heads * (uint64_t)shape->head_dim *
           KV_BLOCK_TOKENS * sizeof(float);
}

/* Of each token of a batch. */
struct token_sizes {
    size_t angles; /* cosines; and as much again for sines */
    size_t softmax;
    size_t tile;
};

static struct token_sizes token_sizes_of(const struct backend_shape *shape)
{
    return (struct token_sizes){
        .angles = (size_t)shape->head_dim / 2 * sizeof(float),
        .softmax = (size_t)shape->heads * sizeof(struct softmax),
        .tile = sizeof(struct cpu_tile),
    };
}

uint64_t backend_token_bytes(const struct backend_shape *shape)
{
    struct token_sizes sizes = token_sizes_of(shape);

    return 2 * sizes.angles + sizes.softmax + sizes.tile;
}

float *cpu_kv_at(const struct cpu *c, int layer, int block, int part, int kv_head)
{
    size_t place = (size_t)layer * (size_t)c->kv_blocks + (size_t)block;

    place = (place * 2 + (size_t)part) * (size_t)c->kv_heads + (size_t)kv_head;
    return c->kv + place * (size_t)c->head_dim * KV_BLOCK_TOKENS;
}

void cpu_run(struct cpu *c, pool_task *task, void *arg, int count, int64_t work)
{
    if (work >= CPU_INLINE_WORK) {
        pool_run(c->pool, task, arg, count);
        return;
    }
    for (int i = 0; i < count; i++)
        task(arg, i);
}

/* Zeroed memory that starts at a cache line and lives as long as the backend. */
static void *own(struct cpu *c, size_t count, size_t size)
{
    size_t bytes;
    uintptr_t start;

    if (c->owned_count == CPU_BUFFERS_MAX || __builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, CACHE_LINE, &bytes))
        return NULL;
    start = (uintptr_t)(c->owned[c->owned_count] = mem_alloc(bytes));
    if (start == 0)
        return NULL;
    c->owned_count++;
    return (void *)((start + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
}

static float *cpu_buffer(struct backend *b, size_t count)
{
    return own((struct cpu *)b, count, sizeof(float));
}

/* Weights are read where they lie. */
static int cpu_weight(struct backend *b, const struct tensor *from, struct matrix *out,
                      struct err *err)
{
    (void)b;
    (void)err;
    *out = (struct matrix){
        .type = from->type,
        .rows = (int)from->shape[0],
        .columns = (int)from->shape[1],
        .data = from->data,
    };
    return 0;
}

static void cpu_close(struct backend *b)
{
    struct cpu *c = (struct cpu *)b;

    pool_close(c->pool);
    for (int i = 0; i < c->owned_count; i++)
        mem_free(c->owned[i]);
    mem_free(c);
}

static const struct backend_ops cpu_ops = {
    .close = cpu_close,
    .weight = cpu_weight,
    .buffer = cpu_buffer,
    .begin = cpu_begin,
    .embed = cpu_embed,
    .norm = cpu_norm,
    .linear = cpu_linear,
    .rotate_and_store = cpu_rotate_and_store,
    .attend = cpu_attend,
    .silu_mul = cpu_silu_mul,
    .gather = cpu_gather,
};

static int allocate(struct cpu *c, const struct backend_shape *shape, struct err *err)
{
    size_t tokens = (size_t)shape->batch_tokens_max;
    size_t half = (size_t)shape->head_dim / 2;
    struct token_sizes sizes = token_sizes_of(shape);

    c->frequencies = own(c, half, sizeof(float));
    c->cosines = own(c, tokens, sizes.angles);
    c->sines = own(c, tokens, sizes.angles);
    c->softmax = own(c, tokens, sizes.softmax);
    c->tiles = own(c, tokens, sizes.tile);
    if (c->frequencies == NULL || c->cosines == NULL || c->sines == NULL || c->softmax == NULL ||
        c->tiles == NULL)
        return err_no_memory(err);
    c->kv = own(c, (size_t)shape->kv_blocks, backend_kv_block_bytes(shape));
    if (c->kv == NULL)
        return err_set(err, ERR_NO_MEMORY, "no memory for %d KV blocks of %llu bytes; take fewer",
                       shape->kv_blocks, (unsigned long long)backend_kv_block_bytes(shape));
    memcpy(c->frequencies, shape->rope_frequencies, half * sizeof(float));
    return 0;
}

static int open_parts(struct cpu *c, const struct backend_shape *shape, int threads,
                      enum engine_isa isa, struct err *err)
{
    int r = choose_kernels(isa, &c->kernels, err);

    if (r < 0)
        return r;
    c->base = (struct backend){.ops = &cpu_ops, .isa = c->kernels->name};
    c->heads = shape->heads;
    c->kv_heads = shape->kv_heads;
    c->head_dim = shape->head_dim;
    c->kv_blocks = shape->kv_blocks;
    r = allocate(c, shape, err);
    if (r < 0)
        return r;
    return pool_open(&c->pool, threads == 0 ? usable_cores() : threads, err);
}

int backend_cpu_open(struct backend **out, const struct backend_shape *shape, int threads,
                     enum engine_isa isa, struct err *err)
{
    struct cpu *c = mem_alloc(sizeof(*c));
    int r;

    if (c == NULL)
        return err_no_memory(err);
    r = open_parts(c, shape, threads, isa, err);
    if (r < 0) {
        cpu_close(&c->base);
        return r;
    }
    *out = &c->base;
    return 0;
}
