/* SPDX-License-Identifier: Apache-2.0 */
/* Short names: see names.h. The map holds the first claim of each name. */
#include "gateway/names.h"

#include <string.h>

static bool claims_before(const struct gw_model *a, const struct gw_model *b)
{
    if (a->created_s != b->created_s)
        return a->created_s < b->created_s;
    return strcmp(a->name, b->name) < 0;
}

struct gw_model *names_first(const struct map *names, struct str name)
{
    return map_get(names, name);
}

int names_enter(struct map *names, struct gw_model *m)
{
    struct str name = str_of(m->short_name);
    struct gw_model *first;
    struct gw_model *older;
    int r = 0;

    if (m->is_entered || name.len == 0)
        return 0;
    first = names_first(names, name);
    if (first == NULL || claims_before(m, first)) {
        r = map_put(names, name, m, NULL);
        if (r < 0)
            return r;
        m->next_claim = first;
    } else {
        for (older = first; older->next_claim != NULL && claims_before(older->next_claim, m);)
            older = older->next_claim;
        m->next_claim = older->next_claim;
        older->next_claim = m;
    }
    m->is_entered = true;
    return 0;
}

void names_leave(struct map *names, struct gw_model *m)
{
    struct str name;
    struct gw_model *first;

    if (!m->is_entered)
        return;
    name = str_of(m->short_name);
    first = names_first(names, name);
    if (first == m && m->next_claim == NULL) {
        (void)map_remove(names, name);
    } else if (first == m) {
        (void)map_put(names, name, m->next_claim, NULL); /* it is there: needs no memory */
    } else {
        while (first->next_claim != m)
            first = first->next_claim;
        first->next_claim = m->next_claim;
    }
    m->next_claim = NULL;
    m->is_entered = false;
}
