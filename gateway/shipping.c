/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shipping: see shipping.h. One batch is under way at a time: read (in the pool, since it blocks on
 * the disk) -> POST -> answers -> refused records to the quarantine (in the pool) -> acknowledged.
 * Whatever fails, the same records are read and sent again: the ledger does not mind.
 */
#include "gateway/shipping.h"

#include <stdio.h>
#include <string.h>

#include "base/fetch.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/control.h"
#include "gateway/gateway.h"
#include "wire/ingest.h"

enum {
    SHIPPING_RETRY_FIRST_MS = 200,
    SHIPPING_RETRY_MAX_MS = 10000,
    SHIPPING_TIMEOUT_MS = 30000,
    SHIPPING_GATHER_MS = 50, /* for further records before a batch leaves */
};

struct usage_shipping {
    struct gateway *g;
    struct loop_timer timer;
    struct fetch *fetch;
    char *url;
    bool busy;    /* a batch is under way */
    bool wanted;  /* something new came meanwhile */
    bool trouble; /* the last attempt failed */
    uint64_t retry_ms;

    /* The batch. */
    struct meter_cursor cursor;
    struct buf body;
    uint64_t last_sequence;
    int count;
    size_t starts[INGEST_RECORDS_MAX]; /* of the records in the body */
    size_t lengths[INGEST_RECORDS_MAX];
    struct ingest_answer *answers;
};

static void schedule(struct usage_shipping *s, uint64_t delay_ms)
{
    loop_timer_start(&s->g->loop, &s->timer, delay_ms);
}

static void try_again(struct usage_shipping *s, const char *what, const struct err *err)
{
    if (!s->trouble)
        log_warn("usage can't be shipped to the ledger; it is kept", LOG_STR("at", what),
                 LOG_ERR(err));
    s->trouble = true;
    s->busy = false;
    schedule(s, s->retry_ms);
    s->retry_ms = s->retry_ms * 2 < SHIPPING_RETRY_MAX_MS ? s->retry_ms * 2 : SHIPPING_RETRY_MAX_MS;
}

static int add_record(void *user, uint64_t sequence, struct str json)
{
    struct usage_shipping *s = user;

    s->starts[s->count] = s->body.len + (s->count > 0 ? 1 : 0);
    s->lengths[s->count] = json.len;
    ingest_add(&s->body, json);
    if (s->body.failed)
        return -ERR_LIMIT;
    s->last_sequence = sequence;
    s->count++;
    return 0;
}

/* In the pool. */
static void read_batch(void *object)
{
    struct usage_shipping *s = object;
    struct err err = {0};

    s->cursor = (struct meter_cursor){0}; /* from the watermark: what was not acknowledged */
    s->count = 0;
    buf_clear(&s->body);
    ingest_begin(&s->body);
    if (meter_read(s->g->meter, &s->cursor, INGEST_RECORDS_MAX, add_record, s, &err) < 0)
        log_warn("the usage log can't be read", LOG_ERR(&err));
    ingest_end(&s->body);
}

/* In the pool: what the ledger refused is kept aside, then counts as handled. */
static void settle_batch(void *object)
{
    struct usage_shipping *s = object;
    struct err err = {0};

    for (int i = 0; i < s->count; i++) {
        struct str json = {s->body.ptr + s->starts[i], s->lengths[i]};

        if (s->answers[i].refused &&
            meter_quarantine(s->g->meter, json, s->answers[i].reason, &err) < 0)
            log_error("a refused usage record can't be put aside", LOG_ERR(&err));
    }
}

static void on_settled(void *object)
{
    struct usage_shipping *s = object;

    meter_ack(s->g->meter, s->last_sequence);
    s->busy = false;
    if (s->trouble)
        log_info("the ledger takes usage again");
    s->trouble = false;
    s->retry_ms = SHIPPING_RETRY_FIRST_MS;
    if (s->count == INGEST_RECORDS_MAX || s->wanted)
        schedule(s, s->count == INGEST_RECORDS_MAX ? 0 : SHIPPING_GATHER_MS);
}

static void on_answer(void *user, int status, struct str body, const struct err *failure)
{
    struct usage_shipping *s = user;
    struct err err = {0};

    s->fetch = NULL;
    if (failure != NULL) {
        try_again(s, "connection", failure);
        return;
    }
    if (status != 200) {
        (void)err_set(&err, ERR_PROTOCOL, "the ledger answered with status %d", status);
        try_again(s, "ledger", &err);
        return;
    }
    if (ingest_answers_read(s->answers, (size_t)s->count, body, &err) < 0 ||
        loop_work(&s->g->loop, settle_batch, on_settled, s) < 0)
        try_again(s, "answer", &err);
}

static void send_batch(void *object)
{
    struct usage_shipping *s = object;
    const char *token = control_token(s->g->control, TOKEN_AUDIENCE_LEDGER);
    struct err err = {0};

    if (s->count == 0) {
        s->busy = false;
        if (s->wanted)
            schedule(s, SHIPPING_GATHER_MS);
        return;
    }
    if (token == NULL) {
        (void)err_set(&err, ERR_DENIED, "no token from the operator yet");
        try_again(s, "token", &err);
        return;
    }
    if (fetch_start(&s->fetch, s->g->fetcher,
                    &(struct fetch_options){
                        .method = "POST",
                        .url = s->url,
                        .bearer_token = token,
                        .body = buf_str(&s->body),
                        .timeout_ms = SHIPPING_TIMEOUT_MS,
                        .on_done = on_answer,
                        .user = s,
                    },
                    &err) < 0)
        try_again(s, "connection", &err);
}

static void begin(void *object)
{
    struct usage_shipping *s = object;

    if (s->busy)
        return;
    s->busy = true;
    s->wanted = false;
    if (loop_work(&s->g->loop, read_batch, send_batch, s) < 0) {
        s->busy = false;
        schedule(s, s->retry_ms);
    }
}

void shipping_wake(struct usage_shipping *s)
{
    s->wanted = true;
    if (!s->busy && !loop_timer_running(&s->timer))
        schedule(s, SHIPPING_GATHER_MS);
}

int shipping_new(struct usage_shipping **out, struct gateway *g, struct err *err)
{
    struct usage_shipping *s = mem_alloc(sizeof(*s));
    size_t size = strlen(g->settings->ledger_url) + sizeof(LEDGER_INGEST_PATH);

    if (s == NULL)
        return err_no_memory(err);
    s->g = g;
    s->retry_ms = SHIPPING_RETRY_FIRST_MS;
    s->url = mem_alloc(size);
    s->answers = mem_array(INGEST_RECORDS_MAX, sizeof(*s->answers));
    buf_init(&s->body, INGEST_BYTES_MAX);
    loop_timer_init(&s->timer, begin, s);
    if (s->url == NULL || s->answers == NULL) {
        shipping_free(s);
        return err_no_memory(err);
    }
    snprintf(s->url, size, "%s%s", g->settings->ledger_url, LEDGER_INGEST_PATH);
    shipping_wake(s);
    *out = s;
    return 0;
}

/* Work in the pool must be over: the loop no longer turns, so it is waited for by the caller. */
void shipping_free(struct usage_shipping *s)
{
    if (s == NULL)
        return;
    loop_timer_stop(&s->timer);
    fetch_cancel(s->fetch);
    if (s->busy)
        return; /* its work may still run: it goes with the process, which ends now */
    buf_fini(&s->body);
    mem_free(s->answers);
    mem_free(s->url);
    mem_free(s);
}
