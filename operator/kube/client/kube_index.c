/* SPDX-License-Identifier: Apache-2.0 */
/* One index of a store: see kube_index.h. */
#include "operator/kube/client/kube_index.h"

#include "base/mem.h"

struct kube_index_bucket {
    char *value;
    struct kube_entry *first;
};

void kube_index_init(struct kube_index *x)
{
    map_init(&x->buckets, KUBE_STORE_OBJECTS_MAX);
}

static void bucket_free(struct kube_index_bucket *bucket)
{
    mem_free(bucket->value);
    mem_free(bucket);
}

void kube_index_fini(struct kube_index *x)
{
    struct map_entry *slot;

    for (size_t at = 0; (slot = map_next(&x->buckets, &at)) != NULL;)
        bucket_free(slot->value);
    map_fini(&x->buckets);
}

static struct kube_index_bucket *bucket_get(struct kube_index *x, struct str value)
{
    struct kube_index_bucket *bucket = map_get(&x->buckets, value);

    if (bucket != NULL)
        return bucket;
    bucket = mem_alloc(sizeof(*bucket));
    if (bucket == NULL)
        return NULL;
    bucket->value = mem_strndup(value.ptr, value.len);
    if (bucket->value == NULL || map_put(&x->buckets, value, bucket, NULL) < 0) {
        bucket_free(bucket);
        return NULL;
    }
    return bucket;
}

int kube_index_add(struct kube_index *x, int which, struct str value, struct kube_entry *entry)
{
    struct kube_index_link *link = &entry->links[which];
    struct kube_index_bucket *bucket;

    if (value.len == 0)
        return 0;
    bucket = bucket_get(x, value);
    if (bucket == NULL)
        return -ERR_NO_MEMORY;
    link->bucket = bucket;
    link->back = NULL;
    link->next = bucket->first;
    if (link->next != NULL)
        link->next->links[which].back = entry;
    bucket->first = entry;
    return 0;
}

static void remove_one(struct kube_index *x, int which, struct kube_entry *entry)
{
    struct kube_index_link *link = &entry->links[which];
    struct kube_index_bucket *bucket = link->bucket;

    if (bucket == NULL)
        return;
    if (link->back != NULL)
        link->back->links[which].next = link->next;
    else
        bucket->first = link->next;
    if (link->next != NULL)
        link->next->links[which].back = link->back;
    *link = (struct kube_index_link){0};
    if (bucket->first != NULL)
        return;
    (void)map_remove(&x->buckets, str_of(bucket->value));
    bucket_free(bucket);
}

void kube_index_remove_all(struct kube_index *indexes, struct kube_entry *entry)
{
    for (int i = 0; i < entry->link_count; i++)
        remove_one(&indexes[i], i, entry);
}

const struct kube_entry *kube_index_first(const struct kube_index *x, struct str value)
{
    const struct kube_index_bucket *bucket = map_get(&x->buckets, value);

    return bucket != NULL ? bucket->first : NULL;
}
