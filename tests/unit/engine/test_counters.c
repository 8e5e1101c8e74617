/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counter file: what a reader sees, at any instant of a writer's life. Every state that the
 * writer commits has rows that agree with each other and with the totals in a way that only one
 * number decides, so a mixture of two states cannot pass for one.
 */
#include "cmocka_plain.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/counters_file.h"

enum { ROWS = 100, KILLS = 60 };

static const uint8_t run_id[16] = "run-id-of-sixte";
static char folder[64];
static char path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "counters-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/counters", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

static void shows_what_was_committed(void **state)
{
    struct engine_tag tag = {.bytes = "attempt"};
    struct counters *c;
    struct counters_view view;
    int row;

    (void)state;
    assert_int_equal(counters_create(&c, path, run_id, ROWS, NULL), 0);
    assert_int_equal(counters_read(&view, path, NULL), 0);
    assert_memory_equal(view.run_id, run_id, 16);
    assert_int_equal(view.row_count, 0);
    counters_view_fini(&view);
    row = counters_row_take(c, tag, 3);
    counters_row_at(c, row)->counts.output = 5;
    counters_total(c)->output = 7;
    assert_int_equal(counters_read(&view, path, NULL), 0);
    assert_int_equal(view.total.output, 0); /* not yet committed */
    counters_view_fini(&view);
    for (uint64_t steps = 1; steps < 4; steps++) { /* both banks have it */
        counters_commit(c, steps);
        assert_int_equal(counters_read(&view, path, NULL), 0);
        assert_int_equal(view.steps, steps);
        assert_int_equal(view.total.output, 7);
        assert_int_equal(view.row_count, 1);
        assert_int_equal(view.rows[0].state, COUNTERS_STATE_RUNNING);
        assert_int_equal(view.rows[0].output_start, 3);
        assert_int_equal(view.rows[0].counts.output, 5);
        assert_memory_equal(view.rows[0].tag.bytes, tag.bytes, sizeof(tag.bytes));
        counters_view_fini(&view);
    }
    counters_row_free(c, row);
    counters_commit(c, 4);
    counters_close(c);
    assert_int_equal(counters_read(&view, path, NULL), 0);
    assert_int_equal(view.row_count, 0);
    assert_int_equal(view.total.output, 7);
    counters_view_fini(&view);
}

static void has_a_fixed_number_of_rows(void **state)
{
    struct counters *c;
    int row = -1;

    (void)state;
    assert_int_equal(counters_create(&c, path, run_id, ROWS, NULL), 0);
    assert_int_equal(counters_create(&c, path, run_id, ROWS, NULL), -ERR_EXISTS);
    for (int i = 0; i < ROWS; i++) {
        row = counters_row_take(c, (struct engine_tag){0}, 0);
        assert_in_range(row, 0, ROWS - 1);
    }
    assert_int_equal(counters_row_take(c, (struct engine_tag){0}, 0), -ERR_BUSY);
    counters_row_free(c, row);
    assert_int_equal(counters_row_take(c, (struct engine_tag){0}, 0), row);
    counters_close(c);
}

/* State number n: a few rows change, and each row tells in which state it changed last. */
static void write_state(struct counters *c, uint64_t n)
{
    for (uint64_t i = 0; i < 5; i++) {
        int row = (int)((n * 7 + i * 13) % ROWS);
        struct counters_row *r = counters_row_at(c, row);

        r->state = COUNTERS_STATE_RUNNING;
        counters_total(c)->output += n - r->counts.output;
        counters_total(c)->input_cached += n * 3 - r->counts.input_cached;
        r->counts.output = n;
        r->counts.input_cached = n * 3;
    }
    counters_commit(c, n);
}

static void check_view(const struct counters_view *view)
{
    struct engine_counts sum = {0};

    for (int i = 0; i < view->row_count; i++) {
        assert_true(view->rows[i].counts.output <= view->steps);
        assert_int_equal(view->rows[i].counts.input_cached, view->rows[i].counts.output * 3);
        sum.output += view->rows[i].counts.output;
        sum.input_cached += view->rows[i].counts.input_cached;
    }
    assert_int_equal(sum.output, view->total.output);
    assert_int_equal(sum.input_cached, view->total.input_cached);
}

