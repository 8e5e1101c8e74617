/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and joining: a stream leaves a snapshot a second, of which the ledger needs one. Joined
 * by the rule of wire/usage (the highest of each number), not by taking the newest: a snapshot of
 * the agent knows nothing of what was delivered.
 */
#include "billing/meter/ship_batch.h"

#include <string.h>

#include "base/mem.h"

void ship_batch_init(struct ship_batch *b)
{
    *b = (struct ship_batch){.count = 0};
    map_init(&b->by_attempt, INGEST_RECORDS_MAX);
    buf_init(&b->body, INGEST_BYTES_MAX);
}

void ship_batch_fini(struct ship_batch *b)
{
    mem_free(b->records);
    map_fini(&b->by_attempt);
    buf_fini(&b->body);
    *b = (struct ship_batch){.count = 0};
}

struct reading {
    struct ship_batch *b;
    struct meter *m;
    struct err *err;
    int result;
};

static void make_key(char out[20], const struct usage_record *r)
{
    memcpy(out, r->request_id.bytes, 16);
    memcpy(out + 16, &r->attempt, 4);
}

static int join(struct ship_batch *b, const struct usage_record *record, struct err *err)
{
    char key[20];
    struct str view = {key, sizeof(key)};
    uintptr_t known;

    make_key(key, record);
    known = (uintptr_t)map_get(&b->by_attempt, view);
    if (known != 0 && usage_merge(&b->records[known - 1], record, NULL) >= 0)
        return 0;
    b->records[b->count++] = *record;
    if (known == 0 && map_put(&b->by_attempt, view, (void *)b->count, NULL) < 0)
        return err_no_memory(err);
    return 0;
}

static int take(void *user, uint64_t sequence, struct str json)
{
    struct reading *reading = user;
    struct ship_batch *b = reading->b;
    json_auto_t *tree = NULL;
    struct usage_record record;
    struct err why;

    if (json_read(&tree, json, &json_limits_default, "the record", &why) < 0 ||
        usage_read(&record, tree, &why) < 0)
        reading->result = why.code == ERR_NO_MEMORY
                              ? err_no_memory(reading->err)
                              : meter_quarantine(reading->m, json, err_message(&why), reading->err);
    else
        reading->result = join(b, &record, reading->err);
    if (reading->result < 0)
        return -1;
    b->read_count++;
    b->last_sequence = sequence;
    return 0;
}

static int write_body(struct ship_batch *b, struct err *err)
{
    struct buf json;

    buf_init(&json, USAGE_RECORD_BYTES_MAX);
    buf_clear(&b->body);
    ingest_begin(&b->body);
    for (size_t i = 0; i < b->count; i++) {
        struct json_writer w;

        buf_clear(&json);
        json_writer_init(&w, &json);
        usage_write(&w, &b->records[i]);
        ingest_add(&b->body, buf_str(&json));
        buf_inherit_failure(&b->body, &json);
    }
    ingest_end(&b->body);
    buf_fini(&json);
    return buf_check(&b->body, "the batch", err);
}

int ship_batch_read(struct ship_batch *b, struct meter *m, struct meter_cursor *cursor, int max,
                    struct err *err)
{
    struct reading reading = {.b = b, .m = m, .err = err};
    int r;

    if (b->records == NULL)
        b->records = mem_array(INGEST_RECORDS_MAX, sizeof(*b->records));
    if (b->records == NULL)
        return err_no_memory(err);
    map_fini(&b->by_attempt);
    map_init(&b->by_attempt, INGEST_RECORDS_MAX);
    b->count = 0;
    b->read_count = 0;
    b->before = *cursor;
    r = meter_read(m, cursor, max, take, &reading, err);
    b->full = r == max;
    if (r >= 0)
        r = reading.result;
    if (r == 0)
        r = write_body(b, err);
    if (r < 0)
        *cursor = b->before;
    return r;
}

int ship_batch_judge(const struct ship_batch *b, struct meter *m,
                     const struct ingest_answer *answers, struct err *err)
{
    int refused = 0;

    for (size_t i = 0; i < b->count; i++) {
        struct json_writer w;
        struct buf json;
        int r;

        if (!answers[i].refused)
            continue;
        buf_init(&json, USAGE_RECORD_BYTES_MAX);
        json_writer_init(&w, &json);
        usage_write(&w, &b->records[i]);
        r = buf_check(&json, "the record", err);
        if (r == 0)
            r = meter_quarantine(m, buf_str(&json), answers[i].reason, err);
        buf_fini(&json);
        if (r < 0)
            return r;
        refused++;
    }
    return refused;
}
