/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cron schedules: minute, hour, day of month, month, day of week; lists, ranges, steps, English
 * names of months and days (0 and 7 are Sunday). As in Vixie's cron a day matches if either day
 * field does, unless one of them begins with a star: then both must.
 *
 * The schedule is in local time. A time in a gap (clocks go forward) counts at the first instant
 * after the gap, all times of one gap once together; a time that comes twice (clocks go back)
 * counts the first time only. Pure; thread-safe.
 */
#ifndef SPATE_AUTOSCALE_CRON_H
#define SPATE_AUTOSCALE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "autoscale/tz.h"
#include "base/err.h"
#include "base/str.h"

enum { CRON_TEXT_MAX = 256, CRON_HORIZON_YEARS = 12 }; /* 29 February may be 8 years away */

struct cron {
    uint64_t minutes; /* bit n: minute n */
    uint32_t hours;
    uint32_t days;    /* bits 1-31 */
    uint16_t months;  /* bits 1-12 */
    uint8_t weekdays; /* bit 0: Sunday */
    bool any_day;     /* the field begins with a star */
    bool any_weekday;
};

/* The message names the field at fault and what it may hold. */
int cron_parse(struct cron *out, struct str text, struct err *err);

/* The first time at or after `from_s` (Unix seconds), or false: none within the horizon (30
 * February). */
bool cron_next(const struct cron *cron, const struct tz *zone, int64_t from_s, int64_t *out_s);

#endif
