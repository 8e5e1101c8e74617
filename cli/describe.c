/* SPDX-License-Identifier: Apache-2.0 */
/* spate describe: one object for people, with its conditions, decisions, pods and events. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "crd/model_deployment.h"

enum { ARENA_MAX = 16 << 20, SHOWN_EVENTS_MAX = 20 };

struct settings {
    const char *state;
    const char *name_space;
};

static const struct arg_option options[] = {
    {"namespace", 'n', ARG_TEXT, offsetof(struct settings, name_space), "NAME",
     CRD_NAMESPACE_DEFAULT, "namespace of the object"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate describe",
    .summary = "Explains one object: conditions, decisions, pods, events",
    .usage = "[options] KIND NAME",
    .examples = "spate describe md brook\n"
                "spate describe tn acme\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_min = 1,
    .positional_max = 2,
};

static void add_age(struct table *t, int64_t ms)
{
    char time[CLOCK_TEXT_MAX];
    char age[TABLE_AGE_MAX];

    clock_format_utc(ms, time);
    table_age(str_of(time), clock_wall_ms(clock_system()), age);
    table_add_text(t, age);
}

static void write_indented(const struct table *t, struct buf *out)
{
    CLEANUP(buf_fini) struct buf plain = {0};
    struct str rest;

    buf_init(&plain, TABLE_BYTES_MAX);
    table_write(t, &plain);
    rest = buf_str(&plain);
    while (rest.len > 0) {
        struct str line = str_cut(&rest, '\n');

        buf_printf(out, "  %.*s\n", STR_ARG(line));
    }
}

static void describe_conditions(const struct crd_model_status *status, struct buf *out)
{
    struct table t;

    buf_append_text(out, "Conditions:\n");
    table_init(&t, 5);
    table_add_text(&t, "TYPE");
    table_add_text(&t, "STATUS");
    table_add_text(&t, "REASON");
    table_add_text(&t, "SINCE");
    table_add_text(&t, "MESSAGE");
    for (int i = 0; i < status->condition_count; i++) {
        const struct crd_condition *c = &status->conditions[i];

        table_add(&t, c->type);
        table_add_text(&t, crd_truth_name(c->status));
        table_add(&t, c->reason);
        add_age(&t, c->last_transition_ms);
        table_add(&t, c->message);
    }
    write_indented(&t, out);
    table_fini(&t);
}

static void describe_decisions(const struct crd_model_status *status, struct buf *out)
{
    struct table t;
    char change[48];

    if (status->decision_count == 0)
        return;
    buf_append_text(out, "Decisions (newest first):\n");
    table_init(&t, 4);
    table_add_text(&t, "AGO");
    table_add_text(&t, "REPLICAS");
    table_add_text(&t, "REASON");
    table_add_text(&t, "WHY");
    for (int i = 0; i < status->decision_count; i++) {
        const struct crd_decision *d = &status->decisions[i];

        snprintf(change, sizeof(change), "%" PRId64 ">%" PRId64, d->from, d->to);
        add_age(&t, d->time_ms);
        table_add_text(&t, change);
        table_add(&t, d->reason);
        table_add(&t, d->message);
    }
    write_indented(&t, out);
    table_fini(&t);
}

static void describe_pods(const struct crd_model_status *status, struct buf *out)
{
    struct table t;

    if (status->pod_count == 0)
        return;
    buf_append_text(out, "Pods:\n");
    table_init(&t, 4);
    table_add_text(&t, "NAME");
    table_add_text(&t, "PHASE");
    table_add_text(&t, "ADDRESS");
    table_add_text(&t, "MESSAGE");
    for (int i = 0; i < status->pod_count; i++) {
        table_add(&t, status->pods[i].name);
        table_add_text(&t, crd_pod_phase_name(status->pods[i].phase));
        table_add(&t, status->pods[i].address);
        table_add(&t, status->pods[i].message);
    }
    write_indented(&t, out);
    table_fini(&t);
}

static int describe_model(const json_t *tree, struct buf *out, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(arena_fini) struct arena arena = {0};
    struct crd_model_spec spec;
    struct crd_model_status status;
    int r;

    arena_init(&arena, ARENA_MAX);
    r = crd_object_read(&object, tree, NULL, NULL, err);
    if (r == 0)
        r = crd_model_spec_read(&spec, object, &arena, err);
    if (r == 0)
        r = crd_model_status_read(&status, object, &arena, err);
    if (r < 0)
        return r;
    buf_printf(out, "Model:         %.*s\n", STR_ARG(spec.name));
    buf_printf(out, "Weights:       %.*s\n", STR_ARG(spec.uri));
    if (spec.mode == CRD_SCALING_MANUAL)
        buf_printf(out, "Scaling:       Manual, %" PRId64 " replicas\n", spec.replicas);
    else
        buf_printf(out,
                   "Scaling:       Auto, %" PRId64 " to %" PRId64 " replicas of %" PRId64
                   " slots, filled to %" PRId64 " %%; idle after %" PRId64 " s\n",
                   spec.min_replicas, spec.max_replicas, spec.slots, spec.target_percent,
                   spec.idle_after_s);
    for (int i = 0; i < spec.warmup_count; i++)
        buf_printf(out, "Warm-up:       %" PRId64 " replicas at \"%.*s\" %.*s for %" PRId64 " s\n",
                   spec.warmups[i].replicas, STR_ARG(spec.warmups[i].schedule),
                   STR_ARG(spec.warmups[i].time_zone), spec.warmups[i].duration_s);
    buf_printf(out, "Replicas:      %" PRId64 " ready, %" PRId64 " there, %" PRId64 " wanted\n",
               status.ready_replicas, status.replicas, status.desired_replicas);
    if (status.cold_start_last_ms > 0)
        buf_printf(out, "Cold start:    %" PRId64 " ms last, %" PRId64 " ms median\n",
                   status.cold_start_last_ms, status.cold_start_median_ms);
    describe_conditions(&status, out);
    describe_decisions(&status, out);
    describe_pods(&status, out);
    return 0;
}

/* Events that regard the object, the newest SHOWN_EVENTS_MAX. */
static int describe_events(const struct api *api, const struct settings *settings, const char *name,
                           struct buf *out, struct err *err)
{
    const struct api_resource *events;
    CLEANUP(mem_freep) char *path = NULL;
    json_auto_t *answer = NULL;
    const json_t *items;
    const json_t *event;
    struct table t;
    size_t skip = 0;
    size_t i;
    int r = api_resource_find(&events, "events", err);

