/* SPDX-License-Identifier: Apache-2.0 */
/* spate apply: sends the whole intended objects of manifests, as server-side apply does. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/manifest.h"
#include "cli/table.h"

struct settings {
    const char *state;
    const char *name_space;
    struct arg_list files;
    const char *output;
    bool dry_run;
};

static const char *const outputs[] = {"text", "json", "yaml", "name", NULL};

static const struct arg_option options[] = {
    {"filename", 'f', ARG_LIST, offsetof(struct settings, files), "FILE", NULL,
     "manifest, YAML or JSON; - is stdin"},
    {"dry-run", 0, ARG_FLAG, offsetof(struct settings, dry_run), NULL, NULL,
     "let the operator check, change nothing"},
    {"output", 'o', ARG_TEXT, offsetof(struct settings, output), "FORMAT", "text",
     "how to print the results", .choices = outputs},
    {"namespace", 'n', ARG_TEXT, offsetof(struct settings, name_space), "NAME",
     CRD_NAMESPACE_DEFAULT, "namespace of objects that name none"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate apply",
    .summary = "Creates or changes the objects of a manifest",
    .usage = "-f FILE [options]",
    .examples = "spate apply -f docs/examples/quickstart.yaml\n"
                "spate get md brook -o yaml | spate apply -f - --dry-run\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static const char *version_of(const json_t *object)
{
    const char *version =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));

    return version == NULL ? "" : version;
}

static int print_result(const struct settings *settings, const struct api_resource *resource,
                        const char *name, const char *verb, const json_t *answer, struct err *err)
{
    CLEANUP(buf_fini) struct buf out = {0};
    const char *note = settings->dry_run ? " (server dry run)" : "";
    int r = 0;

    buf_init(&out, TABLE_BYTES_MAX);
    if (strcmp(settings->output, "text") == 0)
        buf_printf(&out, "%s.%s/%s %s%s\n", resource->singular, resource->group, name, verb, note);
    else if (strcmp(settings->output, "name") == 0)
        buf_printf(&out, "%s.%s/%s\n", resource->singular, resource->group, name);
    else
        r = table_tree(&out, answer, strcmp(settings->output, "yaml") == 0, err);
    if (r < 0)
        return r;
    return cli_print(&out) == CLI_OK ? 0 : err_set(err, ERR_IO, "stdout is closed");
}

static int apply_one(const struct settings *settings, const struct api *api,
                     const struct manifest *manifest, struct err *err)
{
    const struct crd_object *object = manifest->object;
    const struct api_resource *resource = api_resource_of(object->kind);
    CLEANUP(mem_freep) char *path = NULL;
    char url[2048];
    json_auto_t *before = NULL;
    json_auto_t *answer = NULL;
    struct err ignored;
    const char *verb = "configured";
    int r = api_path(&path, resource, object->name_space, object->name, err);

    if (r < 0)
        return r;
    api_get(api, path, &before, &ignored); /* only to say whether something changed */
    snprintf(url, sizeof(url), "%s%s", path, settings->dry_run ? "?dryRun=All" : "");
    r = api_apply(api, url, manifest->tree, &answer, err);
    if (r < 0)
        return err_wrap(err, r, "%s %s", object->kind->kind, object->name);
    if (r == 201 || before == NULL)
        verb = "created";
    else if (strcmp(version_of(before), version_of(answer)) == 0 && !settings->dry_run)
        verb = "unchanged";
    return print_result(settings, resource, object->name, verb, answer, err);
}

static int apply(const struct settings *settings, struct err *err)
{
    CLEANUP(manifests_fini) struct manifests manifests = {0};
    CLEANUP(api_fini) struct api api = {0};
    int r = manifests_read(&manifests, &settings->files, settings->name_space, err);

    if (r == 0)
        r = api_open(&api, settings->state, err);
    for (int i = 0; r >= 0 && i < manifests.count; i++)
        r = apply_one(settings, &api, &manifests.items[i], err);
    return r;
}

static int run(int argc, char **argv)
{
    struct settings settings = {0};
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    return apply(&settings, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cli_apply = {&arguments, run, NULL};
