/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step thread: owns the engine, takes commands from the loop, gives events back.
 *
 *     loop:         submit, cancel, release -> command queue ->  step thread: engine_step
 *                   on_events <- waker <- ring of batches    <-
 *
 * The ring is fixed: when the loop is behind by RUNNER_BATCHES steps, the step thread waits for it.
 * All functions are called on the loop's thread, and all callbacks run there.
 */
#ifndef SPATE_AGENT_RUNNER_H
#define SPATE_AGENT_RUNNER_H

#include "base/err.h"
#include "base/loop.h"
#include "engine/engine.h"

struct runner;

enum { RUNNER_BATCHES = 8 };

struct runner_handler {
    void (*on_ready)(void *user, const struct engine_plan *plan);
    /* The engine can not be opened, or broke in a step. Nothing follows. */
    void (*on_failed)(void *user, const struct err *err);
    void (*on_events)(void *user, const struct engine_event *events, int count);
    /* engine_submit refused: -ERR_BUSY or -ERR_INVALID, before any event of the handle. */
    void (*on_refused)(void *user, uint64_t handle, int code, const struct err *err);
};

/* Copies the configuration and its texts. Loading begins at once, on the step thread. */
int runner_start(struct runner **out, struct loop *loop, const struct engine_config *config,
                 const struct runner_handler *handler, void *user, struct err *err);
/* Ends the thread after its current step and closes the engine. No callback runs afterwards. NULL
 * is allowed. */
void runner_stop(struct runner *r);

/* Copies everything that the request points to. -ERR_BUSY or -ERR_NO_MEMORY. */
int runner_submit(struct runner *r, const struct engine_request *request, struct err *err);
/* Cannot fail. */
void runner_cancel(struct runner *r, uint64_t handle);
void runner_release(struct runner *r, uint64_t handle);

void runner_progress(const struct runner *r, uint64_t *bytes_done, uint64_t *bytes_total);
/* As of the last step. */
void runner_stats(struct runner *r, struct engine_stats *out);

#endif
