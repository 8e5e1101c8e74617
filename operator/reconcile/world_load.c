/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways and what they said about the load. */
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/world.h"

struct world_gateway *world_gateway_find(struct world *w, struct str name)
{
    for (size_t i = 0; i < w->gateway_count; i++) {
        if (str_is(name, w->gateways[i].name))
            return &w->gateways[i];
    }
    return NULL;
}

/* A gateway that left and came back has to report anew. Its place in the array stays, since loads
 * point to it; places of gateways that left are used again. */
static void gateway_add(struct world *w, struct str name)
{
    struct world_gateway *free_place = NULL;

    for (size_t i = 0; i < w->gateway_count && free_place == NULL; i++) {
        if (!w->gateways[i].live)
            free_place = &w->gateways[i];
    }
    if (free_place == NULL) {
        if (w->gateway_count == WORLD_GATEWAYS_MAX) {
            log_error("too many gateways: further ones are not known to the operator",
                      LOG_I64("maximum", WORLD_GATEWAYS_MAX));
            return;
        }
        free_place = &w->gateways[w->gateway_count++];
    }
    mem_free(free_place->name);
    *free_place = (struct world_gateway){.name = must_text(name), .live = true};
}

static bool in_set(const struct world_gateway *gateway, const struct str *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (str_is(names[i], gateway->name))
            return true;
    }
    return false;
}

void world_gateways_set(struct world *w, const struct str *names, int count)
{
    for (size_t i = 0; i < w->gateway_count; i++) {
        if (!in_set(&w->gateways[i], names, count))
            w->gateways[i].live = false;
    }
    for (int i = 0; i < count; i++) {
        struct world_gateway *known = world_gateway_find(w, names[i]);

        if (known == NULL || !known->live)
            gateway_add(w, names[i]);
    }
}

struct world_load *world_load_get(struct world_model *m, const struct world_gateway *gateway)
{
    struct world_load *load;

    for (size_t i = 0; i < m->load_count; i++) {
        if (m->loads[i].gateway == gateway)
            return &m->loads[i];
    }
    m->loads = must(mem_resize(m->loads, m->load_count + 1, sizeof(*m->loads)));
    load = &m->loads[m->load_count++];
    *load = (struct world_load){.gateway = gateway};
    return load;
}
