/* SPDX-License-Identifier: Apache-2.0 */
/* What is watched. Nothing of it is told before all views are complete: see kube_tell.c. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "operator/common/must.h"
#include "operator/kube/kube_private.h"

const struct kube_resource kube_pods_resource = {"", "v1", "pods", true};
static const struct kube_resource nodes_resource = {"", "v1", "nodes", false};

bool kube_view_has_agents(const struct kube_view *view)
{
    return view->resource == &kube_pods_resource && view != view->kube->gateways;
}

/* --- our own objects -------------------------------------------------------------------------- */

static int decode_custom(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                         struct err *err)
{
    const struct kube_view *view = user;

    return kube_crd_read((struct kube_custom **)out, object, view->kind, meta, err);
}

static void release_custom(void *user, void *object)
{
    (void)user;
    kube_crd_free(object);
}

static const struct kube_store_type custom_type = {.decode = decode_custom,
                                                   .release = release_custom};

/* Pods of a model that could not be read were not told of; now they are. */
static void tell_pods_of(struct kube *kube, const struct crd_object *model)
{
    char owner_key[2 * CRD_NAME_MAX + 2];

    snprintf(owner_key, sizeof(owner_key), "%s/%s", model->name_space, model->name);
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (!kube_view_has_agents(view))
            continue;
        for (const struct kube_entry *at = kube_store_index_first(
                 kube_informer_store(view->informer), KUBE_BY_OWNER, str_of(owner_key));
             at != NULL; at = kube_store_index_next(at, KUBE_BY_OWNER))
            kube_pods_tell(kube, at);
    }
}

/* Gone for good: told of in the form in which it was told of last. */
static void custom_deleted(struct kube *kube, const struct kube_custom *custom)
{
    struct crd_object *known = kube_crd_known(custom);

    if (known == NULL)
        return;
    kube_budget_forget(kube, known);
    if (custom->told && !kube->closing)
        kube->platform.handler->on_object(kube->platform.user, PLATFORM_DELETED, known);
}

static void custom_changed(struct kube *kube, enum kube_change change,
                           const struct kube_entry *entry, const struct kube_custom *before)
{
    struct kube_custom *custom = entry->object;
    const struct crd_object *known = before == NULL ? NULL : kube_crd_known(before);
    bool was_held = before != NULL && before->object == NULL;

    if (change == KUBE_DELETED) {
        custom_deleted(kube, custom);
        return;
    }
    kube_crd_follow(custom, before);
    if (!kube->synced || kube->closing)
        return;
    if (kube_namespace_is_absent(kube, kube_entry_space(entry))) {
        custom->told = before != NULL && before->told;
        custom->behind = true;
        return;
    }
    if (custom->object != NULL &&
        (known == NULL || known->generation != custom->object->generation))
        kube_definitions_tell(kube, custom->object);
    kube_tell_custom(kube, known != NULL ? PLATFORM_MODIFIED : PLATFORM_ADDED, entry);
    kube_budget_follow(kube, custom);
    if (was_held && custom->object != NULL && custom->object->kind->id == CRD_MODEL_DEPLOYMENT)
        tell_pods_of(kube, custom->object);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void on_change(void *user, enum kube_change change, const struct kube_entry *entry,
                      const void *before, bool unseen)
{
    struct kube_view *view = user;
    struct kube *kube = view->kube;

    (void)unseen;
    if (view->kind != NULL)
        custom_changed(kube, change, entry, before);
    else if (view == kube->nodes)
        kube_node_changed(kube, change, entry, before);
    else if (view == kube->gateways)
        kube_gateways_tell(kube);
    else
        kube_pod_changed(kube, change, entry, before);
}

void kube_views_go_on(struct kube *kube)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (!view->synced && !view->absent)
            return;
    }
    if (kube->synced || kube->closing)
        return;
    kube->synced = true;
    log_info("the views of the cluster are complete");
    kube_gateways_tell(kube);
    kube_tell_begin(kube);
}

static void on_synced(void *user)
{
    struct kube_view *view = user;

    view->synced = true;
    kube_views_go_on(view->kube);
}

static void on_trouble(void *user, const struct err *err, int64_t again_in_ms)
{
    struct kube_view *view = user;
    char cure[KUBE_CURE_MAX];

    if (view->kind != NULL && err->code == ERR_NOT_FOUND) {
        kube_definitions_cure(view->kube, cure);
        log_error("a CustomResourceDefinition is missing, and nothing is done before it is there",
                  LOG_STR("resource", view->resource->plural), LOG_STR("cure", cure), LOG_ERR(err));
    }
    log_warn("a watch failed; it is tried again", LOG_STR("resource", view->resource->plural),
             LOG_VIEW("namespace", view->name_space), LOG_I64("again_in_ms", again_in_ms),
             LOG_ERR(err));
    kube_absence_note(view, err);
}

static void on_refused(void *user, const struct kube_meta *meta, const struct err *err)
{
    const struct kube_view *view = user;

    log_error("an object can't be read", LOG_STR("resource", view->resource->plural),
              LOG_VIEW("name", meta->name), LOG_ERR(err));
}

/* Lists and the writes of a new leader leave holes that the C library would keep. */
static void trim(struct kube *kube)
{
    int64_t now = clock_mono_ms(kube->platform.clock);

    if (now - kube->trimmed_ms < KUBE_TRIM_MS)
        return;
    kube->trimmed_ms = now;
    mem_trim();
}

