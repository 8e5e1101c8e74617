/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election: see kube_lease.h. Writes are merge patches with the resourceVersion last seen,
 * so of two that want the lease at once one meets a conflict, and what others keep in the object
 * (labels, fields of later versions) stays.
 */
#include "operator/kube/client/kube_lease.h"

#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_lease_record.h"

enum {
    BODY_MAX = 4096,
    MS_PER_S = 1000,
};

const struct kube_resource kube_lease_resource = {"coordination.k8s.io", "v1", "leases", true};

enum request { REQUEST_NONE, REQUEST_READ, REQUEST_CREATE, REQUEST_WRITE };

struct kube_lease {
    struct kube_lease_options options;
    char *name_space, *name, *identity;
    struct kube_lease_record seen; /* as last read or written */
    bool stale;                    /* it is known, or must be feared, to be old */
    int64_t changed_ms;            /* when we saw the record change last */
    bool started;

    enum request request; /* under way */
    int64_t sent_ms;
    int64_t act_ms; /* the next request is due */

    bool leading;
    int64_t renewed_ms; /* when the last successful write was sent */

    bool releasing;
    bool given_up; /* released; the owner is told next */
    int64_t release_by_ms;
    void (*released)(void *user);
    void *released_user;
};

static int64_t now_ms(const struct kube_lease *l)
{
    return clock_mono_ms(l->options.clock);
}

static bool is_ours(const struct kube_lease *l)
{
    return strcmp(l->seen.holder, l->identity) == 0;
}

/* --- waking ----------------------------------------------------------------------------------- */

/* A request that takes longer than this is tried again: there must be time for a second one. */
static int64_t patience_ms(const struct kube_lease *l)
{
    return (int64_t)l->options.renew_ms / 2;
}

static void set_alarm(struct kube_lease *l)
{
    int64_t due = l->request != REQUEST_NONE ? l->sent_ms + patience_ms(l) : l->act_ms;
    int64_t leading_until = l->renewed_ms + (int64_t)l->options.renew_ms;

    if (l->leading && leading_until < due)
        due = leading_until;
    if (l->releasing && l->release_by_ms < due)
        due = l->release_by_ms;
    l->options.io.wake_at(l->options.io.context, due);
}

static void act_in(struct kube_lease *l, int64_t delay_ms)
{
    l->act_ms = now_ms(l) + delay_ms;
}

/* Followers spread out a little; the end of the other's lease is not waited past. */
static void act_as_follower(struct kube_lease *l)
{
    int64_t retry_ms = (int64_t)l->options.retry_ms;
    int64_t delay_ms = retry_ms + (int64_t)rng_below(l->options.rng, (uint64_t)retry_ms / 5 + 1);
    int64_t left_ms = l->changed_ms + l->seen.lease_ms - now_ms(l);

    if (left_ms > 0 && left_ms < delay_ms)
        delay_ms = left_ms;
    act_in(l, delay_ms);
}

/* --- leading ---------------------------------------------------------------------------------- */

static void start_leading(struct kube_lease *l)
{
    l->leading = true;
    if (l->options.on_started != NULL)
        l->options.on_started(l->options.user, l->seen.transitions);
}

static void stop_leading(struct kube_lease *l)
{
    if (!l->leading)
        return;
    l->leading = false;
    if (l->options.on_stopped != NULL)
        l->options.on_stopped(l->options.user);
}

/* --- requests --------------------------------------------------------------------------------- */

static void write_body(struct kube_lease *l, struct buf *body, enum request request)
{
    bool create = request == REQUEST_CREATE;

    kube_lease_record_write(body, &(struct kube_lease_change){
                                      .name_space = l->name_space,
                                      .name = l->name,
                                      .version = create ? NULL : l->seen.version,
                                      .holder = l->releasing ? NULL : l->identity,
                                      .now_ms = clock_wall_ms(l->options.clock),
                                      .lease_ms = l->options.lease_ms,
                                      .acquire = !l->leading && !l->releasing,
                                      .transitions = create ? 1 : l->seen.transitions + 1,
                                  });
}

