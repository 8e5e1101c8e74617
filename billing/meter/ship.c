/* SPDX-License-Identifier: Apache-2.0 */
/* The way from the usage log to the ledger: see ship.h. What it reads: ship_batch.c. */
#include "billing/meter/ship.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "billing/meter/ship_batch.h"
#include "wire/ingest.h"

struct ship {
    struct ship_options options;
    char *url;
    struct loop_timer timer;
    struct fetch *fetch;
    bool working; /* in the pool */
    bool closed;
    uint64_t retry_ms;
    int batch_max; /* smaller while the ledger finds batches too large */

    struct meter_cursor cursor;
    struct ship_batch batch;
    bool unsent; /* the batch waits for its post */
    int work_result;
    struct err work_error;
    struct ingest_answer *answers;
    struct ship_stats stats;
};

static void look(void *object);

static void ship_free(struct ship *s)
{
    ship_batch_fini(&s->batch);
    mem_free(s->answers);
    mem_free(s->url);
    mem_free(s);
}

static void look_later(struct ship *s, uint64_t delay_ms)
{
    loop_timer_start(s->options.loop, &s->timer, delay_ms);
}

/* Takes the reason, waits longer each time. */
static void fail(struct ship *s, const struct err *err)
{
    s->stats.failures++;
    s->stats.failing = true;
    s->stats.error = *err;
    s->retry_ms = s->retry_ms == 0 ? SHIP_RETRY_MIN_MS : s->retry_ms * 2;
    if (s->retry_ms > SHIP_RETRY_MAX_MS)
        s->retry_ms = SHIP_RETRY_MAX_MS;
    look_later(s, s->retry_ms);
}

/* Runs in the pool unless the ship is closing; false if it could not be started. */
static void start_work(struct ship *s, loop_fn work, loop_fn done)
{
    struct err err;

    if (loop_work(s->options.loop, work, done, s) < 0) {
        err_set(&err, ERR_BUSY, "too much is going on");
        fail(s, &err);
        return;
    }
    s->working = true;
}

/* --- judging the answers ---------------------------------------------------------------------- */

/* In the pool: keeps refused records. */
static void judge(void *object)
{
    struct ship *s = object;

    s->work_result = ship_batch_judge(&s->batch, s->options.meter, s->answers, &s->work_error);
}

static void judged(void *object)
{
    struct ship *s = object;

    s->working = false;
    if (s->closed) {
        ship_free(s);
        return;
    }
    if (s->work_result < 0) {
        fail(s, &s->work_error); /* posted again: the ledger knows duplicates */
        return;
    }
    meter_ack(s->options.meter, s->batch.last_sequence);
    s->unsent = false;
    s->retry_ms = 0;
    s->stats.failing = false;
    s->stats.batches++;
    s->stats.records += s->batch.read_count;
    s->stats.shipped += s->batch.count;
    s->stats.refused += (uint64_t)s->work_result;
    if (s->batch_max < INGEST_RECORDS_MAX)
        s->batch_max =
            s->batch_max * 2 < INGEST_RECORDS_MAX ? s->batch_max * 2 : INGEST_RECORDS_MAX;
    look_later(s, s->batch.full ? 0 : SHIP_INTERVAL_MS);
}

/* The ledger cannot even read the batch: half of it, down to one record, which is then refused. */
static void shrink(struct ship *s, const struct err *err)
{
    if (s->batch.count > 1) {
        s->batch_max = (int)s->batch.count / 2;
        s->cursor = s->batch.before;
        s->unsent = false;
        fail(s, err);
        return;
    }
    s->answers[0].refused = true;
    snprintf(s->answers[0].reason, sizeof(s->answers[0].reason), "%.*s", INGEST_REASON_MAX,
             err_message(err));
    start_work(s, judge, judged);
}

static void posted(void *user, int status, struct str body, const struct err *err)
{
    struct ship *s = user;
    struct err why;

    s->fetch = NULL;
    if (err != NULL) {
        fail(s, err);
        return;
    }
    if (status != 200) {
        err_set(&why, ERR_NETWORK, "the ledger answered %d: %.*s", status,
                STR_ARG(str_slice(body, 0, 200)));
        if (status == 400 || status == 413)
            shrink(s, &why);
        else
            fail(s, &why);
        return;
    }
    if (ingest_answers_read(s->answers, s->batch.count, body, &why) < 0)
        fail(s, &why);
    else
        start_work(s, judge, judged);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void post(struct ship *s)
{
    static const struct http_header type = {{"content-type", 12}, {"application/json", 16}};
    const char *token = s->options.token == NULL ? NULL : s->options.token(s->options.user);
    struct fetch_options options = {.method = "POST",
                                    .url = s->url,
                                    .headers = &type,
                                    .header_count = 1,
                                    .body = buf_str(&s->batch.body),
                                    .bearer_token = token,
                                    .timeout_ms = SHIP_TIMEOUT_MS,
                                    .max_bytes = INGEST_BYTES_MAX,
                                    .on_done = posted,
                                    .user = s};
    struct err err;

    if (s->options.token != NULL && token == NULL) {
        err_set(&err, ERR_DENIED, "there is no token for the ledger yet");
        fail(s, &err);
        return;
    }
    if (fetch_start(&s->fetch, s->options.fetcher, &options, &err) < 0)
        fail(s, &err);
}

/* In the pool. */
static void read_batch(void *object)
{
    struct ship *s = object;

    s->work_result =
        ship_batch_read(&s->batch, s->options.meter, &s->cursor, s->batch_max, &s->work_error);
}

static void batch_read(void *object)
{
    struct ship *s = object;

    s->working = false;
    if (s->closed) {
        ship_free(s);
        return;
    }
    if (s->work_result < 0) {
        fail(s, &s->work_error);
        return;
    }
    if (s->batch.count > 0) {
        s->unsent = true;
        post(s);
        return;
    }
    if (s->batch.read_count > 0) /* all of it unreadable, and kept aside */
        meter_ack(s->options.meter, s->batch.last_sequence);
    look_later(s, SHIP_INTERVAL_MS);
}

static void look(void *object)
{
    struct ship *s = object;

    if (s->working || s->fetch != NULL)
        return;
    if (s->unsent)
        post(s);
    else
        start_work(s, read_batch, batch_read);
}

void ship_kick(struct ship *s)
{
    if (!s->stats.failing)
        look_later(s, 0);
}

const struct ship_stats *ship_stats(const struct ship *s)
{
    return &s->stats;
}

int ship_new(struct ship **out, const struct ship_options *options, struct err *err)
{
    struct ship *s = mem_alloc(sizeof(*s));
    size_t size = strlen(options->ledger_url) + sizeof(LEDGER_INGEST_PATH);

    if (s == NULL)
        return err_no_memory(err);
    s->options = *options;
    s->batch_max = INGEST_RECORDS_MAX;
    ship_batch_init(&s->batch);
    s->url = mem_alloc(size);
    s->answers = mem_array(INGEST_RECORDS_MAX, sizeof(*s->answers));
    if (s->url == NULL || s->answers == NULL) {
        ship_free(s);
        return err_no_memory(err);
    }
    snprintf(s->url, size, "%s%s", options->ledger_url, LEDGER_INGEST_PATH);
    loop_timer_init(&s->timer, look, s);
    look_later(s, 0);
    *out = s;
    return 0;
}

void ship_close(struct ship *s)
{
    if (s == NULL)
        return;
    loop_timer_stop(&s->timer);
    fetch_cancel(s->fetch);
    s->fetch = NULL;
    s->closed = true;
    if (!s->working)
        ship_free(s);
}
