/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PodDisruptionBudget per model: whoever drains nodes on purpose takes at most one of a model's
 * pods at a time. It follows the number of replicas that the model's status wants, as watched: each
 * change at once, and a look at all models every few seconds finds what lacks, whether a write
 * failed or the leader died before it. So a new leader applies each once; an equal one changes
 * nothing. The model is its owner, and takes it along.
 *
 * minAvailable is a number since the pods have no controller that the API server could ask how many
 * there should be. With one replica it is 0: an eviction is answered by SIGTERM, which drains, and
 * by another pod; a budget that forbids it would only keep nodes from being drained.
 */
#include <stdio.h>

#include "base/log.h"
#include "operator/common/must.h"
#include "operator/kube/kube_manifest.h"
#include "operator/kube/kube_private.h"

enum {
    BUDGET_BYTES_MAX = 16 << 10,
    BUDGETS_MAX = 100000,
    BUDGET_KEY_MAX = 2 * CRD_NAME_MAX + 2,
    LOOK_MS = 5 * 1000, /* between looks at all */
    AT_ONCE = 50,       /* applied in one look */
};

static const struct kube_resource budgets_resource = {"policy", "v1", "poddisruptionbudgets", true};

/* What was applied last for a model, or is being applied. */
struct budget {
    struct kube *kube;
    struct kube_call *call;
    char key[BUDGET_KEY_MAX];
    int64_t desired;
};

void kube_budgets_init(struct kube *kube)
{
    map_init(&kube->budgets, BUDGETS_MAX);
}

static void budget_free(struct budget *budget)
{
    if (budget == NULL)
        return;
    kube_call_cancel(budget->call);
    mem_free(budget);
}

void kube_budgets_clear(struct kube *kube)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&kube->budgets, &at)) != NULL;)
        budget_free(entry->value);
    map_fini(&kube->budgets);
    map_init(&kube->budgets, BUDGETS_MAX);
}

static void key_of(const struct crd_object *model, char out[BUDGET_KEY_MAX])
{
    snprintf(out, BUDGET_KEY_MAX, "%s/%s", model->name_space, model->name);
}

void kube_budget_forget(struct kube *kube, const struct crd_object *model)
{
    char key[BUDGET_KEY_MAX];

    key_of(model, key);
    budget_free(map_remove(&kube->budgets, str_of(key)));
}

/* One that was refused is left alone until another number is wanted. */
static void applied(void *user, const struct kube_answer *answer)
{
    struct budget *budget = user;

    budget->call = NULL;
    if (answer->code == 0)
        return;
    log_warn("the disruption budget of a model can't be written", LOG_STR("model", budget->key),
             LOG_ERR(answer->err));
    if (answer->code != -ERR_DENIED && answer->code != -ERR_INVALID)
        budget->desired = -1;
}

static bool may_send(void *user)
{
    const struct budget *budget = user;

    return kube_leads_for_sure(budget->kube);
}

static void write_budget(struct buf *out, const struct crd_object *model, const char *name,
                         int64_t desired)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", "policy/v1");
    json_put_text(&w, "kind", "PodDisruptionBudget");
    json_key(&w, "metadata");
    json_open(&w, '{');
    json_put_text(&w, "name", name);
    json_put_text(&w, "namespace", model->name_space);
    json_key(&w, "labels");
    json_open(&w, '{');
    json_put_text(&w, "app.kubernetes.io/managed-by", "spate-operator");
    json_put_text(&w, KUBE_LABEL_MODEL, model->name);
    json_close(&w, '}');
    kube_put_owner(&w, model);
    json_close(&w, '}');
    json_key(&w, "spec");
    json_open(&w, '{');
    json_put_i64(&w, "minAvailable", desired > 1 ? desired - 1 : 0);
    json_put_text(&w, "unhealthyPodEvictionPolicy", "AlwaysAllow");
    json_key(&w, "selector");
    json_open(&w, '{');
    json_key(&w, "matchLabels");
    json_open(&w, '{');
    json_put_text(&w, KUBE_LABEL_COMPONENT, KUBE_COMPONENT_AGENT);
    json_put_text(&w, KUBE_LABEL_MODEL, model->name);
    json_close(&w, '}');
    json_close(&w, '}');
    json_close(&w, '}');
    json_close(&w, '}');
}

