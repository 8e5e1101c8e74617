/* SPDX-License-Identifier: Apache-2.0 */
/* One index of a store: see kube_index.h. */
#include "operator/kube/client/kube_index.h"

static struct str value_of(const void *user, const void *item)
{
    const struct kube_index *x = user;
    const struct kube_entry *entry = item;

    return x->value != NULL ? x->value(entry->object) : STR_NONE;
}

void kube_index_init(struct kube_index *x, int which, struct str (*value)(const void *object))
{
    set_init(&x->firsts, KUBE_STORE_OBJECTS_MAX, value_of, x);
    x->which = which;
    x->value = value;
}

void kube_index_fini(struct kube_index *x)
{
    set_fini(&x->firsts);
}

/* In the place of the first entry so far, which keeps the place behind it. */
int kube_index_add(struct kube_index *x, struct kube_entry *entry)
{
    struct kube_index_link *link = &entry->links[x->which];
    void *first = NULL;

    if (value_of(x, entry).len == 0)
        return 0;
    if (set_put(&x->firsts, entry, &first) < 0)
        return -ERR_NO_MEMORY;
    link->back = NULL;
    link->next = first;
    if (link->next != NULL)
        link->next->links[x->which].back = entry;
    return 0;
}

static void remove_one(struct kube_index *x, struct kube_entry *entry)
{
    struct kube_index_link *link = &entry->links[x->which];
    struct str value = value_of(x, entry);

    if (value.len == 0 || (link->back == NULL && set_get(&x->firsts, value) != entry))
        return; /* it is not in this one */
    if (link->back != NULL)
        link->back->links[x->which].next = link->next;
    else if (link->next != NULL)
        (void)set_put(&x->firsts, link->next, NULL); /* can't fail: it takes the place of another */
    else
        (void)set_remove(&x->firsts, value);
    if (link->next != NULL)
        link->next->links[x->which].back = link->back;
    *link = (struct kube_index_link){0};
}

void kube_index_remove_all(struct kube_index *indexes, struct kube_entry *entry)
{
    for (int i = 0; i < entry->link_count; i++)
        remove_one(&indexes[i], entry);
}

const struct kube_entry *kube_index_first(const struct kube_index *x, struct str value)
{
    return set_get(&x->firsts, value);
}
