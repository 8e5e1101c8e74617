/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short names of models: name -> the models that claim it, the oldest first. The operator publishes
 * one owner for each name; two can be listed for a moment while a name changes hands. Loop thread.
 */
#ifndef SPATE_GATEWAY_NAMES_H
#define SPATE_GATEWAY_NAMES_H

#include "base/map.h"
#include "gateway/table.h"

/* Enters the model under its short_name, if that isn't empty and it isn't entered yet.
 * -ERR_NO_MEMORY: it is not entered. */
int names_enter(struct map *names, struct gw_model *m);
/* Takes it out, if it is entered: before its short_name or age changes, and before it is freed. */
void names_leave(struct map *names, struct gw_model *m);
/* The oldest claim; the others by next_claim. NULL: nobody's. */
struct gw_model *names_first(const struct map *names, struct str name);

#endif
