/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones for tests: see zones.h. */
#include "zones.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmocka_plain.h"

struct tz *zone_load(const char *name)
{
    CLEANUP(buf_fini) struct buf bytes = {0};
    char path[256];
    struct tz *zone = NULL;
    struct err err = {0};

    buf_init(&bytes, TZ_BYTES_MAX);
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
    if (file_read(path, &bytes, &err) < 0 || tz_read(&zone, buf_str(&bytes), name, &err) < 0)
        fail_msg("%s (is the package tzdata installed?)", err_message(&err));
    return zone;
}

int64_t utc(const char *text)
{
    int64_t ms = 0;

    if (clock_parse_utc(text, strlen(text), &ms) < 0)
        fail_msg("not a time: %s", text);
    return ms / 1000;
}