static int send_budget(struct budget *budget, const struct crd_object *model, struct err *err)
{
    char name[CRD_NAME_MAX + 16];
    const struct kube_target target = {
        .resource = &budgets_resource,
        .name_space = str_of(model->name_space),
        .name = {name, (size_t)snprintf(name, sizeof(name), "%s-spate", model->name)},
    };
    const struct kube_reply reply = {applied, budget, &budget->call, .may_send = may_send};
    CLEANUP(buf_fini) struct buf body = {0};
    int r;

    buf_init(&body, BUDGET_BYTES_MAX);
    write_budget(&body, model, name, budget->desired);
    r = buf_check(&body, "the disruption budget", err);
    return r < 0 ? r
                 : kube_apply(budget->kube->api, &target, KUBE_MANAGER_BUDGET, true, buf_str(&body),
                              reply, err);
}

static struct budget *budget_new(struct kube *kube, const char *key)
{
    struct budget *budget = must(mem_alloc(sizeof(*budget)));

    if (map_put(&kube->budgets, str_of(key), budget, NULL) < 0) {
        mem_free(budget);
        return NULL;
    }
    budget->kube = kube;
    budget->desired = -1;
    snprintf(budget->key, sizeof(budget->key), "%s", key);
    return budget;
}

/* False: it is as it should be, or can't be sent now. */
static bool follow(struct kube *kube, const struct crd_object *model, int64_t desired)
{
    char key[BUDGET_KEY_MAX];
    struct budget *budget;
    struct err err = {0};

    key_of(model, key);
    budget = map_get(&kube->budgets, str_of(key));
    if (budget == NULL && desired > 0) /* not one for each model that sleeps */
        budget = budget_new(kube, key);
    if (budget == NULL || budget->desired == desired)
        return false;
    kube_call_cancel(budget->call); /* of an older number */
    budget->call = NULL;
    budget->desired = desired;
    if (send_budget(budget, model, &err) < 0) {
        budget->desired = -1;
        log_warn("the disruption budget of a model can't be written", LOG_STR("model", key),
                 LOG_ERR(&err));
    }
    return true;
}

void kube_budget_follow(struct kube *kube, const struct kube_custom *model)
{
    if (model->object == NULL || model->object->kind->id != CRD_MODEL_DEPLOYMENT ||
        !kube_leads_for_sure(kube))
        return;
    (void)follow(kube, model->object, model->desired);
}

/* Goes on where it stood. False: the rest is left to the next look. */
static bool look(struct kube *kube, const struct kube_view *view, int *left)
{
    const struct kube_store *store = kube_informer_store(view->informer);

    while (*left > 0) {
        const struct kube_entry *entry = kube_store_next(store, &kube->budget_at);
        const struct kube_custom *custom;

        if (entry == NULL) {
            kube->budget_at = 0;
            return true;
        }
        custom = entry->object;
        if (custom->object != NULL && follow(kube, custom->object, custom->desired))
            --*left;
    }
    return false;
}

void kube_budgets_sweep(struct kube *kube)
{
    int64_t now = clock_mono_ms(kube->platform.clock);
    const struct kube_view *view = kube->budget_view != NULL ? kube->budget_view : kube->views;
    int left = AT_ONCE;

    if (now - kube->budgets_ms < LOOK_MS || !kube_leads_for_sure(kube))
        return;
    kube->budgets_ms = now;
    for (; view != NULL; view = view->next) {
        bool of_models = view->kind != NULL && view->kind->id == CRD_MODEL_DEPLOYMENT;

        if (of_models && !look(kube, view, &left))
            break;
    }
    kube->budget_view = view;
}
