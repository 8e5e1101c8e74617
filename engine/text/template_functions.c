/* SPDX-License-Identifier: Apache-2.0 */
/* Functions: namespace, range, raise_exception and strftime_now. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/template_calls.h"

int function_namespace(struct run *run, const struct node *at, struct value subject,
                       const struct arguments *args, struct value *out)
{
    struct value_dict *dict = value_dict_new(&run->arena);

    (void)subject;
    if (dict == NULL)
        return run_no_memory(run, at);
    for (int i = 0; i < args->count; i++) {
        if (args->keywords[i].ptr == NULL)
            return run_fault(run, at, ERR_UNSUPPORTED,
                             "namespace with arguments that have no name is not supported");
        if (!value_dict_put(&run->arena, dict, value_text(args->keywords[i]), args->values[i],
                            &run->steps))
            return run_no_memory(run, at);
    }
    *out = (struct value){.type = VALUE_NAMESPACE, .dict = dict};
    return 0;
}

int function_raise(struct run *run, const struct node *at, struct value subject,
                   const struct arguments *args, struct value *out)
{
    struct str message;
    int r = call_text(run, at, args, 0, NULL, STR("no reason given"), &message);

    (void)subject;
    (void)out;
    return r < 0 ? r
                 : run_fault(run, at, ERR_INVALID, "the template refuses the messages: %.*s",
                             STR_ARG(str_slice(message, 0, 256)));
}

int function_range(struct run *run, const struct node *at, struct value subject,
                   const struct arguments *args, struct value *out)
{
    struct value_list *list = value_list_new(&run->arena);
    int64_t start = 0;
    int64_t stop = 0;
    int64_t step = 1;
    int r = call_integer(run, at, args, 0, NULL, 0, args->count > 1 ? &start : &stop);

    (void)subject;
    if (list == NULL)
        return run_no_memory(run, at);
    if (r >= 0 && args->count > 1)
        r = call_integer(run, at, args, 1, NULL, 0, &stop);
    if (r >= 0)
        r = call_integer(run, at, args, 2, NULL, 1, &step);
    if (r >= 0 && (step == 0 || step > INT32_MAX || step < -INT32_MAX || start > INT32_MAX ||
                   start < -INT32_MAX || stop > INT32_MAX || stop < -INT32_MAX))
        return run_fault(run, at, ERR_INVALID, "range needs numbers below 2^31 and a step");
    for (int64_t i = start; r >= 0 && (step > 0 ? i < stop : i > stop); i += step) {
        if (list->count == RUN_RANGE_MAX)
            return run_fault(run, at, ERR_LIMIT, "range has more than %d numbers", RUN_RANGE_MAX);
        r = call_append(run, at, list, value_int(i));
    }
    *out = value_of_list(list);
    return r;
}

struct moment {
    int64_t year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int weekday; /* 0: Sunday */
    int yearday; /* from 1 */
};

static struct moment moment_of(int64_t wall_ms)
{
    const int64_t day_ms = 86400000;
    int64_t days = wall_ms / day_ms - (wall_ms % day_ms < 0);
    int seconds = (int)((wall_ms - days * day_ms) / 1000);
    struct moment m = {.hour = seconds / 3600,
                       .minute = seconds / 60 % 60,
                       .second = seconds % 60,
                       .weekday = (int)((days % 7 + 11) % 7)}; /* day 0 was a Thursday */

    clock_civil_from_days(days, &m.year, &m.month, &m.day);
    m.yearday = (int)(days - clock_days_from_civil(m.year, 1, 1)) + 1;
    return m;
}

/* One directive; false if it is unknown. */
static bool format_moment(struct buf *out, const struct moment *m, char directive)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

    switch (directive) {
    case 'Y':
        buf_printf(out, "%" PRId64, m->year);
        return true;
    case 'y':
        buf_printf(out, "%02d", (int)(m->year % 100));
        return true;
    case 'm':
        buf_printf(out, "%02d", m->month);
        return true;
    case 'B':
        buf_append_text(out, months[m->month - 1]);
        return true;
    case 'b':
        buf_printf(out, "%.3s", months[m->month - 1]);
        return true;
    case 'd':
        buf_printf(out, "%02d", m->day);
        return true;
    case 'j':
        buf_printf(out, "%03d", m->yearday);
        return true;
    case 'A':
        buf_append_text(out, days[m->weekday]);
        return true;
    case 'a':
        buf_printf(out, "%.3s", days[m->weekday]);
        return true;
    case 'H':
        buf_printf(out, "%02d", m->hour);
        return true;
    case 'I':
        buf_printf(out, "%02d", (m->hour + 11) % 12 + 1);
        return true;
    case 'p':
        buf_append_text(out, m->hour < 12 ? "AM" : "PM");
        return true;
    case 'M':
        buf_printf(out, "%02d", m->minute);
        return true;
    case 'S':
        buf_printf(out, "%02d", m->second);
        return true;
    case '%':
        buf_append_char(out, '%');
        return true;
    default:
        return false;
    }
}

int function_strftime_now(struct run *run, const struct node *at, struct value subject,
                          const struct arguments *args, struct value *out)
{
    size_t mark = run->out->len;
    struct moment now = moment_of(clock_wall_ms(run->clock));
    struct str format;
    int r = call_text(run, at, args, 0, "format", STR(""), &format);

    (void)subject;
    if (r < 0)
        return r;
    for (size_t i = 0; i < format.len; i++) {
        if (format.ptr[i] != '%')
            buf_append_char(run->out, format.ptr[i]);
        else if (++i == format.len || !format_moment(run->out, &now, format.ptr[i]))
            return run_fault(run, at, ERR_UNSUPPORTED,
                             "strftime_now: a directive of '%.*s' is not supported",
                             STR_ARG(str_slice(format, 0, 64)));
    }
    return run_capture(run, at, mark, out);
}
