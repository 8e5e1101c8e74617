/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and the civil calendar: see clock.h. */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

static int64_t system_mono_ns(void *context)
{
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_ms(void *context)
{
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct clock *clock_system(void)
{
    static const struct clock system_clock = {system_mono_ns, system_wall_ms, NULL};

    return &system_clock;
}

static int64_t manual_mono_ns(void *context)
{
    return ((const struct clock_manual *)context)->now_mono_ns;
}

static int64_t manual_wall_ms(void *context)
{
    return ((const struct clock_manual *)context)->now_wall_ms;
}

void clock_manual_init(struct clock_manual *m, int64_t wall_ms)
{
    *m = (struct clock_manual){
        .clock = {manual_mono_ns, manual_wall_ms, m},
        .now_wall_ms = wall_ms,
    };
}

void clock_manual_advance_ms(struct clock_manual *m, int64_t ms)
{
    m->now_mono_ns += ms * 1000000;
    m->now_wall_ms += ms;
}

/* Both from Howard Hinnant's description of the 400-year cycle, with March as the first month. */
int64_t clock_days_from_civil(int64_t year, int month, int day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

void clock_civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1);
    *month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

void clock_format_utc(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    int64_t seconds = wall_ms >= 0 ? wall_ms / 1000 : (wall_ms - 999) / 1000;
    int ms = (int)(wall_ms - seconds * 1000);
    int64_t days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400;
    int rest = (int)(seconds - days * 86400);
    char text[CLOCK_TEXT_MAX * 3]; /* room for any int, which the compiler checks */
    char fraction[8] = "";
    int64_t year;
    int month;
    int day;

    clock_civil_from_days(days, &year, &month, &day);
    if (year > 9999)
        year = 9999;
    if (ms != 0)
        snprintf(fraction, sizeof(fraction), ".%03d", ms);
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d%sZ", (int)year, month, day,
             rest / 3600, rest / 60 % 60, rest % 60, fraction);
    text[CLOCK_TEXT_MAX - 1] = '\0';
    memcpy(out, text, CLOCK_TEXT_MAX);
}

/* Reads exactly `digits` digits and the character `after` (0: none). */
static bool read_field(struct str *s, size_t digits, char after, int *out)
{
    uint64_t value;
    size_t taken = digits + (after != 0 ? 1 : 0);

    if (s->len < taken || !str_to_u64(str_slice(*s, 0, digits), &value))
        return false;
    if (after != 0 && s->ptr[digits] != after)
        return false;
    *out = (int)value;
    *s = (struct str){s->ptr + taken, s->len - taken};
    return true;
}

static bool read_fraction_ms(struct str *s, int *ms)
{
    int scale = 100;
    size_t at = 1;

    *ms = 0;
    if (s->len == 0 || s->ptr[0] != '.')
        return true;
    while (at < s->len && s->ptr[at] >= '0' && s->ptr[at] <= '9') {
        *ms += (s->ptr[at] - '0') * scale;
        scale /= 10;
        at++;
    }
    *s = (struct str){s->ptr + at, s->len - at};
    return at > 1;
}

static bool read_offset_minutes(struct str s, int *minutes)
{
    int hours;
    int rest;
    int sign;

    *minutes = 0;
    if (str_is(s, "Z") || str_is(s, "z"))
        return true;
    if (s.len != 6 || (s.ptr[0] != '+' && s.ptr[0] != '-'))
        return false;
    sign = s.ptr[0] == '-' ? -1 : 1;
    s = str_slice(s, 1, s.len);
    if (!read_field(&s, 2, ':', &hours) || !read_field(&s, 2, 0, &rest) || hours > 23 || rest > 59)
        return false;
    *minutes = sign * (hours * 60 + rest);
    return true;
}

int clock_parse_utc(const char *text, size_t length, int64_t *wall_ms)
{
    struct str s = {text, length};
    int year, month, day, hour, minute, second, ms, offset;
    int64_t check_year;
    int check_month, check_day;
    int64_t days;

    if (!read_field(&s, 4, '-', &year) || !read_field(&s, 2, '-', &month) ||
        !read_field(&s, 2, 'T', &day) || !read_field(&s, 2, ':', &hour) ||
        !read_field(&s, 2, ':', &minute) || !read_field(&s, 2, 0, &second) ||
        !read_fraction_ms(&s, &ms) || !read_offset_minutes(s, &offset))
        return -1;
    if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60)
        return -1;
    days = clock_days_from_civil(year, month, day);
    clock_civil_from_days(days, &check_year, &check_month, &check_day);
    if (check_year != year || check_month != month || check_day != day)
        return -1;
    *wall_ms = ((days * 1440 + hour * 60 + minute - offset) * 60 + second) * 1000 + ms;
    return 0;
}
