/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book: see book.h. Records sit in a list in the order of their sequences (those still without
 * one at its end) and in a map by attempt. The log's watermark follows the oldest one.
 */
#include "agent/book.h"

#include <stdio.h>
#include <string.h>

#include "agent/book_private.h"
#include "base/log.h"
#include "base/mem.h"

static void attempt_key(char out[BOOK_KEY_MAX], struct id128 request_id, uint32_t attempt)
{
    char id[ID_TEXT_LEN + 1];

    id_format(request_id, id);
    snprintf(out, BOOK_KEY_MAX, "%s/%u", id, attempt);
}

static struct book_entry *find(const struct book *b, struct id128 request_id, uint32_t attempt)
{
    char key[BOOK_KEY_MAX];

    attempt_key(key, request_id, attempt);
    return map_get(&b->by_attempt, str_of(key));
}

static void link_last(struct book *b, struct book_entry *e)
{
    e->previous = b->last;
    e->next = NULL;
    if (b->last == NULL)
        b->first = e;
    else
        b->last->next = e;
    b->last = e;
}

static void unlink_entry(struct book *b, struct book_entry *e)
{
    if (e->previous == NULL)
        b->first = e->next;
    else
        e->previous->next = e->next;
    if (e->next == NULL)
        b->last = e->previous;
    else
        e->next->previous = e->previous;
}

int book_insert(struct book *b, const struct usage_record *record, uint64_t sequence,
                struct book_entry **out, struct err *err)
{
    struct book_entry *e = mem_alloc(sizeof(*e));
    char key[BOOK_KEY_MAX];
    void *old = NULL;

    if (e == NULL)
        return err_no_memory(err);
    e->record = *record;
    e->sequence = sequence;
    e->added_mono_ms = clock_mono_ms(b->clock);
    attempt_key(key, record->request_id, record->attempt);
    if (map_put(&b->by_attempt, str_of(key), e, &old) < 0) {
        mem_free(e);
        return err_no_memory(err);
    }
    if (old != NULL) { /* a newer snapshot of the attempt replaces the older one */
        unlink_entry(b, old);
        mem_free(old);
    }
    link_last(b, e);
    if (out != NULL)
        *out = e;
    return 0;
}

/* Offers the records that the log has not taken yet, in order; stops at the first refusal. */
static void offer(void *object)
{
    struct book *b = object;
    struct err err = {0};

    for (struct book_entry *e = b->first; e != NULL; e = e->next) {
        if (e->sequence != 0)
            continue;
        if (meter_append(b->meter, &e->record, &e->sequence, &err) < 0) {
            log_warn("usage record waits for the disk", LOG_ERR(&err));
            loop_timer_start(b->loop, &b->retry, BOOK_RETRY_MS);
            return;
        }
    }
}

int book_add(struct book *b, const struct usage_record *record, uint64_t handle, struct err *err)
{
    struct book_entry *e = NULL;
    int r = book_insert(b, record, 0, &e, err);

    if (r < 0)
        return r;
    e->handle = handle;
    e->has_handle = true;
    if (!loop_timer_running(&b->retry))
        offer(b);
    return 0;
}

/* The log's word: everything up to `sequence` is on the disk. */
static void on_durable(void *user, uint64_t sequence)
{
    struct book *b = user;

    for (struct book_entry *e = b->first; e != NULL; e = e->next) {
        if (e->sequence == 0 || e->sequence > sequence || !e->has_handle)
            continue;
        e->has_handle = false;
        b->durable(b->user, e->handle);
    }
    b->durable_sequence = sequence;
    book_move_watermark(b);
}

/* Everything before the oldest kept record is handled; without one, all that is durable. The list
 * is in the order of the sequences. */
void book_move_watermark(struct book *b)
{
    uint64_t handled = b->durable_sequence;

    if (b->first != NULL && b->first->sequence != 0 && b->first->sequence <= handled)
        handled = b->first->sequence - 1;
    if (handled > b->acknowledged_sequence) {
        b->acknowledged_sequence = handled;
        meter_ack(b->meter, handled);
    }
}

const struct usage_record *book_find(const struct book *b, struct id128 request_id,
                                     uint32_t attempt)
{
    const struct book_entry *e = find(b, request_id, attempt);

    return e == NULL ? NULL : &e->record;
}