static int send_request(struct kube_lease *l, enum request request, struct err *err)
{
    static const char *const methods[] = {"", "GET", "POST", "PATCH"};
    const struct kube_target target = {
        .resource = &kube_lease_resource,
        .name_space = str_of(l->name_space),
        .name = request == REQUEST_CREATE ? STR_NONE : str_of(l->name),
    };
    CLEANUP(buf_fini) struct buf path = {0};
    CLEANUP(buf_fini) struct buf body = {0};
    int r;

    buf_init(&path, KUBE_PATH_MAX);
    buf_init(&body, BODY_MAX);
    r = kube_path(&path, &target, err);
    if (r == 0 && request != REQUEST_READ) {
        write_body(l, &body, request);
        (void)kube_query(&path, "fieldManager", str_of(l->options.field_manager));
    }
    if (r == 0 && (buf_cstr(&path) == NULL || body.failed))
        r = err_no_memory(err);
    if (r < 0)
        return r;
    l->sent_ms = now_ms(l);
    return l->options.io.send(l->options.io.context, methods[request], path.ptr, buf_str(&body),
                              err);
}

static void trouble(struct kube_lease *l, const struct err *err)
{
    if (l->options.on_trouble != NULL)
        l->options.on_trouble(l->options.user, err);
}

static void begin(struct kube_lease *l, enum request request)
{
    struct err err = {0};

    if (send_request(l, request, &err) == 0) {
        l->request = request;
    } else {
        trouble(l, &err);
        act_in(l, (int64_t)l->options.retry_ms);
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

static int read_record(struct kube_lease *l, struct str body, struct err *err)
{
    struct kube_lease_record fresh;
    bool other_holder;
    int r = kube_lease_record_read(&fresh, body, (int64_t)l->options.lease_ms, err);

    if (r < 0)
        return err_wrap(err, r, "lease %s", l->name);
    if (strcmp(fresh.version, l->seen.version) != 0)
        l->changed_ms = now_ms(l);
    other_holder = strcmp(fresh.holder, l->seen.holder) != 0;
    l->seen = fresh;
    l->stale = false;
    if (other_holder && !is_ours(l) && l->options.on_leader != NULL)
        l->options.on_leader(l->options.user, str_of(l->seen.holder));
    return 0;
}

/* The lease is there, and we know its record: ours to take, or another's for now. */
static void consider(struct kube_lease *l)
{
    bool over = l->seen.holder[0] == '\0' || now_ms(l) >= l->changed_ms + l->seen.lease_ms;

    if (l->leading && !is_ours(l))
        stop_leading(l);
    if (is_ours(l) || over)
        begin(l, REQUEST_WRITE);
    else
        act_as_follower(l);
}

static void after_read(struct kube_lease *l, const struct kube_answer *answer)
{
    struct err err = {0};

    if (answer->code == -ERR_NOT_FOUND) {
        l->seen = (struct kube_lease_record){0};
        stop_leading(l);
        begin(l, REQUEST_CREATE);
    } else if (answer->code < 0) {
        trouble(l, answer->err);
        act_in(l, (int64_t)l->options.retry_ms);
    } else if (read_record(l, answer->body, &err) < 0) {
        trouble(l, &err);
        act_in(l, (int64_t)l->options.retry_ms);
    } else {
        consider(l);
    }
}

static void written(struct kube_lease *l, const struct kube_answer *answer)
{
    struct err err = {0};

    l->renewed_ms = l->sent_ms;
    if (read_record(l, answer->body, &err) < 0) {
        l->stale = true; /* it is ours all the same; the next turn reads it again */
        trouble(l, &err);
    } else if (!l->leading) {
        start_leading(l);
    }
    act_in(l, (int64_t)l->options.retry_ms - (now_ms(l) - l->sent_ms));
}

static void after_write(struct kube_lease *l, enum request request,
                        const struct kube_answer *answer)
{
    bool look = answer->code == -ERR_CONFLICT || answer->code == -ERR_EXISTS ||
                (answer->code == -ERR_NOT_FOUND && request == REQUEST_WRITE);

    if (answer->code == 0) {
        written(l, answer);
        return;
    }
    l->stale = true;
    if (answer->code == -ERR_NOT_FOUND)
        stop_leading(l);
    /* Somebody was faster, or an answer to one of our own writes was lost: look, at once. */
    if (!look)
        trouble(l, answer->err);
    act_in(l, look ? 0 : (int64_t)l->options.retry_ms);
}

/* --- releasing -------------------------------------------------------------------------------- */

/* The owner is told from the next wake-up, as the last thing in it: it may free the lease then. */
static void finish_release(struct kube_lease *l)
{
    if (l->request != REQUEST_NONE)
        l->options.io.cancel(l->options.io.context);
    l->request = REQUEST_NONE;
    l->releasing = false;
    l->given_up = true;
    act_in(l, 0);
}

static void tell_released(struct kube_lease *l)
{
    l->given_up = false;
    l->started = false;
    l->options.io.wake_at(l->options.io.context, INT64_MAX);
    if (l->released != NULL)
        l->released(l->released_user);
}

/* Ours as far as we know: a write; of unknown state: a look first; another's: nothing to give. */
static void release_step(struct kube_lease *l)
{
    if (l->stale)
        begin(l, REQUEST_READ);
    else if (is_ours(l))
        begin(l, REQUEST_WRITE);
    else
        finish_release(l);
}

static void after_release_request(struct kube_lease *l, enum request request,
                                  const struct kube_answer *answer)
{
    struct err err = {0};

    if (request == REQUEST_READ && answer->code == 0 && read_record(l, answer->body, &err) == 0) {
        release_step(l);
    } else if (request == REQUEST_WRITE && answer->code == -ERR_CONFLICT) {
        l->stale = true;
        release_step(l);
    } else {
        finish_release(l);
    }
}

void kube_lease_release(struct kube_lease *l, void (*done)(void *user), void *user)
{
    l->released = done;
    l->released_user = user;
    l->releasing = true;
    l->release_by_ms = now_ms(l) + (int64_t)l->options.renew_ms;
    stop_leading(l);
    if (l->request != REQUEST_NONE) { /* how it would have ended is not known */
        l->options.io.cancel(l->options.io.context);
        l->request = REQUEST_NONE;
        l->stale = true;
    }
    act_in(l, 0); /* from the next wake-up on, so that done never runs inside this call */
    l->started = true;
    set_alarm(l);
}

/* --- from the driver -------------------------------------------------------------------------- */

void kube_lease_on_done(struct kube_lease *l, const struct kube_answer *answer)
{
    enum request request = l->request;

    if (request == REQUEST_NONE)
        return;
    l->request = REQUEST_NONE;
    if (l->releasing)
        after_release_request(l, request, answer);
    else if (request == REQUEST_READ)
        after_read(l, answer);
    else
        after_write(l, request, answer);
    set_alarm(l);
}

/* No answer in time: what a write did is not known. */
static void give_up(struct kube_lease *l)
{
    struct err err = {0};

    l->options.io.cancel(l->options.io.context);
    l->stale = l->stale || l->request != REQUEST_READ;
    l->request = REQUEST_NONE;
    (void)err_set(&err, ERR_TIMEOUT, "lease %s: no answer from the API server in time", l->name);
    trouble(l, &err);
    act_in(l, 0);
}

/* A write under way as leader must not make us leader again, in the old term, when it is late. */
static void lose(struct kube_lease *l)
{
    stop_leading(l);
    if (l->request != REQUEST_NONE)
        give_up(l);
}

void kube_lease_on_wake(struct kube_lease *l)
{
    int64_t now = now_ms(l);

    if (!l->started)
        return;
    if (l->releasing && now >= l->release_by_ms)
        finish_release(l);
    if (l->given_up) {
        tell_released(l);
        return;
    }
    if (l->leading && now >= l->renewed_ms + (int64_t)l->options.renew_ms)
        lose(l);
    if (l->request != REQUEST_NONE && now >= l->sent_ms + patience_ms(l))
        give_up(l);
    if (l->request == REQUEST_NONE && now >= l->act_ms) {
        if (l->releasing)
            release_step(l);
        else
            begin(l, l->leading && !l->stale ? REQUEST_WRITE : REQUEST_READ);
    }
    set_alarm(l);
}

/* --- asking ----------------------------------------------------------------------------------- */

bool kube_lease_may_be_ours(const struct kube_lease *l)
{
    bool writing = l->request == REQUEST_CREATE || l->request == REQUEST_WRITE;

    return l->leading || writing || is_ours(l);
}

int64_t kube_lease_sure_ms(const struct kube_lease *l)
{
    int64_t sure_ms = (int64_t)l->options.lease_ms * (100 - KUBE_LEASE_MARGIN_PERCENT) / 100;
    int64_t left_ms = l->renewed_ms + sure_ms - now_ms(l);

    return l->leading && left_ms > 0 ? left_ms : 0;
}

bool kube_lease_is_leader_for_sure(const struct kube_lease *l, int64_t need_ms)
{
    return kube_lease_sure_ms(l) > need_ms;
}

struct str kube_lease_holder(const struct kube_lease *l)
{
    return str_of(l->seen.holder);
}

struct str kube_lease_uid(const struct kube_lease *l)
{
    return str_of(l->seen.uid);
}

/* --- life ------------------------------------------------------------------------------------- */

static int check_times(const struct kube_lease_options *o, struct err *err)
{
    if (o->lease_ms > o->renew_ms && o->renew_ms > o->retry_ms && o->retry_ms > 0 &&
        o->lease_ms <= (uint64_t)KUBE_LEASE_S_MAX * MS_PER_S)
        return 0;
    return err_set(err, ERR_INVALID,
                   "leader election: the lease must last longer than its renewing, and that longer "
                   "than one try");
}

static char *copy(struct str text)
{
    return mem_strndup(text.ptr != NULL ? text.ptr : "", text.len);
}

int kube_lease_new(struct kube_lease **out, const struct kube_lease_options *options,
                   struct err *err)
{
    struct kube_lease *l;
    int r;

    if (options->identity.len == 0 || options->identity.len > KUBE_LEASE_IDENTITY_MAX)
        return err_set(err, ERR_INVALID, "leader election: an identity of 1 to %d bytes is needed",
                       KUBE_LEASE_IDENTITY_MAX);
    l = mem_alloc(sizeof(*l));
    if (l == NULL)
        return err_no_memory(err);
    l->options = *options;
    l->options.lease_ms = options->lease_ms ? options->lease_ms : KUBE_LEASE_MS;
    l->options.renew_ms = options->renew_ms ? options->renew_ms : KUBE_LEASE_RENEW_MS;
    l->options.retry_ms = options->retry_ms ? options->retry_ms : KUBE_LEASE_RETRY_MS;
    l->name_space = copy(options->name_space);
    l->name = copy(options->name);
    l->identity = copy(options->identity);
    r = check_times(&l->options, err);
    if (l->name_space == NULL || l->name == NULL || l->identity == NULL)
        r = err_no_memory(err);
    if (r < 0) {
        kube_lease_free(l);
        return r;
    }
    *out = l;
    return 0;
}

void kube_lease_free(struct kube_lease *l)
{
    if (l == NULL)
        return;
    if (l->request != REQUEST_NONE)
        l->options.io.cancel(l->options.io.context);
    if (l->started)
        l->options.io.wake_at(l->options.io.context, INT64_MAX);
    mem_free(l->name_space);
    mem_free(l->name);
    mem_free(l->identity);
    mem_free(l);
}

void kube_lease_start(struct kube_lease *l)
{
    l->started = true;
    act_in(l, 0);
    set_alarm(l);
}
