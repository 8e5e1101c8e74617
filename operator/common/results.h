/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of commands on their way back to the handler: told at the end of the loop's turn, never
 * inside the command. What all platforms with a loop share. Loop thread.
 */
#ifndef SPATE_OPERATOR_COMMON_RESULTS_H
#define SPATE_OPERATOR_COMMON_RESULTS_H

#include "base/loop.h"
#include "operator/platform.h"

struct results {
    struct loop *loop;
    const struct platform *platform;
    struct result_entry *first, *last; /* private */
    struct loop_deferred later;
    bool closed;
};

void results_init(struct results *results, struct loop *loop, const struct platform *platform);
/* err counts if code is negative; version may be empty. Both are copied. */
void results_add(struct results *results, uint64_t ticket, int code, const struct err *err,
                 struct str version);
/* Those that wait are never told, as when leadership is over. */
void results_drop(struct results *results);
/* Nothing is told any more. Harmless if it was never begun. */
void results_close(struct results *results);

#endif
