/* SPDX-License-Identifier: Apache-2.0 */
/* spate get: objects as a table, JSON, YAML or names; --watch follows their changes. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "crd/object.h"

struct settings {
    const char *state;
    const char *name_space;
    const char *output;
    bool all;
    bool watch;
    bool json;
    bool no_headers;
};

static const char *const outputs[] = {"table", "wide", "json", "yaml", "name", NULL};

static const struct arg_option options[] = {
    {"output", 'o', ARG_TEXT, offsetof(struct settings, output), "FORMAT", "table", "how to print",
     .choices = outputs},
    {"json", 0, ARG_FLAG, offsetof(struct settings, json), NULL, NULL, "the same as -o json"},
    {"watch", 'w', ARG_FLAG, offsetof(struct settings, watch), NULL, NULL,
     "print each change until interrupted"},
    {"namespace", 'n', ARG_TEXT, offsetof(struct settings, name_space), "NAME",
     CRD_NAMESPACE_DEFAULT, "namespace of the objects"},
    {"all-namespaces", 'A', ARG_FLAG, offsetof(struct settings, all), NULL, NULL,
     "objects of all namespaces"},
    {"no-headers", 0, ARG_FLAG, offsetof(struct settings, no_headers), NULL, NULL,
     "leave out the titles of the columns"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate get",
    .summary = "Lists objects",
    .usage = "[options] KIND [NAME...]",
    .examples = "spate get md\n"
                "spate get md brook -o yaml\n"
                "spate get pods -A --watch\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_min = 1,
    .positional_max = -1,
};

/* What one run prints. */
struct view {
    const struct settings *settings;
    const struct api_resource *resource;
    struct table table;
    int printed;        /* rows of the table that are out already */
    const char *wanted; /* --watch of one object: its name; else NULL */
    struct err *err;
};

static bool is_format(const struct view *v, const char *format)
{
    return strcmp(v->settings->output, format) == 0;
}

static bool is_table(const struct view *v)
{
    return is_format(v, "table") || is_format(v, "wide");
}

static int shown_columns(const struct view *v)
{
    int count = 2 + (v->settings->all && v->resource->namespaced); /* NAME, AGE */

    for (size_t i = 0; i < v->resource->column_count; i++)
        count += is_format(v, "wide") || !v->resource->columns[i].wide;
    return count;
}

static void add_titles(struct view *v)
{
    if (v->settings->all && v->resource->namespaced)
        table_add_text(&v->table, "NAMESPACE");
    table_add_text(&v->table, "NAME");
    for (size_t i = 0; i < v->resource->column_count; i++) {
        if (is_format(v, "wide") || !v->resource->columns[i].wide)
            table_add_text(&v->table, v->resource->columns[i].title);
    }
    table_add_text(&v->table, "AGE");
}

static void add_row(struct view *v, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    CLEANUP(buf_fini) struct buf cell = {0};
    char age[TABLE_AGE_MAX];

    buf_init(&cell, TABLE_BYTES_MAX);
    if (v->settings->all && v->resource->namespaced)
        table_add(&v->table, json_str(json_object_get(metadata, "namespace")));
    table_add(&v->table, json_str(json_object_get(metadata, "name")));
    for (size_t i = 0; i < v->resource->column_count; i++) {
        if (v->resource->columns[i].wide && !is_format(v, "wide"))
            continue;
        buf_clear(&cell);
        table_value(object, v->resource->columns[i].path, &cell);
        table_add(&v->table, buf_str(&cell));
    }
    table_age(json_str(json_object_get(metadata, "creationTimestamp")),
              clock_wall_ms(clock_system()), age);
    table_add_text(&v->table, age);
}

static void add_name(const struct view *v, const json_t *object, struct buf *out)
{
    struct str name = json_str(json_object_get(json_object_get(object, "metadata"), "name"));

    buf_printf(out, "%s%s%s/%.*s\n", v->resource->singular,
               v->resource->group[0] == '\0' ? "" : ".", v->resource->group, STR_ARG(name));
}

static int print_items(struct view *v, const json_t *items, struct buf *out)
{
    const json_t *item;
    size_t i;

    json_array_foreach (items, i, item) {
        if (is_format(v, "name"))
            add_name(v, item, out);
        else
            add_row(v, item);
    }
    if (is_table(v))
        table_write(&v->table, out);
    return 0;
}

/* One object as itself, several as a List. */
static int print_tree(const struct view *v, json_t *items, bool single, struct buf *out,
                      struct err *err)
{
    json_auto_t *list = NULL;

    if (single && json_array_size(items) == 1)
        return table_tree(out, json_array_get(items, 0), is_format(v, "yaml"), err);
    list = json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", items);
    if (list == NULL)
        return err_no_memory(err);
    return table_tree(out, list, is_format(v, "yaml"), err);
}

