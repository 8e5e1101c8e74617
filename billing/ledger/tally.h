/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that are summed everywhere: of a charge row, a rollup line, an engine run, a report
 * row. One table of columns gives the array, the SQL and the names in JSON. Signed, since deltas
 * and corrections are tallies too. All but the first two are tokens.
 */
#ifndef SPATE_LEDGER_TALLY_H
#define SPATE_LEDGER_TALLY_H

#include <stdbool.h>
#include <stdint.h>

/* What a charge row holds: X(name, column) */
#define TALLY_CHARGE(X)                                                                     \
    X(TALLY_REQUESTS, requests)       /* counted at their settlement */                     \
    X(TALLY_ESTIMATED, estimated)     /* requests settled by time, without the last word */ \
    X(TALLY_INPUT, input)             /* charged: input computed */                         \
    X(TALLY_CACHED, cached)           /* charged: input from the cache */                   \
    X(TALLY_VISIBLE, visible)         /* charged: output outside of reasoning */            \
    X(TALLY_REASONING, reasoning)     /* charged */                                         \
    X(TALLY_WASTE_INPUT, waste_input) /* computed, paid by the platform */                  \
    X(TALLY_WASTE_CACHED, waste_cached)                                                     \
    X(TALLY_WASTE_VISIBLE, waste_visible)                                                   \
    X(TALLY_WASTE_REASONING, waste_reasoning)                                               \
    X(TALLY_WASTE_RECOMPUTED, waste_recomputed) /* after preemption or hand-over */

/* Besides, in rollups and runs: what is not settled yet. */
#define TALLY_PENDING(X)                          \
    X(TALLY_PENDING_INPUT, pending_input)         \
    X(TALLY_PENDING_CACHED, pending_cached)       \
    X(TALLY_PENDING_VISIBLE, pending_visible)     \
    X(TALLY_PENDING_REASONING, pending_reasoning) \
    X(TALLY_PENDING_RECOMPUTED, pending_recomputed)

enum tally_index {
#define TALLY_ENUM(name, column) name,
    TALLY_CHARGE(TALLY_ENUM) TALLY_CHARGE_COUNT,
    TALLY_BEFORE_PENDING = TALLY_CHARGE_COUNT - 1,
    TALLY_PENDING(TALLY_ENUM)
#undef TALLY_ENUM
        TALLY_COUNT
};

struct tally {
    int64_t v[TALLY_COUNT];
};

extern const char *const tally_names[TALLY_COUNT];

void tally_add(struct tally *sum, const struct tally *t);
void tally_subtract(struct tally *sum, const struct tally *t);
bool tally_is_zero(const struct tally *t);

#endif
