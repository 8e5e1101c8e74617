/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of platform kube. A write is sent only while we lead for sure, carries a
 * precondition, and is cancelled where it has not left yet when leadership ends.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "operator/common/ledger_prices.h"
#include "operator/common/must.h"
#include "operator/kube/kube_private.h"
#include "operator/kube/kube_source.h"

enum { STATUS_BYTES_MAX = 3 << 20, PATCH_MAX = 512, KEY_AGAIN_MS = 5000 };

static const struct kube_resource pods_resource = {"", "v1", "pods", true};

static struct kube *kube_of(struct platform *p)
{
    return (struct kube *)p; /* the first member */
}

/* --- writes ----------------------------------------------------------------------------------- */

struct kube_write {
    struct kube *kube;
    struct kube_call *call;
    uint64_t ticket; /* 0: nobody waits for the answer */
    char *owner_key; /* of a pod that is being created: "namespace/model"; else NULL */
    bool on_demand;  /* that pod asks for it */
    struct kube_write *next, **back;
};

static void write_free(struct kube_write *write)
{
    *write->back = write->next;
    if (write->next != NULL)
        write->next->back = write->back;
    kube_call_cancel(write->call);
    mem_free(write->owner_key);
    mem_free(write);
}

void kube_writes_cancel(struct kube *kube)
{
    while (kube->writes != NULL)
        write_free(kube->writes);
}

static void write_end(struct kube_write *write, int code, const struct err *err, struct str version)
{
    if (write->ticket != 0)
        results_add(&write->kube->results, write->ticket, code, err, version);
    write_free(write);
}

/* The resourceVersion of the object in the answer; empty if there is none. */
static struct str version_of(json_t **tree, struct str body)
{
    struct kube_meta meta;

    if (body.len == 0 || kube_object_read(tree, body, "answer", NULL) < 0 ||
        kube_meta_read(&meta, *tree, NULL) < 0)
        return STR_NONE;
    return meta.resource_version;
}

static void written(void *user, const struct kube_answer *answer)
{
    struct kube_write *write = user;
    json_auto_t *tree = NULL;

    write->call = NULL;
    write_end(write, answer->code, answer->err, version_of(&tree, answer->body));
}

static struct kube_write *write_new(struct kube *kube, uint64_t ticket)
{
    struct kube_write *write = must(mem_alloc(sizeof(*write)));

    write->kube = kube;
    write->ticket = ticket;
    write->next = kube->writes;
    write->back = &kube->writes;
    if (write->next != NULL)
        write->next->back = &write->next;
    kube->writes = write;
    return write;
}

static struct kube_reply reply_to(struct kube_write *write)
{
    return (struct kube_reply){written, write, &write->call};
}

/* Refused where another may lead already. */
static int check_lead(const struct kube *kube, struct err *err)
{
    if (kube_leads_for_sure(kube))
        return 0;
    return err_set(err, ERR_BUSY, "leadership is not sure at the moment");
}

static void write_settle(struct kube_write *write, int code, const struct err *err)
{
    if (code < 0)
        write_end(write, code, err, STR_NONE);
}

/* --- pods ------------------------------------------------------------------------------------- */

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

            if (pod->gone_by_ms > 0 || kube_pod_is_lost(kube, pod))
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
    struct spread spread = spread_of(kube, owner_key);

    (void)must(crd_tree(&tree, model, "spec", NULL) == 0 ? tree : NULL);
    spot = json_object_get(json_object_get(tree, "scaling"), "spot");
    return kube_spot_wish(json_integer_value(json_object_get(spot, "percent")),
                          json_integer_value(json_object_get(spot, "minOnDemand")), spread.pods,
                          spread.on_demand);
}

