/* SPDX-License-Identifier: Apache-2.0 */
/* Usage records, one a line: what is accepted reads back as the same; merging never takes anything
 * away; a charge is never more than what was computed. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "wire/usage.h"

static int read_record(struct usage_record *out, struct str text)
{
    json_auto_t *tree = NULL;
    int r = json_read(&tree, text, &json_limits_default, "record", NULL);

    return r < 0 ? r : usage_read(out, tree, NULL);
}

static void check_round_trip(const struct usage_record *record)
{
    struct usage_record back;
    struct json_writer w;
    struct buf text;
    struct buf again;

    buf_init(&text, USAGE_RECORD_BYTES_MAX);
    buf_init(&again, USAGE_RECORD_BYTES_MAX);
    json_writer_init(&w, &text);
    usage_write(&w, record);
    if (text.failed || read_record(&back, buf_str(&text)) < 0)
        abort();
    json_writer_init(&w, &again);
    usage_write(&w, &back);
    if (!str_eq(buf_str(&text), buf_str(&again)))
        abort();
    buf_fini(&text);
    buf_fini(&again);
}

static void check_charge(const struct usage_record *record)
{
    struct usage_cursor cursor = {0};
    struct usage_charge charge;

    usage_charge_attempt(&charge, &cursor, record);
    if (charge.to < charge.from || charge.visible + charge.reasoning != charge.to - charge.from ||
        charge.to - charge.from > record->counts.output ||
        charge.reasoning > record->counts.reasoning ||
        charge.input_computed > record->counts.input_computed ||
        charge.input_cached > record->counts.input_cached)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size};
    struct usage_record known;
    bool has_known = false;

    while (rest.ptr != NULL) {
        struct usage_record record;
        struct usage_counts before;

        if (read_record(&record, str_cut(&rest, '\n')) < 0)
            continue;
        check_round_trip(&record);
        check_charge(&record);
        if (!has_known) {
            known = record;
            has_known = true;
            continue;
        }
        before = known.counts;
        if (usage_merge(&known, &record, NULL) >= 0 &&
            (known.counts.output < before.output || known.counts.output < record.counts.output ||
             known.counts.input_computed < before.input_computed))
            abort();
        if (usage_merge(&known, &record, NULL) > 0)
            abort(); /* the same again brings nothing new */
    }
    return 0;
}
