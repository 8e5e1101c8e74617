/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a local pod: its folder is not removed before an agent in it says that all usage was
 * taken, and never if none says so. The agent is a shell script that does what the test wrote into
 * a file beside it; the clock is set by hand.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "operator/local/pods.h"

enum { PATIENCE_TURNS = 3000, TURN_MS = 10, PATH_BYTES = 256 };

#define POD_NAME "x-0123456789-0"
#define POD_UID  "01m82afd39mtgdkvtxax5aa4hj"

static const char script[] = "#!/bin/sh\n"
                             "here=${0%/agent}\n"
                             "echo \"$*\" >>$here/starts\n"
                             "count=$(wc -l <$here/starts)\n"
                             ". $here/behaviour\n";

static const char record[] =
    "{\"namespace\":\"team\",\"name\":\"" POD_NAME "\",\"uid\":\"" POD_UID "\",\"owner_name\":"
    "\"x\",\"owner_uid\":\"u\",\"template_hash\":\"0123456789\",\"ordinal\":0,\"created_ms\":1,"
    "\"uri\":\"file:///models/x\",\"slots\":4,\"context_tokens\":0,\"kv_cache_mib\":0,"
    "\"threads\":1,\"chunk_tokens\":0}";

struct fixture {
    char state[64];
    char agent[PATH_BYTES];
    struct loop loop;
    struct clock_manual clock;
    struct local_pods pods;
    int deleted;
};

static void in_state(const struct fixture *f, const char *name, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/%s", f->state, name);
}

static void write_text(const struct fixture *f, const char *name, const char *text, mode_t mode)
{
    char path[PATH_BYTES];

    in_state(f, name, path);
    assert_int_equal(file_write_atomic(path, str_of(text), mode, NULL), 0);
}

static bool exists(const struct fixture *f, const char *name)
{
    char path[PATH_BYTES];

    in_state(f, name, path);
    return file_exists(path);
}

/* How many agents were started so far; each one was to report only. */
static int starts(const struct fixture *f)
{
    char path[PATH_BYTES];
    struct buf text;
    struct str rest;
    int count = 0;

    in_state(f, "starts", path);
    buf_init(&text, 1 << 20);
    if (file_read(path, &text, NULL) == 0) {
        for (rest = buf_str(&text); rest.len > 0; count++)
            assert_true(str_ends(str_cut(&rest, '\n'), STR("--report-only")));
    }
    buf_fini(&text);
    return count;
}

static void on_change(void *user, enum platform_change change, const struct local_pod *pod)
{
    struct fixture *f = user;

    assert_string_equal(pod->uid, POD_UID);
    f->deleted += change == PLATFORM_DELETED;
}

static void open_pods(struct fixture *f)
{
    struct local_pods_options options = {
        .loop = &f->loop,
        .clock = &f->clock.clock,
        .rng = rng_system(),
        .state = f->state,
        .agent_binary = f->agent,
        .public_key = "/nowhere/token.pub",
        .on_change = on_change,
        .user = f,
    };

    assert_int_equal(local_pods_open(&f->pods, &options, NULL), 0);
}

/* A pod that was being deleted when the operator before ended. */
static void begin(struct fixture *f, const char *behaviour, bool has_run)
{
    char path[PATH_BYTES];

    snprintf(f->state, sizeof(f->state), "/tmp/spate-pods-XXXXXX");
    assert_non_null(mkdtemp(f->state));
    in_state(f, "agent", f->agent);
    in_state(f, has_run ? "pods/team_" POD_NAME "/data/runs" : "pods/team_" POD_NAME, path);
    assert_int_equal(file_make_folder(path, NULL), 0);
    write_text(f, "agent", script, 0700);
    write_text(f, "behaviour", behaviour, 0600);
    write_text(f, "pods/team_" POD_NAME "/pod.json", record, 0600);
    write_text(f, "pods/team_" POD_NAME "/deleting", "", 0600);
    write_text(f, "pods/team_" POD_NAME "/agent.log", "kept\n", 0600);
    clock_manual_init(&f->clock, 1795000000000);
    clock_manual_advance_ms(&f->clock, 1000);
    assert_int_equal(loop_init(&f->loop, NULL), 0);
    open_pods(f);
}

static void wait_for_starts(struct fixture *f, int count)
{
    for (int i = 0; i < PATIENCE_TURNS && starts(f) < count; i++)
        loop_turn(&f->loop, TURN_MS);
    assert_true(starts(f) >= count);
}

static void wait_for_deletion(struct fixture *f)
{
    for (int i = 0; i < PATIENCE_TURNS && f->deleted == 0; i++)
        loop_turn(&f->loop, TURN_MS);
    assert_int_equal(f->deleted, 1);
    assert_int_equal(f->pods.pods.count, 0);
}

static void end(struct fixture *f)
{
    while (local_pods_busy(&f->pods))
        loop_turn(&f->loop, TURN_MS);
    local_pods_close(&f->pods);
    loop_fini(&f->loop);
    file_remove_tree(f->state, NULL);
}

static void a_pod_that_has_reported_all_is_removed(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f, "exit 0", true);
    wait_for_deletion(&f);
    assert_int_equal(starts(&f), 1);
    assert_false(exists(&f, "pods/team_" POD_NAME));
    assert_false(exists(&f, "unreported"));
    end(&f);
}

