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
#include "operator/local/pods_private.h"
#include "operator/reconcile/must.h"

/* --- telling ---------------------------------------------------------------------------------- */

struct platform_pod local_pod_view(const struct local_pod *pod, char version[24])
{
    snprintf(version, 24, "%llu", (unsigned long long)pod->version);
    return (struct platform_pod){
        .name_space = str_of(pod->name_space),
        .name = str_of(pod->name),
        .uid = str_of(pod->uid),
        .resource_version = str_of(version),
        .owner_name = str_of(pod->owner_name),
        .owner_uid = str_of(pod->owner_uid),
        .template_hash = str_of(pod->template_hash),
        .ordinal = pod->ordinal,
        .created_ms = pod->created_ms,
        .deleting = pod->deleting,
        .phase = pod->phase,
        .restarts = pod->restarts,
        .address = str_of(pod->address),
        .message = str_of(pod->message),
    };
}

static void changed(struct local_pod *pod, enum platform_change change)
{
    struct local_pods *pods = pod->owner;

    pod->version = ++pods->version;
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
static void set_timer(struct local_pod *pod, struct loop_timer *timer, loop_fn fn, int64_t delay_ms)
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
        changed(pod, PLATFORM_MODIFIED);
        return;
    }
    loop_timer_start(pod->owner->options.loop, &pod->timer, PODS_ADDRESS_POLL_MS);
}

static void crash(struct local_pod *pod, const char *why)
{
    int64_t delay = PODS_BACKOFF_FIRST_MS;
    int64_t ran_ms = clock_mono_ms(pod->owner->options.clock) - pod->started_ms;

    if (ran_ms >= PODS_STABLE_MS)
        pod->crashes = 0;
    for (int i = 0; i < pod->crashes && delay < PODS_BACKOFF_MAX_MS; i++)
        delay *= 2;
    if (delay > PODS_BACKOFF_MAX_MS)
        delay = PODS_BACKOFF_MAX_MS;
    pod->crashes++;
    pod->phase = PLATFORM_POD_CRASHED;
    pod->address[0] = '\0';
    snprintf(pod->message, sizeof(pod->message), "%s; started again in %lld ms", why,
             (long long)delay);
    log_warn("an agent ended", LOG_STR("pod", pod->name), LOG_STR("why", why));
    set_timer(pod, &pod->timer, start, delay);
    changed(pod, PLATFORM_MODIFIED);
}

static void removed(void *user, int code, const struct err *err)
{
    struct local_pod *pod = user;

    if (code < 0)
        log_warn("a pod's folder can't be removed", LOG_STR("pod", pod->name), LOG_ERR(err));
    map_remove(&pod->owner->pods, str_of(pod->uid));
    changed(pod, PLATFORM_DELETED);
    pods_free(pod);
}

static void finish(struct local_pod *pod)
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

static void watch_run(struct local_pod *pod)
{
    pod->phase = PLATFORM_POD_RUNNING;
    pod->message[0] = '\0';
    pod->started_ms = clock_mono_ms(pod->owner->options.clock);
    set_timer(pod, &pod->timer, poll_address, 1);
    set_timer(pod, &pod->log_timer, check_log, PODS_LOG_CHECK_MS);
}

static void prepare_process(struct local_pod *pod)
{
    pod->process = (struct process){
        .loop = pod->owner->options.loop,
        .on_exit = process_ended,
        .user = pod,
    };
}

/* The agent listens, so it has read what earlier runs left: it may end as soon as that is told. */
static void poll_farewell(void *object)
{
    struct local_pod *pod = object;
    int64_t ran_ms = clock_mono_ms(pod->owner->options.clock) - pod->started_ms;

    if (pods_read_address(pod)) {
        changed(pod, PLATFORM_MODIFIED);
        process_signal(&pod->process, SIGTERM);
        set_timer(pod, &pod->timer, grace_over, PODS_ADOPTED_GRACE_MS);
    } else if (ran_ms > PODS_ADOPTED_GRACE_MS) {
        grace_over(pod);
    } else {
        loop_timer_start(pod->owner->options.loop, &pod->timer, PODS_ADDRESS_POLL_MS);
    }
}

/*
 * The end of a pod that is to go. One that crashed may have usage that no gateway has taken, and
 * its folder is the only place of it: it is started once more, so that it can report.
 */
static void leave(struct local_pod *pod, bool crashed)
{
    struct err err = {0};

    if (pod->busy || !crashed || !pods_has_run(pod)) {
        finish(pod);
        return;
    }
    if (pod->farewells >= PODS_FAREWELLS_MAX) {
        log_error("a pod's usage may be lost: it crashed each time it was to report it",
                  LOG_STR("pod", pod->name));
        finish(pod);
        return;
    }
    pod->farewells++;
    prepare_process(pod);
    if (pods_start_agent(pod, &err) < 0) {
        log_error("a pod can't report its usage", LOG_STR("pod", pod->name), LOG_ERR(&err));
        finish(pod);
        return;
    }
    watch_run(pod);
    set_timer(pod, &pod->timer, poll_farewell, 1);
}

static void process_ended(void *user, int status)
{
    struct local_pod *pod = user;
    char why[64];

    if (pod->deleting) {
        leave(pod, status == -1 || WIFSIGNALED(status));
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
    prepare_process(pod);
    if (pods_start_agent(pod, &err) < 0) {
        crash(pod, err_message(&err));
        return;
    }
    watch_run(pod);
    changed(pod, PLATFORM_MODIFIED);
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
        changed(pod, PLATFORM_ADDED);
    }
    creation->done(creation->user, code, err);
    if (code == 0 && pod->deleting)
        finish(pod);
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
        r = err_set(&err, ERR_DENIED, "this machine runs %d pods already", PODS_MAX);
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
    if (first)
        pods_mark_deleting(pod);
    if (pod->process.pid == 0) {
        leave(pod, true); /* crashed, or still being written */
    } else {
        process_signal(&pod->process, grace_ms > 0 ? SIGTERM : SIGKILL);
        process_signal(&pod->process, SIGCONT);
        set_timer(pod, &pod->timer, grace_over, grace_ms);
    }
    if (first)
        changed(pod, PLATFORM_MODIFIED);
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

    prepare_process(pod);
    snprintf(record, sizeof(record), "%s/process", pod->folder);
    if (process_adopt(&pod->process, record, NULL) == 0) {
        watch_run(pod);
        pods_read_address(pod);
        log_info("pod adopted", LOG_STR("pod", pod->name), LOG_I64("pid", pod->process.pid));
        if (pod->deleting) {
            process_signal(&pod->process, SIGTERM);
            set_timer(pod, &pod->timer, grace_over, PODS_ADOPTED_GRACE_MS);
        }
        return;
    }
    pod->phase = PLATFORM_POD_CRASHED;
    snprintf(pod->message, sizeof(pod->message), "the agent ended while no operator ran");
    if (pod->deleting) {
        leave(pod, true);
        return;
    }
    set_timer(pod, &pod->timer, start, 0);
}

int local_pods_open(struct local_pods *pods, const struct local_pods_options *options,
                    struct err *err)
{
    struct map_entry *entry;
    int r;

    *pods = (struct local_pods){.options = *options};
    map_init(&pods->pods, PODS_MAX);
    pods->folder = must(path_join(options->state, "pods"));
    pods->version = (uint64_t)clock_wall_ms(options->clock);
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

void local_pods_close(struct local_pods *pods)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&pods->pods, &at)) != NULL;)
        pods_free(entry->value);
    map_fini(&pods->pods);
    mem_free(pods->folder);
    *pods = (struct local_pods){0};
}
