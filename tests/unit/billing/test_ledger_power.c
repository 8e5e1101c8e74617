/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger on a disk that loses power, or is full, at every change: what was acknowledged is
 * there, nothing is there twice, rollups equal the raw rows. With sync switched off the same check
 * goes red. And a real process on a real disk, killed at random points.
 */
#include "cmocka_plain.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "billing/ledger/ledger.h"
#include "records.h"
#include "simvfs.h"

enum { BATCHES = 8, BATCH = 6, PER_REQUEST = 6 /* tokens of a finished request */ };

static struct ledger *open_ledger(const struct clock_manual *clock, const char *path,
                                  const char *vfs)
{
    struct ledger_options options = {
        .path = path, .clock = &clock->clock, .settle_ms = 5000, .vfs = vfs};
    struct ledger *l = NULL;

    return ledger_open(&l, &options, NULL) == 0 ? l : NULL;
}

/* Batch b: new requests finished, one left running, one of the batch before finished. */
static void make_batch(struct usage_record records[BATCH], uint64_t b)
{
    for (uint64_t i = 0; i < BATCH - 1; i++)
        records[i] = records_final(b * BATCH + i);
    records[BATCH - 2] = records_running(b * BATCH + BATCH - 2, 3);
    records[BATCH - 1] = b == 0 ? records_final(0) : records_final((b - 1) * BATCH + BATCH - 2);
}

/* Gives batches from `first` on; returns the number of the first that was not acknowledged. */
static uint64_t work(struct ledger *l, struct clock_manual *clock, uint64_t first)
{
    for (uint64_t b = first; b < BATCHES; b++) {
        struct usage_record records[BATCH];
        struct ingest_answer answers[BATCH] = {{0}};

        make_batch(records, b);
        if (ledger_ingest(l, records, BATCH, answers, NULL) < 0)
            return b;
        for (int i = 0; i < BATCH; i++)
            assert_false(answers[i].refused);
        clock_manual_advance_ms(clock, 3000);
        ledger_settle_due(l, NULL); /* its failure is told by the next batch */
    }
    return BATCHES;
}

static int64_t number(const char *path, const char *vfs, const char *sql)
{
    sqlite3_stmt *s = NULL;
    sqlite3 *db = NULL;
    int64_t value = -1;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return value;
}

/* All finished requests of the acknowledged batches must be there. */
static int faults_of(const char *path, const char *vfs, uint64_t acknowledged)
{
    struct clock_manual clock;
    struct ledger *l;
    int faults = 0;

    clock_manual_init(&clock, RECORDS_NOON_MS);
    l = open_ledger(&clock, path, vfs);
    if (l == NULL)
        return 1;
    if (ledger_verify(l, NULL) < 0)
        faults++;
    ledger_close(l);
    for (uint64_t b = 0; b < acknowledged; b++) {
        char sql[300];
        int64_t found;

        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM attempt WHERE substr(request_id, 9) >= x'%016llx' AND"
                 " substr(request_id, 9) < x'%016llx'",
                 (unsigned long long)(b * BATCH), (unsigned long long)(b * BATCH + BATCH - 1));
        found = number(path, vfs, sql);
        if (found != BATCH - 1)
            faults++;
    }
    if (number(path, vfs,
               "SELECT count(*) FROM (SELECT request_id, sum(visible + reasoning) AS n"
               " FROM charge GROUP BY request_id) WHERE n > 6") != 0)
        faults++;
    return faults;
}

/* After everything was offered again: exactly all of it, once. */
static int faults_after_replay(const char *path, const char *vfs)
{
    struct clock_manual clock;
    struct ledger *l;
    int faults = 0;

    clock_manual_init(&clock, RECORDS_NOON_MS);
    l = open_ledger(&clock, path, vfs);
    if (l == NULL)
        return 1;
    if (work(l, &clock, 0) != BATCHES || ledger_verify(l, NULL) < 0)
        faults++;
    clock_manual_advance_ms(&clock, 100000);
    while (ledger_settle_due(l, NULL) > 0)
        continue;
    if (ledger_verify(l, NULL) < 0)
        faults++;
    ledger_close(l);
    if (number(path, vfs, "SELECT sum(visible + reasoning) FROM rollup") !=
        (BATCHES * (BATCH - 1) - 1) * PER_REQUEST + 3)
        faults++;
    if (number(path, vfs, "SELECT sum(requests) FROM rollup") != BATCHES * (BATCH - 1))
        faults++;
    return faults;
}

