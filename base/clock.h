/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and chance, injected: code takes a clock or a random source and never asks the system
 * itself, so that tests and the simulator decide both. The system ones are thread-safe.
 */
#ifndef SPATE_BASE_CLOCK_H
#define SPATE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
    int64_t (*mono_ns)(void *context); /* never goes back; origin unspecified */
    int64_t (*wall_ms)(void *context); /* Unix time, UTC */
    void *context;
};

const struct clock *clock_system(void);

static inline int64_t clock_mono_ns(const struct clock *c)
{
    return c->mono_ns(c->context);
}
static inline int64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ns(c->context) / 1000000;
}
static inline int64_t clock_wall_ms(const struct clock *c)
{
    return c->wall_ms(c->context);
}

/* A clock that a test sets: both times start at 0 and move only by hand. */
struct clock_manual {
    struct clock clock; /* pass &manual.clock */
    int64_t now_mono_ns;
    int64_t now_wall_ms;
};
void clock_manual_init(struct clock_manual *m, int64_t wall_ms);
void clock_manual_advance_ms(struct clock_manual *m, int64_t ms);

/* RFC 3339 in UTC: "2026-11-22T15:04:05Z", with ".123" when ms is not 0. */
enum { CLOCK_TEXT_MAX = 32 };
void clock_format_utc(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);
/* Accepts "Z" or an offset; returns 0 or -1. */
int clock_parse_utc(const char *text, size_t length, int64_t *wall_ms);

/* Proleptic Gregorian calendar, pure. Month 1-12, day 1-31; days count from 1970-01-01. */
int64_t clock_days_from_civil(int64_t year, int month, int day);
void clock_civil_from_days(int64_t days, int64_t *year, int *month, int *day);

struct rng {
    void (*fill)(void *context, void *out, size_t size);
    void *context;
};

const struct rng *rng_system(void); /* getrandom(2): fit for keys and ids */
static inline void rng_fill(const struct rng *r, void *out, size_t size)
{
    r->fill(r->context, out, size);
}
uint64_t rng_u64(const struct rng *r);
/* Uniform in [0, bound), without bias; bound > 0. */
uint64_t rng_below(const struct rng *r, uint64_t bound);

/* A reproducible source for tests and the simulator (splitmix64; never for keys). */
struct rng_seeded {
    struct rng rng; /* pass &seeded.rng */
    uint64_t state;
};
void rng_seeded_init(struct rng_seeded *s, uint64_t seed);

#endif
