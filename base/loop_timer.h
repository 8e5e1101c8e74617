/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the loop: what loop.c and loop_timer.c share. */
#ifndef SPATE_BASE_LOOP_TIMER_H
#define SPATE_BASE_LOOP_TIMER_H

#include "base/loop.h"

/* Runs the timers that are due now; those started meanwhile wait for the next call. */
void loop_timers_run(struct loop *loop);
/* The callback of the one libuv timer that stands for all of them. */
void loop_timers_fire(uv_timer_t *handle);

#endif
