/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and events, as kubectl shows them. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "operator/common/must.h"
#include "operator/local/rest.h"

static void put_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];

    clock_format_utc(wall_ms, text);
    json_put_text(w, key, text);
}

static const char *phase_name(const struct local_pod *pod)
{
    if (pod->deleting)
        return "Terminating";
    switch (pod->phase) {
    case PLATFORM_POD_PENDING:
        return "Pending";
    case PLATFORM_POD_RUNNING:
        return "Running";
    case PLATFORM_POD_CRASHED:
        return "CrashLoopBackOff";
    case PLATFORM_POD_LOST:
        break;
    }
    return "Failed";
}

static void write_pod(struct json_writer *w, const struct local_pod *pod)
{
    json_open(w, '{');
    json_put_text(w, "apiVersion", "v1");
    json_put_text(w, "kind", "Pod");
    json_key(w, "metadata");
    json_open(w, '{');
    json_put_text(w, "name", pod->name);
    json_put_text(w, "namespace", pod->name_space);
    json_put_text(w, "uid", pod->uid);
    put_time(w, "creationTimestamp", pod->created_ms);
    json_key(w, "labels");
    json_open(w, '{');
    json_put_text(w, "spate.dev/model", pod->owner_name);
    json_put_text(w, "spate.dev/template-hash", pod->template_hash);
    json_close(w, '}');
    json_close(w, '}');
    json_key(w, "status");
    json_open(w, '{');
    json_put_text(w, "phase", phase_name(pod));
    json_put_text(w, "address", pod->address);
    json_put_i64(w, "pid", pod->process.pid);
    json_put_u64(w, "restartCount", pod->restarts);
    json_put_text(w, "message", pod->message);
    json_close(w, '}');
    json_close(w, '}');
}

static void list_pods(struct rest *rest, struct http_exchange *x, struct str name_space)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct map_entry *entry;
    struct json_writer w;

    buf_init(&body, ENDPOINTS_ANSWER_MAX);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", "v1");
    json_put_text(&w, "kind", "PodList");
    json_key(&w, "items");
    json_open(&w, '[');
    for (size_t at = 0; (entry = map_next(&local_pods(rest->local)->pods, &at)) != NULL;) {
        const struct local_pod *pod = entry->value;

        if (name_space.len == 0 || str_is(name_space, pod->name_space))
            write_pod(&w, pod);
    }
    json_close(&w, ']');
    json_close(&w, '}');
    endpoints_send(x, 200, &body);
}

/* --- watch ------------------------------------------------------------------------------------ */

struct pod_watch {
    struct local_pod_watcher watcher;
    struct local *local;
    struct http_exchange *x;
    char name_space[CRD_NAME_MAX + 1];
    char name[PLATFORM_NAME_MAX + 1];
};

static void pod_event(void *user, enum platform_change change, const struct local_pod *pod)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED"};
    struct pod_watch *watch = user;
    CLEANUP(buf_fini) struct buf line = {0};
    struct json_writer w;

    if ((watch->name_space[0] != '\0' && strcmp(watch->name_space, pod->name_space) != 0) ||
        (watch->name[0] != '\0' && strcmp(watch->name, pod->name) != 0))
        return;
    buf_init(&line, ENDPOINTS_ANSWER_MAX);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_text(&w, "type", names[change]);
    json_key(&w, "object");
    write_pod(&w, pod);
    json_close(&w, '}');
    buf_append_char(&line, '\n');
    http_write(watch->x, buf_str(&line));
}

static void pod_watch_left(struct http_exchange *x)
{
    struct pod_watch *watch = x->user;

    local_unwatch_pods(watch->local, &watch->watcher);
    http_end(x);
    mem_free(watch);
}

static void watch_pods(struct rest *rest, struct http_exchange *x, const struct rest_path *path)
{
    struct pod_watch *watch = must(mem_alloc(sizeof(*watch)));
    struct map_entry *entry;

    watch->watcher = (struct local_pod_watcher){.fn = pod_event, .user = watch};
    watch->local = rest->local;
    watch->x = x;
    snprintf(watch->name_space, sizeof(watch->name_space), "%.*s", STR_ARG(path->name_space));
    snprintf(watch->name, sizeof(watch->name), "%.*s", STR_ARG(path->name));
    x->user = watch;
    x->on_disconnect = pod_watch_left;
    http_begin(x, 200, "application/json");
    for (size_t at = 0; (entry = map_next(&local_pods(rest->local)->pods, &at)) != NULL;)
        pod_event(watch, PLATFORM_ADDED, entry->value);
    local_watch_pods(rest->local, &watch->watcher);
}

