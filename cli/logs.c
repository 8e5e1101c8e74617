/* SPDX-License-Identifier: Apache-2.0 */
/* spate logs: what a pod, or the pods of a model, wrote. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "crd/model_deployment.h"

enum { ARENA_MAX = 16 << 20 };

struct settings {
    const char *state;
    const char *name_space;
    int64_t tail;
    bool follow;
};

static const struct arg_option options[] = {
    {"follow", 'f', ARG_FLAG, offsetof(struct settings, follow), NULL, NULL,
     "go on as more is written, until interrupted"},
    {"tail", 0, ARG_INT, offsetof(struct settings, tail), "LINES", "0",
     "only the last lines; 0: all that is kept", .max = 1000000},
    {"namespace", 'n', ARG_TEXT, offsetof(struct settings, name_space), "NAME",
     CRD_NAMESPACE_DEFAULT, "namespace of the pod"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate logs",
    .summary = "Prints the log of a pod",
    .usage = "[options] (POD | md/NAME)",
    .examples = "spate logs md/brook --tail 20\n"
                "spate logs brook-0001 -f\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_min = 1,
    .positional_max = 1,
};

static int print_bytes(void *user, struct str bytes)
{
    (void)user;
    if (fwrite(bytes.ptr, 1, bytes.len, stdout) != bytes.len || fflush(stdout) != 0)
        return -ERR_IO;
    return 0;
}

static int print_pod(const struct settings *settings, const struct api *api, const char *pod,
                     struct err *err)
{
    const struct api_resource *pods;
    CLEANUP(mem_freep) char *path = NULL;
    char url[2048];
    char tail[48] = "";
    int r = api_resource_find(&pods, "pods", err);

    if (r == 0)
        r = api_path(&path, pods, settings->name_space, pod, err);
    if (r < 0)
        return r;
    if (settings->tail > 0)
        snprintf(tail, sizeof(tail), "&tailLines=%lld", (long long)settings->tail);
    snprintf(url, sizeof(url), "%s/log?follow=%s%s", path, settings->follow ? "true" : "false",
             tail);
    return api_stream(api, url, print_bytes, NULL, err);
}

static int print_pods(const struct settings *settings, const struct api *api,
                      const struct crd_model_status *status, struct err *err)
{
    int r = 0;

    if (status->pod_count > 1 && settings->follow)
        cli_note("%d pods; following the first. Name another one to follow it.", status->pod_count);
    for (int i = 0; r >= 0 && i < status->pod_count; i++) {
        CLEANUP(mem_freep) char *name =
            mem_strndup(status->pods[i].name.ptr, status->pods[i].name.len);

        if (name == NULL)
            return err_no_memory(err);
        if (status->pod_count > 1)
            cli_note("==> %s <==", name);
        r = print_pod(settings, api, name, err);
        if (settings->follow)
            break;
    }
    return r;
}

static int print_model(const struct settings *settings, const struct api *api, const char *name,
                       struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(arena_fini) struct arena arena = {0};
    CLEANUP(mem_freep) char *path = NULL;
    struct crd_model_status status = {0};
    json_auto_t *tree = NULL;
    int r = api_path(&path, api_resource_of(crd_kinds[CRD_MODEL_DEPLOYMENT]), settings->name_space,
                     name, err);

    arena_init(&arena, ARENA_MAX);
    if (r == 0)
        r = api_get(api, path, &tree, err);
    if (r > 0)
        r = crd_object_read(&object, tree, NULL, NULL, err);
    if (r == 0)
        r = crd_model_status_read(&status, object, &arena, err);
    if (r < 0)
        return r;
    if (status.pod_count == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "%s has no pod at the moment; see `spate describe md %s`", name, name);
    return print_pods(settings, api, &status, err);
}

static int run(int argc, char **argv)
{
    CLEANUP(api_fini) struct api api = {0};
    struct settings settings = {0};
    const struct api_resource *resource;
    struct err err = {0};
    int positionals;
    int exit_code;
    char *slash;
    int r;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    r = api_open(&api, settings.state, &err);
    if (r < 0)
        return cli_fail(&err);
    slash = strchr(argv[1], '/');
    if (slash == NULL) {
        r = print_pod(&settings, &api, argv[1], &err);
        return r < 0 ? cli_fail(&err) : CLI_OK;
    }
    *slash = '\0';
    r = api_resource_find(&resource, argv[1], &err);
    if (r == 0 && strcmp(resource->kind, "Pod") == 0)
        r = print_pod(&settings, &api, slash + 1, &err);
    else if (r == 0 && strcmp(resource->kind, "ModelDeployment") == 0)
        r = print_model(&settings, &api, slash + 1, &err);
    else if (r == 0)
        r = err_set(&err, ERR_INVALID, "a %s has no log; name a pod or md/NAME", resource->kind);
    return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cli_logs = {&arguments, run, NULL};
