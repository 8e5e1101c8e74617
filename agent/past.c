/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts that are over: see past.h. */
#include "agent/past.h"

void past_add(struct past *p, struct id128 request_id, uint32_t attempt, enum past_end end)
{
    p->attempts[p->next] = (struct past_attempt){request_id, attempt, end};
    p->next = (p->next + 1) % PAST_MAX;
}

enum past_end past_find(const struct past *p, struct id128 request_id, uint32_t attempt)
{
    for (size_t i = 1; i <= PAST_MAX; i++) {
        const struct past_attempt *known = &p->attempts[(p->next + PAST_MAX - i) % PAST_MAX];

        if (known->end == PAST_UNKNOWN)
            break;
        if (known->attempt == attempt && id_compare(known->request_id, request_id) == 0)
            return known->end;
    }
    return PAST_UNKNOWN;
}
