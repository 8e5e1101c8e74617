/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoder of a list page: bytes in, items out, one at a time. The page never exists as one tree:
 * a scanner finds where an item of the member "items" begins and ends, and only that item is
 * parsed. Sans I/O.
 *
 *     {"kind":"PodList","apiVersion":"v1","metadata":{...},"items":[ {...} , {...} ]}
 *       `---- skipped ----------------'     kept, parsed        item    item
 */
#ifndef SPATE_OPERATOR_KUBE_LIST_H
#define SPATE_OPERATOR_KUBE_LIST_H

#include "operator/kube/client/kube_object.h"

enum {
    KUBE_LIST_SKIPPED_MAX = 64 << 10, /* bytes of a member that is skipped, and of metadata */
    KUBE_LIST_TEXT_MAX = 2048,        /* of resourceVersion and of continue */
};

typedef int (*kube_item_fn)(void *user, const json_t *object, const struct kube_meta *meta);

struct kube_list {
    kube_item_fn fn;
    void *user;
    /* Valid after kube_list_end: of the page. An empty token: it was the last page. */
    char resource_version[KUBE_LIST_TEXT_MAX];
    char continue_token[KUBE_LIST_TEXT_MAX];
    uint64_t items;

    /* The rest is private. */
    struct buf value; /* the item, or metadata, so far */
    struct buf key;
    size_t skipped;
    int state, depth, member;
    bool in_string, escaped, has_metadata, has_items;
    int failed;
};

void kube_list_init(struct kube_list *l, kube_item_fn fn, void *user); /* does not allocate */
void kube_list_fini(struct kube_list *l);
void kube_list_reset(struct kube_list *l);
int kube_list_feed(struct kube_list *l, struct str bytes, struct err *err);
/* At the end of the body: -ERR_PROTOCOL if it was cut off. */
int kube_list_end(struct kube_list *l, struct err *err);

#endif
