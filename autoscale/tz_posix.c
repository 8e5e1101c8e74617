/* SPDX-License-Identifier: Apache-2.0 */
/* The POSIX text of a time zone: parsing it, and the offset that it gives at an instant. */
#include "autoscale/tz_posix.h"

#include <string.h>

#include "base/clock.h"

static const int64_t day_s = 86400;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool skip_char(struct str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = str_slice(*s, 1, s->len);
    return true;
}

/* A name: three letters or more, or anything of letters, digits and signs in angle brackets. */
static bool skip_name(struct str *s)
{
    size_t at = 0;

    if (skip_char(s, '<')) {
        int64_t end = str_find_char(*s, '>');

        if (end < 1)
            return false;
        *s = str_slice(*s, (size_t)end + 1, s->len);
        return true;
    }
    while (at < s->len && ((s->ptr[at] | 0x20) >= 'a' && (s->ptr[at] | 0x20) <= 'z'))
        at++;
    *s = str_slice(*s, at, s->len);
    return at >= 3;
}

static bool read_number(struct str *s, int max, int *out)
{
    size_t at = 0;
    int value = 0;

    while (at < s->len && at < 4 && is_digit(s->ptr[at]))
        value = value * 10 + (s->ptr[at++] - '0');
    *s = str_slice(*s, at, s->len);
    *out = value;
    return at > 0 && value <= max;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool read_time(struct str *s, int hours_max, int32_t *out)
{
    int sign = 1;
    int hours;
    int minutes = 0;
    int seconds = 0;

    if (skip_char(s, '-'))
        sign = -1;
    else
        skip_char(s, '+');
    if (!read_number(s, hours_max, &hours))
        return false;
    if (skip_char(s, ':') && !read_number(s, 59, &minutes))
        return false;
    if (skip_char(s, ':') && !read_number(s, 59, &seconds))
        return false;
    *out = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool read_month_day(struct str *s, struct tz_change *out)
{
    return read_number(s, 12, &out->month) && out->month >= 1 && skip_char(s, '.') &&
           read_number(s, 5, &out->week) && out->week >= 1 && skip_char(s, '.') &&
           read_number(s, 6, &out->day);
}

static bool read_change(struct str *s, struct tz_change *out)
{
    enum { HOURS_MAX = 167, DEFAULT_TIME_S = 2 * 3600 };
    bool ok;

    out->time_s = DEFAULT_TIME_S;
    if (skip_char(s, 'J')) {
        out->kind = TZ_DAY_JULIAN;
        ok = read_number(s, 365, &out->day) && out->day >= 1;
    } else if (skip_char(s, 'M')) {
        out->kind = TZ_DAY_OF_MONTH;
        ok = read_month_day(s, out);
    } else {
        out->kind = TZ_DAY_OF_YEAR;
        ok = read_number(s, 365, &out->day);
    }
    if (ok && skip_char(s, '/'))
        ok = read_time(s, HOURS_MAX, &out->time_s);
    return ok;
}

static bool read_rule(struct str s, struct tz_rule *out)
{
    enum { OFFSET_HOURS_MAX = 24 };

    if (!skip_name(&s) || !read_time(&s, OFFSET_HOURS_MAX, &out->standard_offset_s))
        return false;
    out->standard_offset_s = -out->standard_offset_s; /* POSIX counts west of UTC */
    if (s.len == 0)
        return true;
    out->has_summer = true;
    out->summer_offset_s = out->standard_offset_s + 3600;
    if (!skip_name(&s))
        return false;
    if (s.len > 0 && s.ptr[0] != ',') {
        if (!read_time(&s, OFFSET_HOURS_MAX, &out->summer_offset_s))
            return false;
        out->summer_offset_s = -out->summer_offset_s;
    }
    return skip_char(&s, ',') && read_change(&s, &out->to_summer) && skip_char(&s, ',') &&
           read_change(&s, &out->to_standard) && s.len == 0;
}

int tz_rule_parse(struct tz_rule *out, struct str text, struct err *err)
{
    struct tz_rule rule = {0};

    if (!read_rule(text, &rule))
        return err_set(err, ERR_SYNTAX,
                       "\"%.*s\" is not a POSIX time zone such as EST5EDT,M3.2.0,M11.1.0",
                       (int)(text.len < 60 ? text.len : 60), text.ptr == NULL ? "" : text.ptr);
    *out = rule;
    return 0;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Day of the change in that year, as days since 1970. */
static int64_t change_day(const struct tz_change *change, int64_t year)
{
    int64_t first;
    int64_t weekday;
    int64_t day;
    int64_t next_month;

    switch (change->kind) {
    case TZ_DAY_JULIAN:
        day = clock_days_from_civil(year, 1, 1) + change->day - 1;
        return is_leap(year) && change->day > 59 ? day + 1 : day;
    case TZ_DAY_OF_YEAR:
        return clock_days_from_civil(year, 1, 1) + change->day;
    case TZ_DAY_OF_MONTH:
        break;
    }
    first = clock_days_from_civil(year, change->month, 1);
    weekday = ((first % 7) + 4 + 7) % 7; /* 1970-01-01 was a Thursday */
    day = first + (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
    next_month = change->month == 12 ? clock_days_from_civil(year + 1, 1, 1)
                                     : clock_days_from_civil(year, change->month + 1, 1);
    return day >= next_month ? day - 7 : day;
}

int32_t tz_rule_offset_at(const struct tz_rule *rule, int64_t utc_s)
{
    int64_t local_s = utc_s + rule->standard_offset_s;
    int64_t days = local_s >= 0 ? local_s / day_s : (local_s - day_s + 1) / day_s;
    int64_t year;
    int month;
    int day;
    int64_t summer;
    int64_t standard;
    bool is_summer;

    if (!rule->has_summer)
        return rule->standard_offset_s;
    clock_civil_from_days(days, &year, &month, &day);
    summer = change_day(&rule->to_summer, year) * day_s + rule->to_summer.time_s -
             rule->standard_offset_s;
    standard = change_day(&rule->to_standard, year) * day_s + rule->to_standard.time_s -
               rule->summer_offset_s;
    if (summer < standard)
        is_summer = utc_s >= summer && utc_s < standard;
    else
        is_summer = utc_s >= summer || utc_s < standard;
    return is_summer ? rule->summer_offset_s : rule->standard_offset_s;
}
