/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last part of a pod's life: it is to go, but its folder is the only place of the usage that no
 * gateway has taken yet. So an agent is started there that does nothing but report, again if need
 * be, until one says by its exit status that nothing is left. Then the folder is removed.
 *
 * If that does not come about in PODS_REPORT_MS, the folder is moved aside and kept.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "base/log.h"
#include "operator/local/pods_private.h"

static bool is_over(const struct local_pod *pod)
{
    int64_t now_ms = clock_mono_ms(pod->owner->options.clock);

    return now_ms - pod->report_since_ms >= PODS_REPORT_MS;
}

/* The agent runs: it is told where it listens, and does not run for ever. */
static void watch_report(void *object)
{
    struct local_pod *pod = object;
    int64_t ran_ms = clock_mono_ms(pod->owner->options.clock) - pod->started_ms;
    uint64_t again_ms = PODS_REPORT_CHECK_MS;

    if (pod->address[0] == '\0') {
        if (pods_read_address(pod))
            pods_changed(pod, PLATFORM_MODIFIED);
        else
            again_ms = PODS_ADDRESS_POLL_MS;
    }
    if (is_over(pod) || (pod->address[0] == '\0' && ran_ms >= PODS_REPORT_START_MS))
        process_signal(&pod->process, SIGKILL); /* pods_leave goes on from there */
    loop_timer_start(pod->owner->options.loop, &pod->timer, again_ms);
}

static void report(void *object);

static void try_later(struct local_pod *pod, const char *why)
{
    int64_t delay_ms = pods_back_off_ms(pod);

    pod->phase = PLATFORM_POD_CRASHED;
    snprintf(pod->message, sizeof(pod->message), "it can't report its usage (%.100s)", why);
    log_warn("a pod can't report its usage; it is tried again", LOG_STR("pod", pod->name),
             LOG_STR("why", why), LOG_I64("in_ms", delay_ms));
    pods_changed(pod, PLATFORM_MODIFIED);
    pods_set_timer(pod, &pod->timer, report, delay_ms);
}

static void give_up(struct local_pod *pod)
{
    struct err err = {0};

    if (pods_set_aside(pod, &err) < 0) {
        try_later(pod, err_message(&err));
        return;
    }
    pod->owner->set_aside++;
    log_error("a pod's usage was not taken in time; its folder is kept, and nobody is charged for "
              "what is in it",
              LOG_STR("pod", pod->name), LOG_STR("kept_in", pod->owner->unreported_folder),
              LOG_STR("as", pod->uid));
    pods_forget(pod);
}

static void report(void *object)
{
    struct local_pod *pod = object;
    struct err err = {0};

    if (is_over(pod)) {
        give_up(pod);
        return;
    }
    pods_prepare_process(pod);
    if (pods_start_agent(pod, true, &err) < 0) {
        try_later(pod, err_message(&err));
        return;
    }
    pod->reporting = true;
    pods_watch_run(pod);
    snprintf(pod->message, sizeof(pod->message), "it reports the usage that no gateway has taken");
    pods_changed(pod, PLATFORM_MODIFIED);
    pods_set_timer(pod, &pod->timer, watch_report, 1);
}

/* Why an agent that was to report ended without having done so. */
static void describe(int status, char out[64])
{
    if (status == -1)
        snprintf(out, 64, "its end was not seen");
    else if (WIFSIGNALED(status))
        snprintf(out, 64, "signal %d", WTERMSIG(status));
    else
        snprintf(out, 64, "status %d", WEXITSTATUS(status));
}

void pods_leave(struct local_pod *pod, int status)
{
    bool was_reporting = pod->reporting;
    char why[64];

    pod->reporting = false;
    pod->address[0] = '\0';
    if (pod->busy)
        return; /* still being written: removed after that */
    if ((status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0) || !pods_has_run(pod)) {
        pods_finish(pod);
        return;
    }
    if (pod->report_since_ms == 0) {
        pod->report_since_ms = clock_mono_ms(pod->owner->options.clock);
        pod->crashes = 0;
    }
    if (was_reporting) {
        describe(status, why);
        try_later(pod, why);
    } else {
        report(pod);
    }
}
