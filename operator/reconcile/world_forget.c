/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a leadership: see world_forget_doing in world.h. */
#include "operator/reconcile/world.h"

static void forget_of_pod(struct world_pod *pod)
{
    world_pod_forget_agent(pod);
    pod->met = false; /* until it answers, it is what the leader before said */
    pod->restart_ticket = 0;
    pod->drain_counter = 0;
    pod->delete_ticket = 0;
    pod->delete_sent_ms = 0;
}

void world_model_forget_doing(struct world_model *m)
{
    while (m->create_count > 0)
        world_create_remove(m, &m->creates[0]);
    m->put_ticket = 0;
    m->put_unseen = false;
    m->put_unsure = false;
    m->weights.ticket = 0;
    m->autoscale = (struct autoscale_state){0};
    m->load_count = 0;
    m->drain_hold_until_ms = 0;
    world_text_set(&m->create_message, STR_NONE);
    m->quota_full = false;
    m->place_made = false;
}

/* A standby does not hear them. What they carried before the last leadership is not what they carry
 * at the next: each has to report anew. */
static void forget_of_gateway(struct world_gateway *gateway)
{
    gateway->reported = false;
    gateway->silent = false;
    gateway->acked = false;
}

void world_forget_doing(struct world *w)
{
    struct map_entry *entry;
    struct world_pod *pod;

    for (size_t at = 0; (entry = map_next(&w->models, &at)) != NULL;)
        world_model_forget_doing(entry->value);
    for (size_t at = 0; (pod = set_next(&w->pods, &at)) != NULL;)
        forget_of_pod(pod);
    for (size_t at = 0; (entry = map_next(&w->routes, &at)) != NULL;) {
        struct world_route *route = entry->value;

        route->put_ticket = 0;
        route->put_ms = 0;
    }
    for (size_t at = 0; (entry = map_next(&w->books, &at)) != NULL;) {
        struct world_book *book = entry->value;

        book->put_ticket = 0;
        book->post_ticket = 0;
        book->put_ms = 0;
    }
    for (size_t at = 0; (entry = map_next(&w->tenants, &at)) != NULL;) {
        struct world_tenant *tenant = entry->value;

        tenant->put_ticket = 0;
        tenant->put_ms = 0;
    }
    for (size_t i = 0; i < w->gateway_count; i++)
        forget_of_gateway(&w->gateways[i]);
}
