/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts of which nothing will come any more, the latest ones: those whose final record a gateway
 * has, and those that their gateway gave up before they came, which must not begin. Loop thread.
 */
#ifndef SPATE_AGENT_PAST_H
#define SPATE_AGENT_PAST_H

#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

enum { PAST_MAX = 4096 }; /* then the oldest is forgotten: it is seconds old, or minutes */

enum past_end { PAST_UNKNOWN, PAST_ACKNOWLEDGED, PAST_ABANDONED };

struct past {
    struct past_attempt {
        struct id128 request_id;
        uint32_t attempt;
        enum past_end end;
    } attempts[PAST_MAX]; /* a ring */
    size_t next;
};

void past_add(struct past *p, struct id128 request_id, uint32_t attempt, enum past_end end);
/* The latest word on it. */
enum past_end past_find(const struct past *p, struct id128 request_id, uint32_t attempt);

#endif
