/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a lease: see kube_elector.h. */
#include "operator/kube/client/kube_elector.h"

#include "base/mem.h"

const struct metric_info kube_elector_metric_table[KUBE_ELECTOR_METRIC_COUNT] = {
    {.name = "leader_election_master_status",
     .type = METRIC_GAUGE,
     .help = "1 where this process leads, 0 where it stands by.",
     .labels = {"name"}},
};

struct kube_elector {
    struct kube_api *api;
    struct loop *loop;
    const struct clock *clock;
    struct kube_lease_options given; /* the owner's callbacks */
    struct kube_lease *lease;
    struct kube_call *call;
    struct loop_timer timer;
    struct metric_series *status;
};

static void on_done(void *user, const struct kube_answer *answer)
{
    struct kube_elector *e = user;

    e->call = NULL;
    kube_lease_on_done(e->lease, answer);
}

static int send_request(void *context, const char *method, const char *target, struct str body,
                        struct err *err)
{
    struct kube_elector *e = context;
    struct kube_request request = {
        .method = method,
        .target = target,
        .body = body.len > 0 ? body : STR_NONE,
        .content_type =
            str_is(str_of(method), "PATCH") ? "application/merge-patch+json" : "application/json",
        .urgent = true,
        .timeout_ms = UINT64_MAX, /* the lease keeps time itself */
        .on_done = on_done,
        .user = e,
    };

    return kube_api_send(&e->call, e->api, &request, err);
}

static void cancel(void *context)
{
    struct kube_elector *e = context;

    kube_call_cancel(e->call);
    e->call = NULL;
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct kube_elector *e = context;
    int64_t delay_ms = mono_ms - clock_mono_ms(e->clock);

    if (mono_ms == INT64_MAX)
        loop_timer_stop(&e->timer);
    else
        loop_timer_start(e->loop, &e->timer, delay_ms > 0 ? (uint64_t)delay_ms : 0);
}

static void on_timer(void *object)
{
    struct kube_elector *e = object;

    kube_lease_on_wake(e->lease);
}

static void on_started(void *user, uint64_t term)
{
    struct kube_elector *e = user;

    metric_set(e->status, 1);
    if (e->given.on_started != NULL)
        e->given.on_started(e->given.user, term);
}

static void on_stopped(void *user)
{
    struct kube_elector *e = user;

    metric_set(e->status, 0);
    if (e->given.on_stopped != NULL)
        e->given.on_stopped(e->given.user);
}

static void on_leader(void *user, struct str identity)
{
    struct kube_elector *e = user;

    if (e->given.on_leader != NULL)
        e->given.on_leader(e->given.user, identity);
}

static void on_trouble(void *user, const struct err *err)
{
    struct kube_elector *e = user;

    if (e->given.on_trouble != NULL)
        e->given.on_trouble(e->given.user, err);
}

static int declare_metrics(struct kube_elector *e, struct metrics *metrics,
                           const struct kube_lease_options *lease, struct err *err)
{
    CLEANUP(mem_freep) char *name = NULL;
    struct metric *handle;
    int r;

    if (metrics == NULL)
        return 0;
    name = mem_strndup(lease->name.ptr, lease->name.len);
    if (name == NULL)
        return err_no_memory(err);
    r = metrics_declare(metrics, kube_elector_metric_table, KUBE_ELECTOR_METRIC_COUNT, &handle,
                        err);
    if (r == 0)
        e->status = metric_series(handle, (const char *[]){name});
    return r;
}

int kube_elector_new(struct kube_elector **out, struct kube_api *api, struct loop *loop,
                     const struct clock *clock, const struct rng *rng, struct metrics *metrics,
                     const struct kube_lease_options *lease, struct err *err)
{
    struct kube_lease_options options = *lease;
    struct kube_elector *e = mem_alloc(sizeof(*e));
    int r;

    if (e == NULL)
        return err_no_memory(err);
    e->api = api;
    e->loop = loop;
    e->clock = clock;
    e->given = *lease;
    loop_timer_init(&e->timer, on_timer, e);
    options.io = (struct kube_lease_io){send_request, cancel, wake_at, e};
    options.clock = clock;
    options.rng = rng;
    options.on_started = on_started;
    options.on_stopped = on_stopped;
    options.on_leader = on_leader;
    options.on_trouble = on_trouble;
    options.user = e;
    r = declare_metrics(e, metrics, lease, err);
    if (r == 0)
        r = kube_lease_new(&e->lease, &options, err);
    if (r < 0) {
        kube_elector_free(e);
        return r;
    }
    *out = e;
    return 0;
}

struct kube_lease *kube_elector_lease(struct kube_elector *e)
{
    return e->lease;
}

void kube_elector_free(struct kube_elector *e)
{
    if (e == NULL)
        return;
    kube_lease_free(e->lease);
    loop_timer_stop(&e->timer);
    mem_free(e);
}
