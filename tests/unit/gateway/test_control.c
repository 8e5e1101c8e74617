/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator says is kept on the disk, and the loop does not wait for the disk. */
#include "control_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

enum { SNAPSHOTS = 40 };

/* --- fsync, counted -------------------------------------------------------------------------- */

static pthread_t loop_thread;
static bool counting;
static atomic_int syncs_on_the_loop;
static atomic_int syncs;

/* In the place of the C library's. */
int fsync(int fd)
{
    if (counting) {
        atomic_fetch_add(&syncs, 1);
        if (pthread_equal(pthread_self(), loop_thread))
            atomic_fetch_add(&syncs_on_the_loop, 1);
    }
    return (int)syscall(SYS_fsync, fd);
}

static void count_syncs(bool on)
{
    loop_thread = pthread_self();
    counting = on;
}

/* --- tests ------------------------------------------------------------------------------------ */

static const char *version_of(const struct control_rig *r)
{
    return buf_cstr(&r->g.control->version);
}

static bool has_the_last(const struct control_rig *r)
{
    return strcmp(version_of(r), "inst:1:40") == 0;
}

static bool has_the_first(const struct control_rig *r)
{
    return strcmp(version_of(r), "inst:1:1") == 0;
}

static bool wrote_the_first(const struct control_rig *r)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/routes.json", r->folder);
    return file_exists(path);
}

static void the_loop_does_not_wait_for_the_disk(void **state)
{
    struct control_rig r = {.load_status = 200, .snapshots = SNAPSHOTS, .models = 3};

    (void)state;
    control_rig_start(&r);
    count_syncs(true);
    control_rig_wait(&r, has_the_last);
    count_syncs(false);
    assert_int_equal(atomic_load(&syncs_on_the_loop), 0);
    assert_true(atomic_load(&syncs) > 0);
    control_finish(r.g.control); /* the newest that was not written yet */
    r.snapshots = 0;             /* the operator is silent from now on */
    control_rig_restart(&r);
    assert_string_equal(version_of(&r), "inst:1:40");
    assert_string_equal(control_token(r.g.control, TOKEN_AUDIENCE_AGENT), "a");
    control_rig_stop(&r);
}

/* Without the end that control_finish makes: a process that is killed. */
static void a_snapshot_alone_is_written_at_once(void **state)
{
    struct control_rig r = {.load_status = 200, .snapshots = 1};

    (void)state;
    control_rig_start(&r);
    control_rig_wait(&r, has_the_first);
    control_rig_wait(&r, wrote_the_first);
    control_rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loop_does_not_wait_for_the_disk),
        cmocka_unit_test(a_snapshot_alone_is_written_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
