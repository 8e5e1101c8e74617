/* SPDX-License-Identifier: Apache-2.0 */
/* The life of local pods; what lies on disk is in pods_disk.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "operator/common/must.h"
#include "operator/local/pods_private.h"

/* --- telling ---------------------------------------------------------------------------------- */

struct platform_pod local_pod_view(const struct local_pod *pod)
{
    const struct pod_facts facts = {
        .name_space = str_of(pod->name_space),
        .name = str_of(pod->name),
        .uid = str_of(pod->uid),
        .owner_name = str_of(pod->owner_name),
        .owner_uid = str_of(pod->owner_uid),
        .template_hash = str_of(pod->template_hash),
        .address = str_of(pod->address),
        .ordinal = pod->ordinal,
        .created_ms = pod->created_ms,
        .restarts = (uint32_t)pod->restarts,
    };
    struct platform_pod view = {
        .deleting = pod->deleting,
        .reporting = pod->report_since_ms != 0,
        .phase = pod->phase,
        .message = str_of(pod->message),
    };

    (void)must(pod_record_new(&view.record, &facts, NULL) == 0 ? view.record : NULL);
    return view;
}

void pods_changed(struct local_pod *pod, enum platform_change change)
{
    struct local_pods *pods = pod->owner;

    if (pods->options.on_change != NULL)
        pods->options.on_change(pods->options.user, change, pod);
}

struct local_pod *local_pods_by_uid(const struct local_pods *pods, struct str uid)
{
    return map_get(&pods->pods, uid);
}

struct local_pod *local_pods_find(const struct local_pods *pods, struct str name_space,
                                  struct str name)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&pods->pods, &at)) != NULL;) {
        struct local_pod *pod = entry->value;

        if (str_is(name, pod->name) && str_is(name_space, pod->name_space))
            return pod;
    }
    return NULL;
}

/* --- running ---------------------------------------------------------------------------------- */

/* It may be running, for something else: what a timer calls changes only while it stands. */
void pods_set_timer(struct local_pod *pod, struct loop_timer *timer, loop_fn fn, int64_t delay_ms)
{
    loop_timer_stop(timer);
    loop_timer_init(timer, fn, pod);
    loop_timer_start(pod->owner->options.loop, timer, (uint64_t)delay_ms);
}

static void start(void *object);

static void poll_address(void *object)
{
    struct local_pod *pod = object;

    if (pods_read_address(pod)) {
        pods_changed(pod, PLATFORM_MODIFIED);
        return;
    }
    loop_timer_start(pod->owner->options.loop, &pod->timer, PODS_ADDRESS_POLL_MS);
}

int64_t pods_back_off_ms(struct local_pod *pod)
{
    int64_t delay_ms = PODS_BACKOFF_FIRST_MS;
    int64_t ran_ms = clock_mono_ms(pod->owner->options.clock) - pod->started_ms;

    if (ran_ms >= PODS_STABLE_MS)
        pod->crashes = 0;
    for (int i = 0; i < pod->crashes && delay_ms < PODS_BACKOFF_MAX_MS; i++)
        delay_ms *= 2;
    pod->crashes++;
    return delay_ms < PODS_BACKOFF_MAX_MS ? delay_ms : PODS_BACKOFF_MAX_MS;
}

static void crash(struct local_pod *pod, const char *why)
{
    int64_t delay = pods_back_off_ms(pod);

    pod->phase = PLATFORM_POD_CRASHED;
    pod->address[0] = '\0';
    snprintf(pod->message, sizeof(pod->message), "%s; started again in %lld ms", why,
             (long long)delay);
    log_warn("an agent ended", LOG_STR("pod", pod->name), LOG_STR("why", why));
    pods_set_timer(pod, &pod->timer, start, delay);
    pods_changed(pod, PLATFORM_MODIFIED);
}

void pods_forget(struct local_pod *pod)
{
    map_remove(&pod->owner->pods, str_of(pod->uid));
    pods_changed(pod, PLATFORM_DELETED);
    pods_free(pod);
}

static void removed(void *user, int code, const struct err *err)
{
    struct local_pod *pod = user;

    if (code < 0)
        log_warn("a pod's folder can't be removed", LOG_STR("pod", pod->name), LOG_ERR(err));
    pods_forget(pod);
}