/* The named objects, or all; appended to `items`. */
static int fetch_items(const struct api *api, const struct view *v, char **names, int name_count,
                       json_t *items, struct err *err)
{
    const char *name_space = v->settings->all ? "" : v->settings->name_space;
    int r = 0;

    for (int i = 0; r >= 0 && i < (name_count > 0 ? name_count : 1); i++) {
        CLEANUP(mem_freep) char *path = NULL;
        json_t *answer = NULL;

        r = api_path(&path, v->resource, name_space, name_count > 0 ? names[i] : NULL, err);
        if (r < 0)
            return r;
        r = api_get(api, path, &answer, err);
        if (r < 0)
            return r;
        if (name_count > 0)
            json_array_append(items, answer);
        else
            json_array_extend(items, json_object_get(answer, "items"));
        json_decref(answer);
    }
    return r;
}

static int list(const struct api *api, struct view *v, char **names, int name_count,
                struct err *err)
{
    json_auto_t *items = json_array();
    CLEANUP(buf_fini) struct buf out = {0};
    int r = fetch_items(api, v, names, name_count, items, err);

    if (r < 0)
        return r;
    buf_init(&out, TABLE_BYTES_MAX);
    if (json_array_size(items) == 0 && is_table(v)) {
        cli_note(v->settings->all || !v->resource->namespaced ? "No %s found."
                                                              : "No %s found in namespace %s.",
                 v->resource->plural, v->settings->name_space);
        return 0;
    }
    if (is_format(v, "json") || is_format(v, "yaml"))
        r = print_tree(v, items, name_count == 1, &out, err);
    else
        r = print_items(v, items, &out);
    if (r < 0)
        return r;
    return cli_print(&out) == CLI_OK ? 0 : err_set(err, ERR_IO, "stdout is closed");
}

static int watch_event(void *user, const char *type, const json_t *object)
{
    struct view *v = user;
    CLEANUP(buf_fini) struct buf out = {0};
    struct str name = json_str(json_object_get(json_object_get(object, "metadata"), "name"));
    int r = 0;

    if (v->wanted != NULL && !str_is(name, v->wanted))
        return 0;
    buf_init(&out, TABLE_BYTES_MAX);
    if (is_table(v)) {
        add_row(v, object);
        table_write_from(&v->table, v->printed, &out);
        v->printed = v->table.row_count;
    } else if (is_format(v, "name")) {
        add_name(v, object, &out);
    } else {
        if (is_format(v, "yaml"))
            buf_append_text(&out, "---\n");
        r = table_tree(&out, object, is_format(v, "yaml"), v->err);
    }
    if (r == 0 && strcmp(type, "DELETED") == 0 && is_table(v))
        cli_note("%.*s was deleted", STR_ARG(name));
    if (r == 0 && cli_print(&out) != CLI_OK)
        r = err_set(v->err, ERR_IO, "stdout is closed");
    return r;
}

static int watch(const struct api *api, struct view *v, const char *name, struct err *err)
{
    const char *name_space = v->settings->all ? "" : v->settings->name_space;
    CLEANUP(mem_freep) char *path = NULL;
    char url[2048];
    int r = api_path(&path, v->resource, name_space, NULL, err);

    if (r < 0)
        return r;
    v->wanted = name;
    snprintf(url, sizeof(url), "%s?watch=true", path);
    r = api_watch(api, url, watch_event, v, err);
    return r < 0 ? r : err_set(err, ERR_NETWORK, "the operator ended the watch");
}

static int show(struct settings *settings, char **words, int count, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    struct view v = {.settings = settings, .err = err};
    char *slash = strchr(words[0], '/');
    int r;

    if (settings->json)
        settings->output = "json";
    if (slash != NULL && count == 1) { /* md/brook */
        *slash = '\0';
        words[1] = slash + 1;
        count = 2;
    }
    r = api_resource_find(&v.resource, words[0], err);
    if (r < 0)
        return r;
    if (settings->watch && count > 2)
        return err_set(err, ERR_INVALID, "--watch follows one object, or all of a kind");
    r = api_open(&api, settings->state, err);
    if (r < 0)
        return r;
    table_init(&v.table, shown_columns(&v));
    if (!settings->no_headers)
        add_titles(&v);
    if (settings->watch)
        r = watch(&api, &v, count == 2 ? words[1] : NULL, err);
    else
        r = list(&api, &v, words + 1, count - 1, err);
    table_fini(&v.table);
    return r;
}

static int run(int argc, char **argv)
{
    struct settings settings = {0};
    /* One place more than there are words: "md/brook" becomes two. */
    CLEANUP(mem_freep) char **words = mem_array((size_t)argc + 2, sizeof(*words));
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    if (words == NULL)
        return cli_fail_text(CLI_ERROR, "out of memory");
    memcpy(words, argv + 1, (size_t)positionals * sizeof(*words));
    return show(&settings, words, positionals, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cli_get = {&arguments, run, NULL};
