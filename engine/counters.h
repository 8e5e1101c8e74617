/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counter file: what an engine run computed, in a shared mapping that outlives the process. The
 * step thread alone writes it, once a step; billing never reads it (it is what billing is checked
 * against), except that the agent which finds the file of a crashed run reports its open attempts.
 *
 *     +----------+---------------------+---------------------+
 *     | header   | bank 0              | bank 1              |
 *     | active=b | totals, rows[count] | totals, rows[count] |
 *     +----------+---------------------+---------------------+
 *
 * A commit writes the bank that is not active, then sets `active` by one atomic store: kill -9 at
 * any instruction leaves one whole, consistent bank. Byte order and layout are this machine's own.
 */
#ifndef SPATE_ENGINE_COUNTERS_H
#define SPATE_ENGINE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"

#define COUNTERS_MAGIC "SPATECT1"

struct counters_row {
    struct engine_tag tag;
    uint32_t state;        /* 0 free, 1 running, 2 finished and not yet released */
    uint32_t output_start; /* output tokens given at submission */
    struct engine_counts counts;
};

/* A view of one consistent bank, copied out. */
struct counters_view {
    uint8_t run_id[16];
    uint64_t steps;
    struct engine_counts total;
    struct counters_row *rows; /* those not free; owned */
    int row_count;
};

struct counters;

/* Creates `path` (must not exist) for `row_count` attempts. */
int counters_create(struct counters **out, const char *path, const uint8_t run_id[16],
                    int row_count, struct err *err);
void counters_close(struct counters *c); /* unmaps; the file stays */

/* Step thread only. counters_row_take returns an index or -ERR_BUSY. Changes become visible with
 * counters_commit. */
int counters_row_take(struct counters *c, struct engine_tag tag, uint32_t output_start);
struct counters_row *counters_row_at(struct counters *c, int index);
void counters_row_free(struct counters *c, int index);
struct engine_counts *counters_total(struct counters *c);
void counters_commit(struct counters *c, uint64_t steps);

/* Reads a file of any process, running or dead. Checks everything: a bad file is -ERR_CORRUPT. */
int counters_read(struct counters_view *out, const char *path, struct err *err);
void counters_view_fini(struct counters_view *view);

#endif