static void send_pod(struct http_exchange *x, const struct local_pod *pod)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct json_writer w;

    buf_init(&body, ENDPOINTS_ANSWER_MAX);
    json_writer_init(&w, &body);
    write_pod(&w, pod);
    endpoints_send(x, 200, &body);
}

static void one_pod(struct rest *rest, struct http_exchange *x, const struct rest_path *path)
{
    const struct local_pod *pod =
        local_pods_find(local_pods(rest->local), path->name_space, path->name);
    char message[PLATFORM_NAME_MAX + 64];

    if (pod != NULL && path->sub.len == 0) {
        send_pod(x, pod);
    } else if (pod != NULL && str_is(path->sub, "log")) {
        rest_log(rest, x, pod);
    } else {
        snprintf(message, sizeof(message), "pods \"%.*s\" not found", STR_ARG(path->name));
        endpoints_refuse(x, 404, "NotFound", message);
    }
}

void rest_pods(struct rest *rest, struct http_exchange *x, struct str tail)
{
    struct rest_path path;

    if (!rest_path_parse(tail, &path) || !str_is(path.resource, "pods") ||
        (path.name.len > 0 && path.name_space.len == 0))
        endpoints_refuse(x, 404, "NotFound", "no such resource");
    else if (!str_is(x->method, "GET"))
        endpoints_refuse(x, 405, "MethodNotAllowed",
                         "pods are the operator's: change their ModelDeployment");
    else if (path.sub.len == 0 && endpoints_query_is(x, "watch", "true"))
        watch_pods(rest, x, &path);
    else if (path.name.len > 0)
        one_pod(rest, x, &path);
    else
        list_pods(rest, x, path.name_space);
}

/* --- events ----------------------------------------------------------------------------------- */

static void write_event(struct json_writer *w, const struct local_event *event)
{
    json_open(w, '{');
    json_put_text(w, "apiVersion", "events.k8s.io/v1");
    json_put_text(w, "kind", "Event");
    json_key(w, "metadata");
    json_open(w, '{');
    json_put_text(w, "name", event->event_name);
    json_put_text(w, "namespace", event->name_space);
    put_time(w, "creationTimestamp", event->first_ms);
    json_close(w, '}');
    put_time(w, "eventTime", event->first_ms);
    json_put_text(w, "type", event->warning ? "Warning" : "Normal");
    json_put_text(w, "reason", event->reason);
    json_put_text(w, "note", event->note);
    json_put_text(w, "reportingController", "spate.dev/operator");
    json_key(w, "regarding");
    json_open(w, '{');
    json_put_text(w, "apiVersion", CRD_API_VERSION);
    json_put_text(w, "kind", event->kind);
    json_put_text(w, "namespace", event->name_space);
    json_put_text(w, "name", event->name);
    json_put_text(w, "uid", event->uid);
    json_close(w, '}');
    json_key(w, "series");
    json_open(w, '{');
    json_put_i64(w, "count", event->count);
    put_time(w, "lastObservedTime", event->last_ms);
    json_close(w, '}');
    json_close(w, '}');
}

void rest_events(struct rest *rest, struct http_exchange *x, struct str tail)
{
    CLEANUP(buf_fini) struct buf body = {0};
    struct rest_path path;
    struct json_writer w;

    buf_init(&body, ENDPOINTS_ANSWER_MAX);
    if (!rest_path_parse(tail, &path) || !str_is(path.resource, "events") || path.name.len > 0) {
        endpoints_refuse(x, 404, "NotFound", "no such resource");
        return;
    }
    if (!str_is(x->method, "GET") || endpoints_query_is(x, "watch", "true")) {
        endpoints_refuse(x, 405, "MethodNotAllowed", "events can be listed only");
        return;
    }
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", "events.k8s.io/v1");
    json_put_text(&w, "kind", "EventList");
    json_key(&w, "items");
    json_open(&w, '[');
    for (size_t i = 0; i < local_event_count(rest->local); i++) {
        const struct local_event *event = local_event_at(rest->local, i);

        if (path.name_space.len == 0 || str_is(path.name_space, event->name_space))
            write_event(&w, event);
    }
    json_close(&w, ']');
    json_close(&w, '}');
    endpoints_send(x, 200, &body);
}
