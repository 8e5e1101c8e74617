/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones of this machine: see zones.h. */
#include "operator/common/zones.h"

#include <limits.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#define ZONES_FOLDER "/usr/share/zoneinfo"

enum { ZONE_NAME_MAX = 128 };

void zones_init(struct zones *zones)
{
    map_init(&zones->by_name, ZONES_MAX);
}

void zones_fini(struct zones *zones)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&zones->by_name, &at)) != NULL;)
        tz_free(entry->value);
    map_fini(&zones->by_name);
}

const struct tz *zones_find(struct zones *zones, struct str name)
{
    CLEANUP(buf_fini) struct buf bytes = {0};
    struct tz *zone = map_get(&zones->by_name, name);
    char path[PATH_MAX];
    char text[ZONE_NAME_MAX];

    if (zone != NULL)
        return zone;
    if (str_is(name, "Etc/UTC") || str_is(name, "UTC"))
        return tz_utc();
    if (!tz_name_ok(name) || name.len >= sizeof(text))
        return NULL;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    snprintf(path, sizeof(path), ZONES_FOLDER "/%s", text);
    buf_init(&bytes, TZ_BYTES_MAX);
    if (file_read(path, &bytes, NULL) < 0 || tz_read(&zone, buf_str(&bytes), text, NULL) < 0)
        return NULL;
    if (map_put(&zones->by_name, name, zone, NULL) < 0) {
        tz_free(zone);
        return NULL;
    }
    return zone;
}
