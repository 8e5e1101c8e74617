/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the caller's handles (any 64-bit numbers) to row numbers: a fixed open-addressing table,
 * never more than half full. Allocates only in handles_init. Not thread-safe.
 */
#ifndef SPATE_ENGINE_HANDLES_H
#define SPATE_ENGINE_HANDLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct handle_slot {
    uint64_t handle;
    int row; /* -1: free */
};

struct handles {
    struct handle_slot *slots;
    size_t slot_count; /* a power of two */
};

int handles_init(struct handles *h, int capacity, struct err *err);
void handles_fini(struct handles *h);

int handles_find(const struct handles *h, uint64_t handle); /* the row, or -1 */
/* The caller keeps to the capacity and never puts a handle twice. */
void handles_put(struct handles *h, uint64_t handle, int row);
void handles_remove(struct handles *h, uint64_t handle); /* must be there */

#endif
