/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many usage events a second the ledger takes durably, and how long a report over them lasts.
 * An event is the final record of one request: a merge, a settlement, a charge row and its share of
 * a rollup. Nothing is asserted. The database is in a folder of its own under $TMPDIR.
 *
 * Two ways to commit: each batch alone, as when one gateway ships; and as many records together as
 * the ledger's writer takes into one transaction while batches wait for it
 * (billing/ledger/writer.h).
 *
 *     bench_ledger [--events N] [--batch N]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "billing/ledger/db.h"
#include "billing/ledger/ledger.h"
#include "billing/ledger/query.h"
#include "billing/ledger/writer.h"
#include "tests/bench/common/bench.h"
#include "tests/bench/common/process.h"

enum {
    DAYS = 30,
    EVENTS_PER_DAY = 10000000 / DAYS, /* the density of ten million in thirty days */
    TENANTS = 50,
    KEYS = 2,   /* of each tenant */
    MODELS = 2, /* that each tenant uses */
    RUNS = 40,
    DUPLICATES = 20, /* one record in so many comes twice */
};
#define DAY_MS   86400000LL
#define START_MS 1793491200000LL /* 2026-11-01T00:00:00Z */

struct workload {
    uint64_t events;
    size_t batch;
    struct rng_seeded random;
    uint64_t made;
};

struct settings {
    bool json;
    int64_t events;
    int64_t batch;
};

static const struct arg_option options[] = {
    BENCH_OPTION_JSON(struct settings),
    {"events", 'n', ARG_INT, offsetof(struct settings, events), "N", "1000000", "events in all",
     .min = 1, .max = 100000000},
    {"batch", 'b', ARG_INT, offsetof(struct settings, batch), "N", "1000", "events of a commit",
     .min = 1, .max = 100000},
};

static const struct arg_command command = {
    .name = "bench_ledger",
    .summary = "Measures how many events the ledger takes durably, and its reports.",
    .usage = "[options]",
    .examples = "bench_ledger\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

/* Whole days that so many events fill. */
static int64_t days_of(const struct workload *w)
{
    return (int64_t)((w->events + EVENTS_PER_DAY - 1) / EVENTS_PER_DAY);
}

/* Event `number` of the time-ordered stream. */
static void make_event(struct workload *w, uint64_t number, struct usage_record *r)
{
    uint64_t pick = rng_u64(&w->random.rng);
    uint64_t tenant = pick % TENANTS;
    int64_t at = START_MS + (int64_t)(number * (uint64_t)DAY_MS / EVENTS_PER_DAY);

    *r = (struct usage_record){.attempt = 1, .price_version = 1, .admitted_ms = at};
    for (int i = 0; i < 6; i++)
        r->request_id.bytes[i] = (uint8_t)((uint64_t)at >> (40 - 8 * i));
    memcpy(r->request_id.bytes + 6, &pick, 8);
    memcpy(r->request_id.bytes + 14, &number, 2);
    r->run_id.bytes[0] = 1;
    r->run_id.bytes[15] = (uint8_t)(pick >> 8) % RUNS;
    snprintf(r->tenant, sizeof(r->tenant), "tenant-%02d", (int)tenant);
    snprintf(r->key_id, sizeof(r->key_id), "key-%d", (int)(pick >> 16) & (KEYS - 1));
    snprintf(r->model, sizeof(r->model), "team-%d/r1", (int)(tenant + (pick >> 24) % MODELS) % 10);
    snprintf(r->pod, sizeof(r->pod), "r1-%d", r->run_id.bytes[15]);
    r->updated_ms = at + 3000;
    r->counts.input_computed = 100 + pick % 900;
    r->counts.input_cached = pick % 512;
    r->counts.output = 50 + (pick >> 32) % 1000;
    r->counts.reasoning = r->counts.output / 3;
    r->charge_end = r->delivered = r->counts.output;
    r->counts_final = r->delivered_final = r->request_final = true;
    r->ended_by = USAGE_END_MODEL;
}

static size_t make_batch(struct workload *w, struct usage_record *records)
{
    size_t count = 0;

    while (count < w->batch && w->made < w->events) {
        make_event(w, w->made++, &records[count++]);
        if (w->made % DUPLICATES == 0 && count < w->batch) {
            records[count] = records[count - 1];
            count++;
        }
    }
    return count;
}

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_mono_ns(clock_system()) - start_ns) / 1e9;
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report_ingest(const struct bench *b, const struct workload *w, double busy, double cpu,
                          double *times, size_t batches)
{
    bool together = w->batch == WRITER_RECORDS_MAX;
    char workload[320];

    snprintf(workload, sizeof(workload),
             "%llu events in batches of %zu over %d days, 1 in %d sent twice; WAL, "
             "synchronous=FULL, one thread; commit p50 %.1f ms, p99 %.1f ms",
             (unsigned long long)w->events, w->batch, (int)days_of(w), DUPLICATES,
             bench_quantile(times, batches, 0.5) * 1e3, bench_quantile(times, batches, 0.99) * 1e3);
    bench_report(b, &(struct bench_figure){.what = together ? "ledger, durable, under load"
                                                            : "ledger, durable",
                                           .value = (double)w->events / busy,
                                           .unit = "events/s",
                                           .workload = workload,
                                           .aim = ">= 250000 on 2 cores"});
    snprintf(workload, sizeof(workload), "same run: %.2f us of CPU time for each event",
             cpu / (double)w->events * 1e6);
    bench_report(b, &(struct bench_figure){.what = together ? "ledger, core alone, under load"
                                                            : "ledger, core alone",
                                           .value = (double)w->events / cpu,
                                           .unit = "events/s of CPU",
                                           .workload = workload});
}

