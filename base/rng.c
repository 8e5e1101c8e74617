/* SPDX-License-Identifier: Apache-2.0 */
/* Random sources: see clock.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

static void system_fill(void *context, void *out, size_t size)
{
    unsigned char *at = out;

    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* without randomness no key or id may be made */
        at += got;
        size -= (size_t)got;
    }
}

const struct rng *rng_system(void)
{
    static const struct rng system_rng = {system_fill, NULL};

    return &system_rng;
}

uint64_t rng_u64(const struct rng *r)
{
    uint64_t value;

    rng_fill(r, &value, sizeof(value));
    return value;
}

uint64_t rng_below(const struct rng *r, uint64_t bound)
{
    uint64_t unbiased = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;

    do {
        value = rng_u64(r);
    } while (value >= unbiased);
    return value % bound;
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void seeded_fill(void *context, void *out, size_t size)
{
    struct rng_seeded *s = context;
    unsigned char *at = out;

    while (size > 0) {
        uint64_t value = splitmix64(&s->state);
        size_t part = size < sizeof(value) ? size : sizeof(value);

        memcpy(at, &value, part);
        at += part;
        size -= part;
    }
}

void rng_seeded_init(struct rng_seeded *s, uint64_t seed)
{
    *s = (struct rng_seeded){.rng = {seeded_fill, s}, .state = seed};
}
