/* SPDX-License-Identifier: Apache-2.0 */
/* The writer thread: see writer.h. */
#include "billing/ledger/writer.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"

struct job_list {
    struct writer_job *first;
    struct writer_job **end;
    size_t count;
};

struct writer {
    struct ledger *ledger;
    pthread_t thread;
    bool running;
    struct loop_waker waker;
    struct usage_record *records; /* of one transaction */
    struct ingest_answer *answers;
    bool failing; /* the thread's: usage could not be written the last time */

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job_list queued;
    struct job_list finished;
    bool stopping;
};

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->end = &list->first;
    list->count = 0;
}

static void list_add(struct job_list *list, struct writer_job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
    list->count++;
}

static struct writer_job *list_take(struct job_list *list)
{
    struct writer_job *job = list->first;

    if (job == NULL)
        return NULL;
    list->first = job->next;
    if (list->first == NULL)
        list->end = &list->first;
    list->count--;
    return job;
}

/* --- on the writer thread --------------------------------------------------------------------- */

static void finish(struct writer *w, struct job_list *done)
{
    struct writer_job *job;

    if (done->first == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    while ((job = list_take(done)) != NULL)
        list_add(&w->finished, job);
    pthread_mutex_unlock(&w->lock);
    loop_wake(&w->waker);
}

/* Once for each change. Gateways keep what is not taken, and offer it again. */
static void tell_ingest(struct writer *w, int r, const struct err *err)
{
    struct err told = *err;

    if (w->failing == (r < 0))
        return;
    w->failing = r < 0;
    if (r == 0) {
        log_info("usage is written again");
        return;
    }
    (void)disk_explain(&told, r, ledger_path(w->ledger), 0);
    log_error("usage can't be written; gateways keep it, and offer it again", LOG_ERR(&told));
}

/* All usage batches of the list as one transaction. */
static void ingest(struct writer *w, struct job_list *jobs)
{
    struct err err = {0};
    size_t count = 0;
    size_t at = 0;
    int r;

    for (const struct writer_job *job = jobs->first; job != NULL; job = job->next) {
        memcpy(&w->records[count], job->batch.records, job->batch.count * sizeof(*w->records));
        memcpy(&w->answers[count], job->batch.answers, job->batch.count * sizeof(*w->answers));
        count += job->batch.count;
    }
    r = ledger_ingest(w->ledger, w->records, count, w->answers, &err);
    tell_ingest(w, r, &err);
    for (struct writer_job *job = jobs->first; job != NULL; job = job->next) {
        if (r == 0)
            memcpy(job->batch.answers, &w->answers[at], job->batch.count * sizeof(*w->answers));
        at += job->batch.count;
        job->result = r;
        job->err = err;
    }
}

static void do_one(struct writer *w, struct writer_job *job)
{
    if (job->kind == WRITER_PRICES)
        job->result = ledger_prices_add(w->ledger, &job->prices, &job->err);
    else
        job->result = ledger_run_lost(w->ledger, job->run_id, &job->lost, &job->err);
}

/* Takes usage batches from the front as far as they fit together; or one job of another kind. */
static void take_together(struct job_list *from, struct job_list *out)
{
    size_t records = 0;

    list_init(out);
    while (from->first != NULL) {
        const struct writer_job *job = from->first;

        if (job->kind != WRITER_INGEST && out->count > 0)
            return;
        if (job->kind == WRITER_INGEST && records + job->batch.count > WRITER_RECORDS_MAX)
            return;
        records += job->kind == WRITER_INGEST ? job->batch.count : 0;
        list_add(out, list_take(from));
        if (out->first->kind != WRITER_INGEST)
            return;
    }
}

static void settle(struct writer *w)
{
    struct err err;
    int r;

    do {
        r = ledger_settle_due(w->ledger, &err);
    } while (r == LEDGER_SETTLE_BATCH);
    if (r < 0)
        log_error("settling failed; it is tried again", LOG_ERR(&err));
}

/* Under the lock. True if jobs are there; false after the time until the next settling. */
static bool wait_for_jobs(struct writer *w)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WRITER_SETTLE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (w->queued.first == NULL && !w->stopping) {
        if (pthread_cond_timedwait(&w->work, &w->lock, &until) == ETIMEDOUT)
            return false;
    }
    return w->queued.first != NULL;
}

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

static void *writer_thread(void *argument)
{
    struct writer *w = argument;
    int64_t settled_ms = now_ms();

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct job_list jobs;
        bool found = wait_for_jobs(w);

        take_together(&w->queued, &jobs);
        if (!found && w->stopping)
            break;
        pthread_mutex_unlock(&w->lock);
        if (jobs.first != NULL && jobs.first->kind == WRITER_INGEST)
            ingest(w, &jobs);
        else if (jobs.first != NULL)
            do_one(w, jobs.first);
        finish(w, &jobs);
        if (now_ms() - settled_ms >= WRITER_SETTLE_MS) {
            settle(w);
            settled_ms = now_ms();
        }
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void deliver(void *object)
{
    struct writer *w = object;
    struct writer_job *job;

    do {
        pthread_mutex_lock(&w->lock);
        job = list_take(&w->finished);
        pthread_mutex_unlock(&w->lock);
        if (job != NULL)
            job->done(job);
    } while (job != NULL);
}

int writer_submit(struct writer *w, struct writer_job *job)
{
    int r = 0;

    if (w == NULL) /* the program is going down */
        return -ERR_BUSY;
    pthread_mutex_lock(&w->lock);
    if (w->queued.count >= WRITER_JOBS_MAX || w->stopping)
        r = -ERR_BUSY;
    else
        list_add(&w->queued, job);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    return r;
}

size_t writer_queued(struct writer *w)
{
    size_t count;

    pthread_mutex_lock(&w->lock);
    count = w->queued.count;
    pthread_mutex_unlock(&w->lock);
    return count;
}

int writer_new(struct writer **out, struct ledger *ledger, struct loop *loop, struct err *err)
{
    struct writer *w = mem_alloc(sizeof(*w));
    pthread_condattr_t attributes;
    int r;

    if (w == NULL)
        return err_no_memory(err);
    w->ledger = ledger;
    w->records = mem_array(WRITER_RECORDS_MAX, sizeof(*w->records));
    w->answers = mem_array(WRITER_RECORDS_MAX, sizeof(*w->answers));
    list_init(&w->queued);
    list_init(&w->finished);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->work, &attributes);
    pthread_condattr_destroy(&attributes);
    loop_waker_init(&w->waker, loop, deliver, w);
    if (w->records == NULL || w->answers == NULL) {
        writer_close(w);
        return err_no_memory(err);
    }
    r = pthread_create(&w->thread, NULL, writer_thread, w);
    if (r != 0) {
        writer_close(w);
        return err_errno(err, r, "cannot start the writer thread");
    }
    w->running = true;
    *out = w;
    return 0;
}

void writer_close(struct writer *w)
{
    if (w == NULL)
        return;
    if (w->running) {
        pthread_mutex_lock(&w->lock);
        w->stopping = true;
        pthread_cond_signal(&w->work);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
        deliver(w);
    }
    loop_waker_fini(&w->waker);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    mem_free(w->records);
    mem_free(w->answers);
    mem_free(w);
}
