/* SPDX-License-Identifier: Apache-2.0 */
/* Inside autoscale/: the POSIX text of a time zone, "EST5EDT,M3.2.0,M11.1.0", with the extensions
 * of RFC 9636 (hours up to 167, negative ones too). */
#ifndef SPATE_AUTOSCALE_TZ_POSIX_H
#define SPATE_AUTOSCALE_TZ_POSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum tz_day_kind {
    TZ_DAY_JULIAN,   /* 1-365, 29 February is never counted */
    TZ_DAY_OF_YEAR,  /* 0-365, 29 February is counted */
    TZ_DAY_OF_MONTH, /* month, week 1-5 (5: the last), weekday */
};

struct tz_change {
    enum tz_day_kind kind;
    int day; /* of the year, or weekday with 0 for Sunday */
    int week;
    int month;
    int32_t time_s; /* local time of that day; may be negative or over a day */
};

struct tz_rule {
    int32_t standard_offset_s; /* east of UTC */
    bool has_summer;
    int32_t summer_offset_s;
    struct tz_change to_summer;
    struct tz_change to_standard;
};

int tz_rule_parse(struct tz_rule *out, struct str text, struct err *err);
int32_t tz_rule_offset_at(const struct tz_rule *rule, int64_t utc_s);

#endif