    if (r == 0)
        r = api_path(&path, events, settings->name_space, NULL, err);
    if (r == 0)
        r = api_get(api, path, &answer, err);
    if (r < 0)
        return r;
    items = json_object_get(answer, "items");
    if (json_array_size(items) > SHOWN_EVENTS_MAX * 10)
        skip = json_array_size(items) - SHOWN_EVENTS_MAX * 10;
    table_init(&t, 3);
    json_array_foreach (items, i, event) {
        struct str regarding =
            json_str(json_object_get(json_object_get(event, "regarding"), "name"));
        char age[TABLE_AGE_MAX];

        if (i < skip || !str_is(regarding, name))
            continue;
        table_age(json_str(json_object_get(event, "eventTime")), clock_wall_ms(clock_system()),
                  age);
        table_add_text(&t, age);
        table_add(&t, json_str(json_object_get(event, "reason")));
        table_add(&t, json_str(json_object_get(event, "note")));
    }
    if (t.row_count > 0) {
        buf_append_text(out, "Events:\n");
        write_indented(&t, out);
    }
    table_fini(&t);
    return 0;
}

static int describe(const struct settings *settings, const char *kind, const char *name,
                    struct buf *out, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    CLEANUP(mem_freep) char *path = NULL;
    const struct api_resource *resource;
    json_auto_t *tree = NULL;
    bool is_model;
    int r = api_resource_find(&resource, kind, err);

    if (r == 0)
        r = api_open(&api, settings->state, err);
    if (r == 0)
        r = api_path(&path, resource, settings->name_space, name, err);
    if (r == 0)
        r = api_get(&api, path, &tree, err);
    if (r < 0)
        return r;
    is_model = strcmp(resource->kind, "ModelDeployment") == 0;
    if (!is_model)
        return table_tree(out, tree, true, err);
    buf_printf(out, "Name:          %s\nNamespace:     %s\n", name, settings->name_space);
    r = describe_model(tree, out, err);
    return r < 0 ? r : describe_events(&api, settings, name, out, err);
}

static int run(int argc, char **argv)
{
    struct settings settings = {0};
    CLEANUP(buf_fini) struct buf out = {0};
    struct err err = {0};
    int positionals;
    int exit_code;
    char *slash;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    buf_init(&out, TABLE_BYTES_MAX);
    slash = strchr(argv[1], '/');
    if (positionals == 1 && slash == NULL)
        return cli_fail_text(CLI_USAGE, "name the object: spate describe %s NAME", argv[1]);
    if (positionals == 1)
        *slash = '\0';
    if (describe(&settings, argv[1], positionals == 1 ? slash + 1 : argv[2], &out, &err) < 0)
        return cli_fail(&err);
    return cli_print(&out);
}

const struct cli_command cli_describe = {&arguments, run, NULL};
