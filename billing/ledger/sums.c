/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of one transaction: see sums.h. */
#include "billing/ledger/sums.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { SUMS_FIRST_CAP = 256 };

void sums_fini(struct sums *s)
{
    mem_free(s->lines);
    *s = (struct sums){0};
}

void sums_clear(struct sums *s)
{
    if (s->count > 0)
        memset(s->lines, 0, s->cap * sizeof(*s->lines));
    s->count = 0;
}

/* The line of the key, or the free one where it belongs. */
static struct sums_line *find(struct sums_line *lines, size_t cap, int64_t a, int64_t b)
{
    int64_t key[2] = {a, b};
    size_t at = (size_t)hash64(0, key, sizeof(key)) & (cap - 1);

    while (lines[at].used && (lines[at].a != a || lines[at].b != b))
        at = (at + 1) & (cap - 1);
    return &lines[at];
}

static int grow(struct sums *s)
{
    size_t cap = s->cap == 0 ? SUMS_FIRST_CAP : s->cap * 2;
    struct sums_line *lines = mem_array(cap, sizeof(*lines));

    if (lines == NULL)
        return -ERR_NO_MEMORY;
    for (size_t i = 0; i < s->cap; i++) {
        if (s->lines[i].used)
            *find(lines, cap, s->lines[i].a, s->lines[i].b) = s->lines[i];
    }
    mem_free(s->lines);
    s->lines = lines;
    s->cap = cap;
    return 0;
}

struct tally *sums_at(struct sums *s, int64_t a, int64_t b)
{
    struct sums_line *line;

    if ((s->count + 1) * 2 > s->cap && grow(s) < 0)
        return NULL;
    line = find(s->lines, s->cap, a, b);
    if (!line->used) {
        *line = (struct sums_line){.used = true, .a = a, .b = b};
        s->count++;
    }
    return &line->tally;
}