struct fault_kind {
    bool power;
    bool full;
    bool lie;
};

static int faults_at_every_change(uint64_t seed, const struct fault_kind *kind)
{
    int faults = 0;

    for (int64_t steps = 1;; steps++) {
        struct simdisk *d = simdisk_new(seed * 1000003 + (uint64_t)steps);
        struct clock_manual clock;
        uint64_t acknowledged = 0;
        struct ledger *l;
        bool reached;

        simvfs_use(d);
        clock_manual_init(&clock, RECORDS_NOON_MS);
        simdisk_lie_about_sync(d, kind->lie);
        if (kind->power)
            simdisk_lose_power_after(d, steps);
        if (kind->full)
            simdisk_fail_after(d, steps);
        l = open_ledger(&clock, "db/ledger", SIMVFS_NAME);
        if (l != NULL) {
            acknowledged = work(l, &clock, 0);
            if (kind->full && acknowledged < BATCHES) /* the same process goes on */
                acknowledged = work(l, &clock, acknowledged);
        }
        if (kind->full && l != NULL && acknowledged != BATCHES)
            faults++;
        reached = simdisk_steps(d) >= (uint64_t)steps;
        ledger_close(l);
        simdisk_lie_about_sync(d, false);
        simdisk_reboot(d);
        simvfs_reboot();
        if (acknowledged > 0)
            faults += faults_of("db/ledger", SIMVFS_NAME, acknowledged);
        faults += faults_after_replay("db/ledger", SIMVFS_NAME);
        simdisk_free(d);
        if (!reached || (kind->lie && faults > 0))
            return faults;
    }
}

static void power_loss_at_every_change(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        assert_int_equal(faults_at_every_change(seed, &(struct fault_kind){.power = true}), 0);
}

static void a_full_disk_at_every_change(void **state)
{
    (void)state;
    assert_int_equal(faults_at_every_change(1, &(struct fault_kind){.full = true}), 0);
}

static void without_sync_the_check_goes_red(void **state)
{
    (void)state;
    assert_true(faults_at_every_change(1, &(struct fault_kind){.power = true, .lie = true}) > 0);
}

/* The child tells each acknowledged batch through the pipe, until it is killed. */
static void child(const char *path, int out)
{
    struct clock_manual clock;
    struct ledger *l;

    clock_manual_init(&clock, RECORDS_NOON_MS);
    l = open_ledger(&clock, path, NULL);
    if (l == NULL)
        _exit(1);
    for (uint64_t b = 0; b < BATCHES; b++) {
        struct usage_record records[BATCH];
        struct ingest_answer answers[BATCH] = {{0}};
        char byte = (char)b;

        make_batch(records, b);
        if (ledger_ingest(l, records, BATCH, answers, NULL) < 0 || write(out, &byte, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

static void kill_at_random_points(void **state)
{
    enum { KILLS = 60 };
    struct rng_seeded random;

    (void)state;
    rng_seeded_init(&random, 20261122);
    for (int i = 0; i < KILLS; i++) {
        char folder[] = "ledger-kill-XXXXXX";
        uint64_t acknowledged = 0;
        char path[64];
        int pipes[2];
        char byte;
        pid_t pid;

        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/db", folder);
        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            child(path, pipes[1]);
        close(pipes[1]);
        nanosleep(&(struct timespec){0, (long)rng_below(&random.rng, 12000000)}, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(pipes[0], &byte, 1) == 1)
            acknowledged = (uint64_t)byte + 1;
        close(pipes[0]);
        if (acknowledged > 0)
            assert_int_equal(faults_of(path, NULL, acknowledged), 0);
        assert_int_equal(faults_after_replay(path, NULL), 0);
        file_remove_tree(folder, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_loss_at_every_change),
        cmocka_unit_test(a_full_disk_at_every_change),
        cmocka_unit_test(without_sync_the_check_goes_red),
        cmocka_unit_test(kill_at_random_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
