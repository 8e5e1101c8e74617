/* SPDX-License-Identifier: Apache-2.0 */
/* What gateways ask of attempts and their usage records: see wire/stream.h. */
#include "agent/endpoints.h"

#include "agent/request.h"
#include "base/mem.h"

static void bad_request(struct http_exchange *x, const struct err *err)
{
    struct openai_error error;

    openai_error_from(&error, OPENAI_BAD_REQUEST, NULL, err);
    agent_respond_error(x, &error);
}

static void on_canceller_gone(struct http_exchange *x)
{
    struct request *r = x->user;

    if (r->cancel_waiter == x)
        r->cancel_waiter = NULL;
    http_abort(x);
}

static void respond_record(struct http_exchange *x, const struct usage_record *record)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, USAGE_RECORD_BYTES_MAX);
    json_writer_init(&w, &body);
    usage_write(&w, record);
    agent_respond_json(x, &body);
}

/* The attempt that the body names. False: it names none, and that was said. */
static bool named_attempt(struct http_exchange *x, struct id128 *request_id, uint32_t *attempt)
{
    struct err err = {0};
    json_auto_t *tree = NULL;

    if (json_read(&tree, x->body, &json_limits_default, "the body", &err) == 0 &&
        stream_name_read(tree, request_id, attempt, &err) == 0)
        return true;
    bad_request(x, &err);
    return false;
}

/* Stops the attempt if it runs, and answers with its final record. False: it is not known. */
static bool end_attempt(struct agent *a, struct http_exchange *x, struct id128 request_id,
                        uint32_t attempt, enum usage_end by)
{
    struct request *r = request_by_attempt(a, request_id, attempt);
    const struct usage_record *record;

    if (r != NULL) {
        if (r->cancel_waiter != NULL)
            http_abort(r->cancel_waiter); /* whoever asks again waits in its place */
        r->cancel_waiter = x;
        x->user = r;
        x->on_disconnect = on_canceller_gone;
        request_cancel(r, by);
        return true;
    }
    record = a->book == NULL ? NULL : book_find(a->book, request_id, attempt);
    if (record != NULL)
        respond_record(x, record);
    return record != NULL;
}

static void no_such_attempt(struct http_exchange *x, const char *message)
{
    struct openai_error error;

    openai_error_set(&error, OPENAI_NO_ROUTE, "request_id", "%s", message);
    agent_respond_error(x, &error);
}

/* The client of this attempt is gone. */
void endpoint_cancel(struct agent *a, struct http_exchange *x)
{
    struct id128 request_id;
    uint32_t attempt;

    if (named_attempt(x, &request_id, &attempt) &&
        !end_attempt(a, x, request_id, attempt, USAGE_END_CLIENT))
        no_such_attempt(x, "no such attempt runs here");
}

/* Its gateway gave the attempt up and does not know whether it ever came here. */
void endpoint_abandon(struct agent *a, struct http_exchange *x)
{
    struct id128 request_id;
    uint32_t attempt;

    if (!named_attempt(x, &request_id, &attempt) ||
        end_attempt(a, x, request_id, attempt, USAGE_END_OURS))
        return;
    if (past_find(&a->past, request_id, attempt) == PAST_ACKNOWLEDGED) {
        no_such_attempt(x, "a gateway has the attempt's final record");
        return;
    }
    past_add(&a->past, request_id, attempt, PAST_ABANDONED);
    http_respond(x, 200, "application/json", STR("{}"));
}

void endpoint_collect(struct agent *a, struct http_exchange *x)
{
    enum { COLLECT_MAX = 1000 };
    struct str text = STR_NONE;
    uint64_t older_than_ms = 0;
    struct json_writer w;
    struct buf body;

    if (http_query_get(x->query, "older_than_ms", x->arena, &text))
        (void)str_to_u64(text, &older_than_ms);
    buf_init(&body, (size_t)COLLECT_MAX * USAGE_RECORD_BYTES_MAX);
    json_writer_init(&w, &body);
    if (a->book == NULL)
        buf_append_text(&body, "{\"records\":[]}");
    else
        book_write(a->book, (int64_t)older_than_ms, COLLECT_MAX, &w);
    agent_respond_json(x, &body);
}

void endpoint_acknowledge(struct agent *a, struct http_exchange *x)
{
    struct err err = {0};
    json_auto_t *tree = NULL;
    json_t *attempts = NULL;

    if (json_read(&tree, x->body, &json_limits_default, "the body", &err) < 0 ||
        json_get_array(tree, "attempts", true, &attempts, &err) < 0) {
        bad_request(x, &err);
        return;
    }
    for (size_t i = 0; i < json_array_size(attempts); i++) {
        struct id128 request_id;
        uint32_t attempt;

        if (stream_name_read(json_array_get(attempts, i), &request_id, &attempt, &err) < 0) {
            bad_request(x, &err);
            return;
        }
        if (a->book != NULL)
            book_acknowledge(a->book, request_id, attempt);
        past_add(&a->past, request_id, attempt, PAST_ACKNOWLEDGED);
    }
    http_respond(x, 200, "application/json", STR("{}"));
    agent_check_drained(a);
}
