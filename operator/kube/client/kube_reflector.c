/* SPDX-License-Identifier: Apache-2.0 */
/* The reflector: see kube_reflector.h. Here: requests begin, time passes, answers are judged. */
#include "operator/kube/client/kube_reflector.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_reflector_private.h"

enum { MS_PER_S = 1000 };

static const struct kube_reflector_times default_times = {
    .watch_ms = 300 * 1000,
    .watch_grace_ms = 10 * 1000,
    .idle_ms = 90 * 1000,
    .list_idle_ms = 60 * 1000,
    .stream_list_ms = 10 * 1000,
    .backoff_first_ms = 800,
    .backoff_max_ms = 30 * 1000,
    .healthy_ms = 10 * 1000,
};

int64_t kube_reflector_now(const struct kube_reflector *r)
{
    return clock_mono_ms(r->options.clock);
}

/* --- requests --------------------------------------------------------------------------------- */

void kube_reflector_wait(struct kube_reflector *r, int64_t delay_ms)
{
    r->phase = KUBE_REFLECTOR_WAITING;
    r->again_ms = kube_reflector_now(r) + delay_ms;
    r->options.io.wake_at(r->options.io.context, r->again_ms);
}

/* When the request under way would be given up, if nothing came from now on. */
static int64_t patience_ends_ms(const struct kube_reflector *r)
{
    const struct kube_reflector_times *t = &r->options.times;
    uint64_t idle_ms = r->phase == KUBE_REFLECTOR_WATCH ? t->idle_ms : t->list_idle_ms;
    int64_t end_ms = r->byte_ms + (int64_t)idle_ms;

    if (r->phase == KUBE_REFLECTOR_STREAM_LIST && r->begun_ms + (int64_t)t->stream_list_ms < end_ms)
        end_ms = r->begun_ms + (int64_t)t->stream_list_ms;
    return r->deadline_ms < end_ms ? r->deadline_ms : end_ms;
}

/* The seconds that the server is asked to serve a watch for: between watch_ms and twice that, so
 * that the watches of many clients do not end together. */
static uint64_t choose_timeout_s(struct kube_reflector *r)
{
    uint64_t base_ms = r->options.times.watch_ms;
    uint64_t chosen_ms = base_ms + rng_below(r->options.rng, base_ms + 1);
    uint64_t seconds = (chosen_ms + MS_PER_S - 1) / MS_PER_S;

    r->deadline_ms = kube_reflector_now(r) + (int64_t)(seconds * MS_PER_S) +
                     (int64_t)r->options.times.watch_grace_ms;
    return seconds;
}

static void begin_request(struct kube_reflector *r, enum kube_reflector_phase phase)
{
    r->phase = phase;
    r->busy = true;
    r->answered = false;
    r->got_error = false;
    r->failure = 0;
    r->store_failed = false;
    r->progress = false;
    r->begun_ms = kube_reflector_now(r);
    r->watching_ms = r->begun_ms;
    r->byte_ms = r->begun_ms;
    r->deadline_ms = INT64_MAX;
    kube_watch_reset(&r->watch);
    kube_list_reset(&r->list);
}

static void send_request(struct kube_reflector *r, struct buf *target, int result, struct err *err)
{
    const struct kube_reflector_io *io = &r->options.io;

    if (result == 0 && buf_cstr(target) == NULL)
        result = err_no_memory(err);
    if (result == 0)
        result = io->get(io->context, target->ptr, err);
    if (result == 0) {
        io->wake_at(io->context, patience_ends_ms(r));
        return;
    }
    r->busy = false;
    kube_reflector_end(r, KUBE_VERDICT_FAILED, 0, err);
}

static void begin_list(struct kube_reflector *r)
{
    bool pages = r->options.no_streaming || r->streaming_refused || r->pages_next;
    CLEANUP(buf_fini) struct buf target = {0};
    struct err err = {0};
    int result;

    buf_init(&target, KUBE_PATH_MAX);
    if (!r->paging) {
        kube_store_list_begin(r->options.store);
        r->counts.lists++;
    }
    if (pages) {
        r->paging = true;
        begin_request(r, KUBE_REFLECTOR_PAGES);
        result = kube_reflector_target_page(r, &target, &err);
    } else {
        begin_request(r, KUBE_REFLECTOR_STREAM_LIST);
        result = kube_reflector_target_stream(r, &target, choose_timeout_s(r), &err);
    }
    send_request(r, &target, result, &err);
}

static void begin_watch(struct kube_reflector *r)
{
    CLEANUP(buf_fini) struct buf target = {0};
    struct err err = {0};
    int result;

    buf_init(&target, KUBE_PATH_MAX);
    begin_request(r, KUBE_REFLECTOR_WATCH);
    r->counts.watches++;
    result = kube_reflector_target_watch(r, &target, choose_timeout_s(r), &err);
    send_request(r, &target, result, &err);
}

