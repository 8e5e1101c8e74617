/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones of this machine by name, read when first asked for. Loop thread. */
#ifndef SPATE_OPERATOR_COMMON_ZONES_H
#define SPATE_OPERATOR_COMMON_ZONES_H

#include "autoscale/tz.h"
#include "base/map.h"

enum { ZONES_MAX = 1000 };

struct zones {
    struct map by_name; /* -> struct tz */
};

void zones_init(struct zones *zones);
void zones_fini(struct zones *zones);
/* NULL if the name is not known. Lives as long as `zones`. */
const struct tz *zones_find(struct zones *zones, struct str name);

#endif
