/* SPDX-License-Identifier: Apache-2.0 */
/* Cron: a schedule that is accepted gives times that rise and are not before what was asked. */
#include <stdlib.h>

#include "autoscale/cron.h"
#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t start_s = 1764000000;
    struct cron cron;
    struct err err;
    int64_t at = start_s;

    if (cron_parse(&cron, (struct str){(const char *)data, size}, &err) < 0)
        return 0;
    for (int i = 0; i < 5; i++) {
        int64_t before = at;

        if (!cron_next(&cron, tz_utc(), before + 1, &at))
            return 0;
        if (at <= before || at % 60 != 0)
            abort();
    }
    return 0;
}
