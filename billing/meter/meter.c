/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue in front of the log and the log thread: see meter.h. The thread takes what is queued,
 * writes and syncs it, tells, and looks again: while one sync runs the next batch gathers.
 */
#include "billing/meter/meter.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "billing/meter/meter_private.h"

/* --- waiting ------------------------------------------------------------------------------ */

static int condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int r;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    r = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return r;
}

static struct timespec deadline_after(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* --- the log thread ------------------------------------------------------------------------- */

static void tell_durable(struct meter *m)
{
    if (m->options.durable == NULL)
        return;
    if (m->options.loop != NULL)
        loop_wake(&m->waker);
    else
        m->options.durable(m->options.user, meter_durable(m));
}

static void durable_on_loop(void *object)
{
    struct meter *m = object;

    m->options.durable(m->options.user, meter_durable(m));
}

/* Under the lock: how far readers may go. Everything before the current segment is closed. */
static void publish_end(struct meter *m)
{
    const struct store *s = &m->store;

    m->end_number = s->current >= 0 ? s->next_number - 1 : s->next_number;
    m->end_offset = s->current >= 0 ? s->current_used : SEGMENT_HEADER_BYTES;
}

/* Under the lock: what other threads may see of the files. */
static void publish(struct meter *m, bool prepared, bool failing)
{
    const struct store *s = &m->store;
    size_t queued = m->pending.len + m->batch.len;

    publish_end(m);
    m->first_number = s->segment_count == 0 ? s->next_number : s->segments[0].number;
    m->stats.acked = s->acked;
    m->stats.bytes = meter_store_bytes(s);
    m->stats.segments = s->segment_count;
    m->stats.admission_open = prepared && !failing && queued < METER_PENDING_BYTES_MAX / 2;
}

/* Writes one piece of the batch. Returns 1 if something became durable, 0 or a failure if not. */
static int write_piece(struct meter *m)
{
    uint64_t last = 0;
    ssize_t taken = meter_store_write(&m->store, buf_str(&m->batch), &last, NULL);

    if (taken == 0) {
        int r = meter_store_rotate(&m->store, NULL);

        if (r < 0)
            return r;
        taken = meter_store_write(&m->store, buf_str(&m->batch), &last, NULL);
    }
    if (taken <= 0)
        return taken < 0 ? (int)taken : 0;
    buf_consume(&m->batch, (size_t)taken);
    pthread_mutex_lock(&m->lock);
    m->stats.durable = last;
    m->stats.commits++;
    publish_end(m);
    pthread_mutex_unlock(&m->lock);
    return 1;
}

/* Everything in the batch, as far as the disk lets it. False: try again later. */
static bool write_batch(struct meter *m)
{
    bool moved = false;
    int r = 1;

    while (m->batch.len > 0 && r > 0) {
        r = write_piece(m);
        moved = moved || r > 0;
    }
    if (moved)
        tell_durable(m);
    return m->batch.len == 0;
}

/* Under the lock. Waits until there is something to do, or to try again. While the disk takes
 * nothing (blocked) new records are no reason to hurry. */
static void wait_for_work(struct meter *m, bool blocked, bool retry)
{
    struct timespec until = deadline_after(METER_RETRY_MS);

    while (!m->stopping && m->ack_wanted <= m->ack_tried && (blocked || m->pending.len == 0)) {
        if (!retry) {
            pthread_cond_wait(&m->work, &m->lock);
        } else if (pthread_cond_timedwait(&m->work, &m->lock, &until) == ETIMEDOUT) {
            return;
        }
    }
}

/* Under the lock: moves the queue behind what could not be written yet. */
static void take_pending(struct meter *m)
{
    if (m->batch.len == 0) {
        struct buf empty = m->batch;

        m->batch = m->pending;
        m->pending = empty;
        buf_clear(&m->pending);
    }
}

static void *log_thread(void *argument)
{
    struct meter *m = argument;
    bool written = true;
    bool prepared = m->has_room; /* opened without room: nothing else would wake it */
    bool acked = true;

    pthread_mutex_lock(&m->lock);
    for (;;) {
        uint64_t ack;
        bool stopping;

        wait_for_work(m, !written, !written || !prepared || !acked);
        take_pending(m);
        ack = m->ack_wanted;
        m->ack_tried = ack;
        stopping = m->stopping;
        pthread_mutex_unlock(&m->lock);

        acked = ack <= m->store.acked || meter_store_ack(&m->store, ack, NULL) == 0;
        written = write_batch(m);
        prepared = meter_store_prepare(&m->store);
        if (!written && prepared)
            written = write_batch(m);

        meter_say_room(m, prepared && written);
        pthread_mutex_lock(&m->lock);
        m->stats.write_failures += written ? 0 : 1;
        publish(m, prepared, !written);
        pthread_cond_broadcast(&m->done);
        if (stopping && (m->pending.len == 0 || !written))
            break;
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* --- for the other threads --------------------------------------------------------------------
 */

int meter_append(struct meter *m, const struct usage_record *record, uint64_t *sequence,
                 struct err *err)
{
    struct json_writer w;
    struct buf json;
    int r;

    buf_init(&json, USAGE_RECORD_BYTES_MAX);
    json_writer_init(&w, &json);
    usage_write(&w, record);
    r = buf_check(&json, "the usage record", err);
    if (r == 0)
        r = meter_append_json(m, buf_str(&json), sequence, err);
    buf_fini(&json);
    return r;
}

int meter_append_json(struct meter *m, struct str json, uint64_t *sequence, struct err *err)
{
    uint64_t next;
    int r;

    pthread_mutex_lock(&m->lock);
    next = m->stats.appended + 1;
    if (m->pending.len + SEGMENT_ENTRY_BYTES + json.len > METER_PENDING_BYTES_MAX) {
        pthread_mutex_unlock(&m->lock);
        return err_set(err, ERR_NO_SPACE,
                       "the usage log in %s has %d MiB waiting for its disk; free some space",
                       m->store.folder, METER_PENDING_BYTES_MAX >> 20);
    }
    r = segment_entry_append(&m->pending, next, json);
    if (r == 0) {
        m->stats.appended = next;
        pthread_cond_signal(&m->work);
    }
    pthread_mutex_unlock(&m->lock);
    if (r < 0)
        return r == -ERR_NO_MEMORY ? err_no_memory(err)
                                   : err_set(err, (enum err_code) - r,
                                             "a usage record of %zu bytes; the limit is %d",
                                             json.len, SEGMENT_PAYLOAD_MAX);
    if (sequence != NULL)
        *sequence = next;
    return 0;
}

int meter_flush(struct meter *m, int64_t timeout_ms, struct err *err)
{
    struct timespec until = deadline_after(timeout_ms);
    uint64_t wanted;
    int r = 0;

    pthread_mutex_lock(&m->lock);
    wanted = m->stats.appended;
    while (m->stats.durable < wanted && r == 0)
        r = pthread_cond_timedwait(&m->done, &m->lock, &until);
    pthread_mutex_unlock(&m->lock);
    if (r != 0)
        return err_set(err, ERR_TIMEOUT, "the usage log's disk took nothing for %" PRId64 " ms",
                       timeout_ms);
    return 0;
}

uint64_t meter_durable(struct meter *m)
{
    uint64_t durable;

    pthread_mutex_lock(&m->lock);
    durable = m->stats.durable;
    pthread_mutex_unlock(&m->lock);
    return durable;
}

bool meter_admission_open(struct meter *m)
{
    bool open;

    pthread_mutex_lock(&m->lock);
    open = m->stats.admission_open;
    pthread_mutex_unlock(&m->lock);
    return open;
}

void meter_ack(struct meter *m, uint64_t sequence)
{
    pthread_mutex_lock(&m->lock);
    if (sequence > m->stats.durable)
        sequence = m->stats.durable;
    if (sequence > m->ack_wanted) {
        m->ack_wanted = sequence;
        pthread_cond_signal(&m->work);
    }
    pthread_mutex_unlock(&m->lock);
}

void meter_stats(struct meter *m, struct meter_stats *out)
{
    pthread_mutex_lock(&m->quarantine_lock);
    pthread_mutex_lock(&m->lock);
    *out = m->stats;
    out->quarantined = m->store.quarantined;
    out->damaged = m->store.damaged;
    out->torn = m->store.torn;
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_unlock(&m->quarantine_lock);
}

/* --- opening and closing ----------------------------------------------------------------------
 */

static int check_options(struct meter_options *options, struct err *err)
{
    if (options->segment_bytes == 0)
        options->segment_bytes = METER_SEGMENT_BYTES;
    if (options->max_bytes == 0)
        options->max_bytes = METER_MAX_BYTES;
    if (options->segment_bytes < METER_SEGMENT_BYTES_MIN ||
        options->segment_bytes > METER_SEGMENT_BYTES_MAX)
        return err_set(err, ERR_INVALID,
                       "usage log segments of %" PRIu64 " bytes; they must be from %d to %d",
                       options->segment_bytes, METER_SEGMENT_BYTES_MIN, METER_SEGMENT_BYTES_MAX);
    if (options->max_bytes < options->segment_bytes * 4)
        return err_set(err, ERR_INVALID,
                       "a usage log of at most %" PRIu64 " bytes; it needs four segments (%" PRIu64
                       " bytes)",
                       options->max_bytes, options->segment_bytes * 4);
    return 0;
}

static int start(struct meter *m, struct err *err)
{
    int r = meter_store_open(&m->store, &m->options, err);
    bool prepared;

    if (r < 0)
        return r;
    m->stats.appended = m->store.last_sequence;
    m->stats.durable = m->store.last_sequence;
    m->ack_wanted = m->store.acked;
    m->ack_tried = m->store.acked;
    prepared = meter_store_prepare(&m->store);
    m->has_room = true;
    meter_say_room(m, prepared);
    publish(m, prepared, false);
    r = pthread_create(&m->thread, NULL, log_thread, m);
    if (r != 0)
        return err_errno(err, r, "cannot start the log thread");
    m->running = true;
    return 0;
}

int meter_open(struct meter **out, const struct meter_options *options, struct err *err)
{
    struct meter *m = mem_alloc(sizeof(*m));
    int r;

    if (m == NULL)
        return err_no_memory(err);
    m->options = *options;
    m->store.lock = -1;
    m->store.current = -1;
    buf_init(&m->pending, METER_PENDING_BYTES_MAX);
    buf_init(&m->batch, METER_PENDING_BYTES_MAX);
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->quarantine_lock, NULL);
    condition_init(&m->work);
    condition_init(&m->done);
    if (options->loop != NULL)
        loop_waker_init(&m->waker, options->loop, durable_on_loop, m);
    r = check_options(&m->options, err);
    if (r == 0)
        r = start(m, err);
    if (r < 0) {
        meter_close(m);
        return err_wrap(err, r, "usage log");
    }
    *out = m;
    return 0;
}

void meter_close(struct meter *m)
{
    if (m == NULL)
        return;
    if (m->running) {
        pthread_mutex_lock(&m->lock);
        m->stopping = true;
        pthread_cond_signal(&m->work);
        pthread_mutex_unlock(&m->lock);
        pthread_join(m->thread, NULL);
    }
    if (m->options.loop != NULL)
        loop_waker_fini(&m->waker);
    if (m->store.folder != NULL)
        meter_store_close(&m->store);
    buf_fini(&m->pending);
    buf_fini(&m->batch);
    pthread_cond_destroy(&m->work);
    pthread_cond_destroy(&m->done);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->quarantine_lock);
    mem_free(m);
}
