/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of Events: see kube_recorder.h. */
#include "operator/kube/client/kube_recorder.h"

#include "base/mem.h"

struct kube_recorder {
    struct kube_api *api;
    struct loop *loop;
    const struct clock *clock;
    struct kube_events *events;
    struct kube_call *call;
    struct loop_timer timer;
};

static void on_done(void *user, const struct kube_answer *answer)
{
    struct kube_recorder *r = user;

    r->call = NULL;
    kube_events_on_done(r->events, answer);
}

static int send_request(void *context, const char *method, const char *target, struct str body,
                        struct err *err)
{
    struct kube_recorder *r = context;
    struct kube_request request = {
        .method = method,
        .target = target,
        .body = body,
        .content_type =
            str_is(str_of(method), "PATCH") ? "application/merge-patch+json" : "application/json",
        .patient = true,
        .on_done = on_done,
        .user = r,
    };

    return kube_api_send(&r->call, r->api, &request, err);
}

static void cancel(void *context)
{
    struct kube_recorder *r = context;

    kube_call_cancel(r->call);
    r->call = NULL;
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct kube_recorder *r = context;
    int64_t delay_ms = mono_ms - clock_mono_ms(r->clock);

    if (mono_ms == INT64_MAX)
        loop_timer_stop(&r->timer);
    else
        loop_timer_start(r->loop, &r->timer, delay_ms > 0 ? (uint64_t)delay_ms : 0);
}

static void on_timer(void *object)
{
    struct kube_recorder *r = object;

    kube_events_on_wake(r->events);
}

int kube_recorder_new(struct kube_recorder **out, struct kube_api *api, struct loop *loop,
                      const struct clock *clock, const struct rng *rng,
                      const struct kube_events_options *events, struct err *err)
{
    struct kube_events_options options = *events;
    struct kube_recorder *r = mem_alloc(sizeof(*r));
    int result;

    if (r == NULL)
        return err_no_memory(err);
    r->api = api;
    r->loop = loop;
    r->clock = clock;
    loop_timer_init(&r->timer, on_timer, r);
    options.io = (struct kube_events_io){send_request, cancel, wake_at, r};
    options.clock = clock;
    options.rng = rng;
    result = kube_events_new(&r->events, &options, err);
    if (result < 0) {
        kube_recorder_free(r);
        return result;
    }
    *out = r;
    return 0;
}

struct kube_events *kube_recorder_events(struct kube_recorder *r)
{
    return r->events;
}

void kube_recorder_free(struct kube_recorder *r)
{
    if (r == NULL)
        return;
    kube_events_free(r->events);
    loop_timer_stop(&r->timer);
    mem_free(r);
}
