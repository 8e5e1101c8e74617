/* SPDX-License-Identifier: Apache-2.0 */
/* The log's word about its room, once for each change: without it nothing is admitted, and whoever
 * looks after the program wants to know where, and what to do. */
#include <unistd.h>

#include "base/disk.h"
#include "base/log.h"
#include "billing/meter/meter_private.h"

void meter_say_room(struct meter *m, bool room)
{
    const struct store *s = &m->store;
    uint64_t kept = meter_store_bytes(s);
    uint64_t free_bytes = 0;

    if (room == m->has_room)
        return;
    m->has_room = room;
    if (room) {
        log_info("the usage log can be written again", LOG_STR("folder", s->folder));
    } else if (kept + s->segment_bytes > s->max_bytes) {
        log_error("the usage log has reached its limit, so nothing is admitted: see why the ledger "
                  "takes nothing from it, or raise the limit",
                  LOG_STR("folder", s->folder), LOG_I64("bytes", (int64_t)kept),
                  LOG_I64("limit", (int64_t)s->max_bytes));
    } else {
        (void)disk_free_bytes(s->folder, &free_bytes);
        log_error("the usage log can't be written, so nothing is admitted until it can: make room "
                  "on its disk, or give it a larger one",
                  LOG_STR("folder", s->folder), LOG_I64("user", geteuid()),
                  LOG_I64("free_bytes", (int64_t)free_bytes),
                  LOG_I64("needed_bytes", (int64_t)s->segment_bytes));
    }
}