static void pod_create(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec)
{
    struct kube *kube = kube_of(p);
    const struct kube_target target = {.resource = &pods_resource,
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
    int r = check_lead(kube, &err);

    snprintf(owner_key, sizeof(owner_key), "%s/%s", spec->model->name_space, spec->model->name);
    options.wish = wish_of(kube, spec->model, owner_key);
    write = write_new(kube, ticket);
    write->owner_key = must_text(str_of(owner_key));
    write->on_demand = options.wish == KUBE_WISH_ON_DEMAND;
    buf_init(&manifest, KUBE_MANIFEST_BYTES_MAX);
    if (r == 0)
        r = kube_manifest_write(&manifest, &options, spec, &err);
    if (r == 0)
        r = kube_create(kube->api, &target, buf_str(&manifest), reply_to(write), &err);
    write_settle(write, r, &err);
}

/* Whole seconds, and never none: that would free the name before the node knows of it. */
static int64_t grace_seconds(int64_t grace_ms)
{
    int64_t seconds = (grace_ms + 999) / 1000;

    return seconds > 0 ? seconds : 1;
}

static void pod_delete(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                       struct str uid, int64_t grace_ms)
{
    struct kube *kube = kube_of(p);
    const struct kube_target target = {
        .resource = &pods_resource, .name_space = name_space, .name = name};
    const struct kube_delete_options options = {.uid = uid, .grace_s = grace_seconds(grace_ms)};
    struct kube_write *write = write_new(kube, ticket);
    struct err err = {0};
    int r = check_lead(kube, &err);

    if (r == 0)
        r = kube_delete(kube->api, &target, &options, reply_to(write), &err);
    write_settle(write, r, &err);
}

/* A container can't be restarted from outside; another pod takes its place. */
static void pod_restart(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                        struct str uid)
{
    pod_delete(p, ticket, name_space, name, uid, 0);
    kube_pod_give_up(kube_of(p), uid);
}

/* --- status and events ------------------------------------------------------------------------ */

static int write_status(struct buf *out, const struct crd_object *object, const json_t *status,
                        struct err *err)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", CRD_API_VERSION);
    json_put_text(&w, "kind", object->kind->kind);
    json_key(&w, "metadata");
    json_open(&w, '{');
    json_put_text(&w, "name", object->name);
    if (object->name_space[0] != '\0')
        json_put_text(&w, "namespace", object->name_space);
    json_put_text(&w, "uid", object->uid);
    json_put_text(&w, "resourceVersion", object->resource_version);
    json_close(&w, '}');
    json_key(&w, "spec"); /* ignored by /status, but a spec must be there to be valid */
    if (object->spec_text != NULL)
        json_add_raw(&w, str_of(object->spec_text));
    else
        json_add_tree(&w, object->spec);
    json_key(&w, "status");
    json_add_tree(&w, status);
    json_close(&w, '}');
    return buf_check(out, "the status", err);
}

static void status_put(struct platform *p, uint64_t ticket, const struct crd_object *object,
                       json_t *status)
{
    struct kube *kube = kube_of(p);
    const struct kube_resource resource = {CRD_GROUP, CRD_VERSION, object->kind->plural,
                                           object->kind->namespaced};
    const struct kube_target target = {
        .resource = &resource,
        .name_space = str_of(object->name_space),
        .name = str_of(object->name),
        .subresource = "status",
    };
    struct kube_write *write = write_new(kube, ticket);
    CLEANUP(buf_fini) struct buf body = {0};
    struct err err = {0};
    int r = check_lead(kube, &err);

    buf_init(&body, STATUS_BYTES_MAX);
    if (r == 0)
        r = write_status(&body, object, status, &err);
    if (r == 0)
        r = kube_update(kube->api, &target, buf_str(&body), reply_to(write), &err);
    write_settle(write, r, &err);
    if (object->kind->id == CRD_MODEL_DEPLOYMENT)
        kube_budget_follow(kube, object,
                           json_integer_value(json_object_get(status, "desiredReplicas")));
}

static void event_record(struct platform *p, const struct crd_object *about, bool warning,
                         const char *reason, struct str note)
{
    const struct kube_event_about regarding = {
        .api_version = CRD_API_VERSION,
        .kind = about->kind->kind,
        .name_space = str_of(about->name_space),
        .name = str_of(about->name),
        .uid = str_of(about->uid),
    };

    log_info("event", LOG_STR("object", about->name), LOG_STR("reason", reason),
             LOG_VIEW("note", note));
    kube_events_record(kube_recorder_events(kube_of(p)->recorder), &regarding, warning, reason,
                       "Reconcile", note);
}

/* --- agents ----------------------------------------------------------------------------------- */

/*
 * A pod that another installation made trusts the tokens of that one. It is ours now: we are shown
 * to its agent by the annotation, which its kubelet copies into the file that the agent reads.
 */
