/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log to stderr: one line an event, as text for people or JSON for machines. A line is
 * written by one write(2). Thread-safe. Programs log at the top; libraries return errors instead.
 * Never pass a secret: a key is logged by its id. Values are escaped, so no input can forge a line,
 * turn its direction or reach a terminal; what is longer than a line is cut, and the line stays
 * valid.
 *
 *     log_info("pod started", LOG_STR("pod", name), LOG_I64("port", port));
 */
#ifndef SPATE_BASE_LOG_H
#define SPATE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    const char *name;
    enum { LOG_FIELD_STR, LOG_FIELD_I64, LOG_FIELD_F64, LOG_FIELD_BOOL } kind;
    struct str text;
    int64_t integer;
    double real;
};

#define LOG_STR(name_, cstring) ((struct log_field){name_, LOG_FIELD_STR, str_of(cstring), 0, 0})
#define LOG_VIEW(name_, view)   ((struct log_field){name_, LOG_FIELD_STR, (view), 0, 0})
#define LOG_I64(name_, value)   ((struct log_field){name_, LOG_FIELD_I64, {0}, (int64_t)(value), 0})
#define LOG_F64(name_, value)   ((struct log_field){name_, LOG_FIELD_F64, {0}, 0, (value)})
#define LOG_BOOL(name_, value)  ((struct log_field){name_, LOG_FIELD_BOOL, {0}, (value) ? 1 : 0, 0})
#define LOG_ERR(error)          LOG_STR("error", err_message(error))

/* Set once at the start of a program, before threads. `program` names it in each line. */
void log_setup(const char *program, enum log_level level, enum log_format format, int fd);
/* "debug", "info", "warn", "error" / "text", "json"; false if it is none of them. */
bool log_level_parse(struct str text, enum log_level *out);
bool log_format_parse(struct str text, enum log_format *out);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               int field_count);

#define LOG_AT(level, event, ...)                                               \
    do {                                                                        \
        if (log_enabled(level)) {                                               \
            const struct log_field log_fields_[] = {{0}, ##__VA_ARGS__};        \
            log_write(level, event, log_fields_ + 1,                            \
                      (int)(sizeof(log_fields_) / sizeof(log_fields_[0])) - 1); \
        }                                                                       \
    } while (0)
#define log_debug(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_LEVEL_WARN, event, ##__VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, ##__VA_ARGS__)

#endif
