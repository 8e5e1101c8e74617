/* SPDX-License-Identifier: Apache-2.0 */
/* Usage batches, their answers and price versions: read, and what was accepted survives a round. */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/ingest.h"
#include "wire/prices.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

static void one_record(const struct usage_record *record)
{
    struct usage_record again = {0};
    struct json_writer w;
    json_t *tree = NULL;
    struct buf text;

    buf_init(&text, USAGE_RECORD_BYTES_MAX);
    json_writer_init(&w, &text);
    usage_write(&w, record);
    check(!text.failed);
    check(json_read(&tree, buf_str(&text), &json_limits_default, "record", NULL) == 0);
    check(usage_read(&again, tree, NULL) == 0);
    check(usage_merge(&again, record, NULL) == 0);
    json_decref(tree);
    buf_fini(&text);
}

static void batch(struct str body)
{
    struct ingest_batch batch = {0};
    struct err err;

    if (ingest_read(&batch, body, &err) < 0)
        return;
    for (size_t i = 0; i < batch.count; i++) {
        if (!batch.answers[i].refused)
            one_record(&batch.records[i]);
        else
            check(batch.answers[i].reason[0] != '\0');
    }
    ingest_fini(&batch);
}

static void answers(struct str body)
{
    struct ingest_answer out[2];
    struct err err;

    (void)ingest_answers_read(out, ARRAY_COUNT(out), body, &err);
}

static void prices(struct str body)
{
    struct prices first = {0};
    struct prices second = {0};
    struct json_writer w;
    json_t *tree = NULL;
    json_t *again = NULL;
    struct buf text;
    struct err err;

    buf_init(&text, PRICES_BYTES_MAX);
    if (json_read(&tree, body, &json_limits_default, "prices", &err) == 0 &&
        prices_read(&first, tree, &err) == 0) {
        json_writer_init(&w, &text);
        prices_write(&w, &first);
        check(!text.failed);
        check(json_read(&again, buf_str(&text), &json_limits_default, "prices", NULL) == 0);
        check(prices_read(&second, again, NULL) == 0);
        check(first.line_count == second.line_count);
        (void)prices_find(&first, STR("team-a/r1"));
    }
    prices_fini(&first);
    prices_fini(&second);
    json_decref(tree);
    json_decref(again);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = {(const char *)data, size};

    batch(body);
    answers(body);
    prices(body);
    return 0;
}
