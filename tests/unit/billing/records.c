/* SPDX-License-Identifier: Apache-2.0 */
/* Usage records for tests: see records.h. */
#include "records.h"

static struct id128 id_of(uint64_t number, uint8_t kind)
{
    struct id128 id = {{kind}};

    for (int i = 0; i < 8; i++)
        id.bytes[8 + i] = (uint8_t)(number >> (56 - 8 * i));
    return id;
}

struct usage_record records_running(uint64_t request, uint64_t output)
{
    struct usage_record r = {
        .request_id = id_of(request, 1),
        .attempt = 1,
        .run_id = id_of(7, 2),
        .tenant = "acme",
        .key_id = "key-1",
        .model = "team-a/r1",
        .pod = "r1-0",
        .price_version = 1,
        .admitted_ms = RECORDS_NOON_MS + (int64_t)(request % 1000),
        .updated_ms = RECORDS_NOON_MS + 1000 + (int64_t)output,
        .counts = {.input_computed = 10,
                   .input_cached = 4,
                   .output = output,
                   .reasoning = output < 2 ? output : 2},
        .charge_end = output,
        .delivered = output,
    };

    return r;
}

struct usage_record records_final(uint64_t request)
{
    struct usage_record r = records_running(request, 6);

    r.counts_final = true;
    r.delivered_final = true;
    r.request_final = true;
    r.ended_by = USAGE_END_MODEL;
    return r;
}
