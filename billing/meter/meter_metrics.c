/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of the usage log; the table is also the source of the reference page. */
#include "base/mem.h"
#include "billing/meter/meter_private.h"

enum {
    APPENDED,
    DURABLE,
    ACKED,
    COMMITS,
    BYTES,
    QUARANTINED,
    DAMAGED,
    TORN,
    FAILURES,
    ADMISSION,
};

const struct metric_info meter_metric_table[METER_METRIC_COUNT] = {
    [APPENDED] = {"spate_meter_sequence_appended", METRIC_GAUGE,
                  "Highest sequence of a usage record given to the log."},
    [DURABLE] = {"spate_meter_sequence_durable", METRIC_GAUGE,
                 "Highest sequence of a usage record that is on the disk."},
    [ACKED] = {"spate_meter_sequence_acknowledged", METRIC_GAUGE,
               "Everything up to this sequence was handled by the ledger."},
    [COMMITS] = {"spate_meter_commits_total", METRIC_COUNTER, "Group commits."},
    [BYTES] = {"spate_meter_bytes", METRIC_GAUGE, "Size of the log's files."},
    [QUARANTINED] = {"spate_meter_quarantined_total", METRIC_COUNTER,
                     "ALARM: records that the ledger refused or that cannot be read; they are kept "
                     "in quarantine.jsonl."},
    [DAMAGED] = {"spate_meter_damaged_total", METRIC_COUNTER,
                 "ALARM: corrupt places in the log; the bytes are kept in quarantine.jsonl."},
    [TORN] = {"spate_meter_torn_total", METRIC_COUNTER,
              "Torn tails cut when the log was opened; normal after a crash."},
    [FAILURES] = {"spate_meter_write_failures_total", METRIC_COUNTER,
                  "Writes that the disk refused; they are repeated until it takes them."},
    [ADMISSION] = {"spate_meter_admission_open", METRIC_GAUGE,
                   "1 while there is room for more records; 0: no new request is admitted."},
};

static void collect(void *object)
{
    struct meter *m = object;
    struct metric_series **series = m->series;
    struct meter_stats stats;

    meter_stats(m, &stats);
    metric_set(series[APPENDED], (double)stats.appended);
    metric_set(series[DURABLE], (double)stats.durable);
    metric_set(series[ACKED], (double)stats.acked);
    metric_set(series[COMMITS], (double)stats.commits);
    metric_set(series[BYTES], (double)stats.bytes);
    metric_set(series[QUARANTINED], (double)stats.quarantined);
    metric_set(series[DAMAGED], (double)stats.damaged);
    metric_set(series[TORN], (double)stats.torn);
    metric_set(series[FAILURES], (double)stats.write_failures);
    metric_set(series[ADMISSION], stats.admission_open ? 1 : 0);
}

int meter_declare_metrics(struct meter *m, struct metrics *metrics, struct err *err)
{
    struct metric *handles[METER_METRIC_COUNT];
    int r = metrics_declare(metrics, meter_metric_table, METER_METRIC_COUNT, handles, err);

    if (r < 0)
        return r;
    for (int i = 0; i < METER_METRIC_COUNT; i++)
        m->series[i] = metric_series(handles[i], NULL);
    if (metrics_on_collect(metrics, collect, m) < 0)
        return err_no_memory(err);
    return 0;
}
