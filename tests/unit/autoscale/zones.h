/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones for tests: the machine's own (package tzdata), and calendar times in UTC. */
#ifndef SPATE_TESTS_ZONES_H
#define SPATE_TESTS_ZONES_H

#include <stdint.h>

#include "autoscale/tz.h"

/* Fails the test when the zone is missing. The caller frees it. */
struct tz *zone_load(const char *name);

/* "2026-03-08T07:00:00Z" to Unix seconds; fails the test when malformed. */
int64_t utc(const char *text);

#endif
