/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's main: commands in, results out. A thread reads the lines and posts them to the loop.
 */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

struct line {
    struct tool *tool;
    char *text;
};

void tool_say(json_t *line)
{
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;

    if (text == NULL)
        abort();
    puts(text);
    fflush(stdout);
    mem_free(text);
    json_decref(line);
}

const char *tool_text(const json_t *command, const char *key)
{
    const char *text = json_string_value(json_object_get(command, key));

    return text != NULL ? text : "";
}

int64_t tool_number(const json_t *command, const char *key)
{
    return json_integer_value(json_object_get(command, key));
}

static void copy_part(char out[TOOL_PART_MAX], struct str part)
{
    snprintf(out, TOOL_PART_MAX, "%.*s", STR_ARG(part));
}

void tool_resource_read(struct tool_resource *out, const json_t *command)
{
    const json_t *global = json_object_get(command, "cluster_scoped");
    struct str rest = str_of(tool_text(command, "resource"));
    struct str first = str_cut(&rest, '/');
    struct str second = str_cut(&rest, '/');

    copy_part(out->group, rest.ptr != NULL ? first : STR_NONE);
    copy_part(out->version, rest.ptr != NULL ? second : first);
    copy_part(out->plural, rest.ptr != NULL ? rest : second);
    out->resource =
        (struct kube_resource){out->group, out->version, out->plural, !json_is_true(global)};
}

/* --- opening ---------------------------------------------------------------------------------- */

static void on_api_trouble(void *user, const struct err *err)
{
    (void)user;
    tool_say(json_pack("{s:s,s:s}", "event", "API_TROUBLE", "message", err_message(err)));
}

static void do_open(struct tool *t, const json_t *command)
{
    const char *folder = tool_text(command, "in_cluster");
    const char *file = tool_text(command, "kubeconfig");
    const char *context = tool_text(command, "context");
    struct kube_api_options options = {
        .loop = &t->loop,
        .clock = clock_system(),
        .rng = rng_system(),
        .metrics = t->metrics,
        .user_agent = "spate-kube-tool/1",
        .rate_per_s = (uint32_t)tool_number(command, "rate_per_s"),
        .burst = (uint32_t)tool_number(command, "burst"),
        .timeout_ms = (uint64_t)tool_number(command, "timeout_ms"),
        .credentials_ms = (uint64_t)tool_number(command, "credentials_ms"),
        .on_trouble = on_api_trouble,
    };
    struct err err = {0};
    int r;

    if (folder[0] != '\0')
        r = kube_config_in_cluster(&options.config, folder, &err);
    else
        r = kube_config_load(&options.config, file[0] != '\0' ? file : NULL,
                             context[0] != '\0' ? context : NULL, &err);
    if (r == 0)
        r = kube_api_new(&t->api, &options, &err);
    tool_say(json_pack("{s:s,s:s,s:s,s:s}", "event", "OPEN", "code", err_code_name(r), "message",
                       r < 0 ? err_message(&err) : "", "namespace",
                       r == 0 ? kube_api_namespace(t->api) : ""));
}

/* --- leading and Events ----------------------------------------------------------------------- */

static void on_started(void *user, uint64_t term)
{
    const struct tool *t = user;
    struct str uid = kube_lease_uid(kube_elector_lease(t->elector));

    tool_say(json_pack("{s:s,s:I,s:s%}", "event", "LEADING", "term", (json_int_t)term, "uid",
                       uid.ptr, uid.len));
}

static void on_stopped(void *user)
{
    (void)user;
    tool_say(json_pack("{s:s}", "event", "STOPPED"));
}

static void on_leader(void *user, struct str identity)
{
    (void)user;
    tool_say(json_pack("{s:s,s:s%}", "event", "LEADER", "identity",
                       identity.ptr != NULL ? identity.ptr : "", identity.len));
}

static void on_lease_trouble(void *user, const struct err *err)
{
    (void)user;
    tool_say(json_pack("{s:s,s:s}", "event", "LEASE_TROUBLE", "message", err_message(err)));
}

static void do_elect(struct tool *t, const json_t *command)
{
    const struct kube_lease_options options = {
        .name_space = str_of(tool_text(command, "namespace")),
        .name = str_of(tool_text(command, "name")),
        .identity = str_of(tool_text(command, "identity")),
        .field_manager = "spate-kube-tool-lease",
        .lease_ms = (uint64_t)tool_number(command, "lease_ms"),
        .renew_ms = (uint64_t)tool_number(command, "renew_ms"),
        .retry_ms = (uint64_t)tool_number(command, "retry_ms"),
        .on_started = on_started,
        .on_stopped = on_stopped,
        .on_leader = on_leader,
        .on_trouble = on_lease_trouble,
        .user = t,
    };

    if (kube_elector_new(&t->elector, t->api, &t->loop, clock_system(), rng_system(), t->metrics,
                         &options, NULL) < 0)
        abort();
    kube_lease_start(kube_elector_lease(t->elector));
}

