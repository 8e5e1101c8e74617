/* SPDX-License-Identifier: Apache-2.0 */
/* Dollars as decimal text to and from integer nano-dollars: exact, without any double. */
#include <stdio.h>
#include <string.h>

#include "crd/tenant.h"

enum { USD_WHOLE_MAX = 1000000, USD_DECIMALS = 9 };
static const int64_t nano = 1000000000;

/* Text is at most "1000000" with leading zeros refused, so nothing can overflow. */
static bool whole_parse(struct str text, int64_t *out)
{
    uint64_t value;

    if (text.len > 1 && text.ptr[0] == '0')
        return false;
    if (!str_to_u64(text, &value) || value > USD_WHOLE_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

static bool fraction_parse(struct str text, int64_t *out)
{
    uint64_t value;

    if (text.len > USD_DECIMALS || !str_to_u64(text, &value))
        return false;
    for (size_t i = text.len; i < USD_DECIMALS; i++)
        value *= 10;
    *out = (int64_t)value;
    return true;
}

bool crd_usd_parse(struct str text, int64_t *nano_usd)
{
    struct str rest = text;
    struct str whole_text = str_cut(&rest, '.');
    int64_t whole;
    int64_t fraction = 0;

    if (!whole_parse(whole_text, &whole))
        return false;
    if (rest.ptr != NULL && !fraction_parse(rest, &fraction))
        return false;
    if (whole == USD_WHOLE_MAX && fraction > 0)
        return false;
    *nano_usd = whole * nano + fraction;
    return true;
}

void crd_usd_format(int64_t nano_usd, char out[32])
{
    const char *sign = nano_usd < 0 ? "-" : "";
    uint64_t amount = nano_usd < 0 ? 0 - (uint64_t)nano_usd : (uint64_t)nano_usd;
    int length = snprintf(out, 32, "%s%llu.%09llu", sign, (unsigned long long)(amount / 1000000000),
                          (unsigned long long)(amount % 1000000000));

    while (length > 0 && out[length - 1] == '0')
        out[--length] = '\0';
    if (length > 0 && out[length - 1] == '.')
        out[--length] = '\0';
}
