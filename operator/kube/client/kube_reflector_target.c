/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reflector asks for. Lists carry no resourceVersion: the server answers them with a
 * consistent read. A page after the first carries only its continue token.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "operator/kube/client/kube_reflector_private.h"

enum { NUMBER_MAX = 24, PAGE_ITEMS_DEFAULT = 500 };

static int begin(struct kube_reflector *r, struct buf *out, struct err *err)
{
    const struct kube_target target = {
        .resource = r->options.resource,
        .name_space = str_of(r->name_space),
    };
    int result = kube_path(out, &target, err);

    if (result < 0)
        return result;
    if (r->label_selector[0] != '\0')
        (void)kube_query(out, "labelSelector", str_of(r->label_selector));
    if (r->field_selector[0] != '\0')
        (void)kube_query(out, "fieldSelector", str_of(r->field_selector));
    return 0;
}

static void add_number(struct buf *out, const char *name, uint64_t value)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    (void)kube_query(out, name, str_of(text));
}

static void add_watch(struct buf *out, uint64_t timeout_s)
{
    (void)kube_query(out, "watch", STR("true"));
    (void)kube_query(out, "allowWatchBookmarks", STR("true"));
    add_number(out, "timeoutSeconds", timeout_s);
}

int kube_reflector_target_stream(struct kube_reflector *r, struct buf *out, uint64_t timeout_s,
                                 struct err *err)
{
    int result = begin(r, out, err);

    if (result < 0)
        return result;
    add_watch(out, timeout_s);
    (void)kube_query(out, "sendInitialEvents", STR("true"));
    (void)kube_query(out, "resourceVersionMatch", STR("NotOlderThan"));
    return buf_check(out, "the path of a list", err);
}

int kube_reflector_target_page(struct kube_reflector *r, struct buf *out, struct err *err)
{
    int items = r->options.page_items > 0 ? r->options.page_items : PAGE_ITEMS_DEFAULT;
    int result = begin(r, out, err);

    if (result < 0)
        return result;
    if (!r->unpaged)
        add_number(out, "limit", (uint64_t)items);
    if (r->continue_token[0] != '\0')
        (void)kube_query(out, "continue", str_of(r->continue_token));
    return buf_check(out, "the path of a list", err);
}

int kube_reflector_target_watch(struct kube_reflector *r, struct buf *out, uint64_t timeout_s,
                                struct err *err)
{
    int result = begin(r, out, err);

    if (result < 0)
        return result;
    add_watch(out, timeout_s);
    (void)kube_query(out, "resourceVersion", str_of(r->version));
    return buf_check(out, "the path of a watch", err);
}
