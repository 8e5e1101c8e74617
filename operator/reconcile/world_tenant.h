/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The views of Tenants. Those that name a price book are strung together, so that one that comes
 * or goes finds them without a look at all:
 *
 *     payers (name of a book) --> tenant <--> tenant <--> ...
 */
#ifndef SPATE_OPERATOR_WORLD_TENANT_H
#define SPATE_OPERATOR_WORLD_TENANT_H

#include "operator/platform.h"
#include "operator/reconcile/ready.h"

struct world;

struct world_tenant {
    struct crd_object *object;
    char *book;                           /* name of the price book that it names; NULL: none */
    struct world_tenant *previous, *next; /* that name the same */
    bool served;                          /* there was room for it when it came, or is now */
    struct ready ready;
    uint64_t put_ticket; /* of the call under way; 0: none */
    int64_t put_ms;      /* a status was written and not seen yet; 0: none */
};

/* More than are served, so that those that have to wait are told. */
enum { WORLD_TENANTS_WAITING_MAX = 1000 };

struct world_tenant *world_tenant_find(const struct world *w, struct str name);
/* Takes the view of an object over. NULL: there are so many that this one is not even told. */
struct world_tenant *world_tenant_set(struct world *w, struct crd_object *object);
/* It is gone. Returns the one that is served in its place, or NULL. */
struct world_tenant *world_tenant_remove(struct world *w, struct str name);
void world_tenant_free(struct world_tenant *tenant); /* the end: nothing is kept in order */

/* The first of those that name the book; the others follow by `next`. */
struct world_tenant *world_tenant_payers(const struct world *w, struct str book);

#endif