static void a_pod_that_never_ran_has_nothing_to_report(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f, "exit 3", false);
    wait_for_deletion(&f);
    assert_int_equal(starts(&f), 0);
    assert_false(exists(&f, "pods/team_" POD_NAME));
    end(&f);
}

/* Also if they crash, or can't start. */
static void agents_report_until_one_says_that_all_is_told(void **state)
{
    static const char *const ends[] = {"exit 3", "exit 1", "kill -9 $$"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        struct fixture f = {0};
        char behaviour[128];

        snprintf(behaviour, sizeof(behaviour), "[ $count -ge 4 ] && exit 0\n%s\n", ends[i]);
        begin(&f, behaviour, true);
        wait_for_starts(&f, 3);
        assert_int_equal(f.deleted, 0);
        assert_true(exists(&f, "pods/team_" POD_NAME "/data/runs"));
        wait_for_deletion(&f);
        assert_int_equal(starts(&f), 4);
        assert_int_equal(f.pods.set_aside, 0);
        assert_false(exists(&f, "pods/team_" POD_NAME));
        end(&f);
    }
}

/* The operator asks for a deletion again and again: that must not disturb a report. */
static void a_second_deletion_changes_nothing(void **state)
{
    struct fixture f = {0};

    (void)state;
    begin(&f, "while [ ! -e $here/told ]; do sleep 0.02; done; exit 0", true);
    wait_for_starts(&f, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(
            local_pods_delete(&f.pods, STR("team"), STR(POD_NAME), STR(POD_UID), 0, NULL), 0);
        loop_turn(&f.loop, TURN_MS);
    }
    write_text(&f, "told", "", 0600);
    wait_for_deletion(&f);
    assert_int_equal(starts(&f), 1);
    end(&f);
}

/* One whose agents can't say that all was taken, and one whose agent waits for ever. */
static void what_is_never_taken_is_kept(void **state)
{
    static const char *const behaviours[] = {
        "exit 1",
        "while [ \"$1\" != --address-file ]; do shift; done\n"
        "echo 127.0.0.1:1 >$2\n"
        "exec sleep 1000",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(behaviours); i++) {
        struct fixture f = {0};

        begin(&f, behaviours[i], true);
        wait_for_starts(&f, 1);
        clock_manual_advance_ms(&f.clock, PODS_REPORT_MS);
        wait_for_deletion(&f);
        assert_int_equal(f.pods.set_aside, 1);
        assert_false(exists(&f, "pods/team_" POD_NAME));
        assert_true(exists(&f, "unreported/" POD_UID "/data/runs"));
        assert_true(exists(&f, "unreported/" POD_UID "/agent.log"));
        end(&f);
    }
}

/* As docs/limits.md says: its folder is moved back, and the next operator reports it after all. */
static void what_was_kept_can_be_reported_later(void **state)
{
    struct fixture f = {0};
    char from[PATH_BYTES], to[PATH_BYTES];

    (void)state;
    begin(&f, "exit 1", true);
    wait_for_starts(&f, 1);
    clock_manual_advance_ms(&f.clock, PODS_REPORT_MS);
    wait_for_deletion(&f);
    local_pods_close(&f.pods);
    in_state(&f, "unreported/" POD_UID, from);
    in_state(&f, "pods/" POD_UID, to);
    assert_int_equal(rename(from, to), 0);
    write_text(&f, "behaviour", "exit 0", 0600);
    f.deleted = 0;
    open_pods(&f);
    wait_for_deletion(&f);
    assert_false(exists(&f, "pods/" POD_UID));
    assert_false(exists(&f, "unreported/" POD_UID));
    end(&f);
}

/* One that was spoilt by hand is told of in the log, and is no reason to end. */
static void a_record_with_too_long_a_text_is_left_alone(void **state)
{
    char text[sizeof(record) + POD_RECORD_TEXT_MAX + 1];
    const char *rest = strstr(record, "\"ordinal\"");
    struct fixture f = {0};
    char path[PATH_BYTES];

    (void)state;
    begin(&f, "exit 0", false);
    wait_for_deletion(&f);
    local_pods_close(&f.pods);
    in_state(&f, "pods/team_y", path);
    assert_int_equal(file_make_folder(path, NULL), 0);
    snprintf(text, sizeof(text), "%.*s\"template_hash\":\"%0*d\",%s",
             (int)(strstr(record, "\"template_hash\"") - record), record, POD_RECORD_TEXT_MAX + 1,
             0, rest);
    write_text(&f, "pods/team_y/pod.json", text, 0600);
    open_pods(&f);
    assert_int_equal(f.pods.pods.count, 0);
    assert_true(exists(&f, "pods/team_y/pod.json"));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_that_has_reported_all_is_removed),
        cmocka_unit_test(a_pod_that_never_ran_has_nothing_to_report),
        cmocka_unit_test(agents_report_until_one_says_that_all_is_told),
        cmocka_unit_test(a_second_deletion_changes_nothing),
        cmocka_unit_test(what_is_never_taken_is_kept),
        cmocka_unit_test(what_was_kept_can_be_reported_later),
        cmocka_unit_test(a_record_with_too_long_a_text_is_left_alone),
    };

    log_setup("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
