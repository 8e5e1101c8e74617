/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that answers at once: see cluster.h. */
#include "tests/bench/operator/cluster.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "operator/common/must.h"
#include "operator/kube/kube_private.h"
#include "tests/bench/operator/objects.h"

#define WALL_MS   1795341600000LL /* 2026-11-22T10:00:00Z, when all was made */
#define DIGEST    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SETTLE_MS (20 * 1000)

double cluster_cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* --- views ------------------------------------------------------------------------------------ */

static void read_model(struct cluster *c, struct cluster_model *model)
{
    struct kube_custom *custom = NULL;
    struct kube_meta meta;
    double began = cluster_cpu_ms();

    (void)must(kube_meta_read(&meta, model->tree, NULL) == 0 &&
                       kube_crd_read(&custom, model->tree, crd_kinds[CRD_MODEL_DEPLOYMENT], &meta,
                                     NULL) == 0
                   ? custom
                   : NULL);
    crd_object_unref(model->object);
    model->object = crd_object_ref(must(custom->object));
    kube_crd_free(custom);
    c->models_ms += cluster_cpu_ms() - began;
}

static void list_pod(struct cluster *c, const json_t *tree)
{
    struct kube_meta meta;
    double began = cluster_cpu_ms();

    (void)must(kube_meta_read(&meta, tree, NULL) == 0 &&
                       kube_store_list_add(c->pods, tree, &meta, NULL) == 0
                   ? c
                   : NULL);
    c->pods_ms += cluster_cpu_ms() - began;
}

void cluster_list(struct cluster *c)
{
    const struct kube_store_options options = {.type = &kube_pod_type};
    json_auto_t *pod = object_pod();
    char hash[PLATFORM_HASH_LEN + 1];
    double began;

    c->models_ms = c->pods_ms = 0;
    (void)must(kube_store_new(&c->pods, &options, NULL) == 0 ? c->pods : NULL);
    kube_store_list_begin(c->pods);
    for (size_t i = 0; i < c->model_count; i++) {
        struct cluster_model *model = &c->models[i];

        read_model(c, model);
        object_hash(model->object, hash);
        for (size_t k = 0; k < c->pods_each; k++) {
            object_set_pod(pod, i, k, i * c->pods_each + k, hash);
            list_pod(c, pod);
        }
    }
    began = cluster_cpu_ms();
    (void)must(kube_store_list_commit(c->pods, NULL) == 0 ? c : NULL);
    c->pods_ms += cluster_cpu_ms() - began;
}

static void tell_pod(struct cluster *c, const struct kube_entry *entry)
{
    const struct kube_pod *pod = entry->object;

    c->platform.handler->on_pod(c->platform.user, PLATFORM_ADDED,
                                &(struct platform_pod){
                                    .record = pod->record,
                                    .phase = pod->phase,
                                    .capacity = PLATFORM_CAPACITY_ON_DEMAND,
                                    .message = kube_pod_message(pod),
                                });
}

void cluster_tell(struct cluster *c)
{
    const struct platform_handler *handler = c->platform.handler;
    const struct kube_entry *entry;

    handler->on_lead(c->platform.user, STR("bench"), 1);
    for (size_t i = 0; i < c->model_count; i++) {
        handler->on_object(c->platform.user, PLATFORM_ADDED, c->models[i].object);
        crd_object_drop_status(c->models[i].object);
    }
    for (size_t at = 0; (entry = kube_store_next(c->pods, &at)) != NULL;)
        tell_pod(c, entry);
    handler->on_gateways(c->platform.user, NULL, 0);
    handler->on_synced(c->platform.user);
}

/* --- commands --------------------------------------------------------------------------------- */

static struct cluster *cluster_of(struct platform *p)
{
    return (struct cluster *)p;
}

static void refuse(struct platform *p, const char *what)
{
    cluster_of(p)->fault = what;
}

static void pod_create(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec)
{
    (void)ticket;
    (void)spec;
    refuse(p, "a pod was to be created");
}

static void pod_delete(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                       struct str uid, int64_t grace_ms)
{
    (void)ticket;
    (void)name_space;
    (void)name;
    (void)uid;
    (void)grace_ms;
    refuse(p, "a pod was to be deleted");
}

static void pod_restart(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                        struct str uid)
{
    (void)ticket;
    (void)name_space;
    (void)name;
    (void)uid;
    refuse(p, "an agent was to be started again");
}

static void agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid)
{
    (void)ticket;
    (void)pod_uid;
    refuse(p, "an agent was to be drained");
}

static size_t more(struct platform *p, size_t *count)
{
    if (*count == CLUSTER_WAITING_MAX) {
        refuse(p, "too many commands were under way");
        *count = 0;
    }
    return (*count)++;
}

static void status_put(struct platform *p, uint64_t ticket, const struct crd_object *object,
                       json_t *status)
{
    struct cluster *c = cluster_of(p);
    uint64_t number = 0;

    str_to_u64(str_of(object->name + strlen("model-")), &number);
    c->puts[more(p, &c->put_count)] = (struct cluster_put){ticket, number, json_incref(status)};
}

static void event_record(struct platform *p, const struct crd_object *about, bool warning,
                         const char *reason, struct str note)
{
    (void)p;
    (void)about;
    (void)warning;
    (void)reason;
    (void)note;
}

/* The pod is looked for, as platform kube does it. */
static void agent_probe(struct platform *p, struct str pod_uid)
{
    struct cluster *c = cluster_of(p);

    if (kube_store_index_first(c->pods, KUBE_BY_UID, pod_uid) == NULL)
        refuse(p, "an unknown agent was asked");
    snprintf(c->probes[more(p, &c->probe_count)], CLUSTER_UID_MAX, "%.*s", STR_ARG(pod_uid));
}

