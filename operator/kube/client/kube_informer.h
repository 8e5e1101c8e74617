/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reflector and its store, joined to a kube_api and its loop: the thing that the rest of the
 * operator uses. Loop thread only.
 */
#ifndef SPATE_OPERATOR_KUBE_INFORMER_H
#define SPATE_OPERATOR_KUBE_INFORMER_H

#include "operator/kube/client/kube_api.h"
#include "operator/kube/client/kube_reflector.h"

struct kube_informer;

struct kube_informer_options {
    struct kube_api *api; /* must outlive the informer */
    struct loop *loop;
    const struct clock *clock;
    const struct rng *rng;
    const struct kube_resource *resource;
    struct str name_space;     /* empty: all */
    struct str label_selector; /* empty: none */
    struct str field_selector;
    int page_items; /* 0: 500 */
    bool no_streaming;
    struct kube_reflector_times times;
    struct kube_store_options store; /* its user is the callbacks' below, too */
    void (*on_synced)(void *user);
    void (*on_trouble)(void *user, const struct err *err, int64_t again_in_ms);
};

/* Texts are copied. Nothing runs before kube_informer_start. */
int kube_informer_new(struct kube_informer **out, const struct kube_informer_options *options,
                      struct err *err);
void kube_informer_start(struct kube_informer *i);
/* A new list now, a consistent read: for a new leader, whose first view must not be old. done(user)
 * once, when the store holds it, however often it had to be tried; a second call before that
 * replaces the first, whose done never comes. */
void kube_informer_relist(struct kube_informer *i, void (*done)(void *user), void *user);
/* The watch is opened anew, and brings what was missed: no dead connection is trusted. */
void kube_informer_rewatch(struct kube_informer *i);
/* Not inside one of its callbacks. NULL is allowed. */
void kube_informer_free(struct kube_informer *i);

const struct kube_store *kube_informer_store(const struct kube_informer *i);
const struct kube_reflector *kube_informer_reflector(const struct kube_informer *i);

#endif
