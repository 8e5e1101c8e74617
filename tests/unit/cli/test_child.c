/* SPDX-License-Identifier: Apache-2.0 */
/* Children of `spate up`: restarted when they end, ended when asked, found again after a crash. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/child.h"
#include "cmocka_plain.h"

enum { TURNS_MAX = 2000 };

static char folder[64];

struct watcher {
    struct loop loop;
    struct child child;
    int exits;
    int last_signal;
    bool stopped;
};

static void on_exit_seen(void *user, struct child *child, int64_t status, int signal_number)
{
    struct watcher *w = user;

    (void)child;
    (void)status;
    w->exits++;
    w->last_signal = signal_number;
}

static void on_stopped(void *user, struct child *child)
{
    struct watcher *w = user;

    (void)child;
    w->stopped = true;
}

static void watcher_start(struct watcher *w, const char *script)
{
    assert_int_equal(loop_init(&w->loop, NULL), 0);
    assert_int_equal(child_init(&w->child, &w->loop, "test", "/bin/sh", folder, NULL), 0);
    w->child.on_exit = on_exit_seen;
    w->child.on_stopped = on_stopped;
    w->child.user = w;
    assert_int_equal(child_add_arg(&w->child, "-c", NULL), 0);
    assert_int_equal(child_add_arg(&w->child, script, NULL), 0);
    assert_int_equal(child_start(&w->child, NULL), 0);
}

static void watcher_stop(struct watcher *w)
{
    child_stop(&w->child);
    for (int i = 0; i < TURNS_MAX && !w->stopped; i++)
        loop_turn(&w->loop, 20);
    assert_true(w->stopped);
    child_fini(&w->child);
    loop_fini(&w->loop);
}

static void a_child_that_dies_is_started_again(void **state)
{
    struct watcher w = {0};
    int first_pid;

    (void)state;
    watcher_start(&w, "exec sleep 60");
    first_pid = w.child.process.pid;
    kill(first_pid, SIGKILL);
    for (int i = 0; i < TURNS_MAX && (w.exits == 0 || w.child.state != CHILD_RUNNING ||
                                      w.child.process.pid == first_pid);
         i++)
        loop_turn(&w.loop, 20);
    assert_int_equal(w.exits, 1);
    assert_int_equal(w.last_signal, SIGKILL);
    assert_int_equal(w.child.state, CHILD_RUNNING);
    assert_int_equal(w.child.restart_count, 1);
    watcher_stop(&w);
    assert_int_equal(w.exits, 1); /* its own end is no exit to restart from */
    assert_int_equal(kill(first_pid, 0), -1);
}

/* It can be stopped at every moment of its life: here while it waits to be started again. */
static void a_waiting_child_stops_at_once(void **state)
{
    struct watcher w = {0};

    (void)state;
    watcher_start(&w, "exit 3");
    for (int i = 0; i < TURNS_MAX && w.child.state != CHILD_WAITING; i++)
        loop_turn(&w.loop, 20);
    assert_int_equal(w.child.state, CHILD_WAITING);
    watcher_stop(&w);
}

static void output_goes_to_the_log(void **state)
{
    struct watcher w = {0};
    CLEANUP(mem_freep) char *path = path_join(folder, "logs/test.log");
    CLEANUP(buf_fini) struct buf text = {0};

    (void)state;
    unlink(path);
    buf_init(&text, 4096);
    watcher_start(&w, "echo hello; echo error >&2; exec sleep 60");
    for (int i = 0; i < TURNS_MAX && text.len < 12; i++) {
        loop_turn(&w.loop, 20);
        buf_clear(&text);
        file_read(path, &text, NULL);
    }
    assert_string_equal(buf_cstr(&text), "hello\nerror\n");
    watcher_stop(&w);
}

/* An earlier `spate up` was killed: its child runs on, and the next one ends it. A process that
 * only has the same pid is left alone. */
static void leftovers_are_ended(void **state)
{
    struct watcher w = {0};
    CLEANUP(mem_freep) char *record = path_join(folder, "run/test.pid");
    char forged[64];

    (void)state;
    watcher_start(&w, "exec sleep 60");
    assert_true(file_exists(record));
    assert_int_equal(child_end_leftover(&w.child, NULL), 0);
    for (int i = 0; i < TURNS_MAX && w.exits == 0; i++)
        loop_turn(&w.loop, 20);
    assert_int_equal(w.last_signal, SIGTERM);
    watcher_stop(&w);

    memset(&w, 0, sizeof(w));
    watcher_start(&w, "exec sleep 60");
    snprintf(forged, sizeof(forged), "%d 1\n", w.child.process.pid);
    assert_int_equal(file_write_atomic(record, str_of(forged), 0600, NULL), 0);
    assert_int_equal(child_end_leftover(&w.child, NULL), 0);
    assert_int_equal(kill(w.child.process.pid, 0), 0);
    watcher_stop(&w);
}

static void one_folder_has_one_watcher(void **state)
{
    int fd = -1;
    int second = -1;

    (void)state;
    assert_false(child_folder_is_watched(folder));
    assert_int_equal(child_folder_lock(&fd, folder, NULL), 0);
    assert_true(child_folder_is_watched(folder));
    assert_int_equal(child_folder_lock(&second, folder, NULL), -ERR_EXISTS);
    close(fd);
    assert_false(child_folder_is_watched(folder));
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/spate-child-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_that_dies_is_started_again),
        cmocka_unit_test(a_waiting_child_stops_at_once),
        cmocka_unit_test(output_goes_to_the_log),
        cmocka_unit_test(leftovers_are_ended),
        cmocka_unit_test(one_folder_has_one_watcher),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
