/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one transaction adds to rollups and runs, gathered in memory and written at its end: one
 * statement per touched line instead of one per record. Open addressing on (a, b). Private.
 */
#ifndef SPATE_LEDGER_SUMS_H
#define SPATE_LEDGER_SUMS_H

#include <stddef.h>

#include "base/err.h"
#include "billing/ledger/tally.h"

struct sums_line {
    bool used;
    int64_t a; /* bucket, or run */
    int64_t b; /* account, or 0 */
    struct tally tally;
};

struct sums {
    struct sums_line *lines;
    size_t cap; /* a power of two, or 0 */
    size_t count;
};

void sums_fini(struct sums *s); /* also of a zeroed one */
void sums_clear(struct sums *s);
/* The line's tally, zero if it is new; valid until the next call. NULL: no memory. */
struct tally *sums_at(struct sums *s, int64_t a, int64_t b);

#endif
