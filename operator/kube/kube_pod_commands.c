/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about pods: to create one (on a spot machine or not), and to delete one. */
#include <stdio.h>
#include <string.h>

#include "operator/common/must.h"
#include "operator/kube/kube_manifest.h"
#include "operator/kube/kube_private.h"
#include "operator/kube/kube_spot.h"

struct spread {
    int64_t pods, on_demand;
};

/* The pods of a model that are there and stay, and those that are being created. */
static struct spread spread_of(const struct kube *kube, const char *owner_key)
{
    struct spread spread = {0};

    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (!kube_view_has_agents(view))
            continue;
        for (const struct kube_entry *at = kube_store_index_first(
                 kube_informer_store(view->informer), KUBE_BY_OWNER, str_of(owner_key));
             at != NULL; at = kube_store_index_next(at, KUBE_BY_OWNER)) {
            const struct kube_pod *pod = at->object;

            if (pod->gone_by_ms > 0 || kube_pod_is_lost(kube, pod) ||
                kube_pod_is_reclaimed(kube, pod))
                continue;
            spread.pods++;
            spread.on_demand += kube_pod_is_on_demand(kube, pod);
        }
    }
    for (const struct kube_write *write = kube->writes; write != NULL; write = write->next) {
        if (write->owner_key != NULL && strcmp(write->owner_key, owner_key) == 0) {
            spread.pods++;
            spread.on_demand += write->on_demand;
        }
    }
    return spread;
}

static enum kube_wish wish_of(const struct kube *kube, const struct crd_object *model,
                              const char *owner_key)
{
    json_auto_t *tree = NULL;
    const json_t *spot;
    int64_t percent;
    struct spread spread;

    (void)must(crd_tree(&tree, model, "spec", NULL) == 0 ? tree : NULL);
    spot = json_object_get(json_object_get(tree, "scaling"), "spot");
    percent = json_integer_value(json_object_get(spot, "percent"));
    if (percent <= 0)
        return KUBE_WISH_ANY; /* as most models; else each would look through all writes */
    spread = spread_of(kube, owner_key);
    return kube_spot_wish(percent, json_integer_value(json_object_get(spot, "minOnDemand")),
                          spread.pods, spread.on_demand);
}

void kube_pod_create(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec)
{
    struct kube *kube = kube_of_platform(p);
    const struct kube_target target = {.resource = &kube_pods_resource,
                                       .name_space = str_of(spec->model->name_space)};
    char owner_key[2 * CRD_NAME_MAX + 2];
    struct kube_manifest_options options = {
        .image = kube->options.agent_image,
        .pull_policy = kube->options.agent_pull_policy,
        .pull_secret = kube->options.agent_pull_secret,
        .public_key = kube->public_key,
        .now_ms = clock_wall_ms(p->clock),
    };
    CLEANUP(buf_fini) struct buf manifest = {0};
    struct kube_write *write;
    struct err err = {0};
    int r = kube_check_lead(kube, &err);

    snprintf(owner_key, sizeof(owner_key), "%s/%s", spec->model->name_space, spec->model->name);
    options.wish = wish_of(kube, spec->model, owner_key);
    write = kube_write_new(kube, ticket);
    write->owner_key = must_text(str_of(owner_key));
    write->on_demand = options.wish == KUBE_WISH_ON_DEMAND;
    buf_init(&manifest, KUBE_MANIFEST_BYTES_MAX);
    if (r == 0)
        r = kube_manifest_write(&manifest, &options, spec, &err);
    if (r == 0)
        r = kube_create(kube->api, &target, KUBE_MANAGER_POD, buf_str(&manifest),
                        kube_write_reply(write), &err);
    kube_write_settle(write, r, &err);
}

/* Whole seconds, and never none: that would free the name before the node knows of it. */
static int64_t grace_seconds(int64_t grace_ms)
{
    int64_t seconds = (grace_ms + 999) / 1000;

    return seconds > 0 ? seconds : 1;
}

void kube_pod_delete(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                     struct str uid, int64_t grace_ms)
{
    struct kube *kube = kube_of_platform(p);
    const struct kube_target target = {
        .resource = &kube_pods_resource, .name_space = name_space, .name = name};
    const struct kube_delete_options options = {.uid = uid, .grace_s = grace_seconds(grace_ms)};
    struct kube_write *write = kube_write_new(kube, ticket);
    struct err err = {0};
    int r = kube_check_lead(kube, &err);

    if (r == 0)
        r = kube_delete(kube->api, &target, &options, kube_write_reply(write), &err);
    kube_write_settle(write, r, &err);
}

/* A container can't be restarted from outside; another pod takes its place. */
void kube_pod_restart(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                      struct str uid)
{
    kube_pod_delete(p, ticket, name_space, name, uid, 0);
    kube_pod_give_up(kube_of_platform(p), uid);
}
