/* SPDX-License-Identifier: Apache-2.0 */
/* The condition Ready alone: see ready.h. */
#include "operator/reconcile/ready.h"

#include <stdarg.h>
#include <stdio.h>

#include "operator/common/must.h"
#include "operator/reconcile/plain.h"

#define READY "Ready"

void ready_fini(struct ready *ready)
{
    mem_free(ready->reason);
    mem_free(ready->message);
    *ready = (struct ready){0};
}

void ready_read(struct ready *ready, int64_t generation, const struct crd_condition *conditions,
                int condition_count)
{
    ready_fini(ready);
    ready->generation = generation;
    for (int i = 0; i < condition_count; i++) {
        if (!str_is(conditions[i].type, READY))
            continue;
        ready->there = true;
        ready->truth = (enum crd_truth)conditions[i].status;
        ready->since_ms = conditions[i].last_transition_ms;
        must_replace(&ready->reason, conditions[i].reason);
        must_replace(&ready->message, conditions[i].message);
        return;
    }
}

void ready_say(struct ready_next *next, enum crd_truth truth, const char *reason,
               const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(next->message, sizeof(next->message), format, args);
    va_end(args);
    plain_make(next->message);
    next->condition = (struct crd_condition){.type = STR(READY),
                                             .status = (int)truth,
                                             .reason = str_of(reason),
                                             .message = str_of(next->message)};
}

void ready_stamp(struct ready_next *next, const struct ready *seen, int64_t generation,
                 int64_t wall_ms)
{
    bool stays = seen->there && next->condition.status == (int)seen->truth;

    next->condition.observed_generation = generation;
    next->condition.last_transition_ms = stays ? seen->since_ms : wall_ms;
}

bool ready_is_seen(const struct ready_next *next, const struct ready *seen, int64_t generation)
{
    return seen->there && seen->generation == generation &&
           next->condition.status == (int)seen->truth &&
           str_is(next->condition.reason, seen->reason) &&
           str_is(next->condition.message, seen->message);
}