void pods_finish(struct local_pod *pod)
{
    loop_timer_stop(&pod->timer);
    loop_timer_stop(&pod->log_timer);
    if (pod->busy)
        return;
    pod->busy = true;
    pods_remove_folder(pod, removed);
}

static void grace_over(void *object)
{
    struct local_pod *pod = object;

    log_warn("an agent did not end in its grace time and is killed", LOG_STR("pod", pod->name));
    process_signal(&pod->process, SIGKILL);
}

static void process_ended(void *user, int status);

static void check_log(void *object)
{
    struct local_pod *pod = object;

    pods_rotate_log(pod);
    loop_timer_start(pod->owner->options.loop, &pod->log_timer, PODS_LOG_CHECK_MS);
}

void pods_watch_run(struct local_pod *pod)
{
    pod->phase = PLATFORM_POD_RUNNING;
    pod->message[0] = '\0';
    pod->started_ms = clock_mono_ms(pod->owner->options.clock);
    pods_set_timer(pod, &pod->timer, poll_address, 1);
    pods_set_timer(pod, &pod->log_timer, check_log, PODS_LOG_CHECK_MS);
}

void pods_prepare_process(struct local_pod *pod)
{
    pod->process = (struct process){
        .loop = pod->owner->options.loop,
        .on_exit = process_ended,
        .user = pod,
    };
}

static void process_ended(void *user, int status)
{
    struct local_pod *pod = user;
    char why[64];

    if (pod->deleting) {
        pods_leave(pod, status);
        return;
    }
    if (status == -1)
        snprintf(why, sizeof(why), "the agent ended");
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof(why), "the agent was ended by signal %d", WTERMSIG(status));
    else
        snprintf(why, sizeof(why), "the agent ended with status %d", WEXITSTATUS(status));
    crash(pod, why);
}

static void start(void *object)
{
    struct local_pod *pod = object;
    struct err err = {0};

    if (pod->deleting)
        return;
    if (pod->phase == PLATFORM_POD_CRASHED)
        pod->restarts++;
    pods_prepare_process(pod);
    if (pods_start_agent(pod, false, &err) < 0) {
        crash(pod, err_message(&err));
        return;
    }
    pods_watch_run(pod);
    pods_changed(pod, PLATFORM_MODIFIED);
}

/* --- creation --------------------------------------------------------------------------------- */

struct creation {
    struct local_pod *pod;
    local_pods_done done;
    void *user;
};

static void creation_written(void *user, int code, const struct err *err)
{
    struct creation *creation = user;
    struct local_pod *pod = creation->pod;

    pod->busy = false;
    if (code < 0) {
        map_remove(&pod->owner->pods, str_of(pod->uid));
        pods_free(pod);
    } else {
        pods_changed(pod, PLATFORM_ADDED);
    }
    creation->done(creation->user, code, err);
    if (code == 0 && pod->deleting)
        pods_finish(pod);
    else if (code == 0)
        start(pod);
    mem_free(creation);
}

void local_pods_create(struct local_pods *pods, const struct platform_pod_spec *spec,
                       local_pods_done done, void *user)
{
    struct local_pod *pod = NULL;
    struct creation *creation;
    struct err err = {0};
    int r = 0;

    if (local_pods_find(pods, str_of(spec->model->name_space), spec->name) != NULL)
        r = err_set(&err, ERR_EXISTS, "pod \"%.*s\" already exists", STR_ARG(spec->name));
    else if (pods->pods.count >= PODS_MAX)
        r = err_set(&err, ERR_LIMIT, "this machine runs %d pods already", PODS_MAX);
    else
        r = pods_make(pods, spec, &pod, &err);
    if (r < 0) {
        done(user, r, &err);
        return;
    }
    (void)must(map_put(&pods->pods, str_of(pod->uid), pod, NULL) == 0 ? pod : NULL);
    creation = must(mem_alloc(sizeof(*creation)));
    *creation = (struct creation){.pod = pod, .done = done, .user = user};
    pod->busy = true;
    pods_write_folder(pod, creation_written, creation);
}

/* --- the end of a pod ------------------------------------------------------------------------- */