void book_acknowledge(struct book *b, struct id128 request_id, uint32_t attempt)
{
    struct book_entry *e = find(b, request_id, attempt);
    char key[BOOK_KEY_MAX];

    if (e == NULL)
        return;
    if (e->has_handle)
        b->durable(b->user, e->handle); /* the gateway has it durably: that is as good */
    attempt_key(key, request_id, attempt);
    map_remove(&b->by_attempt, str_of(key));
    unlink_entry(b, e);
    mem_free(e);
    loop_defer(b->loop, &b->watermark);
}

void book_write(const struct book *b, int64_t older_than_ms, int max, struct json_writer *w)
{
    int64_t now_ms = clock_mono_ms(b->clock);
    int written = 0;

    json_open(w, '{');
    json_key(w, "records");
    json_open(w, '[');
    for (const struct book_entry *e = b->first; e != NULL && written < max; e = e->next) {
        if (now_ms - e->added_mono_ms < older_than_ms)
            continue;
        usage_write(w, &e->record);
        written++;
    }
    json_close(w, ']');
    json_close(w, '}');
}

size_t book_count(const struct book *b)
{
    return b->by_attempt.count;
}

bool book_admission_open(const struct book *b)
{
    return b->by_attempt.count < BOOK_RECORDS_MAX && meter_admission_open(b->meter);
}

char *book_counters_path(const struct book *b, struct id128 run_id)
{
    char name[ID_TEXT_LEN + sizeof(BOOK_COUNTERS_SUFFIX)];
    char id[ID_TEXT_LEN + 1];

    id_format(run_id, id);
    snprintf(name, sizeof(name), "%s" BOOK_COUNTERS_SUFFIX, id);
    return path_join(b->runs_folder, name);
}

/* One record of the log, at start. */
static int load_one(void *user, uint64_t sequence, struct str json)
{
    struct book *b = user;
    struct usage_record record;
    struct err err = {0};
    json_auto_t *tree = NULL;
    int r = json_read(&tree, json, &json_limits_default, "usage record", &err);

    if (r == 0)
        r = usage_read(&record, tree, &err);
    if (r == -ERR_NO_MEMORY)
        return r; /* nothing is wrong with the record: the agent does not start */
    if (r < 0)
        return meter_quarantine(b->meter, json, err_message(&err), &err);
    b->durable_sequence = sequence; /* it was read from the disk */
    return book_insert(b, &record, sequence, NULL, &err);
}

static int load_log(struct book *b, struct err *err)
{
    enum { LOAD_BATCH = 1024 };
    struct meter_cursor cursor = {0};
    int count;

    do {
        count = meter_read(b->meter, &cursor, LOAD_BATCH, load_one, b, err);
    } while (count > 0);
    return count;
}

static void move_watermark_later(void *object)
{
    book_move_watermark(object);
}

static int open_log(struct book *b, struct err *err)
{
    struct meter_options options = {
        .folder = b->log_folder,
        .clock = b->clock,
        .loop = b->loop,
        .durable = on_durable,
        .user = b,
    };

    return meter_open(&b->meter, &options, err);
}

static void book_freep(struct book **b)
{
    book_close(*b);
}

int book_open(struct book **out, const struct book_options *options, struct err *err)
{
    CLEANUP(book_freep) struct book *b = mem_alloc(sizeof(*b));
    int r;

    if (b == NULL)
        return err_no_memory(err);
    b->loop = options->loop;
    b->clock = options->clock;
    b->durable = options->durable;
    b->user = options->user;
    map_init(&b->by_attempt, BOOK_RECORDS_MAX + BOOK_RECORDS_SPARE);
    loop_timer_init(&b->retry, offer, b);
    loop_deferred_init(&b->watermark, move_watermark_later, b);
    b->log_folder = path_join(options->data_folder, "usage");
    b->runs_folder = path_join(options->data_folder, "runs");
    if (b->log_folder == NULL || b->runs_folder == NULL)
        return err_no_memory(err);
    if ((r = file_make_folder(b->runs_folder, err)) < 0 || (r = open_log(b, err)) < 0 ||
        (r = load_log(b, err)) < 0 || (r = book_recover_runs(b, options->pod_name, err)) < 0 ||
        (r = meter_declare_metrics(b->meter, options->metrics, err)) < 0)
        return r;
    *out = STEAL(b);
    return 0;
}

void book_close(struct book *b)
{
    if (b == NULL)
        return;
    meter_close(b->meter);
    loop_timer_stop(&b->retry);
    loop_defer_cancel(b->loop, &b->watermark);
    while (b->first != NULL) {
        struct book_entry *e = b->first;

        b->first = e->next;
        mem_free(e);
    }
    map_fini(&b->by_attempt);
    mem_free(b->log_folder);
    mem_free(b->runs_folder);
    mem_free(b);
}
