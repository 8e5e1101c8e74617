/* SPDX-License-Identifier: Apache-2.0 */
/* The user of a kubeconfig: token, client certificate, credential plug-in. */
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_config_reader.h"

static int read_words(struct kube_config_reader *r, const json_t *array, const char ***out)
{
    size_t count = json_array_size(array);
    const char **words;

    if (count > KUBE_EXEC_WORDS_MAX)
        return err_set(r->err, ERR_LIMIT, "more than %d arguments or variables",
                       KUBE_EXEC_WORDS_MAX);
    words = arena_array(&r->config->arena, count + 1, sizeof(*words));
    if (words == NULL)
        return err_no_memory(r->err);
    *out = words;
    return (int)count;
}

static int read_args(struct kube_config_reader *r, const json_t *exec, const char *const **out)
{
    json_t *array = NULL;
    const char **words = NULL;
    int count;
    int result = json_get_array(exec, "args", false, &array, r->err);

    if (result < 0 && result != -ERR_NOT_FOUND)
        return result;
    count = read_words(r, array, &words);
    if (count < 0)
        return count;
    for (int i = 0; i < count; i++) {
        const json_t *word = json_array_get(array, (size_t)i);

        if (!json_is_string(word))
            return err_set(r->err, ERR_INVALID, "'args' must be strings");
        result = kube_config_keep(r, json_str(word), &words[i]);
        if (result < 0)
            return result;
    }
    *out = words;
    return 0;
}

static int read_variable(struct kube_config_reader *r, const json_t *pair, const char **out)
{
    struct str name = STR_NONE;
    struct str value = STR_NONE;
    const char *text;
    int result = json_get_str(pair, "name", true, &name, r->err);

    if (result == 0)
        result = json_get_str(pair, "value", true, &value, r->err);
    if (result < 0)
        return result;
    if (name.len == 0 || str_find_char(name, '=') >= 0)
        return err_set(r->err, ERR_INVALID, "'%.*s' is no name of a variable", STR_ARG(name));
    text = arena_printf(&r->config->arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
    if (text == NULL)
        return err_no_memory(r->err);
    *out = text;
    return 0;
}

static int read_variables(struct kube_config_reader *r, const json_t *exec, const char *const **out)
{
    json_t *array = NULL;
    const char **words = NULL;
    int count;
    int result = json_get_array(exec, "env", false, &array, r->err);

    if (result < 0 && result != -ERR_NOT_FOUND)
        return result;
    count = read_words(r, array, &words);
    if (count < 0)
        return count;
    for (int i = 0; i < count; i++) {
        result = read_variable(r, json_array_get(array, (size_t)i), &words[i]);
        if (result < 0)
            return err_wrap(r->err, result, "'env'");
    }
    *out = words;
    return 0;
}

static int check_exec(struct kube_config_reader *r, const struct kube_exec *exec, const char *mode)
{
    if (exec->command == NULL)
        return err_set(r->err, ERR_INVALID, "'command' is missing");
    if (exec->api_version == NULL ||
        (strcmp(exec->api_version, "client.authentication.k8s.io/v1") != 0 &&
         strcmp(exec->api_version, "client.authentication.k8s.io/v1beta1") != 0))
        return err_set(r->err, ERR_UNSUPPORTED,
                       "'apiVersion' must be client.authentication.k8s.io/v1 (or v1beta1)");
    if (mode != NULL && strcmp(mode, "Always") == 0)
        return err_set(r->err, ERR_UNSUPPORTED,
                       "'interactiveMode: Always' needs a terminal; use one that does not");
    return 0;
}

static int read_exec(struct kube_config_reader *r, const json_t *object)
{
    struct kube_exec *exec = arena_alloc(&r->config->arena, sizeof(*exec));
    const char *mode = NULL;
    int result;

    if (exec == NULL)
        return err_no_memory(r->err);
    exec->install_hint = "";
    result = kube_config_text(r, object, "apiVersion", &exec->api_version);
    if (result == 0)
        result = kube_config_text(r, object, "command", &exec->command);
    if (result == 0)
        result = kube_config_text(r, object, "installHint", &exec->install_hint);
    if (result == 0)
        result = kube_config_text(r, object, "interactiveMode", &mode);
    if (result == 0)
        result = check_exec(r, exec, mode);
    if (result == 0)
        result = read_args(r, object, &exec->args);
    if (result == 0)
        result = read_variables(r, object, &exec->env);
    if (result == 0)
        result =
            json_get_bool(object, "provideClusterInfo", false, &exec->provide_cluster_info, r->err);
    if (result < 0 && result != -ERR_NOT_FOUND)
        return err_wrap(r->err, result, "exec");
    /* Relative commands with a slash start at the file; bare ones are looked up in PATH. */
    if (exec->command[0] != '/' && strchr(exec->command, '/') != NULL)
        exec->command = arena_printf(&r->config->arena, "%s/%s", r->folder, exec->command);
    if (exec->command == NULL)
        return err_no_memory(r->err);
    r->config->exec = exec;
    return 0;
}

static int read_certificate(struct kube_config_reader *r, const json_t *user)
{
    struct kube_config *c = r->config;
    int result = kube_config_path(r, user, "client-certificate", &c->cert_file);

    if (result == 0)
        result = kube_config_data(r, user, "client-certificate-data", &c->cert_pem);
    if (result == 0)
        result = kube_config_path(r, user, "client-key", &c->key_file);
    if (result == 0)
        result = kube_config_data(r, user, "client-key-data", &c->key_pem);
    if (result < 0)
        return result;
    if (c->cert_pem != NULL)
        c->cert_file = NULL;
    if (c->key_pem != NULL)
        c->key_file = NULL;
    if ((c->cert_pem != NULL || c->cert_file != NULL) !=
        (c->key_pem != NULL || c->key_file != NULL))
        return err_set(r->err, ERR_INVALID,
                       "client-certificate and client-key are needed together");
    return 0;
}

int kube_config_user(struct kube_config_reader *r, const json_t *user)
{
    static const char *const refused[] = {"username",  "password", "auth-provider", "as",
                                          "as-groups", "as-uid",   "as-user-extra"};
    json_t *exec = NULL;
    int result = kube_config_refuse(r, user, refused, ARRAY_COUNT(refused),
                                    "use a token, a client certificate or exec");

    if (result == 0)
        result = kube_config_text(r, user, "token", &r->config->token);
    if (result == 0)
        result = kube_config_path(r, user, "tokenFile", &r->config->token_file);
    if (result == 0)
        result = read_certificate(r, user);
    if (result < 0)
        return result;
    result = json_get_object(user, "exec", false, &exec, r->err);
    if (result == -ERR_NOT_FOUND)
        return 0;
    return result < 0 ? result : read_exec(r, exec);
}
