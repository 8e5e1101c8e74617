/* SPDX-License-Identifier: Apache-2.0 */
/* Safetensors: whatever is accepted lies inside the file, byte by byte, in order. */
#include <stdlib.h>

#include "engine/load/safetensors.h"

#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors *s = NULL;
    struct err err;
    size_t total = 0;

    if (safetensors_read(&s, data, size, "input", &err) < 0)
        return 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct tensor *t = safetensors_find(s, str_of(s->entries[i].name));
        volatile uint8_t last;

        if (t == NULL || t->data < data || t->data + t->size > data + size)
            abort();
        if (t->size > 0)
            last = t->data[t->size - 1];
        (void)last;
        total += t->size;
    }
    if (total > size)
        abort();
    safetensors_free(s);
    return 0;
}
