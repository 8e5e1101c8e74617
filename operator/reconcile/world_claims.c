/* SPDX-License-Identifier: Apache-2.0 */
/* Short names: which models and routes claim one, and whose it is. */
#include <string.h>

#include "operator/common/must.h"
#include "operator/reconcile/world.h"

static bool is_same(const struct world_claimant *a, const struct world_claimant *b)
{
    return a->model == b->model && a->route == b->route;
}

static const struct crd_object *object_of(const struct world_claimant *who)
{
    return who->model != NULL ? who->model->object : who->route->object;
}

void world_claim_drop(struct world *w, struct world_claimant who, char **claimed_name)
{
    struct world_claim *claim;

    if (*claimed_name == NULL)
        return;
    claim = map_get(&w->claims, str_of(*claimed_name));
    for (size_t i = 0; claim != NULL && i < claim->count; i++) {
        if (is_same(&claim->claimants[i], &who)) {
            claim->claimants[i] = claim->claimants[--claim->count];
            break;
        }
    }
    if (claim != NULL && claim->count == 0) {
        map_remove(&w->claims, str_of(*claimed_name));
        mem_free(claim->claimants);
        mem_free(claim);
    }
    mem_free(*claimed_name);
    *claimed_name = NULL;
}

void world_claim_set(struct world *w, struct world_claimant who, char **claimed_name,
                     struct str name)
{
    struct world_claim *claim;

    if (*claimed_name != NULL && str_is(name, *claimed_name))
        return;
    world_claim_drop(w, who, claimed_name);
    claim = map_get(&w->claims, name);
    if (claim == NULL) {
        claim = must(mem_alloc(sizeof(*claim)));
        if (map_put(&w->claims, name, claim, NULL) < 0) {
            mem_free(claim);
            return; /* over WORLD_CLAIMS_MAX: the name is not accepted */
        }
    }
    if (claim->count == claim->cap) {
        claim->cap = claim->cap == 0 ? 2 : 2 * claim->cap;
        claim->claimants =
            must(mem_resize(claim->claimants, claim->cap, sizeof(*claim->claimants)));
    }
    claim->claimants[claim->count++] = who;
    *claimed_name = must_text(name);
}

/* The oldest claim wins; of two of one age the one whose uid sorts first. */
static bool claims_before(const struct crd_object *a, const struct crd_object *b)
{
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms;
    return strcmp(a->uid, b->uid) < 0;
}

const struct crd_object *world_claim_owner(const struct world *w, const char *name)
{
    const struct world_claim *claim = name != NULL ? map_get(&w->claims, str_of(name)) : NULL;
    const struct crd_object *owner = NULL;

    for (size_t i = 0; claim != NULL && i < claim->count; i++) {
        const struct crd_object *object = object_of(&claim->claimants[i]);

        if (owner == NULL || claims_before(object, owner))
            owner = object;
    }
    return owner;
}
