/* SPDX-License-Identifier: Apache-2.0 */
/* The local tenant and default deployments: see local.h. */
#include "cli/local.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/catalog.h"
#include "cli/cli.h"
#include "cli/keys.h"

enum { DEFAULT_REPLICAS_MAX = 2 };

static int save_key(const struct api *api, const struct key *key, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(api->folder, STATE_LOCAL_KEY);
    char line[KEY_TEXT_MAX + 1];

    if (path == NULL)
        return err_no_memory(err);
    snprintf(line, sizeof(line), "%s\n", key->text);
    return file_write_atomic(path, str_of(line), 0600, err);
}

/* The kept key, or a new one that is kept first: a crash in between loses nothing. */
static int load_or_make(struct key *out, const struct api *api, struct err *err)
{
    CLEANUP(mem_freep) char *text = NULL;
    int r = state_read_line(&text, api->folder, STATE_LOCAL_KEY, err);

    if (r == 0) {
        key_of_text(out, text);
        return 0;
    }
    if (r != -ERR_NOT_FOUND)
        return r;
    r = key_make(out, rng_system(), err);
    return r < 0 ? r : save_key(api, out, err);
}

static int list_key(void *user, json_t **tenant, struct err *err)
{
    const struct key *key = user;

    if (*tenant == NULL) {
        *tenant = json_pack("{s:s, s:s, s:{s:s}, s:{s:[s]}}", "apiVersion", CRD_API_VERSION, "kind",
                            "Tenant", "metadata", "name", LOCAL_TENANT, "spec", "namespaces", "*");
        if (*tenant == NULL)
            return err_no_memory(err);
    }
    if (key_is_listed(*tenant, key->sha256))
        return 1;
    key_remove(*tenant, LOCAL_KEY_ID, NULL); /* of a state folder that was lost */
    return key_add(*tenant, LOCAL_KEY_ID, key->sha256, err);
}

int local_key(char **out, const struct api *api, bool *made, struct err *err)
{
    struct key key;
    int r = load_or_make(&key, api, err);

    if (r == 0)
        r = tenant_change(api, LOCAL_TENANT, list_key, &key, err);
    if (r < 0)
        return r;
    *made = r == 0 || *made;
    *out = mem_strdup(key.text);
    return *out == NULL ? err_no_memory(err) : 0;
}

/* True if a deployment of the namespace has that name, or lets clients call it so. */
static int is_deployed(const struct api *api, const char *name_space, const char *model,
                       bool *found, struct err *err)
{
    CLEANUP(mem_freep) char *path = NULL;
    json_auto_t *answer = NULL;
    const json_t *item;
    size_t i;
    int r =
        api_path(&path, api_resource_of(crd_kinds[CRD_MODEL_DEPLOYMENT]), name_space, NULL, err);

    if (r == 0)
        r = api_get(api, path, &answer, err);
    if (r < 0)
        return r;
    json_array_foreach (json_object_get(answer, "items"), i, item) {
        const json_t *metadata = json_object_get(item, "metadata");
        const json_t *spec = json_object_get(json_object_get(item, "spec"), "model");

        if (str_is(json_str(json_object_get(metadata, "name")), model) ||
            str_is(json_str(json_object_get(spec, "name")), model))
            *found = true;
    }
    return 0;
}

static int deploy(const struct api *api, const char *name_space, const char *model, struct err *err)
{
    const struct catalog_model *known = catalog_find(model);
    CLEANUP(mem_freep) char *weights = NULL;
    CLEANUP(mem_freep) char *path = NULL;
    json_auto_t *tree = NULL;
    char uri[4200];
    int r;

    if (known == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "no model \"%.60s\" in namespace %s; `spate get md` lists those that are "
                       "deployed, `spate model list` those that are known by name",
                       model, name_space);
    r = catalog_path(&weights, known, err);
    if (r == 0)
        r = api_path(&path, api_resource_of(crd_kinds[CRD_MODEL_DEPLOYMENT]), name_space, model,
                     err);
    if (r < 0)
        return r;
    snprintf(uri, sizeof(uri), "file://%s", weights);
    tree =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:{s:s}, s:{s:i}}}", "apiVersion", CRD_API_VERSION,
                  "kind", "ModelDeployment", "metadata", "name", model, "namespace", name_space,
                  "spec", "model", "uri", uri, "scaling", "maxReplicas", DEFAULT_REPLICAS_MAX);
    if (tree == NULL)
        return err_no_memory(err);
    cli_note("applying a default ModelDeployment \"%s\" (see `spate get md %s -o yaml`)", model,
             model);
    return api_apply(api, path, tree, NULL, err);
}

int local_model(const struct api *api, const char *name_space, const char *model, bool *made,
                struct err *err)
{
    bool found = false;
    int r;

    if (strchr(model, '/') != NULL)
        return 0; /* namespace/name: the gateway says if it is not there */
    r = is_deployed(api, name_space, model, &found, err);
    if (r < 0 || found)
        return r;
    *made = true;
    r = deploy(api, name_space, model, err);
    return r < 0 ? r : 0;
}
