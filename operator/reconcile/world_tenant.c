/* SPDX-License-Identifier: Apache-2.0 */
/* The views of Tenants: see world_tenant.h. */
#include "operator/reconcile/world_tenant.h"

#include <string.h>

#include "crd/tenant.h"
#include "operator/common/must.h"
#include "operator/reconcile/world.h"

enum { TENANT_ARENA_BYTES = 1 << 20 };

struct world_tenant *world_tenant_find(const struct world *w, struct str name)
{
    return map_get(&w->tenants, name);
}

struct world_tenant *world_tenant_payers(const struct world *w, struct str book)
{
    return book.len > 0 ? map_get(&w->payers, book) : NULL;
}

/* --- who names which price book --------------------------------------------------------------- */

static void set_first(struct world *w, const char *book, struct world_tenant *first)
{
    if (first == NULL)
        (void)map_remove(&w->payers, str_of(book));
    else
        (void)must(map_put(&w->payers, str_of(book), first, NULL) == 0 ? first : NULL);
}

static void leave_book(struct world *w, struct world_tenant *tenant)
{
    if (tenant->book == NULL)
        return;
    if (tenant->next != NULL)
        tenant->next->previous = tenant->previous;
    if (tenant->previous != NULL)
        tenant->previous->next = tenant->next;
    else
        set_first(w, tenant->book, tenant->next);
    tenant->previous = tenant->next = NULL;
    mem_free(tenant->book);
    tenant->book = NULL;
}

static void name_book(struct world *w, struct world_tenant *tenant, struct str book)
{
    if (str_is(book, tenant->book != NULL ? tenant->book : ""))
        return;
    leave_book(w, tenant);
    if (book.len == 0)
        return;
    tenant->book = must_text(book);
    tenant->next = world_tenant_payers(w, book);
    if (tenant->next != NULL)
        tenant->next->previous = tenant;
    set_first(w, tenant->book, tenant);
}

/* --- views ------------------------------------------------------------------------------------ */

static void read_spec(struct world *w, struct world_tenant *tenant)
{
    json_auto_t *spec = NULL;

    (void)must(crd_tree(&spec, tenant->object, "spec", NULL) == 0 ? spec : NULL);
    name_book(w, tenant, json_str(json_object_get(spec, "priceBook")));
}

static void read_status(struct world_tenant *tenant)
{
    struct crd_tenant_status status = {0};
    struct arena arena;

    arena_init(&arena, TENANT_ARENA_BYTES);
    if (!crd_object_has_status(tenant->object) ||
        crd_tenant_status_read(&status, tenant->object, &arena, NULL) < 0)
        ready_fini(&tenant->ready);
    else
        ready_read(&tenant->ready, status.observed_generation, status.conditions,
                   status.condition_count);
    arena_fini(&arena);
}

static struct world_tenant *tenant_get(struct world *w, struct str name)
{
    struct world_tenant *tenant = world_tenant_find(w, name);

    if (tenant != NULL)
        return tenant;
    tenant = must(mem_alloc(sizeof(*tenant)));
    if (map_put(&w->tenants, name, tenant, NULL) < 0) {
        mem_free(tenant);
        return NULL;
    }
    tenant->served = w->tenants_served < w->tenants_max;
    w->tenants_served += tenant->served;
    return tenant;
}

struct world_tenant *world_tenant_set(struct world *w, struct crd_object *object)
{
    struct world_tenant *tenant = tenant_get(w, str_of(object->name));

    if (tenant == NULL)
        return NULL;
    crd_object_ref(object);
    crd_object_unref(tenant->object);
    tenant->object = object;
    tenant->put_ms = 0; /* seen: the next write may go out */
    tenant->put_ticket = 0;
    read_spec(w, tenant);
    read_status(tenant);
    return tenant;
}

/* The oldest, and of several of one age the first by name. */
static bool comes_before(const struct world_tenant *tenant, const struct world_tenant *other)
{
    const struct crd_object *a = tenant->object, *b = other->object;

    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms;
    return strcmp(a->name, b->name) < 0;
}

static struct world_tenant *serve_one_more(struct world *w)
{
    struct world_tenant *first = NULL;
    struct map_entry *entry;

    if (w->tenants.count == w->tenants_served)
        return NULL;
    for (size_t at = 0; (entry = map_next(&w->tenants, &at)) != NULL;) {
        struct world_tenant *tenant = entry->value;

        if (!tenant->served && (first == NULL || comes_before(tenant, first)))
            first = tenant;
    }
    first->served = true;
    w->tenants_served++;
    return first;
}

void world_tenant_free(struct world_tenant *tenant)
{
    crd_object_unref(tenant->object);
    ready_fini(&tenant->ready);
    mem_free(tenant->book);
    mem_free(tenant);
}

struct world_tenant *world_tenant_remove(struct world *w, struct str name)
{
    struct world_tenant *tenant = map_remove(&w->tenants, name);
    bool leaves_room = tenant != NULL && tenant->served;

    if (tenant == NULL)
        return NULL;
    w->tenants_served -= leaves_room;
    leave_book(w, tenant);
    world_tenant_free(tenant);
    return leaves_room ? serve_one_more(w) : NULL;
}
