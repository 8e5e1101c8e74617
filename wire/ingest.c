/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of usage records and their answers: see ingest.h. */
#include "wire/ingest.h"

#include <string.h>

#include "base/mem.h"

static const struct json_limits ingest_limits = {.max_bytes = INGEST_BYTES_MAX, .max_depth = 8};

void ingest_begin(struct buf *out)
{
    buf_append_text(out, "{\"records\":[");
}

void ingest_add(struct buf *out, struct str record_json)
{
    if (out->len > 0 && out->ptr[out->len - 1] != '[')
        buf_append_char(out, ',');
    buf_append_str(out, record_json);
}

void ingest_end(struct buf *out)
{
    buf_append_text(out, "]}");
}

static void set_reason(struct ingest_answer *answer, struct str reason)
{
    answer->refused = true;
    memset(answer->reason, 0, sizeof(answer->reason));
    if (reason.len > INGEST_REASON_MAX)
        reason.len = INGEST_REASON_MAX;
    if (reason.len > 0)
        memcpy(answer->reason, reason.ptr, reason.len);
}

static int read_records(struct ingest_batch *out, const json_t *array, struct err *err)
{
    size_t count = json_array_size(array);

    if (count > INGEST_RECORDS_MAX)
        return err_set(err, ERR_LIMIT, "a batch of %zu records; the limit is %d", count,
                       INGEST_RECORDS_MAX);
    out->records = mem_array(count, sizeof(*out->records));
    out->answers = mem_array(count, sizeof(*out->answers));
    if (out->records == NULL || out->answers == NULL)
        return err_no_memory(err);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        struct err why;

        if (usage_read(&out->records[i], json_array_get(array, i), &why) < 0)
            set_reason(&out->answers[i], str_of(err_message(&why)));
    }
    return 0;
}

int ingest_read(struct ingest_batch *out, struct str body, struct err *err)
{
    json_auto_t *tree = NULL;
    json_t *array = NULL;
    struct ingest_batch batch = {0};
    int r = json_read(&tree, body, &ingest_limits, "the batch", err);

    if (r < 0)
        return r;
    if (!json_is_object(tree))
        return err_set(err, ERR_INVALID, "the batch must be an object, not %s",
                       json_type_name(tree));
    r = json_get_array(tree, "records", true, &array, err);
    if (r == 0)
        r = read_records(&batch, array, err);
    if (r < 0) {
        ingest_fini(&batch);
        return r;
    }
    *out = batch;
    return 0;
}

void ingest_fini(struct ingest_batch *batch)
{
    mem_free(batch->records);
    mem_free(batch->answers);
    *batch = (struct ingest_batch){0};
}

void ingest_answers_write(struct json_writer *w, const struct ingest_answer *answers, size_t count)
{
    json_open(w, '{');
    json_key(w, "results");
    json_open(w, '[');
    for (size_t i = 0; i < count; i++) {
        if (!answers[i].refused) {
            json_add_str(w, STR("ok"));
            continue;
        }
        json_open(w, '{');
        json_put_text(w, "refused", answers[i].reason);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}

static int read_answer(struct ingest_answer *out, const json_t *value, struct err *err)
{
    struct str reason;

    *out = (struct ingest_answer){.refused = false};
    if (json_is_string(value) && str_is(json_str(value), "ok"))
        return 0;
    if (!json_is_object(value) || json_get_str(value, "refused", true, &reason, NULL) < 0)
        return err_set(err, ERR_PROTOCOL, "a result must be \"ok\" or {\"refused\":\"reason\"}");
    set_reason(out, reason);
    return 0;
}

int ingest_answers_read(struct ingest_answer *out, size_t count, struct str body, struct err *err)
{
    json_auto_t *tree = NULL;
    json_t *array = NULL;
    int r = json_read(&tree, body, &ingest_limits, "the ledger's answer", err);

    if (r < 0)
        return r;
    if (!json_is_object(tree) || json_get_array(tree, "results", true, &array, NULL) < 0)
        return err_set(err, ERR_PROTOCOL, "the ledger's answer has no results");
    if (json_array_size(array) != count)
        return err_set(err, ERR_PROTOCOL, "the ledger answered %zu results for %zu records",
                       json_array_size(array), count);
    for (size_t i = 0; i < count && r == 0; i++)
        r = read_answer(&out[i], json_array_get(array, i), err);
    return r;
}
