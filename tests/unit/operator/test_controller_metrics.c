/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics under the names of controller-runtime: after some work, they say what was done. */
#include "reconcile_play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operator/endpoints/endpoints.h"
#include "operator/reconcile/pass.h"

#define CONTROLLER "{controller=\"modeldeployment\"}"
#define QUEUE      "{name=\"modeldeployment\"}"

enum { PAGE_MAX = 1 << 20 };

struct stage {
    struct fixture play;
    struct loop loop;
    struct metrics *metrics;
    struct endpoints endpoints;
    struct buf page;
};

static void begin(struct stage *s)
{
    play_begin(&s->play);
    assert_int_equal(loop_init(&s->loop, NULL), 0);
    assert_int_equal(metrics_new(&s->metrics, NULL), 0);
    s->endpoints.loop = &s->loop;
    s->endpoints.reconciler = s->play.r;
    s->endpoints.metrics = s->metrics;
    assert_true(endpoints_open(&s->endpoints, "127.0.0.1:0", NULL) > 0);
    buf_init(&s->page, PAGE_MAX);
}

static void end(struct stage *s)
{
    buf_fini(&s->page);
    endpoints_close(&s->endpoints);
    loop_turn(&s->loop, 1);
    metrics_free(s->metrics);
    loop_fini(&s->loop);
    play_end(&s->play);
}

static void scrape(struct stage *s)
{
    buf_clear(&s->page);
    assert_int_equal(metrics_expose(s->metrics, &s->page), 0);
    assert_int_equal(buf_append_char(&s->page, '\0'), 0);
}

/* The value of that very series, labels included. */
static double value_of(const struct stage *s, const char *series)
{
    char line[256];
    const char *found;

    snprintf(line, sizeof(line), "\n%s ", series);
    found = strstr(s->page.ptr, line);
    if (found == NULL)
        fail_msg("there is no %s", series);
    return found == NULL ? 0 : strtod(found + strlen(line), NULL);
}

static double reconciles(const struct stage *s, const char *result)
{
    char series[128];

    snprintf(series, sizeof(series),
             "controller_runtime_reconcile_total{controller=\"modeldeployment\",result=\"%s\"}",
             result);
    return value_of(s, series);
}

static void reconciles_are_counted_by_how_they_ended(void **state)
{
    struct reconciler_stats stats;
    struct stage s = {0};

    (void)state;
    begin(&s);
    scrape(&s);
    assert_true(reconciles(&s, "success") == 0); /* there from the start */
    play_apply(&s.play, "brook", WEIGHTS, "\"minReplicas\":1,\"maxReplicas\":4");
    sim_run(s.play.sim, 10 * SECOND);
    sim_delete(s.play.sim, "team/brook");
    sim_run(s.play.sim, 5 * SECOND);
    reconciler_stats(s.play.r, &stats);
    scrape(&s);
    assert_true(reconciles(&s, "requeue_after") > 0); /* to ask the agent again */
    assert_true(reconciles(&s, "success") > 0);       /* when it is gone, nothing is left to do */
    assert_true(reconciles(&s, "requeue") == 0);
    assert_true(reconciles(&s, "error") == 0);
    assert_true(reconciles(&s, "success") + reconciles(&s, "requeue_after") ==
                (double)stats.passes);
    assert_true(value_of(&s, "controller_runtime_reconcile_time_seconds_count" CONTROLLER) ==
                (double)stats.passes);
    end(&s);
}

static void failed_commands_are_errors(void **state)
{
    struct reconciler_stats stats;
    struct stage s = {0};

    (void)state;
    begin(&s);
    sim_refuse_creation(s.play.sim, "forbidden by a policy");
    play_apply(&s.play, "brook", WEIGHTS, "\"minReplicas\":1,\"maxReplicas\":4");
    sim_run(s.play.sim, 10 * SECOND);
    reconciler_stats(s.play.r, &stats);
    scrape(&s);
    assert_true(stats.failures > 0);
    assert_true(reconciles(&s, "error") == (double)stats.failures);
    assert_true(value_of(&s, "controller_runtime_reconcile_errors_total" CONTROLLER) ==
                (double)stats.failures);
    assert_true(value_of(&s, "controller_runtime_terminal_reconcile_errors_total" CONTROLLER) == 0);
    assert_true(value_of(&s, "workqueue_retries_total" QUEUE) > 0);
    end(&s);
}

/* Every key that became ready was taken, and was worked on. */
static void the_queue_is_measured(void **state)
{
    struct stage s = {0};
    double added;

    (void)state;
    begin(&s);
    play_apply(&s.play, "brook", WEIGHTS, "\"minReplicas\":1,\"maxReplicas\":4");
    sim_run(s.play.sim, 10 * SECOND);
    scrape(&s);
    added = value_of(&s, "workqueue_adds_total" QUEUE);
    assert_true(added > 0);
    assert_true(value_of(&s, "workqueue_queue_duration_seconds_count" QUEUE) == added);
    assert_true(value_of(&s, "workqueue_work_duration_seconds_count" QUEUE) == added);
    assert_true(value_of(&s, "controller_runtime_active_workers" CONTROLLER) == 0);
    assert_true(value_of(&s, "controller_runtime_max_concurrent_reconciles" CONTROLLER) == 1);
    assert_true(value_of(&s, "spate_operator_queue_refused_total") == 0);
    s.play.r->queue.refused = 3;
    s.play.r->held.refused = 1;
    scrape(&s);
    assert_true(value_of(&s, "spate_operator_queue_refused_total") == 4);
    end(&s);
}

static void the_version_is_said(void **state)
{
    struct stage s = {0};

    (void)state;
    begin(&s);
    scrape(&s);
    assert_true(value_of(&s, "spate_operator_build_info{version=\"" SPATE_VERSION "\"}") == 1);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reconciles_are_counted_by_how_they_ended),
        cmocka_unit_test(failed_commands_are_errors),
        cmocka_unit_test(the_queue_is_measured),
        cmocka_unit_test(the_version_is_said),
    };

    return cmocka_run_group_tests(tests, play_writes_at_once, NULL);
}