static void show_key(struct kube *kube, const struct kube_entry *entry)
{
    const struct kube_target target = {
        .resource = &pods_resource, .name_space = entry->name_space, .name = entry->name};
    struct kube_pod *pod = entry->object;
    int64_t now_ms = clock_mono_ms(kube->platform.clock);
    struct kube_write *write;
    char patch[PATCH_MAX];
    struct err err = {0};
    int r = check_lead(kube, &err);

    if (pod->key_mark == kube_pod_key_mark(str_of(kube->public_key)) || r < 0 ||
        (pod->key_shown_ms > 0 && now_ms - pod->key_shown_ms < KEY_AGAIN_MS))
        return;
    pod->key_shown_ms = now_ms;
    log_info("a pod of an earlier installation is taken over", LOG_VIEW("pod", entry->name));
    snprintf(patch, sizeof(patch),
             "{\"metadata\":{\"uid\":\"%.*s\",\"annotations\":{\"" KUBE_ANNOTATION_PUBLIC_KEY
             "\":\"%s\"}}}",
             STR_ARG(pod->uid), kube->public_key);
    write = write_new(kube, 0);
    r = kube_merge_patch(kube->api, &target, str_of(patch), reply_to(write), &err);
    write_settle(write, r, &err);
}

static void agent_probe(struct platform *p, struct str pod_uid)
{
    struct kube *kube = kube_of(p);
    const struct kube_entry *entry = kube_pod_by_uid(kube, pod_uid);
    const struct kube_pod *pod = entry == NULL ? NULL : entry->object;

    if (entry != NULL)
        show_key(kube, entry);
    agents_probe(&kube->agents, pod_uid, pod != NULL ? pod->restarts : 0,
                 pod != NULL ? pod->address : STR_NONE);
}

/* An autoscaler of nodes should leave the pod alone as long as it drains. Best effort. */
static void keep_from_eviction(struct kube *kube, const struct kube_entry *entry)
{
    const struct kube_target target = {
        .resource = &pods_resource, .name_space = entry->name_space, .name = entry->name};
    struct kube_write *write = write_new(kube, 0);
    struct err err = {0};
    int r = check_lead(kube, &err);

    if (r == 0)
        r = kube_merge_patch(kube->api, &target,
                             STR("{\"metadata\":{\"annotations\":{\"" KUBE_ANNOTATION_SAFE_TO_EVICT
                                 "\":\"false\"}}}"),
                             reply_to(write), &err);
    write_settle(write, r, &err);
}

static void agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid)
{
    struct kube *kube = kube_of(p);
    const struct kube_entry *entry = kube_pod_by_uid(kube, pod_uid);
    const struct kube_pod *pod = entry == NULL ? NULL : entry->object;
    struct err err = {0};

    if (check_lead(kube, &err) < 0) { /* a drain can't be undone */
        results_add(&kube->results, ticket, -ERR_BUSY, &err, STR_NONE);
        return;
    }
    agents_drain(&kube->agents, ticket, pod_uid, pod != NULL ? pod->address : STR_NONE);
    if (entry != NULL)
        keep_from_eviction(kube, entry);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void routes_publish(struct platform *p, struct routes *routes)
{
    const struct kube *kube = kube_of(p);

    kube->options.on_routes(kube->options.user, routes);
}

static void prices_post(struct platform *p, uint64_t ticket, struct str json)
{
    struct kube *kube = kube_of(p);
    struct err err = {0};
    int r;

    if (kube->options.ledger_url == NULL)
        r = err_set(&err, ERR_NOT_FOUND, "no ledger is known: set --ledger");
    else
        r = check_lead(kube, &err);
    if (r == 0) {
        ledger_prices_post(kube->fetcher, &kube->signer, &kube->results, ticket,
                           str_of(kube->options.ledger_url), json);
        return;
    }
    results_add(&kube->results, ticket, r, &err, STR_NONE);
}

static void weights_check(struct platform *p, uint64_t ticket, struct str uri)
{
    struct kube_source source;
    struct err err = {0};
    int r = kube_source_read(&source, uri, &err);

    results_add(&kube_of(p)->results, ticket, r, &err, STR_NONE);
}

static void alarm_set(struct platform *p, int64_t mono_ms)
{
    struct kube *kube = kube_of(p);
    int64_t now = clock_mono_ms(p->clock);

    if (mono_ms == 0)
        loop_timer_stop(&kube->alarm);
    else
        loop_timer_start(kube->loop, &kube->alarm, mono_ms > now ? (uint64_t)(mono_ms - now) : 0);
}

static const struct tz *time_zone(struct platform *p, struct str name)
{
    return zones_find(&kube_of(p)->zones, name);
}

const struct platform_ops kube_ops = {
    .pod_create = pod_create,
    .pod_delete = pod_delete,
    .pod_restart = pod_restart,
    .status_put = status_put,
    .event_record = event_record,
    .agent_probe = agent_probe,
    .agent_drain = agent_drain,
    .routes_publish = routes_publish,
    .prices_post = prices_post,
    .weights_check = weights_check,
    .alarm_set = alarm_set,
    .time_zone = time_zone,
};
