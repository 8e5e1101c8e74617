/* SPDX-License-Identifier: Apache-2.0 */
/* String views: see str.h. */
#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

struct str str_of(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from >= to)
        return STR_NONE;
    return (struct str){s.ptr + from, to - from};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool str_is(struct str a, const char *text)
{
    return str_eq(a, str_of(text));
}

int str_compare(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.ptr, b.ptr, shorter);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_slice(s, 0, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

int64_t str_find(struct str s, struct str needle)
{
    const char *hit;

    if (needle.len == 0)
        return 0;
    if (s.len < needle.len)
        return -1;
    hit = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return hit == NULL ? -1 : hit - s.ptr;
}

int64_t str_find_char(struct str s, char c)
{
    const char *hit = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);

    return hit == NULL ? -1 : hit - s.ptr;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    size_t from = 0;
    size_t to = s.len;

    while (from < to && is_space(s.ptr[from]))
        from++;
    while (to > from && is_space(s.ptr[to - 1]))
        to--;
    return str_slice(s, from, to);
}

struct str str_cut(struct str *rest, char separator)
{
    struct str whole = *rest;
    int64_t at = str_find_char(whole, separator);

    if (at < 0) {
        *rest = STR_NONE;
        return whole;
    }
    *rest = (struct str){whole.ptr + at + 1, whole.len - (size_t)at - 1};
    return (struct str){whole.ptr, (size_t)at};
}

bool str_to_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');

        if (s.ptr[i] < '0' || s.ptr[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;

    if (!str_to_u64(str_slice(s, negative ? 1 : 0, s.len), &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static size_t skip_digits(struct str s, size_t at)
{
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
        at++;
    return at;
}

/* Length of the JSON number at the start of s, 0 if there is none. */
static size_t number_length(struct str s)
{
    size_t at = s.len > 0 && s.ptr[0] == '-' ? 1 : 0;
    size_t digits = skip_digits(s, at);

    if (digits == at || (s.ptr[at] == '0' && digits > at + 1))
        return 0;
    at = digits;
    if (at < s.len && s.ptr[at] == '.') {
        digits = skip_digits(s, at + 1);
        if (digits == at + 1)
            return 0;
        at = digits;
    }
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        at++;
        if (at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-'))
            at++;
        digits = skip_digits(s, at);
        if (digits == at)
            return 0;
        at = digits;
    }
    return at;
}

bool str_to_f64(struct str s, double *out)
{
    static locale_t c_locale;
    char text[64];

    if (s.len == 0 || s.len >= sizeof(text) || number_length(s) != s.len)
        return false;
    if (c_locale == NULL)
        c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    *out = strtod_l(text, NULL, c_locale);
    return *out <= 1.7976931348623157e308 && *out >= -1.7976931348623157e308;
}

static bool is_dns_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool str_is_dns_label(struct str s)
{
    if (s.len == 0 || s.len > 63 || !is_dns_char(s.ptr[0]) || !is_dns_char(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_dns_char(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    }
    return true;
}

bool str_is_dns_subdomain(struct str s)
{
    struct str rest = s;

    if (s.len == 0 || s.len > 253)
        return false;
    while (rest.ptr != NULL) {
        if (!str_is_dns_label(str_cut(&rest, '.')))
            return false;
    }
    return true;
}