static void released(void *user)
{
    (void)user;
    tool_say(json_pack("{s:s}", "event", "RELEASED"));
}

static void on_event_trouble(void *user, const struct err *err)
{
    (void)user;
    tool_say(json_pack("{s:s,s:s}", "event", "EVENT_TROUBLE", "message", err_message(err)));
}

static void do_record(struct tool *t, const json_t *command)
{
    const struct kube_events_options options = {
        .controller = "spate.dev/kube-tool",
        .instance = STR("kube-tool-0"),
        .field_manager = "spate-kube-tool-event",
        .on_trouble = on_event_trouble,
    };
    const struct kube_event_about about = {
        .api_version = tool_text(command, "api_version"),
        .kind = tool_text(command, "kind"),
        .name_space = str_of(tool_text(command, "namespace")),
        .name = str_of(tool_text(command, "name")),
        .uid = str_of(tool_text(command, "uid")),
    };

    if (t->recorder == NULL && kube_recorder_new(&t->recorder, t->api, &t->loop, clock_system(),
                                                 rng_system(), &options, NULL) < 0)
        abort();
    kube_events_record(kube_recorder_events(t->recorder), &about,
                       json_is_true(json_object_get(command, "warning")),
                       tool_text(command, "reason"), tool_text(command, "action"),
                       str_of(tool_text(command, "note")));
}

static void do_recorded(struct tool *t)
{
    const struct kube_event_counts *c = kube_events_counts(kube_recorder_events(t->recorder));

    tool_say(json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "event", "RECORDED", "recorded",
                       (json_int_t)c->recorded, "created", (json_int_t)c->created, "updated",
                       (json_int_t)c->updated, "merged", (json_int_t)c->merged, "dropped",
                       (json_int_t)c->dropped));
}

static void do_metrics(struct tool *t)
{
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, TOOL_TEXT_MAX);
    if (metrics_expose(t->metrics, &text) < 0 || buf_cstr(&text) == NULL)
        abort();
    tool_say(json_pack("{s:s,s:s}", "event", "METRICS", "text", text.ptr));
}

/* --- commands --------------------------------------------------------------------------------- */

static void run(struct tool *t, const json_t *command)
{
    const char *what = tool_text(command, "do");

    if (strcmp(what, "open") == 0)
        do_open(t, command);
    else if (strcmp(what, "watch") == 0)
        tool_watch_begin(t, command);
    else if (strcmp(what, "dump") == 0)
        tool_watch_dump(t, command);
    else if (strcmp(what, "relist") == 0)
        tool_watch_relist(t, command);
    else if (strcmp(what, "request") == 0)
        tool_request(t, command);
    else if (strcmp(what, "elect") == 0)
        do_elect(t, command);
    else if (strcmp(what, "sure") == 0)
        tool_say(json_pack("{s:s,s:I}", "event", "SURE", "ms",
                           (json_int_t)kube_lease_sure_ms(kube_elector_lease(t->elector))));
    else if (strcmp(what, "release") == 0)
        kube_lease_release(kube_elector_lease(t->elector), released, t);
    else if (strcmp(what, "record") == 0)
        do_record(t, command);
    else if (strcmp(what, "recorded") == 0)
        do_recorded(t);
    else if (strcmp(what, "metrics") == 0)
        do_metrics(t);
    else if (strcmp(what, "quit") == 0)
        loop_quit(&t->loop);
    else
        abort();
}

static void take_line(void *object)
{
    struct line *line = object;
    json_auto_t *command = json_loads(line->text, 0, NULL);

    if (command == NULL)
        abort();
    run(line->tool, command);
    mem_free(line->text);
    mem_free(line);
}

static void post(struct tool *t, const char *text)
{
    struct line *line = mem_alloc(sizeof(*line));

    if (line == NULL)
        abort();
    line->tool = t;
    line->text = mem_strdup(text);
    if (line->text == NULL || loop_post(&t->loop, take_line, line) < 0)
        abort();
}

static void *read_lines(void *object)
{
    struct tool *t = object;
    char *text = NULL;
    size_t size = 0;

    while (getline(&text, &size, stdin) > 0)
        post(t, text);
    free(text);
    loop_quit(&t->loop);
    return NULL;
}

int main(void)
{
    struct tool t = {0};
    pthread_t reader;

    json_begin();
    if (loop_init(&t.loop, NULL) < 0 || metrics_new(&t.metrics, NULL) < 0 ||
        pthread_create(&reader, NULL, read_lines, &t) != 0)
        return 1;
    loop_run(&t.loop);
    tool_watches_free(&t);
    tool_requests_free(&t);
    kube_elector_free(t.elector);
    kube_recorder_free(t.recorder);
    kube_api_close(t.api);
    loop_fini(&t.loop);
    metrics_free(t.metrics);
    tool_say(json_pack("{s:s}", "event", "BYE"));
#ifdef __SANITIZE_ADDRESS__
    __lsan_do_leak_check();
#endif
    _exit(0); /* the reader may hang in its read */
}
