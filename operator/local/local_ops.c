/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of platform local, and the results on their way back. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "operator/common/ledger_prices.h"
#include "operator/common/must.h"
#include "operator/local/local_private.h"

#define FILE_SCHEME "file://"

static struct local *local_of(struct platform *p)
{
    return (struct local *)p; /* the first member */
}

/* A command whose answer comes from elsewhere. */
struct pending {
    struct local *local;
    uint64_t ticket;
};

static struct pending *pending_new(struct local *local, uint64_t ticket)
{
    struct pending *pending = must(mem_alloc(sizeof(*pending)));

    *pending = (struct pending){.local = local, .ticket = ticket};
    return pending;
}

/* --- pods ------------------------------------------------------------------------------------- */

static void pod_created(void *user, int code, const struct err *err)
{
    struct pending *pending = user;

    results_add(&pending->local->results, pending->ticket, code, err, STR_NONE);
    mem_free(pending);
}

static void pod_create(struct platform *p, uint64_t ticket, const struct platform_pod_spec *spec)
{
    struct local *local = local_of(p);

    local_pods_create(&local->pods, spec, pod_created, pending_new(local, ticket));
}

/* Carried out at the end of the turn, so that nothing calls back inside the command. */
struct pod_command {
    struct local *local;
    uint64_t ticket;
    bool is_restart;
    char *name_space, *name, *uid;
    int64_t grace_ms;
    struct loop_deferred later;
};

static void run_pod_command(void *object)
{
    struct pod_command *c = object;
    struct err err = {0};
    int r;

    if (c->is_restart)
        r = local_pods_restart(&c->local->pods, str_of(c->name_space), str_of(c->name),
                               str_of(c->uid), &err);
    else
        r = local_pods_delete(&c->local->pods, str_of(c->name_space), str_of(c->name),
                              str_of(c->uid), c->grace_ms, &err);
    results_add(&c->local->results, c->ticket, r, &err, STR_NONE);
    mem_free(c->name_space);
    mem_free(c->name);
    mem_free(c->uid);
    mem_free(c);
}

static void pod_command(struct platform *p, uint64_t ticket, bool is_restart, struct str name_space,
                        struct str name, struct str uid, int64_t grace_ms)
{
    struct pod_command *c = must(mem_alloc(sizeof(*c)));

    c->local = local_of(p);
    c->ticket = ticket;
    c->is_restart = is_restart;
    c->name_space = must_text(name_space);
    c->name = must_text(name);
    c->uid = must_text(uid);
    c->grace_ms = grace_ms;
    loop_deferred_init(&c->later, run_pod_command, c);
    loop_defer(c->local->loop, &c->later);
}

static void pod_delete(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                       struct str uid, int64_t grace_ms)
{
    pod_command(p, ticket, false, name_space, name, uid, grace_ms);
}

static void pod_restart(struct platform *p, uint64_t ticket, struct str name_space, struct str name,
                        struct str uid)
{
    pod_command(p, ticket, true, name_space, name, uid, 0);
}

/* --- status and events ------------------------------------------------------------------------ */

static void status_written(void *user, const struct store_answer *answer)
{
    struct pending *pending = user;

    results_add(&pending->local->results, pending->ticket, answer->code, answer->err,
                answer->object != NULL ? str_of(answer->object->resource_version) : STR_NONE);
    mem_free(pending);
}

static void status_put(struct platform *p, uint64_t ticket, const struct crd_object *object,
                       json_t *status)
{
    struct local *local = local_of(p);

    store_put_status(local->store, object, status, status_written, pending_new(local, ticket));
}

static void event_free(struct local_event *event)
{
    mem_free(event->name_space);
    mem_free(event->name);
    mem_free(event->uid);
    mem_free(event->kind);
    mem_free(event->event_name);
    mem_free(event->reason);
    mem_free(event->note);
    mem_free(event);
}

void local_events_free(struct local *local)
{
    while (local->event_count > 0)
        event_free(local->events[--local->event_count]);
}

static bool merge_event(struct local *local, const struct crd_object *about, const char *reason,
                        struct str note, int64_t now_ms)
{
    for (size_t i = local->event_count; i-- > 0;) {
        struct local_event *event = local->events[i];

        if (now_ms - event->last_ms > LOCAL_EVENT_MERGE_MS)
            continue;
        if (strcmp(event->uid, about->uid) != 0 || strcmp(event->reason, reason) != 0 ||
            !str_is(note, event->note))
            continue;
        event->count++;
        event->last_ms = now_ms;
        event->version = ++local->event_version;
        return true;
    }
    return false;
}

