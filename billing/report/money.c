/* SPDX-License-Identifier: Apache-2.0 */
/* Integer money: see report.h. */
#include <inttypes.h>
#include <stdio.h>

#include "billing/report/report.h"

/* Divides, half to even; divisor > 0. */
static __int128 divide_half_even(__int128 value, __int128 divisor)
{
    __int128 quotient = value / divisor;
    __int128 rest = value % divisor;
    __int128 twice = (rest < 0 ? -rest : rest) * 2;

    if (twice > divisor || (twice == divisor && quotient % 2 != 0))
        quotient += value < 0 ? -1 : 1;
    return quotient;
}

bool money_round(__int128 product, int64_t *nano_usd)
{
    __int128 rounded = divide_half_even(product, 1000000);

    if (rounded > INT64_MAX || rounded < INT64_MIN)
        return false;
    *nano_usd = (int64_t)rounded;
    return true;
}

void money_format(int64_t nano_usd, int decimals, char out[MONEY_TEXT_MAX])
{
    enum { NANO_DECIMALS = 9 };
    uint64_t unit = 1; /* of the last digit shown, in nano-USD */
    uint64_t units_per_usd = 1;
    __int128 value;
    uint64_t units;

    for (int i = decimals; i < NANO_DECIMALS; i++)
        unit *= 10;
    for (int i = 0; i < decimals; i++)
        units_per_usd *= 10;
    value = divide_half_even(nano_usd, unit);
    units = (uint64_t)(value < 0 ? -value : value);
    snprintf(out, MONEY_TEXT_MAX, "%s%" PRIu64 ".%0*" PRIu64, value < 0 ? "-" : "",
             units / units_per_usd, decimals, units % units_per_usd);
}
