/* SPDX-License-Identifier: Apache-2.0 */
/* Cron schedules: see cron.h for the rules. */
#include "autoscale/cron.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static const int64_t day_s = 86400;

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field_kind {
    const char *name;
    int min, max;
    const char *const *names; /* of the values from `min` on; NULL: none */
    int name_count;
};

enum { FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_WEEKDAY, FIELD_COUNT };

static const struct field_kind kinds[FIELD_COUNT] = {
    [FIELD_MINUTE] = {"minute", 0, 59, NULL, 0},
    [FIELD_HOUR] = {"hour", 0, 23, NULL, 0},
    [FIELD_DAY] = {"day of month", 1, 31, NULL, 0},
    [FIELD_MONTH] = {"month", 1, 12, month_names, ARRAY_COUNT(month_names)},
    [FIELD_WEEKDAY] = {"day of week", 0, 7, weekday_names, ARRAY_COUNT(weekday_names)},
};

static bool read_value(const struct field_kind *kind, struct str text, int *out)
{
    uint64_t number;

    for (int i = 0; i < kind->name_count; i++) {
        if (str_eq_nocase(text, str_of(kind->names[i]))) {
            *out = kind->min + i;
            return true;
        }
    }
    if (text.len > 2 || !str_to_u64(text, &number) || (int)number < kind->min ||
        (int)number > kind->max)
        return false;
    *out = (int)number;
    return true;
}

/* "*", "5", "5-9"; a lone value with a step goes on to the end. */
static bool read_range(const struct field_kind *kind, struct str text, bool has_step, int *from,
                       int *to)
{
    struct str rest = text;
    struct str first = str_cut(&rest, '-');

    if (str_is(text, "*")) {
        *from = kind->min;
        *to = kind->max;
        return true;
    }
    if (!read_value(kind, first, from))
        return false;
    *to = has_step ? kind->max : *from;
    if (rest.ptr == NULL)
        return true;
    if (!read_value(kind, rest, to))
        return false;
    if (kind == &kinds[FIELD_WEEKDAY] && *to == 0)
        *to = 7; /* fri-sun */
    return *from <= *to;
}

static bool read_item(const struct field_kind *kind, struct str text, uint64_t *bits)
{
    struct str step_text = text;
    struct str range = str_cut(&step_text, '/');
    bool has_step = step_text.ptr != NULL;
    uint64_t step = 1;
    int from;
    int to;

    if (has_step && (!str_to_u64(step_text, &step) || step == 0 || step > 59))
        return false;
    if (!read_range(kind, range, has_step, &from, &to))
        return false;
    for (int value = from; value <= to; value += (int)step)
        *bits |= (uint64_t)1 << value;
    return true;
}

static int read_field(const struct field_kind *kind, struct str text, uint64_t *bits,
                      struct err *err)
{
    struct str rest = text;

    *bits = 0;
    do {
        struct str item = str_cut(&rest, ',');

        if (!read_item(kind, item, bits))
            return err_set(err, ERR_SYNTAX,
                           "schedule: \"%.*s\" is no %s; use %d to %d, *, a range 2-5, a step */5 "
                           "or a list of them",
                           (int)(text.len < 40 ? text.len : 40), text.ptr == NULL ? "" : text.ptr,
                           kind->name, kind->min, kind->max);
    } while (rest.ptr != NULL);
    return 0;
}

static struct str next_word(struct str *rest)
{
    size_t end = 0;
    struct str word;

    *rest = str_trim(*rest);
    while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != '\t')
        end++;
    word = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end, rest->len);
    return word;
}

int cron_parse(struct cron *out, struct str text, struct err *err)
{
    struct cron cron = {0};
    uint64_t bits[FIELD_COUNT];
    struct str words[FIELD_COUNT];
    struct str rest = text;

    if (text.len > CRON_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "schedule: longer than %d bytes", CRON_TEXT_MAX);
    for (int i = 0; i < FIELD_COUNT; i++) {
        words[i] = next_word(&rest);
        if (words[i].len == 0)
            return err_set(err, ERR_SYNTAX,
                           "schedule: the %s is missing; write minute, hour, day of month, month, "
                           "day of week",
                           kinds[i].name);
    }
    if (str_trim(rest).len > 0)
        return err_set(err, ERR_SYNTAX, "schedule: more than five fields; remove the last ones");
    for (int i = 0; i < FIELD_COUNT; i++) {
        int r = read_field(&kinds[i], words[i], &bits[i], err);

        if (r < 0)
            return r;
    }
    cron.minutes = bits[FIELD_MINUTE];
    cron.hours = (uint32_t)bits[FIELD_HOUR];
    cron.days = (uint32_t)bits[FIELD_DAY];
    cron.months = (uint16_t)bits[FIELD_MONTH];
    cron.weekdays = (uint8_t)((bits[FIELD_WEEKDAY] | bits[FIELD_WEEKDAY] >> 7) & 0x7f);
    cron.any_day = words[FIELD_DAY].ptr[0] == '*';
    cron.any_weekday = words[FIELD_WEEKDAY].ptr[0] == '*';
    *out = cron;
    return 0;
}

static bool matches_day(const struct cron *cron, int64_t days)
{
    int64_t year;
    int month;
    int day;
    int weekday = (int)(((days % 7) + 4 + 7) % 7);
    bool day_fits;
    bool weekday_fits;

    clock_civil_from_days(days, &year, &month, &day);
    if ((cron->months >> month & 1) == 0)
        return false;
    day_fits = (cron->days >> day & 1) != 0;
    weekday_fits = (cron->weekdays >> weekday & 1) != 0;
    if (cron->any_day || cron->any_weekday)
        return day_fits && weekday_fits;
    return day_fits || weekday_fits;
}

/* Later local times never come at an earlier instant, so the first that fits is the answer. */
static bool next_in_day(const struct cron *cron, const struct tz *zone, int64_t days,
                        int64_t from_s, int64_t *out_s)
{
    enum { FAR_S = 27 * 3600 };

    for (int minute = 0; minute < 24 * 60; minute++) {
        int64_t local_s = days * day_s + (int64_t)minute * 60;

        if ((cron->hours >> (minute / 60) & 1) == 0 || (cron->minutes >> (minute % 60) & 1) == 0)
            continue;
        if (local_s < from_s - FAR_S)
            continue; /* whatever the offset, it is over */
        tz_to_utc(zone, local_s, out_s);
        if (*out_s >= from_s)
            return true;
    }
    return false;
}

bool cron_next(const struct cron *cron, const struct tz *zone, int64_t from_s, int64_t *out_s)
{
    const int64_t farthest_s = 9000LL * 366 * day_s; /* far from where 64 bits end */
    int64_t today;
    int64_t found_s;

    if (from_s < 0 || from_s > farthest_s)
        return false;
    today = (from_s + tz_offset_at(zone, from_s)) / day_s;
    /* Two days earlier: the times of a skipped day count at its end. */
    for (int64_t days = today - 2; days < today + CRON_HORIZON_YEARS * 366; days++) {
        if (!matches_day(cron, days) || !next_in_day(cron, zone, days, from_s, &found_s))
            continue;
        *out_s = found_s;
        return true;
    }
    return false;
}