static int run_ingest(const struct bench *b, struct ledger *l, struct workload *w, struct err *err)
{
    size_t batches_max = (size_t)(w->events / w->batch * 2 + 2);
    CLEANUP(mem_freep) struct usage_record *records = mem_array(w->batch, sizeof(*records));
    CLEANUP(mem_freep) struct ingest_answer *answers = mem_array(w->batch, sizeof(*answers));
    CLEANUP(mem_freep) double *times = mem_array(batches_max, sizeof(*times));
    double busy = 0;
    double cpu = 0;
    size_t batches = 0;

    if (records == NULL || answers == NULL || times == NULL)
        return err_no_memory(err);
    while (w->made < w->events && batches < batches_max) {
        size_t count = make_batch(w, records);
        int64_t start = clock_mono_ns(clock_system());
        double cpu_start = cpu_seconds();
        int r;

        memset(answers, 0, count * sizeof(*answers));
        r = ledger_ingest(l, records, count, answers, err);
        if (r < 0)
            return r;
        times[batches] = seconds_since(start);
        cpu += cpu_seconds() - cpu_start;
        busy += times[batches++];
    }
    report_ingest(b, w, busy, cpu, times, batches);
    return 0;
}

static int run_report(const struct bench *b, const char *path, const struct workload *w,
                      unsigned by, const char *name, struct err *err)
{
    struct query_report request = {
        .from_ms = START_MS, .to_ms = START_MS + days_of(w) * DAY_MS, .by = by};
    struct query *q = NULL;
    struct report report;
    char workload[160];
    char what[96];
    int64_t start;
    int r = query_open(&q, path, NULL, err);

    for (int round = 0; round < 2 && r == 0; round++) {
        start = clock_mono_ns(clock_system());
        r = query_report(q, &request, &report, err);
        if (r < 0)
            break;
        snprintf(what, sizeof(what), "report by %s, %s", name, round == 0 ? "first" : "again");
        snprintf(workload, sizeof(workload), "all %d days, %zu rows, %lld requests",
                 (int)days_of(w), report.row_count,
                 (long long)report.total.tally.v[TALLY_REQUESTS]);
        bench_report(b, &(struct bench_figure){.what = what,
                                               .value = seconds_since(start),
                                               .unit = "s",
                                               .workload = workload,
                                               .aim = "<= 1 s over 10 M events in 30 days"});
        report_fini(&report);
    }
    query_close(q);
    return r;
}

static int measure_reports(const struct bench *b, struct ledger *l, const char *path,
                           const struct workload *w, struct err *err)
{
    int64_t start;
    int r = run_report(b, path, w, REPORT_BY_TENANT | REPORT_BY_MODEL, "tenant, model", err);

    if (r == 0)
        r = run_report(b, path, w, REPORT_BY_TENANT | REPORT_BY_DAY, "tenant, day", err);
    start = clock_mono_ns(clock_system());
    if (r == 0)
        r = ledger_verify(l, err);
    if (r == 0)
        bench_report(b, &(struct bench_figure){.what = "verify all sums from all raw rows",
                                               .value = seconds_since(start),
                                               .unit = "s"});
    return r;
}

/* Into a new database; with reports over it or without. */
static int measure(const struct bench *b, const char *folder, const char *name, struct workload *w,
                   bool reports, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, name);
    struct ledger_options ledger_options = {.path = path};
    struct ledger *l = NULL;
    int r;

    if (path == NULL)
        return err_no_memory(err);
    rng_seeded_init(&w->random, 1);
    r = ledger_open(&l, &ledger_options, err);
    if (r == 0)
        r = run_ingest(b, l, w, err);
    if (r == 0 && reports)
        r = measure_reports(b, l, path, w, err);
    ledger_close(l);
    return r;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct bench b = {.name = "ledger"};
    struct workload alone = {0};
    struct workload together = {.batch = WRITER_RECORDS_MAX};
    char folder[BENCH_PATH_MAX];
    struct err err = {0};
    int positionals;
    int exit_code;
    int r;

    if (!bench_parse(&command, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    b.json = settings.json;
    alone.events = together.events = (uint64_t)settings.events;
    alone.batch = (size_t)settings.batch;
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* as the program does */
    bench_begin(&b);
    r = bench_folder_make(folder, &err);
    if (r == 0) {
        r = measure(&b, folder, "together.db", &together, false, &err);
        if (r == 0)
            r = measure(&b, folder, "alone.db", &alone, true, &err);
        bench_folder_remove(folder);
    }
    return r < 0 ? bench_fail(&b, &err) : 0;
}
