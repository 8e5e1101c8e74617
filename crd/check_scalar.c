/* SPDX-License-Identifier: Apache-2.0 */
/* Checks single values: texts of all kinds, and integers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "crd/check.h"
#include "crd/tenant.h"

static size_t characters(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return count;
}

/* Length and pattern; true if the text may be looked at further. */
static bool is_text_sound(struct checker *c, const struct check_place *at,
                          const struct crd_field *field, struct str text)
{
    char quoted[CHECK_QUOTE_MAX];
    size_t length = characters(text);

    if (length > field->max_length) {
        check_fault(c, at, "has %zu characters; at most %zu are allowed", length,
                    field->max_length);
        return false;
    }
    if (length == 0 && field->min_length > 0) {
        check_fault(c, at, "is empty; leave it out, or write %s",
                    field->pattern_means != NULL ? field->pattern_means : "a value");
        return false;
    }
    if (field->pattern != NULL && !check_matches(c, field->pattern, text)) {
        check_fault(c, at, "\"%s\" is not %s; correct it", check_quote(text, quoted),
                    field->pattern_means);
        return false;
    }
    if (length < field->min_length) {
        check_fault(c, at, "\"%s\" is too short; at least %zu characters are needed",
                    check_quote(text, quoted), field->min_length);
        return false;
    }
    return true;
}

static void check_enum(struct checker *c, const struct check_place *at,
                       const struct crd_field *field, struct str text)
{
    char quoted[CHECK_QUOTE_MAX];
    char known[160] = "";

    for (int i = 0; field->values[i] != NULL; i++) {
        size_t used = strlen(known);

        if (str_is(text, field->values[i]))
            return;
        snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? ", " : "", field->values[i]);
    }
    check_fault(c, at, "\"%s\" is not known; use %s", check_quote(text, quoted), known);
}

static bool is_sha256(struct str text)
{
    uint8_t bytes[SHA256_BYTES];

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
            return false;
    }
    return hex_parse(text, bytes, sizeof(bytes));
}

void check_text(struct checker *c, const struct check_place *at, const struct crd_field *field,
                struct str text)
{
    char quoted[CHECK_QUOTE_MAX];
    int64_t number;

    if (field->type == CRD_ENUM) {
        check_enum(c, at, field, text);
        return;
    }
    if (!is_text_sound(c, at, field, text))
        return;
    if (field->type == CRD_TIME && clock_parse_utc(text.ptr, text.len, &number) < 0)
        check_fault(c, at, "\"%s\" is not a time; write it as 2026-11-22T15:04:05Z",
                    check_quote(text, quoted));
    if (field->type == CRD_SHA256 && !is_sha256(text))
        check_fault(c, at, "is not a SHA-256; write 64 lower-case hexadecimal digits");
    if (field->type == CRD_USD && !crd_usd_parse(text, &number))
        check_fault(c, at,
                    "\"%s\" is not a price; write dollars from \"0\" to \"1000000\" with at most 9 "
                    "decimals, such as \"0.55\"",
                    check_quote(text, quoted));
}

void check_integer(struct checker *c, const struct check_place *at, const struct crd_field *field,
                   const json_t *value)
{
    json_int_t number = json_integer_value(value);

    if (number < field->min && field->max < INT64_MAX)
        check_fault(c, at, "%" PRId64 " is below %" PRId64 "; use %" PRId64 " to %" PRId64,
                    (int64_t)number, field->min, field->min, field->max);
    else if (number < field->min)
        check_fault(c, at, "%" PRId64 " is below %" PRId64 "; use a larger number", (int64_t)number,
                    field->min);
    else if (number > field->max)
        check_fault(c, at, "%" PRId64 " is above %" PRId64 "; use %" PRId64 " to %" PRId64,
                    (int64_t)number, field->max, field->min, field->max);
}