/* Returns the number of the state that holds. */
static uint64_t read_state(void)
{
    struct counters_view view;
    struct err err = {0};
    uint64_t steps;

    if (counters_read(&view, path, &err) < 0)
        fail_msg("counters_read: %s", err.message);
    check_view(&view);
    steps = view.steps;
    counters_view_fini(&view);
    return steps;
}

/* In bursts: a reader needs a moment without two commits, as there is between the steps of a model.
 */
static _Noreturn void write_forever(struct counters *c)
{
    const struct timespec pause = {0, 100000};

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where the test fails */
    for (uint64_t n = 1;; n++) {
        write_state(c, n);
        if (n % 100 == 0)
            nanosleep(&pause, NULL);
    }
}

static void survives_kill_at_random_times(void **state)
{
    struct rng_seeded chance;

    (void)state;
    rng_seeded_init(&chance, 9);
    for (int i = 0; i < KILLS; i++) {
        struct counters *c;
        struct timespec wait = {0, (long)rng_below(&chance.rng, 3000000)};
        pid_t child;

        assert_int_equal(counters_create(&c, path, run_id, ROWS, NULL), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_forever(c);
        nanosleep(&wait, NULL);
        if (i % 2 == 0)
            read_state(); /* while it runs */
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        read_state();
        counters_close(c);
        unlink(path);
    }
}

/* The child stops before each instruction of two commits: the file is whole after every single one.
 */
static void survives_kill_at_every_instruction(void **state)
{
    enum { BEFORE = 2, STEPS_MAX = 400000 };
    struct counters *c;
    uint64_t last = BEFORE;
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(counters_create(&c, path, run_id, ROWS, NULL), 0);
    for (uint64_t n = 1; n <= BEFORE; n++)
        write_state(c, n);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(1);
        raise(SIGSTOP);
        write_state(c, BEFORE + 1);
        write_state(c, BEFORE + 2);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    for (int i = 0; i < STEPS_MAX && last < BEFORE + 2; i++) {
        uint64_t now;

        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSTOPPED(status));
        now = read_state();
        assert_true(now == last || now == last + 1);
        last = now;
    }
    assert_int_equal(last, BEFORE + 2);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    counters_close(c);
}

static void flip(off_t offset)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x20;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void refuses_a_damaged_file(void **state)
{
    struct counters *c;
    struct counters_view view;
    struct err err;
    off_t size = COUNTERS_PAGE + 2 * (off_t)counters_bank_size(ROWS);
    off_t used = (off_t)(sizeof(struct counters_bank) + ROWS * sizeof(struct counters_row));

    (void)state;
    assert_int_equal(counters_create(&c, path, run_id, ROWS, NULL), 0); /* commit 1: bank 1 */
    write_state(c, 1);                                                  /* commit 2: bank 0 */
    counters_close(c);
    for (off_t at = 0; at < (off_t)offsetof(struct counters_header, commit); at++) {
        flip(at);
        assert_int_equal(counters_read(&view, path, &err), -ERR_CORRUPT);
        flip(at);
    }
    for (off_t at = COUNTERS_PAGE; at < COUNTERS_PAGE + used; at += 3) {
        flip(at);
        assert_int_equal(counters_read(&view, path, &err), -ERR_CORRUPT);
        flip(at);
    }
    read_state();
    for (off_t cut = 0; cut < size; cut += 997) {
        assert_int_equal(truncate(path, size - 1 - cut), 0);
        assert_int_equal(counters_read(&view, path, &err), -ERR_CORRUPT);
    }
    unlink(path);
    assert_int_equal(counters_read(&view, path, &err), -ERR_NOT_FOUND);
}

static void reports_every_failing_allocation(void **state)
{
    int failures = 0;

    (void)state;
    for (int64_t n = 0;; n++) {
        struct counters_view view;
        struct counters *c;
        int r;

        mem_fail_after(n);
        r = counters_create(&c, path, run_id, ROWS, NULL);
        if (r == 0) {
            r = counters_read(&view, path, NULL);
            if (r == 0)
                counters_view_fini(&view);
            counters_close(c);
            unlink(path);
        }
        mem_fail_after(-1);
        if (r == 0)
            break;
        assert_int_equal(r, -ERR_NO_MEMORY);
        failures++;
    }
    assert_int_equal(failures, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_what_was_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(has_a_fixed_number_of_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_kill_at_random_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_kill_at_every_instruction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_damaged_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reports_every_failing_allocation, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
