/* SPDX-License-Identifier: Apache-2.0 */
/* spate delete: removes objects, by name or by manifest. */
#include <string.h>

#include "base/mem.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/manifest.h"

struct settings {
    const char *state;
    const char *name_space;
    struct arg_list files;
    bool ignore_not_found;
};

static const struct arg_option options[] = {
    {"filename", 'f', ARG_LIST, offsetof(struct settings, files), "FILE", NULL,
     "manifest whose objects are deleted; - is stdin"},
    {"ignore-not-found", 0, ARG_FLAG, offsetof(struct settings, ignore_not_found), NULL, NULL,
     "an object that is not there is no error"},
    {"namespace", 'n', ARG_TEXT, offsetof(struct settings, name_space), "NAME",
     CRD_NAMESPACE_DEFAULT, "namespace of the objects"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate delete",
    .summary = "Deletes objects",
    .usage = "[options] (KIND NAME... | -f FILE)",
    .examples = "spate delete md brook\n"
                "spate delete -f docs/examples/quickstart.yaml\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_max = -1,
};

static int delete_one(const struct settings *settings, const struct api *api,
                      const struct api_resource *resource, const char *name_space, const char *name,
                      struct err *err)
{
    CLEANUP(mem_freep) char *path = NULL;
    CLEANUP(buf_fini) struct buf out = {0};
    int r = api_path(&path, resource, name_space, name, err);

    if (r == 0)
        r = api_delete(api, path, NULL, err);
    if (r == -ERR_NOT_FOUND && settings->ignore_not_found)
        return 0;
    if (r < 0)
        return r;
    buf_init(&out, 1024);
    buf_printf(&out, "%s%s%s \"%s\" deleted\n", resource->singular,
               resource->group[0] == '\0' ? "" : ".", resource->group, name);
    return cli_print(&out) == CLI_OK ? 0 : err_set(err, ERR_IO, "stdout is closed");
}

static int delete_manifests(const struct settings *settings, const struct api *api, struct err *err)
{
    CLEANUP(manifests_fini) struct manifests manifests = {0};
    int r = manifests_read(&manifests, &settings->files, settings->name_space, err);

    for (int i = 0; r >= 0 && i < manifests.count; i++) {
        const struct crd_object *object = manifests.items[i].object;

        r = delete_one(settings, api, api_resource_of(object->kind), object->name_space,
                       object->name, err);
    }
    return r;
}

static int delete_named(const struct settings *settings, const struct api *api, char **words,
                        int count, struct err *err)
{
    const struct api_resource *resource;
    char *slash = strchr(words[0], '/');
    int r;

    if (slash != NULL && count == 1) { /* md/brook */
        *slash = '\0';
        r = api_resource_find(&resource, words[0], err);
        return r < 0 ? r
                     : delete_one(settings, api, resource, settings->name_space, slash + 1, err);
    }
    if (count < 2)
        return err_set(err, ERR_INVALID, "name what to delete: KIND NAME..., or -f FILE");
    r = api_resource_find(&resource, words[0], err);
    for (int i = 1; r >= 0 && i < count; i++)
        r = delete_one(settings, api, resource, settings->name_space, words[i], err);
    return r;
}

static int run(int argc, char **argv)
{
    CLEANUP(api_fini) struct api api = {0};
    struct settings settings = {0};
    struct err err = {0};
    int positionals;
    int exit_code;
    int r;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    if (positionals == 0 && settings.files.count == 0)
        return cli_fail_text(CLI_USAGE, "name what to delete: KIND NAME..., or -f FILE");
    r = api_open(&api, settings.state, &err);
    if (r == 0 && settings.files.count > 0)
        r = delete_manifests(&settings, &api, &err);
    if (r >= 0 && positionals > 0)
        r = delete_named(&settings, &api, argv + 1, positionals, &err);
    return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cli_delete = {&arguments, run, NULL};
