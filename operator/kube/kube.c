/* SPDX-License-Identifier: Apache-2.0 */
/* Platform kube: its start, its end, and what it brings to the endpoint. */
#include "operator/kube/kube.h"

#include "base/log.h"
#include "operator/common/must.h"
#include "operator/kube/kube_private.h"

#define USER_AGENT      "spate-operator/" SPATE_VERSION
#define CONTROLLER_NAME "spate.dev/operator"

static void alarm_rings(void *object)
{
    struct kube *kube = object;

    if (!kube->closing)
        kube->platform.handler->on_alarm(kube->platform.user);
}

static void api_trouble(void *user, const struct err *err)
{
    (void)user;
    log_warn("the credentials for the API server can't be renewed; the old ones are used as long "
             "as they last",
             LOG_ERR(err));
}

static int open_api(struct kube *kube, struct err *err)
{
    const struct kube_options *options = &kube->options;
    CLEANUP(kube_config_freep) struct kube_config *config = NULL;
    int r;

    if (options->kubeconfig != NULL)
        r = kube_config_load(&config, options->kubeconfig, options->context, err);
    else
        r = kube_config_in_cluster(&config, NULL, err);
    if (r < 0)
        return err_wrap(err, r, "no way to the API server (outside a cluster: --kubeconfig FILE)");
    r = kube_api_new(&kube->api,
                     &(struct kube_api_options){
                         .loop = kube->loop,
                         .config = config,
                         .clock = kube->platform.clock,
                         .rng = kube->platform.rng,
                         .metrics = options->metrics,
                         .user_agent = USER_AGENT,
                         .on_trouble = api_trouble,
                     },
                     err);
    if (r < 0)
        return r;
    (void)STEAL(config);
    kube->name_space =
        options->name_space != NULL ? options->name_space : kube_api_namespace(kube->api);
    if (kube->name_space == NULL || !str_is_dns_label(str_of(kube->name_space)))
        return err_set(err, ERR_INVALID, "our own namespace is not known: set --namespace");
    return 0;
}

static void event_trouble(void *user, const struct err *err)
{
    (void)user;
    log_warn("an event was not recorded", LOG_ERR(err));
}

static int open_parts(struct kube *kube, struct err *err)
{
    const struct kube_events_options events = {
        .controller = CONTROLLER_NAME,
        .instance = str_of(kube->options.name),
        .field_manager = KUBE_MANAGER_EVENT,
        .on_trouble = event_trouble,
    };
    int r = open_api(kube, err);

    if (r == 0)
        r = kube_key_fetch(kube, err);
    if (r == 0)
        r = fetcher_new(&kube->fetcher, kube->loop, err);
    if (r == 0)
        r = http_client_new(&kube->relays_client, kube->loop, NULL, err);
    if (r == 0)
        r = agents_open(&kube->agents, kube->loop, &kube->platform, &kube->results, &kube->signer,
                        err);
    if (r == 0)
        r = kube_recorder_new(&kube->recorder, kube->api, kube->loop, kube->platform.clock,
                              kube->platform.rng, &events, err);
    return r == 0 ? kube_views_open(kube, err) : r;
}

int kube_new(struct kube **out, const struct kube_options *options, struct err *err)
{
    struct kube *kube = must(mem_alloc(sizeof(*kube)));
    int r;

    kube->options = *options;
    kube->loop = options->loop;
    kube->platform = (struct platform){
        .ops = &kube_ops,
        .clock = clock_system(),
        .rng = rng_system(),
        .probe_interval_ms = 0, /* the kubelet looks after ready agents, and gateways do */
        .status_interval_ms = KUBE_STATUS_INTERVAL_MS,
        .name = "kube",
        .client = "kubectl",
    };
    kube->signer.clock = kube->platform.clock;
    kube_budgets_init(kube);
    zones_init(&kube->zones);
    results_init(&kube->results, kube->loop, &kube->platform);
    loop_timer_init(&kube->alarm, alarm_rings, kube);
    r = open_parts(kube, err);
    if (r < 0) {
        kube_free(kube);
        return r;
    }
    *out = kube;
    return 0;
}

int kube_start(struct kube *kube, const char *address, struct err *err)
{
    int r = kube_report_open(kube, address, err);

    if (r == 0)
        r = kube_lead_open(kube, address, err);
    if (r < 0)
        return r;
    kube_definitions_open(kube);
    kube_views_start(kube);
    kube_lease_start(kube_elector_lease(kube->elector));
    return 0;
}

void kube_free(struct kube *kube)
{
    if (kube == NULL)
        return;
    kube->closing = true;
    results_close(&kube->results);
    loop_timer_stop(&kube->alarm);
    kube_writes_cancel(kube);
    kube_budgets_clear(kube);
    kube_reviews_cancel(kube);
    kube_lead_close(kube);
    kube_relay_close(kube);
    kube_definitions_close(kube);
    kube_views_close(kube);
    kube_recorder_free(kube->recorder);
    agents_close(&kube->agents);
    fetcher_close(kube->fetcher);
    kube_api_close(kube->api);
    kube_gateways_tell(kube); /* closing: forgets the names */
    zones_fini(&kube->zones);
    map_fini(&kube->budgets);
    mem_free(kube);
}

struct platform *kube_platform(struct kube *kube)
{
    return &kube->platform;
}

/* --- the endpoint ----------------------------------------------------------------------------- */

static void take_load(void *user, const struct load_report *report)
{
    const struct kube *kube = user;

    kube->platform.handler->on_load(kube->platform.user, report);
}

static void take_ack(void *user, struct str gateway, struct id128 run,
                     const struct routes_version *have)
{
    const struct kube *kube = user;

    kube->platform.handler->on_ack(kube->platform.user, gateway, run, have);
}

static bool is_ready(void *user)
{
    const struct kube *kube = user;

    return kube->told;
}

static void take_figures(void *user, struct endpoints_figures *out)
{
    const struct kube *kube = user;

    out->events_dropped = kube_events_counts(kube_recorder_events(kube->recorder))->dropped;
}

struct endpoints_host kube_host(struct kube *kube)
{
    return (struct endpoints_host){
        .user = kube,
        .signer = &kube->signer,
        .gateway_admit = kube_gateway_admit,
        .load = take_load,
        .ack = take_ack,
        .handle = kube_handle,
        .relay = kube_relay,
        .ready = is_ready,
        .figures = take_figures,
    };
}
