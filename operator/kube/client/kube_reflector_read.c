/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in: items of a list and events of a watch, into the store. */
#include <string.h>

#include "operator/kube/client/kube_reflector_private.h"

static int fail(struct kube_reflector *r, int result)
{
    r->failure = result;
    return result;
}

/* A failure of the store leaves it behind the server, so the view must be made anew. */
static int store_failed(struct kube_reflector *r, int result)
{
    r->store_failed = true;
    return fail(r, result);
}

static int set_version(struct kube_reflector *r, struct str version)
{
    if (version.len == 0 || version.len >= sizeof(r->version))
        return fail(r,
                    err_set(&r->failure_err, ERR_PROTOCOL,
                            "a resourceVersion of %zu bytes can't be gone on from", version.len));
    memcpy(r->version, version.ptr, version.len);
    r->version[version.len] = '\0';
    return 0;
}

int kube_reflector_take_item(void *object, const json_t *item, const struct kube_meta *meta)
{
    struct kube_reflector *r = object;
    int result = kube_store_list_add(r->options.store, item, meta, &r->failure_err);

    return result < 0 ? store_failed(r, result) : 0;
}

int kube_reflector_commit(struct kube_reflector *r, const char *version)
{
    int result = kube_store_list_commit(r->options.store, &r->failure_err);

    if (result < 0)
        return store_failed(r, result);
    if (!r->busy) /* a callback wants another list, so nothing of this one is gone on from */
        return -ERR_CANCELLED;
    result = set_version(r, str_of(version));
    if (result < 0)
        return result;
    r->paging = false;
    r->pages_next = false;
    r->unpaged = false;
    r->continue_token[0] = '\0';
    if (!r->synced) {
        r->synced = true;
        if (r->options.on_synced != NULL)
            r->options.on_synced(r->options.user);
    }
    if (r->busy && r->options.on_listed != NULL)
        r->options.on_listed(r->options.user);
    return r->busy ? 0 : -ERR_CANCELLED;
}

/* The initial set of a streaming list: it counts when its end mark comes, as a whole. */
static int take_initial(struct kube_reflector *r, const struct kube_watch_event *event)
{
    char version[KUBE_LIST_TEXT_MAX];
    int result;

    switch (event->type) {
    case KUBE_WATCH_ADDED:
    case KUBE_WATCH_MODIFIED:
        return kube_reflector_take_item(r, event->object, &event->meta);
    case KUBE_WATCH_DELETED:
        kube_store_list_remove(r->options.store, &event->meta);
        return 0;
    default:
        break;
    }
    if (!event->initial_end)
        return 0;
    if (event->meta.resource_version.len >= sizeof(version))
        return set_version(r, event->meta.resource_version);
    memcpy(version, event->meta.resource_version.ptr, event->meta.resource_version.len);
    version[event->meta.resource_version.len] = '\0';
    result = kube_reflector_commit(r, version);
    if (result < 0)
        return result;
    r->phase = KUBE_REFLECTOR_WATCH;
    r->watching_ms = kube_reflector_now(r);
    r->counts.watches++;
    return 0;
}

static int apply(struct kube_reflector *r, const struct kube_watch_event *event)
{
    int result = 0;

    if (event->type == KUBE_WATCH_BOOKMARK) {
        r->counts.bookmarks++;
    } else if (event->type == KUBE_WATCH_DELETED) {
        kube_store_remove(r->options.store, &event->meta);
        r->counts.events++;
    } else {
        result = kube_store_put(r->options.store, event->object, &event->meta, &r->failure_err);
        r->counts.events++;
    }
    if (result < 0)
        return store_failed(r, result);
    if (!r->busy)
        return -ERR_CANCELLED;
    result = set_version(r, event->meta.resource_version);
    if (result < 0)
        return result;
    r->progress = true;
    r->useless = 0;
    kube_backoff_reset(&r->backoff);
    return 0;
}

int kube_reflector_take_event(void *object, const struct kube_watch_event *event)
{
    struct kube_reflector *r = object;

    if (!r->busy) /* a callback of an event before this one gave the request up */
        return -ERR_CANCELLED;
    if (event->type == KUBE_WATCH_ERROR) {
        r->got_error = true;
        r->error = event->status;
        return -ERR_CANCELLED;
    }
    if (r->phase == KUBE_REFLECTOR_STREAM_LIST)
        return take_initial(r, event);
    return apply(r, event);
}
