/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a kubeconfig: texts, paths, encoded data, and those that are refused. */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "operator/kube/client/kube_config_reader.h"

int kube_config_keep(struct kube_config_reader *r, struct str text, const char **out)
{
    const char *copy;

    if (memchr(text.ptr != NULL ? text.ptr : "", '\0', text.len) != NULL)
        return err_set(r->err, ERR_INVALID, "a text has a NUL in it");
    copy = arena_strdup(&r->config->arena, text);
    if (copy == NULL)
        return err_no_memory(r->err);
    *out = copy;
    return 0;
}

int kube_config_text(struct kube_config_reader *r, const json_t *object, const char *key,
                     const char **out)
{
    struct str text = STR_NONE;
    int result = json_get_str(object, key, false, &text, r->err);

    if (result == -ERR_NOT_FOUND || (result == 0 && text.len == 0))
        return 0;
    return result < 0 ? result : kube_config_keep(r, text, out);
}

int kube_config_path(struct kube_config_reader *r, const json_t *object, const char *key,
                     const char **out)
{
    const char *path = NULL;
    int result = kube_config_text(r, object, key, &path);

    if (result < 0 || path == NULL)
        return result;
    if (path[0] != '/')
        path = arena_printf(&r->config->arena, "%s/%s", r->folder, path);
    if (path == NULL)
        return err_no_memory(r->err);
    *out = path;
    return 0;
}

int kube_config_data(struct kube_config_reader *r, const json_t *object, const char *key,
                     const char **out)
{
    CLEANUP(buf_fini) struct buf plain = {0};
    struct str text = STR_NONE;
    int result = json_get_str(object, key, false, &text, r->err);

    if (result == -ERR_NOT_FOUND || (result == 0 && text.len == 0))
        return 0;
    if (result < 0)
        return result;
    buf_init(&plain, KUBE_CONFIG_BYTES_MAX);
    result = base64_decode(&plain, text, r->err);
    return result < 0 ? err_wrap(r->err, result, "%s", key)
                      : kube_config_keep(r, buf_str(&plain), out);
}

int kube_config_refuse(struct kube_config_reader *r, const json_t *object, const char *const *keys,
                       size_t count, const char *cure)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, keys[i]);

        if (value != NULL && !json_is_null(value) && !json_is_false(value))
            return err_set(r->err, ERR_UNSUPPORTED, "'%s' is not supported: %s", keys[i], cure);
    }
    return 0;
}