/* --- answers ---------------------------------------------------------------------------------- */

int kube_reflector_on_bytes(struct kube_reflector *r, struct str bytes)
{
    enum kube_reflector_phase before = r->phase;
    struct err err = {0};
    int result;

    if (!r->busy)
        return -ERR_CANCELLED;
    r->byte_ms = kube_reflector_now(r);
    if (r->phase == KUBE_REFLECTOR_PAGES)
        result = kube_list_feed(&r->list, bytes, &err);
    else
        result = kube_watch_feed(&r->watch, bytes, &err);
    if (result == 0 && r->phase != before) /* a list became a watch: another patience */
        r->options.io.wake_at(r->options.io.context, patience_ends_ms(r));
    /* Our own callbacks have recorded theirs already. */
    if (result < 0 && !r->got_error && r->failure == 0) {
        r->failure = result;
        r->failure_err = err;
    }
    return result;
}

static enum kube_verdict judge_status(const struct kube_status *s, int64_t *later_ms)
{
    if (kube_status_expired(s))
        return KUBE_VERDICT_EXPIRED;
    if (s->retry_after_s > 0) {
        *later_ms = s->retry_after_s * MS_PER_S;
        return KUBE_VERDICT_LATER;
    }
    if (s->http_status == 401 || s->http_status == 403 || s->http_status == 404 ||
        s->http_status == 429 || s->http_status >= 500)
        return KUBE_VERDICT_FAILED;
    return KUBE_VERDICT_USELESS;
}

/* The page is whole: the next one, or the end of the list. */
static enum kube_verdict end_of_page(struct kube_reflector *r, struct err *err)
{
    if (kube_list_end(&r->list, err) < 0)
        return KUBE_VERDICT_FAILED;
    if (r->list.continue_token[0] != '\0') {
        memcpy(r->continue_token, r->list.continue_token, sizeof(r->continue_token));
        return KUBE_VERDICT_ENDED;
    }
    if (kube_reflector_commit(r, r->list.resource_version) == 0)
        return KUBE_VERDICT_ENDED;
    *err = r->failure_err;
    return KUBE_VERDICT_FAILED;
}

static enum kube_verdict end_of_answer(struct kube_reflector *r, struct err *err)
{
    if (r->phase == KUBE_REFLECTOR_PAGES)
        return end_of_page(r, err);
    if (kube_watch_end(&r->watch, err) == 0)
        return KUBE_VERDICT_ENDED;
    if (r->failure < 0)
        *err = r->failure_err;
    return KUBE_VERDICT_USELESS;
}

static enum kube_verdict judge(struct kube_reflector *r, const struct kube_answer *answer,
                               int64_t *later_ms, struct err *err)
{
    enum kube_verdict verdict;

    if (r->got_error) {
        (void)kube_status_err(&r->error, "watch", err);
        verdict = judge_status(&r->error, later_ms);
        return verdict == KUBE_VERDICT_FAILED ? KUBE_VERDICT_USELESS : verdict;
    }
    if (r->failure < 0) {
        *err = r->failure_err;
        return r->store_failed ? KUBE_VERDICT_FAILED : KUBE_VERDICT_USELESS;
    }
    if (answer->code == 0)
        return end_of_answer(r, err);
    *err = *answer->err;
    return answer->status != NULL ? judge_status(answer->status, later_ms) : KUBE_VERDICT_FAILED;
}

void kube_reflector_on_done(struct kube_reflector *r, const struct kube_answer *answer)
{
    bool refused = answer->status != NULL && answer->status->http_status >= 400;
    struct err err = {0};
    int64_t later_ms = 0;
    enum kube_verdict verdict;

    if (!r->busy)
        return;
    r->answered = true;
    verdict = judge(r, answer, &later_ms, &err);
    if (!r->busy)
        return; /* a callback wanted another list */
    r->busy = false;
    if (r->phase == KUBE_REFLECTOR_STREAM_LIST && verdict == KUBE_VERDICT_USELESS && refused)
        r->streaming_refused = true;
    if (err.code == ERR_OK)
        (void)err_set(&err, ERR_NETWORK, "a watch ended as soon as it began");
    kube_reflector_end(r, verdict, later_ms, &err);
}

/* --- time ------------------------------------------------------------------------------------- */

static void give_up(struct kube_reflector *r, int64_t now)
{
    const struct kube_reflector_times *t = &r->options.times;
    bool time_is_up = now >= r->deadline_ms;
    struct err err = {0};

    r->options.io.cancel(r->options.io.context);
    r->busy = false;
    if (r->phase == KUBE_REFLECTOR_STREAM_LIST && now - r->begun_ms >= (int64_t)t->stream_list_ms) {
        r->streaming_refused = true; /* a server that does not know streaming lists */
        kube_reflector_end(r, KUBE_VERDICT_USELESS, 0, NULL);
        return;
    }
    r->counts.silences += time_is_up ? 0 : 1;
    (void)err_set(&err, ERR_TIMEOUT, "nothing came from the API server for %" PRId64 " ms",
                  now - r->byte_ms);
    kube_reflector_end(r, time_is_up ? KUBE_VERDICT_ENDED : KUBE_VERDICT_FAILED, 0, &err);
}

