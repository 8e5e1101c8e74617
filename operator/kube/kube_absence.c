/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A namespace of --watch-namespaces whose objects may not be read any more: most often it was
 * deleted, and its Role went with it. The others must not wait for it.
 *
 *     every list and watch of it denied for DENIED_MS -> absent
 *     each of its kinds listed again                  -> told of as a whole
 *
 * Between the two only ends are told of, and what was known before stands: with one kind of two,
 * models would seem to have lost their pods, or pods their model, which would be the end of them.
 * Where no namespace is left it is the rights that are wrong, and they are waited for.
 */
#include "base/log.h"
#include "operator/kube/kube_private.h"

enum {
    DENIED_MS = 5 * 1000, /* an API server that has just started denies things, too */
    APART_MS = 60 * 1000, /* denials that are further apart are not of one absence */
};

static bool is_of(const struct kube_view *view, struct str name_space)
{
    return view != view->kube->gateways && view->name_space.len > 0 &&
           str_eq(view->name_space, name_space);
}

bool kube_namespace_is_absent(const struct kube *kube, struct str name_space)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (view->absent && is_of(view, name_space))
            return true;
    }
    return false;
}

/* It is denied at present, and was so for at least so long. */
static bool is_denied(const struct kube_view *view, int64_t for_ms)
{
    int64_t now = clock_mono_ms(view->kube->platform.clock);

    return view->denied_ms > 0 && now - view->denial_ms <= APART_MS &&
           view->denial_ms - view->denied_ms >= for_ms;
}

static bool all_denied(const struct kube *kube, struct str name_space)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (is_of(view, name_space) && !is_denied(view, DENIED_MS))
            return false;
    }
    return true;
}

static bool others_remain(const struct kube *kube, struct str name_space)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (is_of(view, view->name_space) && !is_of(view, name_space) && !is_denied(view, 0))
            return true;
    }
    return false;
}

static void leave_out(struct kube *kube, struct str name_space)
{
    log_error("a namespace can't be read and is left out until it can: if it was deleted, take it "
              "out of --watch-namespaces; else restore the Role there",
              LOG_VIEW("namespace", name_space));
    for (struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (!is_of(view, name_space))
            continue;
        view->absent = true;
        kube_informer_relist(view->informer, kube_view_is_fresh, view);
    }
}

/* Not inside the news of a failure, since everything may go on now. */
static void look(void *object)
{
    struct kube *kube = object;

    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        struct str name_space = view->name_space;

        if (is_of(view, name_space) && !view->absent && all_denied(kube, name_space) &&
            others_remain(kube, name_space))
            leave_out(kube, name_space);
    }
    kube_views_go_on(kube);
    kube_lead_go_on(kube);
}

void kube_absence_init(struct kube *kube)
{
    loop_deferred_init(&kube->absence, look, kube);
}

void kube_absence_stop(struct kube *kube)
{
    loop_defer_cancel(kube->loop, &kube->absence);
}

void kube_absence_note(struct kube_view *view, const struct err *err)
{
    struct kube *kube = view->kube;
    int64_t now = clock_mono_ms(kube->platform.clock);

    if (err->code != ERR_DENIED) {
        view->denied_ms = 0;
        return;
    }
    if (view->denied_ms == 0 || now - view->denial_ms > APART_MS)
        view->denied_ms = now;
    view->denial_ms = now;
    loop_defer(kube->loop, &kube->absence);
}

static void tell_models(struct kube *kube, const struct kube_view *view)
{
    const struct kube_entry *entry;

    for (size_t at = 0;
         (entry = kube_store_next(kube_informer_store(view->informer), &at)) != NULL;) {
        struct kube_custom *custom = entry->object;

        if (custom->told && !custom->behind)
            continue;
        custom->behind = false;
        kube_tell_custom(kube, custom->told ? PLATFORM_MODIFIED : PLATFORM_ADDED, entry);
        kube_budget_follow(kube, custom);
    }
}

static void tell_pods(struct kube *kube, const struct kube_view *view)
{
    const struct kube_entry *entry;

    for (size_t at = 0;
         (entry = kube_store_next(kube_informer_store(view->informer), &at)) != NULL;)
        kube_pods_tell(kube, entry);
}

void kube_absence_end(struct kube_view *view)
{
    struct kube *kube = view->kube;
    struct str name_space = view->name_space;

    view->denied_ms = 0;
    if (!view->absent)
        return;
    view->absent = false;
    if (kube_namespace_is_absent(kube, name_space))
        return;
    log_info("a namespace can be read again", LOG_VIEW("namespace", name_space));
    if (!kube->synced || kube->closing)
        return;
    for (const struct kube_view *each = kube->views; each != NULL; each = each->next) {
        if (is_of(each, name_space) && each->kind != NULL)
            tell_models(kube, each);
    }
    for (const struct kube_view *each = kube->views; each != NULL; each = each->next) {
        if (is_of(each, name_space) && kube_view_has_agents(each))
            tell_pods(kube, each);
    }
}