static struct local_pod *find_exact(struct local_pods *pods, struct str name_space, struct str name,
                                    struct str uid, int *r, struct err *err)
{
    struct local_pod *pod = local_pods_find(pods, name_space, name);

    if (pod == NULL) {
        *r = err_set(err, ERR_NOT_FOUND, "pod \"%.*s\" not found", STR_ARG(name));
        return NULL;
    }
    if (!str_is(uid, pod->uid)) {
        *r = err_set(err, ERR_CONFLICT, "pod \"%.*s\" is another one now", STR_ARG(name));
        return NULL;
    }
    return pod;
}

int local_pods_delete(struct local_pods *pods, struct str name_space, struct str name,
                      struct str uid, int64_t grace_ms, struct err *err)
{
    int r = 0;
    struct local_pod *pod = find_exact(pods, name_space, name, uid, &r, err);
    bool first;

    if (pod == NULL)
        return r;
    first = !pod->deleting;
    pod->deleting = true;
    if (first) {
        pods_mark_deleting(pod);
        pods_changed(pod, PLATFORM_MODIFIED);
    }
    if (pod->process.pid != 0 && !pod->reporting) {
        process_signal(&pod->process, grace_ms > 0 ? SIGTERM : SIGKILL);
        process_signal(&pod->process, SIGCONT);
        pods_set_timer(pod, &pod->timer, grace_over, grace_ms);
    } else if (first) {
        pods_leave(pod, -1); /* crashed, or still being written */
    }
    return 0;
}

int local_pods_restart(struct local_pods *pods, struct str name_space, struct str name,
                       struct str uid, struct err *err)
{
    int r = 0;
    struct local_pod *pod = find_exact(pods, name_space, name, uid, &r, err);

    if (pod == NULL)
        return r;
    process_signal(&pod->process, SIGKILL); /* process_ended starts it again */
    return 0;
}

/* --- adoption --------------------------------------------------------------------------------- */

/* What lies in a folder: runs on, is started again, or was on its way out. */
static void adopt(struct local_pod *pod)
{
    char record[PODS_PATH_MAX];

    pods_prepare_process(pod);
    snprintf(record, sizeof(record), "%s/process", pod->folder);
    if (process_adopt(&pod->process, record, NULL) == 0) {
        pods_watch_run(pod);
        pods_read_address(pod);
        log_info("pod adopted", LOG_STR("pod", pod->name), LOG_I64("pid", pod->process.pid));
        if (pod->deleting) {
            process_signal(&pod->process, SIGTERM);
            pods_set_timer(pod, &pod->timer, grace_over, PODS_ADOPTED_GRACE_MS);
        }
        return;
    }
    pod->phase = PLATFORM_POD_CRASHED;
    snprintf(pod->message, sizeof(pod->message), "the agent ended while no operator ran");
    if (pod->deleting) {
        pods_leave(pod, -1);
        return;
    }
    pods_set_timer(pod, &pod->timer, start, 0);
}

int local_pods_open(struct local_pods *pods, const struct local_pods_options *options,
                    struct err *err)
{
    struct map_entry *entry;
    int r;

    *pods = (struct local_pods){.options = *options};
    map_init(&pods->pods, PODS_MAX);
    pods->folder = must(path_join(options->state, "pods"));
    pods->unreported_folder = must(path_join(options->state, "unreported"));
    r = pods_read_folders(pods, err);
    for (size_t at = 0; r == 0 && (entry = map_next(&pods->pods, &at)) != NULL;)
        adopt(entry->value);
    return r;
}

bool local_pods_busy(const struct local_pods *pods)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&pods->pods, &at)) != NULL;) {
        const struct local_pod *pod = entry->value;

        if (pod->busy)
            return true;
    }
    return false;
}

void local_pods_stop_reports(struct local_pods *pods)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&pods->pods, &at)) != NULL;) {
        const struct local_pod *pod = entry->value;

        if (pod->reporting)
            process_signal(&pod->process, SIGTERM);
    }
}

void local_pods_close(struct local_pods *pods)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&pods->pods, &at)) != NULL;)
        pods_free(entry->value);
    map_fini(&pods->pods);
    mem_free(pods->folder);
    mem_free(pods->unreported_folder);
    *pods = (struct local_pods){0};
}
