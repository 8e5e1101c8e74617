/* SPDX-License-Identifier: Apache-2.0 */
/* Where the configuration comes from: a kubeconfig file, or the pod we run in. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "operator/kube/client/kube_config_reader.h"

#define SERVICE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

enum { NAMESPACE_BYTES_MAX = 256 };

/* --- a file ----------------------------------------------------------------------------------- */

static int default_path(char **out, struct err *err)
{
    const char *variable = getenv("KUBECONFIG");
    const char *home = getenv("HOME");
    char *path;

    if (variable != NULL && strchr(variable, ':') != NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "KUBECONFIG names more than one file; merge them with "
                       "`kubectl config view --flatten` and name the result");
    if (variable != NULL && variable[0] != '\0')
        path = mem_strdup(variable);
    else if (home != NULL && home[0] != '\0')
        path = path_join(home, ".kube/config");
    else
        return err_set(err, ERR_NOT_FOUND,
                       "neither KUBECONFIG nor HOME is set: no kubeconfig file");
    if (path == NULL)
        return err_no_memory(err);
    *out = path;
    return 0;
}

/* The folder that relative paths in the file start at. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mem_strdup(".");
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

int kube_config_load(struct kube_config **out, const char *path, const char *context,
                     struct err *err)
{
    CLEANUP(mem_freep) char *usual = NULL;
    CLEANUP(mem_freep) char *folder = NULL;
    CLEANUP(buf_fini) struct buf text = {0};
    int r = path == NULL ? default_path(&usual, err) : 0;

    if (r < 0)
        return r;
    path = path != NULL ? path : usual;
    folder = folder_of(path);
    if (folder == NULL)
        return err_no_memory(err);
    buf_init(&text, KUBE_CONFIG_BYTES_MAX);
    r = file_read(path, &text, err);
    return r < 0 ? r : kube_config_read(out, buf_str(&text), folder, context, path, err);
}

/* --- in a pod --------------------------------------------------------------------------------- */

static int set_server(struct kube_config *config, struct err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    bool is_ipv6;

    if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0')
        return err_set(
            err, ERR_NOT_FOUND,
            "KUBERNETES_SERVICE_HOST is not set: this is no pod; give a kubeconfig file");
    is_ipv6 = strchr(host, ':') != NULL;
    config->server = arena_printf(&config->arena, "https://%s%s%s:%s", is_ipv6 ? "[" : "", host,
                                  is_ipv6 ? "]" : "", port);
    if (config->server == NULL)
        return err_no_memory(err);
    return kube_config_check_server(config->server, err);
}

static int set_namespace(struct kube_config *config, const char *folder, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    CLEANUP(mem_freep) char *path = path_join(folder, "namespace");
    struct str name;
    int r;

    if (path == NULL)
        return err_no_memory(err);
    buf_init(&text, NAMESPACE_BYTES_MAX);
    r = file_read(path, &text, err);
    if (r < 0)
        return r;
    name = str_trim(buf_str(&text));
    if (!str_is_dns_label(name))
        return err_set(err, ERR_INVALID, "%s holds no name of a namespace", path);
    config->name_space = arena_strdup(&config->arena, name);
    return config->name_space == NULL ? err_no_memory(err) : 0;
}

int kube_config_in_cluster(struct kube_config **out, const char *folder, struct err *err)
{
    CLEANUP(kube_config_freep) struct kube_config *config = NULL;
    int r = kube_config_new(&config, err);

    folder = folder != NULL ? folder : SERVICE_ACCOUNT_FOLDER;
    if (r == 0)
        r = set_server(config, err);
    if (r == 0)
        r = set_namespace(config, folder, err);
    if (r < 0)
        return r;
    config->token_file = arena_printf(&config->arena, "%s/token", folder);
    config->ca_file = arena_printf(&config->arena, "%s/ca.crt", folder);
    if (config->token_file == NULL || config->ca_file == NULL)
        return err_no_memory(err);
    *out = STEAL(config);
    return 0;
}
