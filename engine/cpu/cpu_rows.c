/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the CPU backend on whole rows: products with weights, norms, activation, copies. */
#include <string.h>

#include "engine/cpu/cpu.h"

enum { TASKS_PER_THREAD = 4, TASK_ROWS_STEP = 4 };

struct linear_args {
    const struct cpu *c;
    const struct linear *jobs;
    int job_count;
    const float *x;
    int count;
    int64_t task_rows; /* of all jobs, one after the other */
};

/* A task is a range of the rows of all matrices, laid end to end. */
static void linear_task(void *arg, int task)
{
    const struct linear_args *a = arg;
    int64_t from = task * a->task_rows;
    int64_t to = from + a->task_rows;

    for (int i = 0; i < a->job_count && to > 0; i++) {
        int64_t rows = a->jobs[i].weight->rows;

        if (from < rows)
            a->c->kernels->linear(&a->jobs[i], a->x, a->count, (int)(from > 0 ? from : 0),
                                  (int)(to < rows ? to : rows));
        from -= rows;
        to -= rows;
    }
}

void cpu_linear(struct backend *b, const struct linear *jobs, int job_count, const float *x,
                int count)
{
    struct cpu *c = (struct cpu *)b;
    struct linear_args args = {c, jobs, job_count, x, count, 0};
    int64_t rows = 0;
    int64_t tasks = (int64_t)pool_threads(c->pool) * TASKS_PER_THREAD;

    for (int i = 0; i < job_count; i++)
        rows += jobs[i].weight->rows;
    args.task_rows = (rows + tasks - 1) / tasks;
    args.task_rows = (args.task_rows + TASK_ROWS_STEP - 1) / TASK_ROWS_STEP * TASK_ROWS_STEP;
    tasks = (rows + args.task_rows - 1) / args.task_rows;
    cpu_run(c, linear_task, &args, (int)tasks, rows * jobs[0].weight->columns * count);
}

struct embed_args {
    float *out;
    const struct matrix *table;
    const int32_t *tokens;
};

static void embed_task(void *arg, int i)
{
    const struct embed_args *a = arg;
    size_t columns = (size_t)a->table->columns;
    const struct tensor whole = {
        .type = a->table->type,
        .data = a->table->data,
        .size = (size_t)a->table->rows * columns * tensor_type_bytes(a->table->type),
    };

    tensor_widen(&whole, (size_t)a->tokens[i] * columns, columns, a->out + (size_t)i * columns);
}

void cpu_embed(struct backend *b, float *out, const struct matrix *table, const int32_t *tokens,
               int count)
{
    struct embed_args args = {out, table, tokens};

    cpu_run((struct cpu *)b, embed_task, &args, count, (int64_t)count * table->columns);
}

struct norm_args {
    const struct cpu *c;
    float *out;
    const float *x;
    const float *weight;
    int width;
    float eps;
};

static void norm_task(void *arg, int i)
{
    const struct norm_args *a = arg;
    size_t at = (size_t)i * (size_t)a->width;

    a->c->kernels->norm(a->out + at, a->x + at, a->weight, a->width, a->eps);
}

void cpu_norm(struct backend *b, float *out, const float *x, const float *weight, int width,
              float eps, int count)
{
    struct cpu *c = (struct cpu *)b;
    struct norm_args args = {c, out, x, weight, width, eps};

    cpu_run(c, norm_task, &args, count, (int64_t)count * width);
}

enum { SILU_TASK_VALUES = 1 << 14 };

struct silu_args {
    const struct cpu *c;
    float *gate;
    const float *up;
    size_t count;
};

static void silu_task(void *arg, int task)
{
    const struct silu_args *a = arg;
    size_t from = (size_t)task * SILU_TASK_VALUES;
    size_t left = a->count - from;

    a->c->kernels->silu_mul(a->gate + from, a->up + from,
                            left < SILU_TASK_VALUES ? left : SILU_TASK_VALUES);
}

void cpu_silu_mul(struct backend *b, float *gate, const float *up, size_t count)
{
    struct cpu *c = (struct cpu *)b;
    struct silu_args args = {c, gate, up, count};
    size_t tasks = (count + SILU_TASK_VALUES - 1) / SILU_TASK_VALUES;

    cpu_run(c, silu_task, &args, (int)tasks, (int64_t)count * 8);
}

void cpu_gather(struct backend *b, float *out, const float *x, const int32_t *rows, int count,
                int width)
{
    (void)b;
    for (int i = 0; i < count; i++)
        memcpy(out + (size_t)i * (size_t)width, x + (size_t)rows[i] * (size_t)width,
               (size_t)width * sizeof(*out));
}