void kube_reflector_on_wake(struct kube_reflector *r)
{
    int64_t now = kube_reflector_now(r);
    int64_t due = r->busy ? patience_ends_ms(r) : r->again_ms;

    if (r->phase == KUBE_REFLECTOR_IDLE)
        return;
    if (now < due)
        r->options.io.wake_at(r->options.io.context, due);
    else if (r->busy)
        give_up(r, now);
    else if (r->version[0] == '\0' || r->paging)
        begin_list(r);
    else
        begin_watch(r);
}

void kube_reflector_relist(struct kube_reflector *r)
{
    if (r->phase == KUBE_REFLECTOR_IDLE)
        return; /* its first list is to come */
    if (r->busy && !r->answered)
        r->options.io.cancel(r->options.io.context);
    r->busy = false;
    r->version[0] = '\0';
    r->continue_token[0] = '\0';
    r->paging = false;
    kube_reflector_wait(r, 0); /* the store drops an unfinished list when the next one begins */
}

void kube_reflector_rewatch(struct kube_reflector *r)
{
    bool waits = r->phase == KUBE_REFLECTOR_WAITING && r->version[0] != '\0' && !r->paging;

    if (r->phase == KUBE_REFLECTOR_WATCH && r->busy && !r->answered)
        r->options.io.cancel(r->options.io.context);
    else if (!waits)
        return;
    r->busy = false;
    kube_reflector_wait(r, 0);
}

/* --- life ------------------------------------------------------------------------------------- */

static void set_times(struct kube_reflector_times *t)
{
    const struct kube_reflector_times *d = &default_times;

    t->watch_ms = t->watch_ms ? t->watch_ms : d->watch_ms;
    t->watch_grace_ms = t->watch_grace_ms ? t->watch_grace_ms : d->watch_grace_ms;
    t->idle_ms = t->idle_ms ? t->idle_ms : d->idle_ms;
    t->list_idle_ms = t->list_idle_ms ? t->list_idle_ms : d->list_idle_ms;
    t->stream_list_ms = t->stream_list_ms ? t->stream_list_ms : d->stream_list_ms;
    t->backoff_first_ms = t->backoff_first_ms ? t->backoff_first_ms : d->backoff_first_ms;
    t->backoff_max_ms = t->backoff_max_ms ? t->backoff_max_ms : d->backoff_max_ms;
    t->healthy_ms = t->healthy_ms ? t->healthy_ms : d->healthy_ms;
}

static char *copy(struct str text)
{
    return mem_strndup(text.ptr != NULL ? text.ptr : "", text.len);
}

int kube_reflector_new(struct kube_reflector **out, const struct kube_reflector_options *options,
                       struct err *err)
{
    struct kube_reflector *r = mem_alloc(sizeof(*r));

    if (r == NULL)
        return err_no_memory(err);
    r->options = *options;
    set_times(&r->options.times);
    r->backoff.first_ms = (int64_t)r->options.times.backoff_first_ms;
    r->backoff.max_ms = (int64_t)r->options.times.backoff_max_ms;
    r->expiry_backoff = r->backoff;
    kube_watch_init(&r->watch, kube_reflector_take_event, r);
    kube_list_init(&r->list, kube_reflector_take_item, r);
    r->name_space = copy(options->name_space);
    r->label_selector = copy(options->label_selector);
    r->field_selector = copy(options->field_selector);
    if (r->name_space == NULL || r->label_selector == NULL || r->field_selector == NULL) {
        kube_reflector_free(r);
        return err_no_memory(err);
    }
    *out = r;
    return 0;
}

void kube_reflector_free(struct kube_reflector *r)
{
    if (r == NULL)
        return;
    if (r->busy)
        r->options.io.cancel(r->options.io.context);
    if (r->phase != KUBE_REFLECTOR_IDLE)
        r->options.io.wake_at(r->options.io.context, INT64_MAX);
    kube_watch_fini(&r->watch);
    kube_list_fini(&r->list);
    mem_free(r->name_space);
    mem_free(r->label_selector);
    mem_free(r->field_selector);
    mem_free(r);
}

void kube_reflector_start(struct kube_reflector *r)
{
    if (r->phase == KUBE_REFLECTOR_IDLE)
        kube_reflector_wait(r, 0);
}

bool kube_reflector_synced(const struct kube_reflector *r)
{
    return r->synced;
}

const struct kube_reflector_counts *kube_reflector_counts(const struct kube_reflector *r)
{
    return &r->counts;
}

const char *kube_reflector_version(const struct kube_reflector *r)
{
    return r->version;
}