static void event_record(struct platform *p, const struct crd_object *about, bool warning,
                         const char *reason, struct str note)
{
    struct local *local = local_of(p);
    int64_t now_ms = clock_wall_ms(p->clock);
    struct local_event *event;
    char name[CRD_NAME_MAX + 32];

    log_info("event", LOG_STR("object", about->name), LOG_STR("reason", reason),
             LOG_VIEW("note", note));
    if (merge_event(local, about, reason, note, now_ms))
        return;
    if (local->event_count == LOCAL_EVENTS_MAX) { /* the oldest goes */
        event_free(local->events[0]);
        memmove(local->events, local->events + 1, (LOCAL_EVENTS_MAX - 1) * sizeof(*local->events));
        local->event_count--;
    }
    event = must(mem_alloc(sizeof(*event)));
    event->version = ++local->event_version;
    snprintf(name, sizeof(name), "%s.%llx", about->name, (unsigned long long)event->version);
    event->event_name = must_text(str_of(name));
    event->name_space = must_text(str_of(about->name_space));
    event->name = must_text(str_of(about->name));
    event->uid = must_text(str_of(about->uid));
    event->kind = must_text(str_of(about->kind->kind));
    event->reason = must_text(str_of(reason));
    event->note = must_text(note);
    event->warning = warning;
    event->count = 1;
    event->first_ms = event->last_ms = now_ms;
    local->events[local->event_count++] = event;
}

/* --- routes, prices --------------------------------------------------------------------------- */

static void routes_publish(struct platform *p, struct routes *routes)
{
    const struct local *local = local_of(p);

    local->options.on_routes(local->options.user, routes);
}

static void prices_post(struct platform *p, uint64_t ticket, struct str json)
{
    struct local *local = local_of(p);
    CLEANUP(buf_fini) struct buf url = {0};
    struct err err = {0};
    int r;

    buf_init(&url, PATH_MAX);
    r = local_ledger_url(local, &url, &err);
    if (r < 0)
        results_add(&local->results, ticket, r, &err, STR_NONE);
    else
        ledger_prices_post(local->fetcher, &local->signer, &local->results, ticket, buf_str(&url),
                           json);
}

/* --- agents ----------------------------------------------------------------------------------- */

static void agent_probe(struct platform *p, struct str pod_uid)
{
    struct local *local = local_of(p);
    const struct local_pod *pod = local_pods_by_uid(&local->pods, pod_uid);

    agents_probe(&local->agents, pod_uid, pod != NULL ? pod->restarts : 0,
                 pod != NULL ? str_of(pod->address) : STR_NONE);
}

static void agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid)
{
    struct local *local = local_of(p);
    const struct local_pod *pod = local_pods_by_uid(&local->pods, pod_uid);

    agents_drain(&local->agents, ticket, pod_uid, pod != NULL ? str_of(pod->address) : STR_NONE);
}

/* --- weights ---------------------------------------------------------------------------------- */

static bool goes_up(struct str path)
{
    while (path.ptr != NULL) {
        if (str_is(str_cut(&path, '/'), ".."))
            return true;
    }
    return false;
}

/* A folder in Hugging Face layout, or a GGUF file. A few stat calls: not worth a thread. */
static int check_weights(struct str uri, struct err *err)
{
    struct str path = str_slice(uri, strlen(FILE_SCHEME), uri.len);
    char name[PATH_MAX], config[PATH_MAX + 16];
    struct stat info;

    if (!str_starts(uri, STR(FILE_SCHEME)))
        return err_set(err, ERR_UNSUPPORTED,
                       "%.*s: platform local serves file:// models only: download the model "
                       "(spate model pull) and name its folder",
                       STR_ARG(uri));
    if (!str_starts(path, STR("/")) || goes_up(path) || path.len >= sizeof(name))
        return err_set(err, ERR_INVALID, "%.*s: write file:// and an absolute path without '..'",
                       STR_ARG(uri));
    snprintf(name, sizeof(name), "%.*s", STR_ARG(path));
    if (stat(name, &info) < 0)
        return err_errno(err, errno, "%s: correct spec.model.uri", name);
    if (!S_ISDIR(info.st_mode))
        return access(name, R_OK) == 0 ? 0 : err_errno(err, errno, "%s", name);
    snprintf(config, sizeof(config), "%s/config.json", name);
    if (access(config, R_OK) < 0)
        return err_errno(err, errno, "%s: a model's folder must hold it", config);
    return 0;
}

static void weights_check(struct platform *p, uint64_t ticket, struct str uri)
{
    struct err err = {0};
    int r = check_weights(uri, &err);

    results_add(&local_of(p)->results, ticket, r, &err, STR_NONE);
}

/* --- time ------------------------------------------------------------------------------------- */

static void alarm_set(struct platform *p, int64_t mono_ms)
{
    struct local *local = local_of(p);
    int64_t now = clock_mono_ms(p->clock);

    if (mono_ms == 0)
        loop_timer_stop(&local->alarm);
    else
        loop_timer_start(local->loop, &local->alarm, mono_ms > now ? (uint64_t)(mono_ms - now) : 0);
}

static const struct tz *time_zone(struct platform *p, struct str name)
{
    return zones_find(&local_of(p)->zones, name);
}

const struct platform_ops local_ops = {
    .pod_create = pod_create,
    .pod_delete = pod_delete,
    .pod_restart = pod_restart,
    .status_put = status_put,
    .event_record = event_record,
    .agent_probe = agent_probe,
    .agent_drain = agent_drain,
    .routes_publish = routes_publish,
    .prices_post = prices_post,
    .weights_check = weights_check,
    .alarm_set = alarm_set,
    .time_zone = time_zone,
};
