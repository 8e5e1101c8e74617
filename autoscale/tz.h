/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones: reads TZif data (RFC 9636, versions 1 to 4) with its POSIX footer. The caller loads
 * the bytes (of /usr/share/zoneinfo/NAME); nothing here touches a file. Immutable once read;
 * thread-safe.
 */
#ifndef SPATE_AUTOSCALE_TZ_H
#define SPATE_AUTOSCALE_TZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { TZ_BYTES_MAX = 1 << 20, TZ_TRANSITIONS_MAX = 20000, TZ_TYPES_MAX = 256 };

struct tz;

/* Heap object, from the content of a TZif file. `name` is for messages. */
int tz_read(struct tz **out, struct str bytes, const char *name, struct err *err);
/* From a POSIX text alone, "EST5EDT,M3.2.0,M11.1.0". */
int tz_read_posix(struct tz **out, struct str text, struct err *err);
void tz_free(struct tz *zone); /* NULL is allowed */
void tz_freep(struct tz **zone);
const struct tz *tz_utc(void); /* static: never freed */

/* Names that may become part of a path: letters, digits, "_+-" and single '/' between parts; no
 * "..", no leading '/'. */
bool tz_name_ok(struct str name);

/* Seconds east of UTC that are in force at an instant. */
int32_t tz_offset_at(const struct tz *zone, int64_t utc_s);

enum tz_local { TZ_LOCAL_ONCE, TZ_LOCAL_GAP, TZ_LOCAL_TWICE };

/* Local seconds (as if they were UTC) to the instant: in a gap the first instant after it, of two
 * the first. */
enum tz_local tz_to_utc(const struct tz *zone, int64_t local_s, int64_t *utc_s);

#endif
