/* SPDX-License-Identifier: Apache-2.0 */
/* The first route snapshot of a leader: each model had its first pass, which says whose the short
 * names are, and each agent was asked, else it would lack them. */
#include "operator/reconcile/pass.h"

void routes_begin(struct reconciler *r)
{
    int64_t now = now_of(r);

    r->routes_opened = false;
    r->routes_dirty = true;
    r->first_routes = (struct routes_wait){
        .since_ms = now, .progress_ms = now, .look_ms = now, .missing = SIZE_MAX};
}

static size_t agents_missing(const struct reconciler *r)
{
    const struct world_pod *pod;
    size_t missing = 0;

    for (size_t at = 0; (pod = set_next(&r->world.pods, &at)) != NULL;) {
        missing += pod->phase == PLATFORM_POD_RUNNING && world_pod_address(pod).len > 0 &&
                   !pod->deleting && !pod->met;
    }
    return missing;
}

bool routes_may_open(struct reconciler *r)
{
    struct routes_wait *wait = &r->first_routes;
    int64_t now = now_of(r);
    int64_t max_ms =
        PASS_FIRST_ROUTES_MAX_MS + PASS_FIRST_ROUTES_POD_MS * (int64_t)r->world.pods.count;
    size_t missing;

    if (now - wait->since_ms >= max_ms)
        return true;
    if (now < wait->look_ms)
        return false;
    wait->look_ms = now + PASS_FIRST_ROUTES_LOOK_MS +
                    (int64_t)r->world.pods.count / PASS_FIRST_ROUTES_LOOK_PODS;
    if (r->queue.ready_count > 0)
        return false;
    missing = agents_missing(r);
    if (missing < wait->missing)
        wait->progress_ms = now;
    wait->missing = missing;
    return missing == 0 || now - wait->progress_ms >= PASS_FIRST_ROUTES_WAIT_MS;
}
