/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leadership by a Lease. The epoch is the Lease's term, which the API server keeps and which rises
 * before anything is published under it; the installation is the Lease's uid, so that one which
 * was deleted and made anew is another installation, not an epoch that goes back.
 *
 * The identity in the Lease says where a standby reaches us: <name>_<address>_<random>.
 */
#include <stdio.h>

#include "base/log.h"
#include "operator/kube/kube_private.h"

enum { LEAD_RELEASE_MS = 3000 };

/* As in the defaults, of a lease of another length. */
static uint64_t lease_part(uint64_t lease_ms, uint64_t default_ms)
{
    return lease_ms * default_ms / KUBE_LEASE_MS;
}

/* The views are as fresh as our term. */
static void begin(struct kube *kube)
{
    struct str uid = kube_lease_uid(kube_elector_lease(kube->elector));

    snprintf(kube->installation, sizeof(kube->installation), "%.*s", STR_ARG(uid));
    kube->epoch = kube->term;
    log_info("this operator leads", LOG_I64("epoch", (int64_t)kube->epoch),
             LOG_I64("after_ms", clock_mono_ms(kube->platform.clock) - kube->elected_ms));
    kube_relay_leader_is(kube, STR_NONE);
    kube->platform.handler->on_lead(kube->platform.user, str_of(kube->installation), kube->epoch);
    kube_definitions_tell_all(kube);
}

void kube_lead_go_on(struct kube *kube)
{
    for (const struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (view->stale && !view->absent)
            return;
    }
    if (kube->term > 0 && kube->epoch == 0 && !kube->closing)
        begin(kube);
}

void kube_view_is_fresh(void *view)
{
    struct kube_view *fresh = view;

    fresh->stale = false;
    kube_absence_end(fresh);
    kube_lead_go_on(fresh->kube);
}

/*
 * What the leader before us wrote last may not have reached our views. Our own objects are listed
 * anew: their statuses say which pods are there and which may come, and each write builds on them.
 * Of pods and nodes there may be a hundred times as many, and a view of them that lags does no
 * harm: a recorded pod that it lacks is waited for (reconcile/model.c), and writes carry the uid.
 * So it suffices that their watches are no dead connections.
 */
static void on_started(void *user, uint64_t term)
{
    struct kube *kube = user;

    kube->term = term;
    kube->elected_ms = clock_mono_ms(kube->platform.clock);
    for (struct kube_view *view = kube->views; view != NULL; view = view->next)
        view->stale = view->kind != NULL;
    for (struct kube_view *view = kube->views; view != NULL; view = view->next) {
        if (view->stale)
            kube_informer_relist(view->informer, kube_view_is_fresh, view);
        else
            kube_informer_rewatch(view->informer);
    }
}

static void on_stopped(void *user)
{
    struct kube *kube = user;

    log_warn("this operator does not lead any more");
    kube->epoch = kube->term = 0;
    kube_writes_cancel(kube);
    kube_budgets_clear(kube);
    results_drop(&kube->results);
    agents_cancel(&kube->agents);
    if (kube->closing)
        return;
    kube->platform.handler->on_lead(kube->platform.user, str_of(kube->installation), 0);
    kube->options.on_standby(kube->options.user);
}

/* Between the first and the last underscore. */
static struct str address_in(struct str identity)
{
    struct str rest = identity;

    (void)str_cut(&rest, '_');
    return str_cut(&rest, '_');
}

static void on_leader(void *user, struct str identity)
{
    struct kube *kube = user;

    log_info("another operator leads", LOG_VIEW("identity", identity));
    kube_relay_leader_is(kube, address_in(identity));
}

static void on_trouble(void *user, const struct err *err)
{
    (void)user;
    log_warn("the lease can't be read or written; it is tried again", LOG_ERR(err));
}

int kube_lead_open(struct kube *kube, const char *address, struct err *err)
{
    uint64_t lease_ms =
        kube->options.lease_ms > 0 ? (uint64_t)kube->options.lease_ms : KUBE_LEASE_MS;
    char name[KUBE_NAME_TEXT_MAX + 1];
    int size = snprintf(kube->identity, sizeof(kube->identity), "%s_%s_%04x", kube->options.name,
                        address, (unsigned)rng_below(kube->platform.rng, 0x10000));

    if (size < 0 || (size_t)size >= sizeof(kube->identity) ||
        str_find_char(str_of(kube->options.name), '_') >= 0)
        return err_set(err, ERR_INVALID, "--name %s: it is too long, or has an underscore",
                       kube->options.name);
    snprintf(name, sizeof(name), "%s-operator", kube->options.release);
    return kube_elector_new(&kube->elector, kube->api, kube->loop, kube->platform.clock,
                            kube->platform.rng, kube->options.metrics,
                            &(struct kube_lease_options){
                                .name_space = str_of(kube->name_space),
                                .name = str_of(name),
                                .identity = str_of(kube->identity),
                                .field_manager = KUBE_MANAGER_LEASE,
                                .lease_ms = lease_ms,
                                .renew_ms = lease_part(lease_ms, KUBE_LEASE_RENEW_MS),
                                .retry_ms = lease_part(lease_ms, KUBE_LEASE_RETRY_MS),
                                .on_started = on_started,
                                .on_stopped = on_stopped,
                                .on_leader = on_leader,
                                .on_trouble = on_trouble,
                                .user = kube,
                            },
                            err);
}

static void released(void *user)
{
    bool *done = user;

    *done = true;
}

void kube_lead_close(struct kube *kube)
{
    int64_t until_ms = clock_mono_ms(kube->platform.clock) + LEAD_RELEASE_MS;
    bool done = false;

    if (kube->elector == NULL)
        return;
    if (kube_lease_may_be_ours(kube_elector_lease(kube->elector))) {
        kube_lease_release(kube_elector_lease(kube->elector), released, &done);
        while (!done && clock_mono_ms(kube->platform.clock) < until_ms)
            loop_turn(kube->loop, 10);
    }
    kube_elector_free(kube->elector);
    kube->elector = NULL;
}

bool kube_leads_for_sure(const struct kube *kube)
{
    return kube->epoch > 0 && kube->elector != NULL &&
           kube_lease_is_leader_for_sure(kube_elector_lease(kube->elector), KUBE_WRITE_MS);
}

struct str kube_leader_address(const struct kube *kube)
{
    struct str holder =
        kube->elector == NULL ? STR_NONE : kube_lease_holder(kube_elector_lease(kube->elector));

    return str_is(holder, kube->identity) ? STR_NONE : address_in(holder);
}
