/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants: what their status says. Requests are not touched here: gateways know a tenant by what
 * routes.c puts into the snapshot.
 *
 * Tenants may be very many, so nothing is written that the view shows already, and where statuses
 * can not be written at all (the definition is of a release without them, or the right is missing)
 * one of them is tried now and then, for all.
 */
#include "operator/reconcile/pass.h"

#include <stdio.h>
#include <string.h>

#include "crd/tenant.h"
#include "operator/common/must.h"

enum {
    TENANT_REST_MS = 10 * 1000,
    TENANT_PAUSE_FIRST_MS = 2 * 1000,
    TENANT_PAUSE_MAX_MS = 60 * 1000,
};

static void write_key(char out[CRD_NAME_MAX + sizeof(TENANT_KEY_PREFIX)], const char *name)
{
    snprintf(out, CRD_NAME_MAX + sizeof(TENANT_KEY_PREFIX), TENANT_KEY_PREFIX "%s", name);
}

static struct world_tenant *tenant_of_key(const struct reconciler *r, const char *key)
{
    return world_tenant_find(&r->world,
                             str_slice(str_of(key), strlen(TENANT_KEY_PREFIX), strlen(key)));
}

/* --- the pass --------------------------------------------------------------------------------- */

static void look(const struct reconciler *r, const struct world_tenant *tenant,
                 struct ready_next *next)
{
    const struct world_book *book =
        tenant->book != NULL ? prices_book(r, str_of(tenant->book)) : NULL;

    if (!tenant->served)
        ready_say(next, CRD_FALSE, "TooManyTenants",
                  "it is not served: there is room for %zu tenants. Delete one that is not needed",
                  r->world.tenants_max);
    else if (tenant->book == NULL)
        ready_say(next, CRD_TRUE, "Ready",
                  "it is served; its tokens are unpriced, as spec.priceBook names no price book");
    else if (book == NULL)
        ready_say(next, CRD_FALSE, "PriceBookMissing",
                  "there is no PriceBook %s: create it, or correct spec.priceBook. Until then it "
                  "is served, and its tokens are unpriced",
                  tenant->book);
    else if (book->posted_version == 0)
        ready_say(next, CRD_FALSE, "PriceBookNotReady",
                  "the PriceBook %s is not in force: its condition Ready says why. Until then it "
                  "is served, and its tokens are unpriced",
                  tenant->book);
    else
        ready_say(next, CRD_TRUE, "Ready", "it is served, and charged by the PriceBook %s",
                  tenant->book);
}

static void put_status(struct reconciler *r, const char *key, struct world_tenant *tenant,
                       struct ready_next *next)
{
    struct crd_tenant_status status = {
        .observed_generation = tenant->object->generation,
        .conditions = &next->condition,
        .condition_count = 1,
    };
    json_auto_t *tree = NULL;

    ready_stamp(next, &tenant->ready, status.observed_generation,
                clock_wall_ms(r->platform->clock));
    (void)must(crd_tenant_status_write(&status, &tree, NULL) == 0 ? tree : NULL);
    tenant->put_ms = now_of(r);
    tenant->put_ticket = reconciler_call(r, CALL_TENANT_PUT, key, STR_NONE);
    r->puts++;
    r->platform->ops->status_put(r->platform, tenant->put_ticket, tenant->object, tree);
}

void pass_tenant(struct reconciler *r, const char *key)
{
    struct world_tenant *tenant = tenant_of_key(r, key);
    struct ready_next next;

    if (tenant == NULL) {
        queue_forget(&r->queue, str_of(key)); /* it is gone, and so are its failures */
        return;
    }
    if (tenant->put_ms > 0 && now_of(r) - tenant->put_ms < TENANT_REST_MS) {
        queue_add_at(&r->queue, str_of(key), tenant->put_ms + TENANT_REST_MS);
        return;
    }
    look(r, tenant, &next);
    if (ready_is_seen(&next, &tenant->ready, tenant->object->generation))
        return;
    if (now_of(r) < r->tenants_pause.until_ms)
        queue_add_at(&r->queue, str_of(key), r->tenants_pause.until_ms);
    else if (r->puts >= PASS_PUTS_MAX)
        queue_add(&r->held, str_of(key));
    else
        put_status(r, key, tenant, &next);
}

/* --- news ------------------------------------------------------------------------------------- */

void tenant_add(struct reconciler *r, const struct world_tenant *tenant)
{
    char key[CRD_NAME_MAX + sizeof(TENANT_KEY_PREFIX)];

    write_key(key, tenant->object->name);
    queue_add(&r->queue, str_of(key));
}

void tenants_of_book_add(struct reconciler *r, struct str book)
{
    for (const struct world_tenant *tenant = world_tenant_payers(&r->world, book); tenant != NULL;
         tenant = tenant->next)
        tenant_add(r, tenant);
}

/* A status that was written is no news to the gateways. */
static bool is_the_same_to_gateways(const struct world_tenant *known,
                                    const struct crd_object *object)
{
    return known != NULL && known->object->generation == object->generation &&
           strcmp(known->object->uid, object->uid) == 0;
}

void tenant_set(struct reconciler *r, struct crd_object *object, bool deleted)
{
    struct str name = str_of(object->name);
    struct world_tenant *tenant = world_tenant_find(&r->world, name);

    if (deleted || !is_the_same_to_gateways(tenant, object))
        routes_mark_dirty(r);
    if (deleted && tenant != NULL)
        tenant_add(r, tenant); /* for the queue to forget it */
    tenant = deleted ? world_tenant_remove(&r->world, name) : world_tenant_set(&r->world, object);
    if (tenant != NULL)
        tenant_add(r, tenant);
    else if (!deleted)
        log_error("too many tenants: this one is not served", LOG_STR("tenant", object->name));
}

/* Of all of them, as what fails for one mostly does for each. The first failure may be of a tenant
 * that was deleted just now; so only the second in a row is told. */
static void pause_all(struct reconciler *r, const struct call *call,
                      const struct platform_result *result)
{
    struct tenants_pause *pause = &r->tenants_pause;

    r->stats.failures++;
    if (now_of(r) < pause->until_ms)
        return; /* it left before the one that failed first came back */
    if (pause->length_ms == TENANT_PAUSE_FIRST_MS)
        log_warn("statuses of tenants can't be written; one is tried now and then",
                 LOG_STR("key", call->key), LOG_VIEW("error", result->message));
    pause->length_ms = pause->length_ms == 0 ? TENANT_PAUSE_FIRST_MS : 2 * pause->length_ms;
    if (pause->length_ms > TENANT_PAUSE_MAX_MS)
        pause->length_ms = TENANT_PAUSE_MAX_MS;
    pause->until_ms = now_of(r) + pause->length_ms;
}

void tenant_result(struct reconciler *r, const struct call *call,
                   const struct platform_result *result)
{
    struct world_tenant *tenant = tenant_of_key(r, call->key);

    if (result->code == 0)
        r->tenants_pause = (struct tenants_pause){0};
    if (tenant == NULL || tenant->put_ticket != call->ticket)
        return;
    tenant->put_ticket = 0;
    if (result->code == 0) {
        queue_forget(&r->queue, str_of(call->key));
        return;
    }
    tenant->put_ms = 0;
    if (err_class_of(result->code) != ERR_CLASS_CONFLICT) {
        pause_all(r, call, result);
        queue_add(&r->queue, str_of(call->key));
        return;
    }
    r->stats.conflicts++;
    queue_fail(&r->queue, str_of(call->key), now_of(r), r->platform->rng);
}
