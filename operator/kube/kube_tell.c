/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the handler of what the views hold when they are complete. There may be a hundred
 * thousand objects, so it goes in pieces, between which the lease is renewed and news are told as
 * they come; then the handler hears that it knows everything.
 */
#include "base/log.h"
#include "operator/kube/kube_private.h"

enum { AT_ONCE = 200 /* objects told in one round of the loop */ };

/* The handler reads the status now or never, and of a model with many pods it is large. */
void kube_tell_custom(const struct kube *kube, enum platform_change change,
                      const struct kube_entry *entry)
{
    struct kube_custom *custom = entry->object;

    custom->told = true;
    if (custom->object != NULL) {
        kube->platform.handler->on_object(kube->platform.user, change, custom->object);
        crd_object_drop_status(custom->object);
    } else {
        log_error("an object can't be read, so nothing is done about it; the CRDs and the "
                  "operator should be of one version",
                  LOG_VIEW("namespace", kube_entry_space(entry)),
                  LOG_VIEW("name", kube_entry_name(entry)), LOG_STR("fault", custom->fault));
    }
}

/* False: it is told already, or there is nothing to tell. */
static bool tell_untold(struct kube *kube, const struct kube_view *view,
                        const struct kube_entry *entry)
{
    const struct kube_custom *custom = entry->object;
    const struct kube_pod *pod = entry->object;

    if (view->kind != NULL) {
        if (custom->told || kube_namespace_is_absent(kube, kube_entry_space(entry)))
            return false;
        kube_tell_custom(kube, PLATFORM_ADDED, entry);
        return true;
    }
    if (!kube_view_has_agents(view) || pod->told)
        return false;
    kube_pods_tell(kube, entry);
    return pod->told;
}

/* Goes on where it stood. Entries move as others come and go, so the end is a whole round in which
 * nothing was found: true. */
static bool tell_some(struct kube *kube, struct kube_view *view)
{
    const struct kube_store *store = kube_informer_store(view->informer);

    for (int left = AT_ONCE; left > 0;) {
        const struct kube_entry *entry = kube_store_next(store, &view->tell_at);

        if (entry == NULL) {
            bool all_told = !view->tell_found;

            view->tell_at = 0;
            view->tell_found = false;
            if (all_told)
                return true;
        } else if (tell_untold(kube, view, entry)) {
            view->tell_found = true;
            left--;
        }
    }
    return false;
}

static bool tell_views(struct kube *kube, bool of_our_own)
{
    for (struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if ((view->kind != NULL) == of_our_own && !tell_some(kube, view))
            return false;
    }
    return true;
}

/* Our own objects first: pods belong to them. */
static void tell_more(void *object)
{
    struct kube *kube = object;

    if (!tell_views(kube, true) || !tell_views(kube, false)) {
        loop_timer_start(kube->loop, &kube->telling, 0);
        return;
    }
    kube->told = true;
    kube->platform.handler->on_synced(kube->platform.user);
    loop_timer_start(kube->loop, &kube->sweep, KUBE_SWEEP_MS);
}

void kube_tell_begin(struct kube *kube)
{
    loop_timer_init(&kube->telling, tell_more, kube);
    tell_more(kube);
}

void kube_tell_stop(struct kube *kube)
{
    loop_timer_stop(&kube->telling);
}
