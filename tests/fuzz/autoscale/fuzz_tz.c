/* SPDX-License-Identifier: Apache-2.0 */
/* Time zone data and POSIX texts: whatever is accepted answers for every instant. */
#include <stdlib.h>

#include "autoscale/tz.h"
#include "fuzz_target.h"

enum { OFFSET_REACH_S = 26 * 3600 };

static void ask(const struct tz *zone)
{
    static const int64_t instants[] = {-4000000000, -1, 0, 1764000000, 2147483648, 8000000000};

    for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
        int32_t offset = tz_offset_at(zone, instants[i]);
        int64_t at;

        if (offset <= -OFFSET_REACH_S || offset >= OFFSET_REACH_S)
            abort();
        if (tz_to_utc(zone, instants[i], &at) != TZ_LOCAL_GAP &&
            at + tz_offset_at(zone, at) != instants[i])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct tz *zone = NULL;
    struct err err;

    if (tz_read(&zone, bytes, "input", &err) == 0)
        ask(zone);
    tz_free(zone);
    zone = NULL;
    if (tz_read_posix(&zone, bytes, &err) == 0)
        ask(zone);
    tz_free(zone);
    return 0;
}
