/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meaning of plain scalars, as kubectl's YAML library has it (YAML 1.1 without sexagesimals;
 * dates stay strings). Only a text that begins with a digit, a sign or a point can be a number.
 */
#include "base/yaml_scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { NUMBER_MAX = 128 }; /* longer texts are no numbers */

static bool is_one_of(struct str text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_is(text, words[i]))
            return true;
    }
    return false;
}

static bool is_null(struct str text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    return is_one_of(text, words, ARRAY_COUNT(words));
}

static bool is_bool(struct str text, bool *value)
{
    static const char *const yes[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                      "True", "TRUE", "on",  "On",  "ON"};
    static const char *const no[] = {"n",     "N",     "no",  "No",  "NO", "false",
                                     "False", "FALSE", "off", "Off", "OFF"};

    *value = is_one_of(text, yes, ARRAY_COUNT(yes));
    return *value || is_one_of(text, no, ARRAY_COUNT(no));
}

static bool is_not_finite(struct str text)
{
    static const char *const words[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF",
                                        "-.inf", "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN"};

    return is_one_of(text, words, ARRAY_COUNT(words));
}

/* The text without '_', if it is short and may be a number at all. */
static bool plain_number(struct str text, char out[NUMBER_MAX])
{
    size_t length = 0;

    if (text.len == 0 || text.len >= NUMBER_MAX || strchr("+-.0123456789", text.ptr[0]) == NULL)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0')
            return false;
        if (text.ptr[i] != '_')
            out[length++] = text.ptr[i];
    }
    out[length] = '\0';
    return length > 0;
}

enum integer { INTEGER_NO, INTEGER_YES, INTEGER_TOO_BIG };

/* [+-] then decimal, 0x, 0o, 0b, or 0 and octal digits. */
static enum integer parse_integer(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '+' || *text == '-');
    int base = 10;
    uint64_t magnitude;
    char *end;

    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        base = 16;
    else if (digits[0] == '0' && (digits[1] == 'o' || digits[1] == 'O'))
        base = 8;
    else if (digits[0] == '0' && (digits[1] == 'b' || digits[1] == 'B'))
        base = 2;
    if (base != 10)
        digits += 2;
    else if (digits[0] == '0' && digits[1] != '\0')
        base = 8;
    if (!((*digits >= '0' && *digits <= '9') || (*digits >= 'a' && *digits <= 'f') ||
          (*digits >= 'A' && *digits <= 'F')))
        return INTEGER_NO; /* strtoull would take spaces, signs and a second prefix */
    if (base == 16 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return INTEGER_NO;
    errno = 0;
    magnitude = strtoull(digits, &end, base);
    if (*end != '\0' || end == digits)
        return INTEGER_NO;
    if (errno == ERANGE || magnitude > (uint64_t)INT64_MAX + (*text == '-'))
        return INTEGER_TOO_BIG;
    *out = *text == '-' ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return INTEGER_YES;
}

/* [-+]? ( .digits | digits [. digits?] ) ( [eE] [-+]? digits )? ; not when it overflows. */
static bool parse_float(const char *text, double *out)
{
    const char *at = text + (*text == '+' || *text == '-');
    size_t before = strspn(at, "0123456789");
    size_t after = 0;
    char *end;

    at += before;
    if (*at == '.') {
        after = strspn(at + 1, "0123456789");
        at += 1 + after;
    }
    if (before + after == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '+' || at[1] == '-');
        if (strspn(at, "0123456789") == 0)
            return false;
        at += strspn(at, "0123456789");
    }
    if (*at != '\0')
        return false;
    errno = 0;
    *out = strtod(text, &end); /* the locale of the programs is "C": none of them sets another */
    return *end == '\0' && !__builtin_isinf(*out);
}

static enum yaml_scalar made(json_t *value, json_t **out)
{
    *out = value;
    return value == NULL ? YAML_SCALAR_NO_MEMORY : YAML_SCALAR_VALUE;
}

enum yaml_scalar yaml_scalar_resolve(struct str text, json_t **out)
{
    char number[NUMBER_MAX];
    int64_t integer;
    double real;
    bool flag;

    if (is_null(text))
        return made(json_null(), out);
    if (is_bool(text, &flag))
        return made(json_boolean(flag), out);
    if (is_not_finite(text))
        return YAML_SCALAR_NOT_FINITE;
    if (plain_number(text, number)) {
        switch (parse_integer(number, &integer)) {
        case INTEGER_YES:
            return made(json_integer(integer), out);
        case INTEGER_TOO_BIG:
            return YAML_SCALAR_TOO_BIG;
        case INTEGER_NO:
            break;
        }
        if (parse_float(number, &real))
            return made(json_real(real), out);
    }
    return made(json_stringn(text.ptr == NULL ? "" : text.ptr, text.len), out);
}

bool yaml_scalar_is_string(struct str text)
{
    char number[NUMBER_MAX];
    int64_t integer;
    double real;
    bool flag;

    if (is_null(text) || is_bool(text, &flag) || is_not_finite(text))
        return false;
    return !plain_number(text, number) ||
           (parse_integer(number, &integer) == INTEGER_NO && !parse_float(number, &real));
}
