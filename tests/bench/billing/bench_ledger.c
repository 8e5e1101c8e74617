/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many usage events a second the ledger takes durably, and how long a report over them lasts.
 * An event is the final record of one request: a merge, a settlement, a charge row and its share of
 * a rollup. Prints machine, workload and figures; nothing is asserted.
 *
 *     bench_ledger [EVENTS [BATCH [FOLDER]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "billing/ledger/db.h"
#include "billing/ledger/ledger.h"
#include "billing/ledger/query.h"

enum {
    EVENTS = 1000000,
    BATCH_SIZE = 1000,
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

static int by_size(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;

    return *left < *right ? -1 : *left > *right;
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

static void print_machine(void)
{
    struct utsname name;
    struct buf text;
    const char *at;

    buf_init(&text, 1 << 20);
    uname(&name);
    printf("machine: %s %s, %ld cores", name.sysname, name.release, sysconf(_SC_NPROCESSORS_ONLN));
    if (file_read("/proc/cpuinfo", &text, NULL) == 0 && buf_cstr(&text) != NULL &&
        (at = strstr(text.ptr, "model name")) != NULL && (at = strchr(at, ':')) != NULL)
        printf(",%.*s", (int)strcspn(at + 1, "\n"), at + 1);
    printf(", SQLite %s\n", sqlite3_libversion());
    buf_fini(&text);
}

static int run_ingest(struct ledger *l, struct workload *w, struct err *err)
{
    size_t batches_max = (size_t)(w->events / w->batch * 2 + 2);
    CLEANUP(mem_freep) struct usage_record *records = mem_array(w->batch, sizeof(*records));
    CLEANUP(mem_freep) struct ingest_answer *answers = mem_array(w->batch, sizeof(*answers));
    CLEANUP(mem_freep) double *times = mem_array(batches_max, sizeof(*times));
    uint64_t records_given = 0;
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
        records_given += count;
    }
    qsort(times, batches, sizeof(*times), by_size);
    printf("ingest: %.0f events/s durable (%.0f records/s with duplicates; one thread), commit p50 "
           "%.1f ms, p99 %.1f ms, max %.1f ms\n",
           (double)w->events / busy, (double)records_given / busy, times[batches / 2] * 1e3,
           times[batches * 99 / 100] * 1e3, times[batches - 1] * 1e3);
    printf("ingest: %.2f us of CPU an event: %.0f events/s if the core were ours alone\n",
           cpu / (double)w->events * 1e6, (double)w->events / cpu);
    return 0;
}

static int run_report(const char *path, const struct workload *w, unsigned by, const char *name,
                      struct err *err)
{
    struct query_report request = {
        .from_ms = START_MS, .to_ms = START_MS + days_of(w) * DAY_MS, .by = by};
    struct query *q = NULL;
    struct report report;
    int64_t start;
    int r = query_open(&q, path, NULL, err);

    for (int round = 0; round < 2 && r == 0; round++) {
        start = clock_mono_ns(clock_system());
        r = query_report(q, &request, &report, err);
        if (r < 0)
            break;
        printf("report of all days by %s: %.3f s (%s), %zu rows, %lld requests\n", name,
               seconds_since(start), round == 0 ? "first" : "again", report.row_count,
               (long long)report.total.tally.v[TALLY_REQUESTS]);
        report_fini(&report);
    }
    query_close(q);
    return r;
}

static int bench(const char *folder, struct workload *w, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "ledger.db");
    struct ledger_options options = {.path = path};
    struct ledger *l = NULL;
    int64_t start;
    int r;

    if (path == NULL)
        return err_no_memory(err);
    r = ledger_open(&l, &options, err);
    if (r == 0)
        r = run_ingest(l, w, err);
    if (r == 0)
        r = run_report(path, w, REPORT_BY_TENANT | REPORT_BY_MODEL, "tenant, model", err);
    if (r == 0)
        r = run_report(path, w, REPORT_BY_TENANT | REPORT_BY_DAY, "tenant, day", err);
    start = clock_mono_ns(clock_system());
    if (r == 0)
        r = ledger_verify(l, err);
    if (r == 0)
        printf("verify (all sums from all raw rows): %.1f s, equal\n", seconds_since(start));
    ledger_close(l);
    return r;
}

int main(int argc, char **argv)
{
    struct workload w = {.events = argc > 1 ? strtoull(argv[1], NULL, 10) : EVENTS,
                         .batch = argc > 2 ? strtoul(argv[2], NULL, 10) : BATCH_SIZE};
    const char *base = argc > 3 ? argv[3] : ".";
    CLEANUP(mem_freep) char *folder = path_join(base, "bench-ledger-XXXXXX");
    struct err err = {0};
    int r;

    if (w.events == 0 || w.batch == 0 || w.batch > 100000 || folder == NULL ||
        mkdtemp(folder) == NULL) {
        fprintf(stderr, "usage: bench_ledger [EVENTS [BATCH [FOLDER]]]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    rng_seeded_init(&w.random, 1);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* as the program does */
    print_machine();
    printf("workload: %llu events in batches of %zu, over %d days, %d tenants x %d keys x %d "
           "models, %d runs, 1 in %d sent twice; WAL, synchronous=FULL\n",
           (unsigned long long)w.events, w.batch, (int)days_of(&w), TENANTS, KEYS, MODELS, RUNS,
           DUPLICATES);
    r = bench(folder, &w, &err);
    if (r < 0)
        fprintf(stderr, "bench_ledger: %s\n", err_message(&err));
    file_remove_tree(folder, NULL);
    return r < 0 ? 1 : 0;
}
