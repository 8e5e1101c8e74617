/* SPDX-License-Identifier: Apache-2.0 */
/* Handles to rows: see handles.h. Linear probing; removal moves later entries back, so that no
 * tombstones gather. */
#include "engine/handles.h"

#include "base/mem.h"

int handles_init(struct handles *h, int capacity, struct err *err)
{
    size_t slot_count = 16;

    while (slot_count < 2 * (size_t)capacity)
        slot_count *= 2;
    h->slots = mem_array(slot_count, sizeof(*h->slots));
    if (h->slots == NULL)
        return err_no_memory(err);
    h->slot_count = slot_count;
    for (size_t i = 0; i < slot_count; i++)
        h->slots[i].row = -1;
    return 0;
}

void handles_fini(struct handles *h)
{
    mem_free(h->slots);
    *h = (struct handles){0};
}

/* Where the search for `handle` begins: a mix of all its bits, as callers may count handles up. */
static size_t home_of(const struct handles *h, uint64_t handle)
{
    handle = (handle ^ handle >> 33) * 0xff51afd7ed558ccdU;
    handle ^= handle >> 33;
    return (size_t)handle & (h->slot_count - 1);
}

/* The slot of `handle`, or the free slot where it would go. */
static size_t slot_of(const struct handles *h, uint64_t handle)
{
    size_t at = home_of(h, handle);

    while (h->slots[at].row >= 0 && h->slots[at].handle != handle)
        at = (at + 1) & (h->slot_count - 1);
    return at;
}

int handles_find(const struct handles *h, uint64_t handle)
{
    return h->slots[slot_of(h, handle)].row;
}

void handles_put(struct handles *h, uint64_t handle, int row)
{
    h->slots[slot_of(h, handle)] = (struct handle_slot){handle, row};
}

void handles_remove(struct handles *h, uint64_t handle)
{
    size_t mask = h->slot_count - 1;
    size_t hole = slot_of(h, handle);

    for (size_t at = (hole + 1) & mask; h->slots[at].row >= 0; at = (at + 1) & mask) {
        size_t home = home_of(h, h->slots[at].handle);

        /* The entry may move back to the hole only if its home is not after the hole. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            h->slots[hole] = h->slots[at];
            hole = at;
        }
    }
    h->slots[hole].row = -1;
}
