/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a reflector: see kube_informer.h. */
#include "operator/kube/client/kube_informer.h"

#include "base/mem.h"

struct kube_informer {
    struct kube_api *api;
    struct loop *loop;
    const struct clock *clock;
    struct kube_store *store;
    struct kube_reflector *reflector;
    struct kube_call *call;
    void (*on_synced)(void *user);
    void (*on_trouble)(void *user, const struct err *err, int64_t again_in_ms);
    void *user;
    struct loop_timer timer;
    void (*relisted)(void *user); /* NULL: nobody waits */
    void *relisted_user;
    struct loop_deferred tell_relisted;
};

static int on_data(void *user, struct str bytes)
{
    struct kube_informer *i = user;

    return kube_reflector_on_bytes(i->reflector, bytes);
}

static void on_done(void *user, const struct kube_answer *answer)
{
    struct kube_informer *i = user;

    i->call = NULL;
    kube_reflector_on_done(i->reflector, answer);
}

static int get(void *context, const char *target, struct err *err)
{
    struct kube_informer *i = context;
    struct kube_request request = {
        .method = "GET",
        .target = target,
        .ahead = true,            /* else the leader would be blind while it writes */
        .timeout_ms = UINT64_MAX, /* the reflector keeps time itself */
        .on_data = on_data,
        .on_done = on_done,
        .user = i,
    };

    return kube_api_send(&i->call, i->api, &request, err);
}

static void cancel(void *context)
{
    struct kube_informer *i = context;

    kube_call_cancel(i->call);
    i->call = NULL;
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct kube_informer *i = context;
    int64_t delay_ms = mono_ms - clock_mono_ms(i->clock);

    if (mono_ms == INT64_MAX)
        loop_timer_stop(&i->timer);
    else
        loop_timer_start(i->loop, &i->timer, delay_ms > 0 ? (uint64_t)delay_ms : 0);
}

static void on_timer(void *object)
{
    struct kube_informer *i = object;

    kube_reflector_on_wake(i->reflector);
}

static void tell_relisted(void *object)
{
    struct kube_informer *i = object;
    void (*done)(void *user) = i->relisted;

    i->relisted = NULL;
    if (done != NULL)
        done(i->relisted_user);
}

static void on_listed(void *user)
{
    struct kube_informer *i = user;

    if (i->relisted != NULL) /* not inside the decoder */
        loop_defer(i->loop, &i->tell_relisted);
}

static void on_synced(void *user)
{
    struct kube_informer *i = user;

    if (i->on_synced != NULL)
        i->on_synced(i->user);
}

static void on_trouble(void *user, const struct err *err, int64_t again_in_ms)
{
    struct kube_informer *i = user;

    if (i->on_trouble != NULL)
        i->on_trouble(i->user, err, again_in_ms);
}

void kube_informer_relist(struct kube_informer *i, void (*done)(void *user), void *user)
{
    loop_defer_cancel(i->loop, &i->tell_relisted); /* of a list that began before this call */
    i->relisted = done;
    i->relisted_user = user;
    kube_reflector_relist(i->reflector);
}

void kube_informer_rewatch(struct kube_informer *i)
{
    kube_reflector_rewatch(i->reflector);
}

static int make_parts(struct kube_informer *i, const struct kube_informer_options *o,
                      struct err *err)
{
    struct kube_reflector_options options = {
        .resource = o->resource,
        .name_space = o->name_space,
        .label_selector = o->label_selector,
        .field_selector = o->field_selector,
        .page_items = o->page_items,
        .no_streaming = o->no_streaming,
        .times = o->times,
        .io = {.get = get, .cancel = cancel, .wake_at = wake_at, .context = i},
        .clock = o->clock,
        .rng = o->rng,
        .on_synced = on_synced,
        .on_listed = on_listed,
        .on_trouble = on_trouble,
        .user = i,
    };
    int r = kube_store_new(&i->store, &o->store, err);

    if (r < 0)
        return r;
    options.store = i->store;
    return kube_reflector_new(&i->reflector, &options, err);
}

int kube_informer_new(struct kube_informer **out, const struct kube_informer_options *options,
                      struct err *err)
{
    struct kube_informer *i = mem_alloc(sizeof(*i));
    int r;

    if (i == NULL)
        return err_no_memory(err);
    i->api = options->api;
    i->loop = options->loop;
    i->clock = options->clock;
    i->on_synced = options->on_synced;
    i->on_trouble = options->on_trouble;
    i->user = options->store.user;
    loop_deferred_init(&i->tell_relisted, tell_relisted, i);
    loop_timer_init(&i->timer, on_timer, i);
    r = make_parts(i, options, err);
    if (r < 0) {
        kube_informer_free(i);
        return r;
    }
    *out = i;
    return 0;
}

void kube_informer_start(struct kube_informer *i)
{
    kube_reflector_start(i->reflector);
}

void kube_informer_free(struct kube_informer *i)
{
    if (i == NULL)
        return;
    kube_reflector_free(i->reflector);
    loop_timer_stop(&i->timer);
    loop_defer_cancel(i->loop, &i->tell_relisted);
    kube_store_free(i->store);
    mem_free(i);
}

const struct kube_store *kube_informer_store(const struct kube_informer *i)
{
    return i->store;
}

const struct kube_reflector *kube_informer_reflector(const struct kube_informer *i)
{
    return i->reflector;
}
