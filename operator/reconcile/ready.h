/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The condition Ready of an object that has no other: as its status shows it, and as it should be.
 * Kept without an arena, as tenants may be many.
 */
#ifndef SPATE_OPERATOR_READY_H
#define SPATE_OPERATOR_READY_H

#include <stdbool.h>

#include "crd/condition.h"

enum { READY_MESSAGE_MAX = 512 };

/* As seen. */
struct ready {
    bool there;
    enum crd_truth truth;
    char *reason, *message;
    int64_t since_ms;
    int64_t generation; /* that the status answers to */
};

/* As it should be. `condition` borrows from it. */
struct ready_next {
    struct crd_condition condition;
    char message[READY_MESSAGE_MAX];
};

void ready_fini(struct ready *ready);
void ready_read(struct ready *ready, int64_t generation, const struct crd_condition *conditions,
                int condition_count);

/* The reason is a constant. */
void ready_say(struct ready_next *next, enum crd_truth truth, const char *reason,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
/* To be written: of this generation, since then if it was so before, else since now. */
void ready_stamp(struct ready_next *next, const struct ready *seen, int64_t generation,
                 int64_t wall_ms);
/* Nothing but the time may differ. */
bool ready_is_seen(const struct ready_next *next, const struct ready *seen, int64_t generation);

#endif