static void routes_publish(struct platform *p, struct routes *routes)
{
    size_t pods = 0;

    for (int i = 0; i < routes->model_count; i++)
        pods += (size_t)routes->models[i].pod_count;
    cluster_of(p)->routed_pods = pods;
    routes_free(routes);
}

static void prices_post(struct platform *p, uint64_t ticket, struct str json)
{
    (void)ticket;
    (void)json;
    refuse(p, "prices were posted");
}

static void weights_check(struct platform *p, uint64_t ticket, struct str uri)
{
    struct cluster *c = cluster_of(p);

    (void)uri;
    c->checks[more(p, &c->check_count)] = ticket;
}

static void alarm_set(struct platform *p, int64_t mono_ms)
{
    cluster_of(p)->alarm_ms = mono_ms;
}

static const struct tz *time_zone(struct platform *p, struct str name)
{
    (void)p;
    (void)name;
    return NULL;
}

static const struct platform_ops ops = {
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

/* --- answers ---------------------------------------------------------------------------------- */

static void answer(struct cluster *c, uint64_t ticket, const char *version)
{
    c->platform.handler->on_result(
        c->platform.user,
        &(struct platform_result){.ticket = ticket, .resource_version = str_of(version)});
}

static void answer_put(struct cluster *c, struct cluster_put put)
{
    struct cluster_model *model = &c->models[put.model];
    json_t *metadata = json_object_get(model->tree, "metadata");
    char version[24];

    c->writes++;
    snprintf(version, sizeof(version), "%llu", (unsigned long long)++model->version);
    json_object_set_new(metadata, "resourceVersion", json_string(version));
    json_object_set_new(model->tree, "status", put.status);
    answer(c, put.ticket, version);
    read_model(c, model);
    c->platform.handler->on_object(c->platform.user, PLATFORM_MODIFIED, model->object);
    crd_object_drop_status(model->object);
}

static void answer_probe(struct cluster *c, const char *uid)
{
    static const struct stream_status ready = {
        .state = "ready",
        .digest = DIGEST,
        .slots = 4,
        .context_max = 4096,
        .ready_ms = WALL_MS + 5000,
    };

    c->platform.handler->on_probe(c->platform.user, &(struct platform_probe_result){
                                                        .pod_uid = str_of(uid), .status = &ready});
}

/* One turn of the loop. False: there was nothing to do. */
static bool turn(struct cluster *c)
{
    size_t puts = c->put_count, checks = c->check_count, probes = c->probe_count;
    bool due = c->alarm_ms != 0 && c->alarm_ms <= clock_mono_ms(c->platform.clock);

    c->put_count = c->check_count = c->probe_count = 0;
    for (size_t i = 0; i < puts; i++)
        answer_put(c, c->puts[i]);
    for (size_t i = 0; i < checks; i++)
        answer(c, c->checks[i], NULL);
    for (size_t i = 0; i < probes; i++)
        answer_probe(c, c->probes[i]);
    if (due) {
        c->alarm_ms = 0;
        c->platform.handler->on_alarm(c->platform.user);
    }
    return due || puts + checks + probes > 0;
}

const char *cluster_run(struct cluster *c, bool settle)
{
    size_t all = c->model_count * c->pods_each;
    int64_t until_ms = clock_mono_ms(c->platform.clock) + SETTLE_MS;

    while (c->fault == NULL && (c->routed_pods < all || settle)) {
        int64_t now_ms = clock_mono_ms(c->platform.clock);

        if (turn(c))
            continue;
        if (now_ms >= until_ms)
            return c->routed_pods < all ? "there are no routes to all pods" : NULL;
        clock_manual_advance_ms(&c->clock, c->alarm_ms > now_ms && c->alarm_ms < until_ms
                                               ? c->alarm_ms - now_ms
                                               : until_ms - now_ms);
    }
    return c->fault;
}

/* --- life ------------------------------------------------------------------------------------- */

void cluster_init(struct cluster *c, size_t models, size_t pods_each)
{
    char hash[PLATFORM_HASH_LEN + 1];

    c->model_count = models;
    c->pods_each = pods_each;
    clock_manual_init(&c->clock, WALL_MS + 60 * 1000);
    clock_manual_advance_ms(&c->clock, 1000);
    c->platform = (struct platform){
        .ops = &ops,
        .clock = &c->clock.clock,
        .rng = rng_system(),
        .status_interval_ms = KUBE_STATUS_INTERVAL_MS,
        .name = "bench",
        .client = "kubectl",
    };
    c->models = must(mem_array(models, sizeof(*c->models)));
    for (size_t i = 0; i < models; i++) {
        c->models[i] = (struct cluster_model){.tree = object_model(i, pods_each), .version = 1};
        read_model(c, &c->models[i]);
        object_hash(c->models[i].object, hash);
        object_record_pods(c->models[i].tree, i, pods_each, hash);
    }
}

void cluster_forget(struct cluster *c)
{
    kube_store_free(c->pods);
    c->pods = NULL;
    c->put_count = c->check_count = c->probe_count = 0;
    c->alarm_ms = 0;
    c->routed_pods = c->writes = 0;
    for (size_t i = 0; i < c->model_count; i++) {
        crd_object_unref(c->models[i].object);
        c->models[i].object = NULL;
    }
}

void cluster_fini(struct cluster *c)
{
    for (size_t i = 0; i < c->model_count; i++)
        json_decref(c->models[i].tree);
    mem_free(c->models);
}
