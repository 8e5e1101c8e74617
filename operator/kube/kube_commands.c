/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of platform kube, but those about pods and agents: kube_pod_commands.c and
 * kube_agent_commands.c. */
#include "base/log.h"
#include "base/mem.h"
#include "operator/common/ledger_prices.h"
#include "operator/kube/kube_private.h"
#include "operator/kube/kube_source.h"

enum { STATUS_BYTES_MAX = 3 << 20 };

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
    struct kube *kube = kube_of_platform(p);
    const struct kube_resource resource = {CRD_GROUP, CRD_VERSION, object->kind->plural,
                                           object->kind->namespaced};
    const struct kube_target target = {
        .resource = &resource,
        .name_space = str_of(object->name_space),
        .name = str_of(object->name),
        .subresource = "status",
    };
    struct kube_write *write = kube_write_new(kube, ticket);
    CLEANUP(buf_fini) struct buf body = {0};
    struct err err = {0};
    int r = kube_check_lead(kube, &err);

    buf_init(&body, STATUS_BYTES_MAX);
    if (r == 0)
        r = write_status(&body, object, status, &err);
    if (r == 0)
        r = kube_update(kube->api, &target, KUBE_MANAGER_STATUS, buf_str(&body),
                        kube_write_reply(write), &err);
    kube_write_settle(write, r, &err);
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
    kube_events_record(kube_recorder_events(kube_of_platform(p)->recorder), &regarding, warning,
                       reason, "Reconcile", note);
}

/* --- the rest ----------------------------------------------------------------------------------
 */

static void routes_publish(struct platform *p, struct routes *routes)
{
    const struct kube *kube = kube_of_platform(p);

    kube->options.on_routes(kube->options.user, routes);
}

static void prices_post(struct platform *p, uint64_t ticket, struct str json)
{
    struct kube *kube = kube_of_platform(p);
    struct err err = {0};
    int r;

    if (kube->options.ledger_url == NULL)
        r = err_set(&err, ERR_NOT_FOUND, "no ledger is known: set --ledger");
    else
        r = kube_check_lead(kube, &err);
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

    results_add(&kube_of_platform(p)->results, ticket, r, &err, STR_NONE);
}

static void alarm_set(struct platform *p, int64_t mono_ms)
{
    struct kube *kube = kube_of_platform(p);
    int64_t now = clock_mono_ms(p->clock);

    if (mono_ms == 0)
        loop_timer_stop(&kube->alarm);
    else
        loop_timer_start(kube->loop, &kube->alarm, mono_ms > now ? (uint64_t)(mono_ms - now) : 0);
}

static const struct tz *time_zone(struct platform *p, struct str name)
{
    return zones_find(&kube_of_platform(p)->zones, name);
}

const struct platform_ops kube_ops = {
    .pod_create = kube_pod_create,
    .pod_delete = kube_pod_delete,
    .pod_restart = kube_pod_restart,
    .status_put = status_put,
    .event_record = event_record,
    .agent_probe = kube_agent_probe,
    .agent_drain = kube_agent_drain,
    .routes_publish = routes_publish,
    .prices_post = prices_post,
    .weights_check = weights_check,
    .alarm_set = alarm_set,
    .time_zone = time_zone,
};
