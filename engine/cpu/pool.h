/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads that work on one loop at a time. pool_run hands out task numbers until all are
 * done; the caller works too. Between loops a worker spins for POOL_SPIN_US (the next operation of
 * the same step follows within microseconds), then sleeps: cores are shared with other processes.
 *
 * Which thread runs which task is left to chance, so tasks must not depend on it.
 */
#ifndef SPATE_ENGINE_CPU_POOL_H
#define SPATE_ENGINE_CPU_POOL_H

#include "base/err.h"

enum { POOL_SPIN_US = 50, POOL_THREADS_MAX = 256 };

struct pool;
typedef void pool_task(void *arg, int task);

/* `threads` counts the caller of pool_run: 1 makes no thread. The caller owns *out. */
int pool_open(struct pool **out, int threads, struct err *err);
void pool_close(struct pool *p); /* NULL is allowed */

int pool_threads(const struct pool *p);

/* Runs task(arg, 0) ... task(arg, count - 1), each once; returns when all are done. From one thread
 * at a time. */
void pool_run(struct pool *p, pool_task *task, void *arg, int count);

#endif