static void sweep(void *object)
{
    struct kube *kube = object;

    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (kube_view_has_agents(view))
            kube_pods_sweep(kube, kube_informer_store(view->informer));
    }
    kube_gateways_tell(kube);
    kube_budgets_sweep(kube);
    trim(kube);
    loop_timer_start(kube->loop, &kube->sweep, KUBE_SWEEP_MS);
}

/* --- life ------------------------------------------------------------------------------------- */

static int view_open(struct kube *kube, struct kube_view **out, const struct kube_view *shape,
                     const struct kube_store_type *type, struct str selector, struct err *err)
{
    struct kube_view *view = must(mem_alloc(sizeof(*view)));

    *view = *shape;
    view->kube = kube;
    view->next = kube->views;
    kube->views = view;
    if (view->kind != NULL) {
        view->own = (struct kube_resource){CRD_GROUP, CRD_VERSION, view->kind->plural,
                                           view->kind->namespaced};
        view->resource = &view->own;
    }
    if (out != NULL)
        *out = view;
    return kube_informer_new(
        &view->informer,
        &(struct kube_informer_options){
            .api = kube->api,
            .loop = kube->loop,
            .clock = kube->platform.clock,
            .rng = kube->platform.rng,
            .resource = view->resource,
            .name_space = view->name_space,
            .label_selector = selector,
            .store = {.type = type, .user = view, .on_change = on_change, .on_refused = on_refused},
            .on_synced = on_synced,
            .on_trouble = on_trouble,
        },
        err);
}

/* Our own kinds: those of a namespace, or those of none. */
static int open_kinds(struct kube *kube, bool namespaced, struct str name_space, struct err *err)
{
    int r = 0;

    for (int i = 0; r == 0 && i < CRD_KIND_COUNT; i++) {
        const struct kube_view shape = {.kind = crd_kinds[i], .name_space = name_space};

        if (crd_kinds[i]->namespaced == namespaced)
            r = view_open(kube, NULL, &shape, &custom_type, STR_NONE, err);
    }
    return r;
}

/* Models and their agents, in one namespace or in all. */
static int open_namespace(struct kube *kube, struct str name_space, struct err *err)
{
    const struct kube_view agents = {.resource = &kube_pods_resource, .name_space = name_space};
    int r = open_kinds(kube, true, name_space, err);

    return r < 0 ? r
                 : view_open(kube, NULL, &agents, &kube_pod_type,
                             STR(KUBE_LABEL_COMPONENT "=" KUBE_COMPONENT_AGENT), err);
}

static bool is_watched(const struct kube *kube, struct str name_space)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (str_eq(view->name_space, name_space))
            return true;
    }
    return false;
}

static int open_namespaces(struct kube *kube, struct err *err)
{
    struct str rest = str_of(kube->options.watch_namespaces);
    int count = 0;
    int r = 0;

    if (rest.len == 0)
        return open_namespace(kube, STR_NONE, err);
    while (r == 0 && rest.ptr != NULL) {
        struct str name = str_trim(str_cut(&rest, ','));

        if (!str_is_dns_label(name))
            r = err_set(err, ERR_INVALID, "--watch-namespaces: '%.*s' is no name of a namespace",
                        STR_ARG(name));
        else if (is_watched(kube, name))
            r = err_set(err, ERR_INVALID, "--watch-namespaces: '%.*s' is there twice",
                        STR_ARG(name));
        else if (++count > KUBE_NAMESPACES_MAX)
            r = err_set(err, ERR_LIMIT,
                        "--watch-namespaces: more than %d; leave it out to watch "
                        "all",
                        KUBE_NAMESPACES_MAX);
        else
            r = open_namespace(kube, name, err);
    }
    return r;
}

int kube_views_open(struct kube *kube, struct err *err)
{
    const struct kube_view nodes = {.resource = &nodes_resource};
    const struct kube_view gateways = {.resource = &kube_pods_resource,
                                       .name_space = str_of(kube->name_space)};
    int r = open_namespaces(kube, err);

    kube_absence_init(kube);
    loop_timer_init(&kube->sweep, sweep, kube);
    if (r == 0)
        r = open_kinds(kube, false, STR_NONE, err);
    if (r == 0)
        r = view_open(kube, &kube->nodes, &nodes, &kube_node_type, STR_NONE, err);
    if (r == 0)
        r = view_open(kube, &kube->gateways, &gateways, &kube_pod_type,
                      STR(KUBE_LABEL_COMPONENT "=" KUBE_COMPONENT_GATEWAY), err);
    return r;
}

void kube_views_start(struct kube *kube)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next)
        kube_informer_start(view->informer);
}

void kube_views_close(struct kube *kube)
{
    loop_timer_stop(&kube->sweep);
    kube_absence_stop(kube);
    kube_tell_stop(kube);
    while (kube->views != NULL) {
        struct kube_view *next = kube->views->next;

        kube_informer_free(kube->views->informer);
        mem_free(kube->views);
        kube->views = next;
    }
    kube->nodes = kube->gateways = NULL;
}

const struct kube_entry *kube_pod_by_uid(const struct kube *kube, struct str uid)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        const struct kube_entry *entry =
            kube_view_has_agents(view)
                ? kube_store_index_first(kube_informer_store(view->informer), KUBE_BY_UID, uid)
                : NULL;

        if (entry != NULL)
            return entry;
    }
    return NULL;
}
