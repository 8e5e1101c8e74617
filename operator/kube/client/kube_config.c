/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeconfig files: see kube_config.h. The current context names a cluster and a user; of both only
 * what we obey is taken, and what we know but do not obey is refused by its name.
 */
#include "operator/kube/client/kube_config.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "operator/kube/client/kube_config_reader.h"

enum { ARENA_MAX = 4 << 20 };

int kube_config_new(struct kube_config **out, struct err *err)
{
    struct kube_config *config = mem_alloc(sizeof(*config));

    if (config == NULL)
        return err_no_memory(err);
    arena_init(&config->arena, ARENA_MAX);
    config->name_space = "default";
    config->compress = true;
    *out = config;
    return 0;
}

void kube_config_free(struct kube_config *config)
{
    if (config == NULL)
        return;
    arena_fini(&config->arena);
    mem_free(config);
}

void kube_config_freep(struct kube_config **config)
{
    kube_config_free(*config);
}

/* --- the cluster ------------------------------------------------------------------------------ */

/* "localhost", "[::1]" or an address of 127.0.0.0/8, and nothing that only begins so. */
static bool is_this_machine(struct str rest)
{
    struct str authority = str_cut(&rest, '/');
    struct str host;

    if (str_is(authority, "[::1]") || str_starts(authority, STR("[::1]:")))
        return true;
    host = str_cut(&authority, ':');
    if (str_is(host, "localhost"))
        return true;
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
            return false;
    }
    return str_starts(host, STR("127."));
}

int kube_config_check_server(const char *server, struct err *err)
{
    struct str text = str_of(server);
    struct str rest;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f || strchr("?#@\\", text.ptr[i]) != NULL)
            return err_set(err, ERR_INVALID, "server '%s' is no plain https:// address", server);
    }
    if (str_starts(text, STR("https://"))) {
        rest = str_slice(text, 8, text.len);
    } else if (str_starts(text, STR("http://"))) {
        rest = str_slice(text, 7, text.len);
        if (!is_this_machine(rest))
            return err_set(err, ERR_INVALID,
                           "server '%s': http:// would show the token to the network; use https://",
                           server);
    } else {
        return err_set(err, ERR_INVALID, "server '%s' must begin with https://", server);
    }
    if (rest.len == 0 || rest.ptr[0] == '/')
        return err_set(err, ERR_INVALID, "server '%s' names no host", server);
    return 0;
}

static int read_server(struct kube_config_reader *r, const json_t *cluster)
{
    const char *server = NULL;
    struct str text;
    int result = kube_config_text(r, cluster, "server", &server);

    if (result < 0)
        return result;
    if (server == NULL)
        return err_set(r->err, ERR_INVALID, "'server' is missing");
    text = str_of(server);
    while (text.len > 0 && text.ptr[text.len - 1] == '/')
        text.len--;
    result = kube_config_keep(r, text, &r->config->server);
    return result < 0 ? result : kube_config_check_server(r->config->server, r->err);
}

static int read_cluster(struct kube_config_reader *r, const json_t *cluster)
{
    static const char *const insecure[] = {"insecure-skip-tls-verify"};
    static const char *const others[] = {"proxy-url", "tls-server-name"};
    struct kube_config *c = r->config;
    bool plain = false;
    int result = kube_config_refuse(r, cluster, insecure, ARRAY_COUNT(insecure),
                                    "give the cluster's certificate-authority instead");

    if (result == 0)
        result = kube_config_refuse(r, cluster, others, ARRAY_COUNT(others), "leave it out");
    if (result == 0)
        result = read_server(r, cluster);
    if (result == 0)
        result = kube_config_path(r, cluster, "certificate-authority", &c->ca_file);
    if (result == 0)
        result = kube_config_data(r, cluster, "certificate-authority-data", &c->ca_pem);
    if (result < 0)
        return result;
    if (c->ca_pem != NULL)
        c->ca_file = NULL; /* data overrides, as in kubectl */
    result = json_get_bool(cluster, "disable-compression", false, &plain, r->err);
    c->compress = !plain;
    return result == -ERR_NOT_FOUND ? 0 : result;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The member `part` of the entry of that name in a list of {name, part}. */
static int find_named(struct kube_config_reader *r, const json_t *root, const char *list,
                      const char *part, struct str name, json_t **out)
{
    json_t *array = NULL;
    int result = json_get_array(root, list, true, &array, r->err);

    if (result < 0)
        return result;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *entry = json_array_get(array, i);

        if (!str_eq(json_str(json_object_get(entry, "name")), name))
            continue;
        result = json_get_object(entry, part, true, out, r->err);
        return result < 0 ? err_wrap(r->err, result, "%s '%.*s'", part, STR_ARG(name)) : 0;
    }
    return err_set(r->err, ERR_NOT_FOUND, "no %s is named '%.*s'", part, STR_ARG(name));
}

static int read_context(struct kube_config_reader *r, const json_t *root, struct str name)
{
    json_t *context = NULL;
    json_t *cluster = NULL;
    json_t *user = NULL;
    struct str cluster_name = STR_NONE;
    struct str user_name = STR_NONE;
    int result = find_named(r, root, "contexts", "context", name, &context);

    if (result == 0)
        result = kube_config_text(r, context, "namespace", &r->config->name_space);
    if (result == 0)
        result = json_get_str(context, "cluster", true, &cluster_name, r->err);
    if (result == 0)
        result = find_named(r, root, "clusters", "cluster", cluster_name, &cluster);
    if (result == 0) {
        result = read_cluster(r, cluster);
        if (result < 0)
            return err_wrap(r->err, result, "cluster '%.*s'", STR_ARG(cluster_name));
    }
    if (result == 0)
        result = json_get_str(context, "user", true, &user_name, r->err);
    if (result == 0)
        result = find_named(r, root, "users", "user", user_name, &user);
    if (result < 0)
        return result;
    result = kube_config_user(r, user);
    return result < 0 ? err_wrap(r->err, result, "user '%.*s'", STR_ARG(user_name)) : 0;
}

static int read_root(struct kube_config_reader *r, const json_t *documents, const char *context)
{
    const json_t *root = json_array_get(documents, 0);
    struct str name = str_of(context);
    int result;

    if (json_array_size(documents) != 1 || !json_is_object(root))
        return err_set(r->err, ERR_INVALID, "this is no kubeconfig file: one object is expected");
    if (context == NULL) {
        result = json_get_str(root, "current-context", true, &name, r->err);
        if (result < 0)
            return result;
    }
    result = read_context(r, root, name);
    if (result < 0)
        return result;
    if (!str_is_dns_label(str_of(r->config->name_space)))
        return err_set(r->err, ERR_INVALID, "'%s' is no name of a namespace",
                       r->config->name_space);
    return 0;
}

int kube_config_read(struct kube_config **out, struct str text, const char *folder,
                     const char *context, const char *what, struct err *err)
{
    CLEANUP(kube_config_freep) struct kube_config *config = NULL;
    json_auto_t *documents = NULL;
    struct kube_config_reader r = {.folder = folder, .err = err};
    int result = yaml_read(&documents, text, what, err);

    if (result == 0)
        result = kube_config_new(&config, err);
    if (result < 0)
        return result;
    r.config = config;
    result = read_root(&r, documents, context);
    if (result < 0)
        return err_wrap(err, result, "%s", what);
    *out = STEAL(config);
    return 0;
}
