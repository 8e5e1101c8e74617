/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of tallies: see tally.h. */
#include "billing/ledger/tally.h"

const char *const tally_names[TALLY_COUNT] = {
#define TALLY_NAME(name, column) [name] = #column,
    TALLY_CHARGE(TALLY_NAME) TALLY_PENDING(TALLY_NAME)
#undef TALLY_NAME
};

void tally_add(struct tally *sum, const struct tally *t)
{
    for (int i = 0; i < TALLY_COUNT; i++)
        sum->v[i] += t->v[i];
}

void tally_subtract(struct tally *sum, const struct tally *t)
{
    for (int i = 0; i < TALLY_COUNT; i++)
        sum->v[i] -= t->v[i];
}

bool tally_is_zero(const struct tally *t)
{
    for (int i = 0; i < TALLY_COUNT; i++) {
        if (t->v[i] != 0)
            return false;
    }
    return true;
}
